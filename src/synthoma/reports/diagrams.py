"""Drawings of a model made from the model itself: its layers, and how a slice comes about and is learned, as SVG.

Pure functions from layers and nodes to text. Drawings are 420 units wide, so that they can be read on a phone, and
stand side by side on a page. Nothing in them depends on when or where they are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Literal

from synthoma.training.layers import Layer

WIDTH = 420
ROW, BOX = 46, 34
"""Height of a row of layers, and of the box in it."""

LANE = 168
"""Width in which boxes stand; what they do stands right of it."""

NODE, STEP = 62, 92
"""Height of a node of a flow, and from one row of nodes to the next."""

TEXT = 33
"""Characters that fit beside a box."""

INK, SOFT, LINE = "#1c2530", "#5c6875", "#8a96a3"
PAINT = {"data": "#eef1f4", "network": "#d6e5f5", "loss": "#fbe6cf"}
EDGE = {"data": "#9aa4ae", "network": "#1f5fa8", "loss": "#c7772b"}
FAMILY = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"

Kind = Literal["data", "network", "loss"]


@dataclass(frozen=True)
class Node:
    """A box of a flow.

    Attributes:
        row: from 0 at the top.
        column: 0 left, 1 right, None over both.
        title: first line.
        lines: further lines, at most two.
        kind: what it is, which gives its colour.
    """

    row: int
    column: int | None
    title: str
    lines: tuple[str, ...] = ()
    kind: Kind = "data"


@dataclass(frozen=True)
class Flow:
    """Boxes, and arrows between them by their numbers."""

    title: str
    nodes: tuple[Node, ...]
    arrows: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Stage:
    """Layers that follow one another and give maps of one shape."""

    shape: tuple[int, ...]
    kinds: str
    parameters: int


def stages_of(layers: Iterable[Layer]) -> list[Stage]:
    """Layers in the order in which they run, those of one output shape together."""
    found = []
    for shape, group in groupby(layers, key=lambda layer: layer.shape):
        own = list(group)
        counted = [(kind, len(list(same))) for kind, same in groupby(own, key=lambda layer: layer.kind)]
        kinds = ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in counted)
        found.append(Stage(shape, kinds, sum(layer.parameters for layer in own)))
    return found


def network_diagram(name: str, layers: Sequence[Layer]) -> str:
    """A network as SVG, from top to bottom: a box for each stage, as wide as its maps are large, with its parameters.

    Args:
        name: of the network.
        layers: in the order in which they run.
    """
    stages, every = stages_of(layers), sum(layer.parameters for layer in layers)
    largest = max((stage.shape[-1] for stage in stages if len(stage.shape) == 3), default=1)
    parts = [_text(10, 22, f"{name}: {every:,} parameters", size=15, bold=True)]
    for number, stage in enumerate(stages):
        top, wide = 36 + number * ROW, _wide(stage.shape, largest)
        left = 10 + (LANE - wide) / 2
        if number:
            parts.append(_line(10 + LANE / 2, top - ROW + BOX, top))
        parts.append(_box(left, top, wide, BOX, "network" if stage.parameters else "data"))
        shown = " × ".join(map(str, stage.shape)) or "one number"
        parts.append(_text(10 + LANE / 2, top + 22, shown, size=13, middle=True))
        parts.append(_text(LANE + 22, top + 15, _short(stage.kinds), size=12))
        if stage.parameters:
            parts.append(_text(LANE + 22, top + 30, f"{stage.parameters:,} parameters", size=11.5, soft=True))
    return _svg(parts, 36 + len(stages) * ROW, f"Layers of the {name}")


def flow_diagram(flow: Flow) -> str:
    """A flow as SVG."""
    parts = [_text(10, 22, flow.title, size=15, bold=True)]
    parts += [_arrow(flow.nodes[start], flow.nodes[end]) for start, end in flow.arrows]
    for node in flow.nodes:
        left, top, wide = _place(node)
        parts.append(_box(left, top, wide, NODE, node.kind))
        first = top + NODE / 2 + 5 - 8.5 * len(node.lines)
        parts.append(_text(left + wide / 2, first, node.title, size=13.5, middle=True, bold=True))
        for number, line in enumerate(node.lines):
            parts.append(_text(left + wide / 2, first + 17 * (number + 1), line, size=12, middle=True))
    height = 36 + max(node.row for node in flow.nodes) * STEP + NODE
    return _svg(parts, height + 4, flow.title)


def diagrams(flow: Flow, tables: Mapping[str, Sequence[Layer]]) -> list[str]:
    """The flow, and each network of a model; a table that only sums others up is left out."""
    return [flow_diagram(flow), *(network_diagram(*one) for one in tables.items() if one[0] != "combined")]


def stacked(drawings: Sequence[str]) -> str:
    """Drawings below one another as one SVG file."""
    parts, top = [], 0.0
    for drawing in drawings:
        height = float(drawing.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()[1])
        parts.append(drawing.replace("<svg ", f'<svg y="{top:g}" width="{WIDTH}" height="{height:g}" ', 1))
        top += height + 16
    backdrop = f'<rect width="{WIDTH}" height="{top:g}" fill="#ffffff"/>'
    return _svg([backdrop, *parts], top, "Diagrams of a model")


def _wide(shape: tuple[int, ...], largest: int) -> float:
    """Width of a box: that of its maps, on the root of the scale; what is no map is drawn as narrow as the text is."""
    side = shape[-1] if len(shape) == 3 else 1
    return 96 + (LANE - 96) * (side / largest) ** 0.5 if len(shape) == 3 else 92.0


def _short(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[: TEXT - 1].rstrip(', ')}…"


def _place(node: Node) -> tuple[float, float, float]:
    """Left and top edge and width of a node."""
    top = 36 + node.row * STEP
    if node.column is None:
        return 10, top, WIDTH - 20
    wide = (WIDTH - 36) / 2
    return 10 + node.column * (wide + 16), top, wide


def _arrow(start: Node, end: Node) -> str:
    """From the lower edge of a node down to the upper one of another, in the middle of the narrower of them."""
    (left, top, wide), (other, place, broad) = _place(start), _place(end)
    x = left + wide / 2 if wide <= broad else other + broad / 2
    head = f'<polygon points="{x:g},{place:g} {x - 4.5:g},{place - 7:g} {x + 4.5:g},{place - 7:g}" fill="{LINE}"/>'
    return _line(x, top + NODE, place) + head


def _line(x: float, top: float, bottom: float) -> str:
    return f'<line x1="{x:g}" y1="{top:g}" x2="{x:g}" y2="{bottom:g}" stroke="{LINE}" stroke-width="1.6"/>'


def _box(left: float, top: float, wide: float, high: float, kind: Kind) -> str:
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{wide:g}" height="{high:g}" rx="6" fill="{PAINT[kind]}" '
        f'stroke="{EDGE[kind]}" stroke-width="1.2"/>'
    )


def _text(
    x: float, y: float, words: str, *, size: float, middle: bool = False, bold: bool = False, soft: bool = False
) -> str:
    anchor = ' text-anchor="middle"' if middle else ""
    weight = ' font-weight="600"' if bold else ""
    colour = SOFT if soft else INK
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}"{anchor}{weight}>{escape(words)}</text>'


def _svg(parts: Sequence[str], height: float, title: str) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" font-family="{FAMILY}">'
    )
    return "".join([head, f"<title>{escape(title)}</title>", *parts, "</svg>"])
