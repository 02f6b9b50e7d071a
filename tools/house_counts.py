"""What can be counted in the syntax of Python files. tools/house.py says what each figure means, and prints them."""

from __future__ import annotations

import ast
import io
import json
import math
import re
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FREE = ("__init__", "__main__", "_version")
"""Files at the top of a package that belong to no room."""

MAP_LINE = re.compile(r"\| (\d+) \| `(\w+)` \| [^|]+ \| ([^|]*)\|")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Options = list[tuple[str, str]]
"""Parameters with a help of their own: function and name."""


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    path: str
    """Below the package, with slashes."""
    name: str
    """As it is imported; a package by its folder."""
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """What the file says."""
        return ast.parse(self.text, self.path)

    @cached_property
    def lines(self) -> int:
        """Of the file."""
        return len(self.text.splitlines())

    @cached_property
    def room(self) -> str:
        """The first folder below the package, or the file that lies there."""
        first = self.path.split("/")[0].removesuffix(".py")
        return "top" if first in FREE else first


@dataclass(frozen=True)
class Named:
    """A figure of something that has a name."""

    name: str
    value: float


@dataclass(frozen=True)
class Spread:
    """How large things are, and which are too large."""

    count: int
    median: float
    p90: float
    largest: Named
    too_large: list[Named]


def read(source: Path) -> list[Module]:
    """All files of a package."""
    found = []
    for path in sorted(source.rglob("*.py")):
        below = path.relative_to(source)
        name = ".".join((source.name, *below.with_suffix("").parts)).removesuffix(".__init__")
        found.append(Module(below.as_posix(), name, path.read_text(encoding="utf-8")))
    if not found:
        raise SystemExit(f"expected a folder with Python files; came {source}; give another one with --source")
    return found


# Sizes


def spread(sizes: list[Named], limit: float) -> Spread:
    """Median, nine in ten, the largest, and the names of those above a limit, largest first."""
    ranked = sorted(sizes, key=lambda size: (-size.value, size.name)) or [Named("none", 0)]
    values = [size.value for size in reversed(ranked)]
    p90 = values[math.ceil(0.9 * len(values)) - 1]
    above = [size for size in ranked if size.value > limit]
    return Spread(len(sizes), statistics.median(values), p90, ranked[0], above)


def functions(module: Module) -> Iterator[tuple[str, Function]]:
    """Each function with its full name: `gan/task.py: GanTask.step`."""

    def inside(node: ast.AST, outer: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, Function | ast.ClassDef)
            name = f"{outer}{child.name}" if isinstance(child, Function | ast.ClassDef) else outer
            if isinstance(child, Function):
                yield f"{module.path}: {name}", child
            yield from inside(child, f"{name}." if named else outer)

    return inside(module.tree, "")


def told(node: ast.AST) -> set[int]:
    """Lines of the texts that stand by themselves: docstrings."""
    return {
        line
        for part in ast.walk(node)
        if isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)
        for line in range(part.lineno, (part.end_lineno or part.lineno) + 1)
    }


def length(function: Function) -> int:
    """Lines of a function without its docstrings."""
    return max(1, (function.end_lineno or function.lineno) - function.lineno + 1 - len(told(function)))


def comments(module: Module) -> int:
    """Lines that hold a comment and nothing else."""
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    return sum(token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip() for token in tokens)


def complexity(source: Path, modules: list[Module]) -> list[Named]:
    """McCabe's figure of each function, from ruff."""
    names = {(module.path, node.lineno): name for module in modules for name, node in functions(module)}
    version = f"py3{sys.version_info.minor}"
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--ignore-noqa", "--exit-zero",
               "--target-version", version, "--select", "C901", "--config", "lint.mccabe.max-complexity=0",
               "--output-format", "json", str(source)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"expected ruff beside this Python; came {done.stderr.strip()}; run `make setup`")
    found = []
    for line in json.loads(done.stdout):
        if figure := re.search(r"too complex \((\d+) >", line["message"]):
            path = Path(line["filename"]).resolve().relative_to(source).as_posix()
            found.append(Named(names.get((path, line["location"]["row"]), path), int(figure[1])))
    return found


# Loose types


def anys(module: Module) -> int:
    """How often `Any` is said, imports apart."""
    return sum(
        (isinstance(node, ast.Name) and node.id == "Any") or (isinstance(node, ast.Attribute) and node.attr == "Any")
        for node in ast.walk(module.tree)
    )


def _annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """What stands where types stand."""
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if isinstance(found := getattr(node, field, None), ast.expr):
                yield found


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def keys(module: Module) -> int:
    """How often something is asked for by a text: `x["key"]` and `x.get("key")`; types are left out."""
    types = {id(part) for annotation in _annotations(module.tree) for part in ast.walk(annotation)}
    count = 0
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Subscript) and id(node) not in types:
            count += _is_text(node.slice) and ast.unparse(node.value).split(".")[-1] != "Literal"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            count += bool(node.args) and _is_text(node.args[0])
    return count


# Arrows


def imports(module: Module, known: set[str]) -> set[str]:
    """Modules of the same package that a module imports, anywhere in it."""
    found = set()
    here = module.name.split(".")
    package = here if module.path.endswith("__init__.py") else here[:-1]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *(node.module or "").split(".")]).rstrip(".")
            full = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name if name in known else base for name in full}
    return found & known


def allowed(source: Path) -> dict[str, set[str]] | None:
    """What each room may import by the table of docs/architecture.md, or None where there is none."""
    for folder in source.parents[:2]:  # the package lies in the repository, or in its src
        page = folder / "docs" / "architecture.md"
        if page.is_file():
            lines = MAP_LINE.findall(page.read_text(encoding="utf-8"))
            floors = {name: int(floor) for floor, name, _ in lines}
            return {
                name: {other for other in floors if floors[other] < floors[name]}
                if "all" in may
                else set(re.findall(r"`(\w+)`", may))
                for _, name, may in lines
            } or None
    return None


def against_map(modules: list[Module], graph: dict[str, set[str]], may: dict[str, set[str]]) -> list[str]:
    """Imports that the map does not allow."""
    rooms = {module.name: module.room for module in modules}
    return [
        f"{module.path} imports {other}"
        for module in modules
        if module.room in may
        for other in sorted(graph[module.name])
        if rooms.get(other, "top") not in {"top", module.room, *may[module.room]}
    ]


def _reached(start: str, graph: dict[str, set[str]]) -> set[str]:
    """All that a module imports, over others too; itself only where it stands on a cycle."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = graph.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Sets of modules that import one another in a circle."""
    reached = {name: _reached(name, graph) for name in graph}
    circles = {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ())))
        for name in graph
        if name in reached[name]
    }
    return [list(circle) for circle in sorted(circles)]


# Options


def settings(modules: Iterable[Module]) -> dict[str, list[str]]:
    """Fields of settings classes, each with the classes that have it."""
    classes = [node for module in modules for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    kinds, before = {"BaseModel"}, 0
    while len(kinds) > before:  # children of children, in whatever order the files come
        before = len(kinds)
        kinds |= {one.name for one in classes if any(ast.unparse(base).split(".")[-1] in kinds for base in one.bases)}
    found: dict[str, list[str]] = {}
    for one in (one for one in classes if one.name in kinds):
        for line in one.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                found.setdefault(line.target.id, []).append(one.name)
    return found


def _has_help(node: ast.expr | None, aliases: dict[str, ast.expr]) -> bool:
    """Whether an annotation or a default holds a typer Option with a help that is written out."""
    if isinstance(node, ast.Name) and node.id in aliases:
        node = aliases[node.id]
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)] if node else []
    return any(
        ast.unparse(call.func).split(".")[-1] == "Option"
        and any(word.arg == "help" and _is_text(word.value) for word in call.keywords)
        for call in calls
    )


def options(modules: Iterable[Module]) -> Options:
    """Parameters of commands that have a hand-written help."""
    found = []
    for module in modules:
        if "Option(" in module.text:
            aliases = _aliases(module)
            for name, function in functions(module):
                found += [(name, one.arg) for one, default in _parameters(function)
                          if _has_help(one.annotation, aliases) or _has_help(default, aliases)]  # fmt: skip
    return found


def _aliases(module: Module) -> dict[str, ast.expr]:
    """Names that a file gives to something at its top: `Force = Annotated[bool, typer.Option(...)]`."""
    return {
        target.id: line.value
        for line in module.tree.body
        if isinstance(line, ast.Assign)
        for target in line.targets
        if isinstance(target, ast.Name)
    }


def _parameters(function: Function) -> list[tuple[ast.arg, ast.expr | None]]:
    """What a function takes, each with its default."""
    takes = function.args
    by_place = [*takes.posonlyargs, *takes.args]
    defaults = [*[None] * (len(by_place) - len(takes.defaults)), *takes.defaults]
    return [*zip(by_place, defaults, strict=True), *zip(takes.kwonlyargs, takes.kw_defaults, strict=True)]


def told_twice(written: Options, fields: dict[str, list[str]]) -> list[str]:
    """Options that are described on the command line and in a settings class."""
    return [f"{where} {name}, also {', '.join(fields[name])}" for where, name in written if name in fields]
