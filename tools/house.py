"""Measures how the code is built: sizes, complexity, loose types, explanations, arrows, cycles, doubled options, speed.

    python tools/house.py                       a table to read
    python tools/house.py --json > before.json  the same for a machine, to hold a later state against
    python tools/house.py --slow                and how long an import and the help of each command take
    python tools/house.py --source FOLDER       another package: any folder that holds Python files

No figure is good or bad by itself. They show whether a change made the house easier to live in. What each one counts:

- A *room* is the first folder below the package, or the file that lies there (`cli`). Lines are lines of the file.
- The *length of a function* is its lines from `def` to its end. Signature, blank lines and comments count, docstrings
  do not. A function inside another counts by itself and within the other. *p90* is the length that nine in ten
  functions do not exceed. Long functions are hard to hold in the head: those above 60 lines are named, and files above
  350.
- *Complexity* is McCabe's, as `ruff check --select C901` counts it: 1, and 1 more for each if, loop, except, case and
  function inside; conditions joined by `and` or `or`, and comprehensions, have no point of their own.
- *Any* is that name wherever it is no import: a place where the type checker looks away.
- *Keys* are texts in square brackets or in `.get()`: `row["patient"]`, `found.get("score")`. Each is a name that no
  type checker and no editor can follow, whether it belongs to a dictionary or to a column of a table.
- *Comments* are lines that hold nothing else. *Docstrings* are lines of texts that stand by themselves: below a `def`,
  a `class` or a constant, or on top of a file.
- *Arrows against the map* are imports that the table in docs/architecture.md does not allow, those inside functions
  included. Where there is no such table beside the package or its `src`, nothing is said.
- A *cycle* is a set of files each of which imports itself by way of the others.
- An *option told twice* has a hand-written `help=` on the command line and is a field of a settings class (any class
  that descends from pydantic's BaseModel) too: two places that can disagree. They meet by name alone, so a few are
  namesakes with two meanings: read the list.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from house_counts import (
    Module,
    Named,
    Spread,
    against_map,
    allowed,
    anys,
    comments,
    complexity,
    cycles,
    functions,
    imports,
    keys,
    length,
    options,
    read,
    settings,
    spread,
    told,
    told_twice,
)

ROOT = Path(__file__).resolve().parents[1]
LONG_FUNCTION, LONG_FILE, COMPLEX, SHOWN, REPEATS = 60, 350, 10, 12, 3


@dataclass(frozen=True)
class Room:
    """What one room holds."""

    room: str
    files: int
    lines: int
    functions: int
    any: int
    keys: int


@dataclass(frozen=True)
class House:
    """All that is measured."""

    source: str
    lines: int
    rooms: list[Room]
    files: Spread
    functions: Spread
    complexity: Spread
    any: int
    keys: int
    comment_share: float
    docstring_share: float
    unmapped_rooms: list[str] | None
    arrows_against_map: list[str] | None
    cycles: list[list[str]]
    options: int
    told_twice: list[str]
    seconds: dict[str, float] | None


# Speed


def commands(page: str) -> list[str]:
    """Names of the commands that a help page lists."""
    _, _, below = page.partition("Commands")
    return re.findall(r"^[│|]? {1,3}([a-z][a-z0-9-]*) {2,}\S", below, flags=re.MULTILINE)


def _timed(words: list[str], environment: dict[str, str]) -> tuple[float, str]:
    """Median seconds of a few runs of Python, and what it printed."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)
        seconds.append(time.perf_counter() - start)
        if done.returncode:
            raise SystemExit(f"expected that `python {' '.join(words)}` runs; came {done.stderr.strip()}")
    return round(statistics.median(seconds), 3), done.stdout


def speed(source: Path) -> dict[str, float]:
    """Seconds of an import, of the help and of each command's help, Python's own start included."""
    name = source.name
    environment = os.environ | {"PYTHONPATH": str(source.resolve().parent), "NO_COLOR": "1", "TERM": "dumb",
                                "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}  # fmt: skip
    found = {"python alone": _timed(["-c", "pass"], environment)[0]}
    found[f"import {name}"], _ = _timed(["-c", f"import {name}"], environment)
    found[f"{name} --help"], page = _timed(["-m", name, "--help"], environment)
    for command in commands(page):
        found[f"{name} {command} --help"], _ = _timed(["-m", name, command, "--help"], environment)
    return found


# All of it


def rooms(modules: list[Module]) -> list[Room]:
    """What each room holds, the largest first."""
    counts: dict[str, Counter[str]] = {}
    for module in modules:
        counts.setdefault(module.room, Counter()).update(
            files=1,
            lines=module.lines,
            functions=sum(1 for _ in functions(module)),
            any=anys(module),
            keys=keys(module),
        )
    found = [Room(name, *(count[key] for key in ("files", "lines", "functions", "any", "keys")))
             for name, count in counts.items()]  # fmt: skip
    return sorted(found, key=lambda room: (-room.lines, room.room))


def measure(source: Path, *, slow: bool = False) -> House:
    """All figures of a package."""
    source = source.resolve()
    modules = read(source)
    known = {module.name for module in modules}
    graph = {module.name: imports(module, known) - {module.name} for module in modules}
    inner = {name: others for name, others in graph.items() if name != source.name}
    may = allowed(source)
    lines = sum(module.lines for module in modules)
    written = options(modules)
    found = rooms(modules)
    return House(
        source=source.name,
        lines=lines,
        rooms=found,
        files=spread([Named(module.path, module.lines) for module in modules], LONG_FILE),
        functions=spread([Named(name, length(one)) for m in modules for name, one in functions(m)], LONG_FUNCTION),
        complexity=spread(complexity(source, modules), COMPLEX),
        any=sum(room.any for room in found),
        keys=sum(room.keys for room in found),
        comment_share=round(sum(map(comments, modules)) / lines, 4),
        docstring_share=round(sum(len(told(module.tree)) for module in modules) / lines, 4),
        unmapped_rooms=None if may is None else sorted({module.room for module in modules} - {"top", *may}),
        arrows_against_map=None if may is None else against_map(modules, graph, may),
        cycles=cycles(inner),
        options=len(written),
        told_twice=told_twice(written, settings(modules)),
        seconds=speed(source) if slow else None,
    )


# Words


def _sizes(what: str, sizes: Spread, limit: int, unit: str) -> list[str]:
    names = [f"    {one.value:>5g}  {one.name}" for one in sizes.too_large]
    more = [f"           and {len(names) - SHOWN} more (--json has all)"] if len(names) > SHOWN else []
    top = f"largest {sizes.largest.value:g} {unit} ({sizes.largest.name})"
    head = f"{what}: {sizes.count}; median {sizes.median:g}, p90 {sizes.p90:g}, {top}"
    return [head, f"  above {limit}: {len(names)}", *names[:SHOWN], *more]


def _listed(what: str, found: list[str] | None) -> list[str]:
    if found is None:
        return [f"{what}: no map, nothing to say"]
    return [f"{what}: {len(found)}", *(f"    {one}" for one in found)]


def words(house: House) -> str:
    """The figures as a page for a terminal."""
    lines = [f"{house.source}: {house.lines:,} lines", ""]
    lines.append(f"{'room':<20}{'files':>7}{'lines':>8}{'functions':>11}{'Any':>6}{'keys':>7}")
    lines += [f"{r.room:<20}{r.files:>7}{r.lines:>8,}{r.functions:>11}{r.any:>6}{r.keys:>7}" for r in house.rooms]
    lines += ["", *_sizes("functions", house.functions, LONG_FUNCTION, "lines")]
    lines += ["", *_sizes("files", house.files, LONG_FILE, "lines")]
    lines += ["", *_sizes("complexity", house.complexity, COMPLEX, "ways")]
    lines += ["", f"Any: {house.any}", f"keys: {house.keys}"]
    lines.append(f"comments: {house.comment_share:.1%} of lines; docstrings: {house.docstring_share:.1%}")
    lines += ["", *_listed("rooms that the map lacks", house.unmapped_rooms)]
    lines += _listed("arrows against the map", house.arrows_against_map)
    lines += _listed("cycles", [" <-> ".join(cycle) for cycle in house.cycles])
    lines += ["", *_listed(f"options told twice, of {house.options} with a help of their own", house.told_twice)]
    if house.seconds:
        lines += ["", f"seconds, median of {REPEATS}"]
        lines += [f"    {seconds:>6.2f}  {name}" for name, seconds in house.seconds.items()]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", type=Path, default=ROOT / "src" / "synthoma", help="folder of the package")
    parser.add_argument("--json", action="store_true", help="print JSON, with all that is named")
    parser.add_argument("--slow", action="store_true", help="also time the import and the help of each command")
    given = parser.parse_args()
    house = measure(given.source, slow=given.slow)
    print(json.dumps(asdict(house), indent=1) if given.json else words(house))


if __name__ == "__main__":
    main()
