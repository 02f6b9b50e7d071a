"""Draws docs/pictures/rooms.svg from the imports of the code: floors of rooms, an arrow to what each room imports.

python tools/draw_rooms.py            writes it
python tools/draw_rooms.py --check    exit code 1 where the one that is there is not what the code says
"""

from __future__ import annotations

import ast
import re
import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "synthoma"
MAP = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"
WIDTH, FLOOR, BOX, HIGH = 900, 84, 128, 38


def rooms() -> dict[str, int]:
    """Floor of each room, from the table of the map."""
    found = re.findall(r"\| (\d+) \| `(\w+)` \|", MAP.read_text(encoding="utf-8"))
    return {name: int(floor) for floor, name in found}


def arrows(names: dict[str, int]) -> list[tuple[str, str]]:
    """Which room imports which, imports inside functions too."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        here = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("synthoma"):
                named = [f"{node.module}.{alias.name}".split(".")[1] for alias in node.names]
                found |= {(here, there) for there in named if there != here}
    return sorted((a, b) for a, b in found if a in names and b in names)


def drawing() -> str:
    """The picture as SVG text."""
    names = rooms()
    top = max(names.values())
    place: dict[str, tuple[float, float]] = {}
    for floor, those in groupby(sorted(names, key=lambda name: (names[name], list(names).index(name))), names.get):
        row = list(those)
        for number, name in enumerate(row):
            place[name] = (WIDTH * (number + 0.5) / len(row), 30 + FLOOR * (top - (floor or 0)))
    lines, boxes = [], []
    for a, b in arrows(names):
        (x, y), (to_x, to_y) = place[a], place[b]
        # `core` is what all stand on: arrows to it would hide the others.
        if b != "core":
            bend = (y + HIGH + to_y) / 2
            path = f"M {x:.0f} {y + HIGH} C {x:.0f} {bend:.0f} {to_x:.0f} {bend:.0f} {to_x:.0f} {to_y - 3:.0f}"
            lines.append(f'<path d="{path}" marker-end="url(#end)"/>')
    for name, (x, y) in place.items():
        wide = WIDTH - 40 if name == "core" else BOX
        boxes.append(f'<rect x="{x - wide / 2:.0f}" y="{y:.0f}" width="{wide}" height="{HIGH}" rx="5"/>')
        boxes.append(f'<text x="{x:.0f}" y="{y + 24:.0f}">{name}</text>')
    high = 30 + FLOOR * top + HIGH + 14
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high}" font-family="sans-serif" font-size="15">'
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#5c6b7a"/></marker></defs>'
        f'<rect width="{WIDTH}" height="{high}" fill="#fff"/>'
    )
    arrow = '<g fill="none" stroke="#5c6b7a" stroke-width="1.1" stroke-opacity="0.55">'
    box = '<g fill="#eef3f8" stroke="#33475b" text-anchor="middle">'
    text = "\n".join([head, arrow, *lines, "</g>", box, *boxes, "</g>", "</svg>", ""])
    return text.replace("<text ", '<text stroke="none" fill="#1b2733" ')


def main() -> int:
    """Write the picture, or compare it."""
    if "--check" in sys.argv[1:]:
        return int(not PICTURE.is_file() or PICTURE.read_text(encoding="utf-8") != drawing())
    PICTURE.write_text(drawing(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
