"""Data flows one way: each floor imports from floors below it only, lazy imports included."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import synthoma

SOURCE = Path(synthoma.__file__).parent
MAP = Path(__file__).parents[1] / "docs" / "architecture.md"
LINE = re.compile(r"\| (\d+) \| `(\w+)` \| [^|]+ \| ([^|]*)\|")
FREE = ("", "_version", "__main__")
"""The package, its version, and what `python -m synthoma` runs."""


def _table() -> dict[str, tuple[int, set[str]]]:
    """Floor of each room and what it may import, from the table of docs/architecture.md."""
    found = {name: (int(floor), may) for floor, name, may in LINE.findall(MAP.read_text(encoding="utf-8"))}
    return {
        name: (
            floor,
            {other for other in found if found[other][0] < floor} if "all" in may else set(re.findall(r"`(\w+)`", may)),
        )
        for name, (floor, may) in found.items()
    }


ROOMS = _table()


def _room(module: str) -> str:
    """The top-level file or folder of a module: synthoma.cohorts.cohort -> cohorts."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def _module(package: str, name: str) -> str:
    """The module that ``from package import name`` loads: package.name if that is a module, else package."""
    place = SOURCE.joinpath(*package.split(".")[1:], name)
    return f"{package}.{name}" if place.with_suffix(".py").is_file() or place.is_dir() else package


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {_module(node.module, alias.name) for alias in node.names}
    return {name for name in found if name.split(".")[0] == "synthoma"}


def _files() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def test_the_map_shows_all_rooms_and_arrows_go_down() -> None:
    here = {path.stem if path.is_file() else path.name for path in SOURCE.iterdir() if path.suffix in ("", ".py")}
    assert here - {"weights", "__pycache__", "__init__", *FREE} == set(ROOMS)
    for name, (floor, may) in ROOMS.items():
        assert all(ROOMS[other][0] < floor for other in may), name


def test_the_drawing_is_that_of_the_code() -> None:
    script = MAP.parents[1] / "tools" / "draw_rooms.py"
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0, f"run {script.name}"


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_are_those_of_the_map(path: Path) -> None:
    here = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if here in FREE:
        return
    for module in _imports(path):
        there = _room(module)
        assert there in (*FREE, here, *ROOMS[here][1]), f"{here} imports {module}, which the map does not allow"


def test_no_module_cycles() -> None:
    graph = {}
    for path in _files():
        name = ".".join(("synthoma", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        graph[name] = _imports(path) - {name}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done or name not in graph:
            return
        for below in graph[name]:
            visit(below, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_no_pickle_no_download_no_utils() -> None:
    forbidden = ("torch.load(", "pickle", "urlretrieve", "hf_hub_download", "load_state_dict_from_url", "requests.")
    for path in _files():
        assert "utils" not in path.stem
        text = path.read_text(encoding="utf-8").replace("allow_pickle=False", "")
        if path.relative_to(SOURCE).as_posix() == "hospital/web.py":  # asks the archive that its user names
            text = text.replace("requests.", "")
        assert not [word for word in forbidden if word in text.replace("picklable", "")], path
