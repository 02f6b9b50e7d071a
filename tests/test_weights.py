"""Every test has one of three weights, and continuous integration runs each test once."""

from __future__ import annotations

import re
import tomllib
from itertools import chain, combinations
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

ROOT = Path(__file__).parents[1]
MARKS = ("slow", "heavy")
"""What a test may bear, or not: a test that bears both is heavy."""


def selections() -> dict[str, Expression]:
    """Target of the Makefile -> the tests that it runs."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^(\w+):[^\n]*\n\t\$\(PYTEST\) -m \"([^\"]+)\"", text, flags=re.M)
    return {name: Expression.compile(words) for name, words in found}


def runs(target: str, marks: tuple[str, ...]) -> bool:
    return selections()[target].evaluate(lambda name, **_: name in marks)


@pytest.mark.parametrize("marks", list(chain.from_iterable(combinations(MARKS, n) for n in range(3))), ids=str)
def test_continuous_integration_runs_every_test_once(marks: tuple[str, ...]) -> None:
    """Whatever a test bears, one of the targets selects it, and one alone."""
    targets = re.findall(r"^make (\w+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), flags=re.M)
    assert [target for target in targets if runs(target, marks)] == ["heavy" if "heavy" in marks else "test"]
    assert runs("check", marks) == (marks == ())


def test_there_are_no_other_weights() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert [line.partition(":")[0] for line in told["markers"]] == list(MARKS)
    assert not re.search(r"(?<!\w)-m\b|--ignore|--deselect", " ".join(told["addopts"].split()))


def test_what_asks_for_something_heavy_is_heavy(request: pytest.FixtureRequest) -> None:
    """Of two items the one that reaches a browser through its fixtures is marked, before the tests are chosen."""

    class Item:
        def __init__(self, *fixtures: str) -> None:
            self.fixturenames, self.marks = list(fixtures), list[str]()

        def add_marker(self, name: str) -> None:
            self.marks.append(name)

    items = [Item("tmp_path", "visit", "browser"), Item("tmp_path")]
    (conftest,) = [one for one in request.config.pluginmanager.get_plugins() if hasattr(one, "HEAVY")]
    next(conftest.pytest_collection_modifyitems(items))  # up to where tests are chosen
    assert [item.marks for item in items] == [["heavy"], []]
    assert conftest.pytest_collection_modifyitems.pytest_impl["tryfirst"]
