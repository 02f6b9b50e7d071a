"""Every public name is explained, has types, stands on the page of the API, and in an example that runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import synthoma

DOCS = Path(__file__).parents[1] / "docs"
NAMES = [name for name in dir(synthoma) if name not in ("__version__", "pipeline")]
OBJECTS = [name for name in NAMES if inspect.isclass(getattr(synthoma, name))]
SHOWN_AS_COMMENT = {
    "demo": "minutes",
    "to_torchio": "a package that is not always there",
    "turing_make": "docs/turing.md runs it",
    "turing_score": "docs/turing.md runs it",
}
"""What an example names and does not run, and why."""


def members(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public methods and properties that Synthoma wrote, as functions."""
    for name in dir(kind):
        found = inspect.getattr_static(kind, name)
        function = found.fget if isinstance(found, property) else getattr(found, "func", found)
        function = getattr(function, "__func__", function)
        if not name.startswith("_") and inspect.isfunction(function) and function.__module__.startswith("synthoma"):
            yield name, function


EVERYTHING = [(name, getattr(synthoma, name)) for name in NAMES if name not in OBJECTS] + [
    (f"{kind}.{name}", function) for kind in OBJECTS for name, function in members(getattr(synthoma, kind))
]


def code(page: str) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.S))


def test_what_is_walked_is_the_api() -> None:
    walked = {name for name, _ in EVERYTHING}
    assert {"prepare", "chain", "Cohort.filter", "View.save", "Run.log", "Findings.mask", "Evaluation.scores"} <= walked
    assert isinstance(inspect.getattr_static(synthoma.Run, "settings"), cached_property)  # and those are walked too
    assert "Run.settings" in walked


@pytest.mark.parametrize(("name", "function"), EVERYTHING, ids=[name for name, _ in EVERYTHING])
def test_everything_is_explained_and_typed(name: str, function: Callable[..., Any]) -> None:
    assert len(inspect.getdoc(function) or "") > 10, f"{name} has no docstring"
    written = inspect.unwrap(function)
    typed = set(written.__annotations__)
    asked = set(written.__code__.co_varnames[: written.__code__.co_argcount + written.__code__.co_kwonlyargcount])
    assert asked - {"self", "cls"} | {"return"} <= typed, f"{name} lacks types of {sorted(asked - typed)}"


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_are_explained(name: str) -> None:
    assert len(getattr(synthoma, name).__doc__ or "") > 10


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_the_api_has_it(name: str) -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert re.search(rf"^::: synthoma\.(?:\w+\.)*{name}$", page, flags=re.M), f"docs/api.md lacks {name}"


@pytest.mark.parametrize("name", [name for name, _ in EVERYTHING])
def test_there_is_an_example(name: str) -> None:
    text, last = code("examples.md"), name.rpartition(".")[2]
    lines = [line for line in text.splitlines() if re.search(rf"\.{last}\b", line)]
    assert lines, f"docs/examples.md has no example of {name}"
    running = [line for line in lines if not line.startswith("#")]
    assert running or last in SHOWN_AS_COMMENT


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    exec(compile(code("examples.md"), "examples.md", "exec"), space)
    assert space["cohort"].meta.patients == 24
    assert len(space["same"]) == len(space["synthetic"]) == 60
    assert (space["same"].images[:] == space["synthetic"].images[:]).all()
    assert synthoma.verify("cohort") == []
    assert space["evaluation"].verdict.word in capsys.readouterr().out
    assert (tmp_path / "nnunet" / "Dataset001_Squares" / "dataset.json").is_file()
    assert 0.7 < space["agreement"]["regions"]["whole tumour"]["dice"]["mean"]["value"] < 1  # shifted by a pixel
