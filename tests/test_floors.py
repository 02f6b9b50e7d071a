"""Data flows one way: each floor imports from floors below it only, lazy imports included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import synthoma

SOURCE = Path(synthoma.__file__).parent
FLOOR = {
    "_version": 0, "types": 0, "errors": 0, "seeding": 0, "config": 0, "provenance": 0,
    "outputs": 0, "artefacts": 0, "pseudonyms": 0, "threads": 0, "fanout": 0, "untrusted": 0,
    "scans": 1, "data": 1, "models": 1, "losses": 1, "augment": 1, "metrics": 1, "pictures": 1,
    "phantom": 2, "training": 2,
    "synthesis": 3, "detection": 3, "evaluation": 3,
    "reports": 4,
    "pipeline": 5, "cli": 5, "studio": 5, "__main__": 6,
}  # fmt: skip
MAY_ALSO = {
    "scans": set(),
    "data": {"scans"},
    "phantom": {"data"},
    "training": {"data", "models", "losses", "augment", "metrics", "pictures"},
    "synthesis": {"data", "models", "metrics", "pictures"},
    "detection": {"data", "models", "pictures", "scans"},
    "evaluation": {"scans", "data", "models", "losses", "augment", "metrics", "training", "pictures"},
    "reports": {"data", "models", "detection", "evaluation", "metrics", "pictures"},
}


def _room(module: str) -> str:
    """The top-level file or folder of a module: synthoma.data.cohort -> data."""
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


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_downwards(path: Path) -> None:
    here = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    for module in _imports(path):
        there = _room(module)
        if there in ("", here):
            continue
        assert there in FLOOR, f"{path.name} imports {module}, which has no floor"
        if FLOOR[there] == 0 or here in MAY_ALSO:
            allowed = FLOOR[there] == 0 or there in MAY_ALSO[here]
        else:
            allowed = FLOOR[there] < FLOOR[here] or (FLOOR[here] in (0, 5) and FLOOR[there] == FLOOR[here])
        assert allowed, f"{here} (floor {FLOOR[here]}) imports {module} (floor {FLOOR[there]})"


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
        assert not [word for word in forbidden if word in text.replace("picklable", "")], path
