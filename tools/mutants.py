"""Puts one-line faults into a copy of the source and sees whether the tests notice.

    python tools/mutants.py                       30 faults
    python tools/mutants.py --number 5 --seed 1   others
    python tools/mutants.py --list                only show the faults, and which files of tests each is held against
    python tools/mutants.py --quick               only the quick tests, in a few minutes

A *fault* is one changed word in one line that runs: a comparison turned round, a plus for a minus, ``and`` for ``or``,
a number one larger, a condition denied, ``True`` for ``False``. Lines are drawn at random, each line of code as likely
as another; settings' words and figures' looks are left out by name, because no test should hold them. What lives is
shown with its line: some are faults that change nothing (a tolerance of 1e-8), some are holes in the tests.

A fault is held against the tests *nearby*: the files of its room, and those elsewhere that import its module, nearest
first. The quick ones run first, then the slow ones; heavy ones do not. The first test that fails ends a fault's turn,
and a test of more than two minutes is one that fails: the fault has made it hang.

Each fault is tried in its own copy of ``src``; the checkout is never touched.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "synthoma"
LOOKS = ("charts", "figures", "templates", "vendor", "static", "display", "settings", "words", "keywords")
"""Files of these names hold looks and words: a bar that is one pixel wider is no fault that a test should find."""
SWAPS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.And: (" and ", " or "),
    ast.Or: (" or ", " and "),
    ast.In: (" in ", " not in "),
    ast.Is: (" is ", " is not "),
}


LEFT = shutil.ignore_patterns(".git", ".venv", "site", "demo", "__pycache__", ".*_cache")
"""What the copy of a checkout needs not."""
WHOLE = ("pipeline", "commands")
"""Rooms that the tests of the whole hold too, which import nothing but the package."""
NOTHING_TO_RUN = int(pytest.ExitCode.NO_TESTS_COLLECTED)
TIMES = ("--timeout=120", "--dist=loadfile")


@dataclass(frozen=True)
class Fault:
    """One changed line: its file below the package, its number from 1, as it was and as it becomes."""

    file: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}\n      {self.before.strip()}\n   -> {self.after.strip()}"


def faults(path: Path) -> Iterator[Fault]:
    """All faults of a file, at most one a line and kind of change."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    name = path.relative_to(SOURCE).as_posix()
    told: set[int] = set()  # lines of hints for the type checker and of texts: they do not run
    for node in ast.walk(tree := ast.parse(text)):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation:
            told.update(range(node.annotation.lineno, (node.annotation.end_lineno or node.annotation.lineno) + 1))
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno:
            told.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.FunctionDef):
            told.update(range(node.lineno, node.body[0].lineno))
    for node in ast.walk(tree):
        for start, end, new in _changes(node, lines):
            row = getattr(node, "lineno", 0)
            if row in told or getattr(node, "end_lineno", row) != row:
                continue
            after = lines[row - 1][:start] + new + lines[row - 1][end:]
            try:
                ast.parse("\n".join([*lines[: row - 1], after, *lines[row:]]))
            except SyntaxError:
                continue
            yield Fault(name, row, lines[row - 1], after)


def _changes(node: ast.AST, lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """Columns of a node's own line and the text to put there."""
    if isinstance(node, ast.Constant):
        if node.value is True or node.value is False:
            yield node.col_offset, node.end_col_offset or 0, str(not node.value)
        elif isinstance(node.value, int | float):
            yield node.col_offset, node.end_col_offset or 0, f"({node.value} + 1)"
    elif isinstance(node, ast.Compare):
        yield from _between(node.left, node.ops[0], node.comparators[0], lines)
    elif isinstance(node, ast.BinOp):
        yield from _between(node.left, node.op, node.right, lines)
    elif isinstance(node, ast.BoolOp):
        yield from _between(node.values[0], node.op, node.values[1], lines)
    elif isinstance(node, ast.If | ast.IfExp) and node.test.lineno == node.lineno:
        test = node.test
        yield test.col_offset, test.end_col_offset or 0, f"not ({ast.unparse(test)})"


def _between(left: ast.expr, word: ast.AST, right: ast.expr, lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """The operator between two parts that stand in one line."""
    old, new = SWAPS.get(type(word), ("", ""))
    if not old or left.end_lineno != right.lineno or left.end_col_offset is None:
        return
    between = lines[right.lineno - 1][left.end_col_offset : right.col_offset]
    at = between.find(old)
    if at >= 0:
        yield left.end_col_offset + at, left.end_col_offset + at + len(old), new


def chosen(number: int, seed: int) -> list[Fault]:
    """Faults in lines that are drawn without replacement."""
    by_line: dict[tuple[str, int], list[Fault]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if any(word in path.relative_to(SOURCE).as_posix() for word in LOOKS):
            continue
        for fault in faults(path):
            by_line.setdefault((fault.file, fault.line), []).append(fault)
    draw = random.Random(seed)
    return [draw.choice(by_line[place]) for place in draw.sample(sorted(by_line), number)]


def caught(fault: Fault, *choice: str) -> str | None:
    """The first test that fails with the fault in place; None where all pass."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(ROOT, copy, ignore=LEFT)
        place = copy / "src" / "synthoma" / fault.file
        lines = place.read_text(encoding="utf-8").splitlines(keepends=True)
        lines[fault.line - 1] = fault.after + "\n"
        place.write_text("".join(lines), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--no-header",
            "--tb=no",
            "-p",
            "no:cacheprovider",
            *TIMES,
        ]
        around = {**os.environ, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*command, *TIMES, *choice], cwd=copy, env=around, capture_output=True, text=True)
    if done.returncode in (0, NOTHING_TO_RUN):
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0][:160] if failed else done.stdout[-160:]


def nearby(fault: Fault) -> list[str]:
    """The test files that are held against a fault: those of its name, those that import its module, its room's."""
    module = ".".join(("synthoma", *Path(fault.file).with_suffix("").parts)).removesuffix(".__init__")
    room, stem = ROOT / "tests" / fault.file.split("/")[0], Path(fault.file).stem
    every = sorted((ROOT / "tests").rglob("test_*.py"))
    named = [path for path in every if path.stem == f"test_{stem}"]
    asking = [path for path in every if module in imported(path.read_text(encoding="utf-8"))]
    own = [path for path in every if path.is_relative_to(room)]
    if room.name in WHOLE:
        own += sorted((ROOT / "tests").glob("test_*.py"))
    return [path.relative_to(ROOT).as_posix() for path in dict.fromkeys([*named, *asking, *own])]


def imported(text: str) -> set[str]:
    """The modules, and names in them, that a file imports by their full names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update([node.module, *(f"{node.module}.{one.name}" for one in node.names)])
    return found


def main() -> None:
    """Try the faults one by one and say how many were noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--number", type=int, default=30, help="how many faults")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--workers", default="2", help="processes of pytest-xdist")
    parser.add_argument("--quick", action="store_true", help="only the quick tests")
    parser.add_argument("--list", action="store_true", help="only show them")
    asked = parser.parse_args()
    drawn = chosen(asked.number, asked.seed)
    weights = {"quick": "not slow and not heavy"} | ({} if asked.quick else {"slow": "slow and not heavy"})
    noticed = dict.fromkeys(weights, 0)
    for at, fault in enumerate(drawn, 1):
        near = nearby(fault)
        print(f"{at:>3}. {fault}\n   {len(near)} files of tests: {', '.join(near[:3])}", flush=True)
        if asked.list:
            continue
        found = None
        for weight, marks in weights.items():
            if near and found is None:
                found = caught(fault, "-n", asked.workers, "-m", marks, *near)
                noticed[weight] += found is not None
        print(f"   {'noticed by ' + found if found else 'LIVES'}", flush=True)
    if not asked.list:
        parts = ", ".join(f"{count} by the {weight} tests" for weight, count in noticed.items())
        print(f"{sum(noticed.values())} of {len(drawn)} noticed: {parts}")


if __name__ == "__main__":
    main()
