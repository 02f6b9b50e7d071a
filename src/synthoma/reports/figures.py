"""What a page shows beside text: addresses that hold their content, and small charts."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """Bytes as a ``data:`` address, so that a page needs no file beside it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


COLOURS = ("#1f5fa8", "#c7772b", "#3b8f5a", "#8b5aa8")


def histogram(series: dict[str, Sequence[float]], label: str) -> str:
    """Overlaid step histograms as an SVG text, one line a series, each as a share of its own total."""
    figure, axes = _axes()
    values = np.concatenate([np.asarray(part, float) for part in series.values()] or [np.zeros(1)])
    edges = np.linspace(0, max(float(values.max(initial=0)), 1e-6), 21)
    for (name, part), colour in zip(series.items(), COLOURS, strict=False):
        counts, _ = np.histogram(part, bins=edges)
        title = f"{name} (N = {len(part):,})"
        # Shares of its own total: splits are of different sizes, and the largest would hide the others.
        axes.stairs(counts / max(counts.sum(), 1), edges, label=title, color=colour, linewidth=1.6)
    axes.set_xlabel(label)
    axes.set_ylabel("share of slices")
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def shares(series: Mapping[str, Sequence[float]], edges: Sequence[float], label: str) -> str:
    """Histograms that are given as shares, with a smoothed density over each, as an SVG text."""
    figure, axes = _axes()
    middle = (np.asarray(edges[1:]) + np.asarray(edges[:-1])) / 2
    for (name, part), colour in zip(series.items(), COLOURS, strict=False):
        values = np.asarray(part, float)
        axes.stairs(values, edges, fill=True, color=colour, alpha=0.22)
        # A Gaussian of two bins: finer than the peak of a tissue, coarser than the noise of single bins.
        kernel = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
        axes.plot(
            middle, np.convolve(values, kernel / kernel.sum(), mode="same"), color=colour, linewidth=1.8, label=name
        )
    axes.set_xlabel(label)
    axes.set_ylabel("share of pixels")
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def lines(series: dict[str, Sequence[tuple[float, float]]], horizontal: str, vertical: str) -> str:
    """Curves through (x, y) points as an SVG text; empty where there are none."""
    if not series:
        return ""
    figure, axes = _axes()
    for (name, points), colour in zip(series.items(), COLOURS, strict=False):
        across, up = zip(*points, strict=True)
        axes.plot(
            across, up, color=colour, linewidth=1.4, label=name, marker="o" if len(points) < 25 else "", markersize=3
        )
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


@dataclass(frozen=True)
class Span:
    """One row of a chart of values beside what they are held against.

    Attributes:
        name: what stands at the left.
        value: the dot.
        low, high: ends of its line; None for no line.
        null: values of chance, drawn as a grey band (5 to 95 %) with a thin line from the least to the largest.
        dots: small dots, such as single seeds.
        marked: drawn in the second colour.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    null: Sequence[float] = ()
    dots: Sequence[float] = ()
    marked: bool = False


def spans(rows: Sequence[Span], label: str, *, logarithmic: bool = False, line: float | None = None) -> str:
    """Values with intervals, a row each, beside the band of chance, as an SVG text; empty where there are none.

    Args:
        rows: first on top.
        label: of the horizontal axis.
        logarithmic: scale; lines that reach to 0 or below are cut at the left edge.
        line: a vertical line here.
    """
    if not rows:
        return ""
    figure, axes = _axes(height=0.75 + 0.36 * len(rows), width=8.6)
    known = [value for row in rows for value in (row.value, row.high, *row.null, *row.dots) if value is not None]
    if logarithmic:
        axes.set_xscale("log")
        # 1 is always on the axis, also where all values lie to one side of it: it is what they are held against.
        axes.set_xlim(0.7 * min(value for value in [*known, 1.0] if value > 0), 1.4 * max(*known, 1.0))
    edge = axes.get_xlim()[0] if logarithmic else -np.inf
    if line is not None:
        axes.axvline(line, color="#5c6875", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    for place, row in enumerate(rows):
        colour = COLOURS[1] if row.marked else COLOURS[0]
        if len(row.null):
            # The band without its ends: one odd division would make chance look wider than it is.
            low, high = np.quantile(row.null, [0.05, 0.95])
            axes.plot([min(row.null), max(row.null)], [place, place], color="#b9c1ca", linewidth=1.2, zorder=1)
            axes.barh(place, high - low, left=low, height=0.5, color="#d5dbe1", zorder=1)
        if row.low is not None and row.high is not None:
            axes.plot([max(row.low, edge), row.high], [place, place], color=colour, linewidth=2, zorder=2)
        if len(row.dots):
            axes.plot(row.dots, [place] * len(row.dots), "o", color=colour, markerfacecolor="white", markersize=4)
        axes.plot([row.value], [place], "o", color=colour, markersize=7, zorder=3)
    if logarithmic:
        _plain_ticks(axes)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    figure.supxlabel(label, fontsize="medium")  # under all of it: long names leave little room under the axes alone
    return _svg(figure)


def bars(rows: Sequence[tuple[str, float, bool]], label: str) -> str:
    """Horizontal bars from zero, first on top: name, length, and whether it is more than chance, as an SVG text."""
    if not rows:
        return ""
    figure, axes = _axes(height=0.75 + 0.34 * len(rows), width=8.6)
    for place, (_, length, strong) in enumerate(rows):
        axes.barh(place, length, height=0.62, color=COLOURS[1] if strong else "#b9c1ca")
        side = "left" if length >= 0 else "right"
        text = f"{length:+.1f}".replace("-", "\N{MINUS SIGN}")
        shift = 4 if length >= 0 else -4
        axes.annotate(text, (length, place), (shift, 0), textcoords="offset points", va="center", ha=side, fontsize=9)
    axes.axvline(0, color="#5c6875", linewidth=1)
    axes.margins(x=0.12)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    figure.supxlabel(label, fontsize="medium")  # under all of it: long names leave little room under the axes alone
    return _svg(figure)


@dataclass(frozen=True)
class Added:
    """One row of a chart of counts: how many there are of a kind, and how many more would come."""

    name: str
    have: int
    more: int


def added(rows: Sequence[Added], label: str) -> str:
    """Counts as horizontal bars, first on top, with what would be added behind each, as an SVG text."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _axes(height=0.8 + 0.34 * len(rows))
    for place, row in enumerate(rows):
        axes.barh(place, row.have, height=0.62, color=COLOURS[0], label="there" if place == 0 else None)
        axes.barh(
            place,
            row.more,
            left=row.have,
            height=0.62,
            color=COLOURS[1],
            label="would be added" if place == 0 else None,
        )
        text = f"{row.have} + {row.more}" if row.more else f"{row.have}"
        axes.annotate(text, (row.have + row.more, place), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.margins(x=0.14)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(label)
    if any(row.more for row in rows):
        axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return _svg(figure)


def power_curve(points: Sequence[tuple[int, Sequence[float]]], law: tuple[float, float], label: str) -> str:
    """Scores against the number of patients, and a power law through them to three times as many, as an SVG text.

    Args:
        points: number of patients, and the score of each seed.
        law: scale and power of 1 - score = scale * patients ** -power.
        label: of the vertical axis.
    """
    figure, axes = _axes(height=3.2, width=8.6)
    for number, (count, scores) in enumerate(points):
        title = "one training" if number == 0 else None
        axes.plot([count] * len(scores), scores, "o", color=COLOURS[0], markersize=4, alpha=0.55, label=title)
    counts = [count for count, _ in points]
    most = max(counts)
    # Dashed where nobody measured: a law that fits may bend right after the last point.
    for across, style, title in (
        (np.geomspace(min(counts), most, 40), "-", "power law"),
        (np.geomspace(most, 3 * most, 40), "--", "followed to three times as many"),
    ):
        axes.plot(across, 1 - law[0] * across ** -law[1], style, color=COLOURS[0], linewidth=1.6, label=title)
    axes.set_xscale("log")
    _plain_ticks(axes, [*counts, 2 * most, 3 * most])
    axes.set_xlabel("real patients learned from (log scale)")
    axes.set_ylabel(label if len(label) < 40 else label.split(",")[0], fontsize=9)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure)


def learning_curve(
    points: Sequence[tuple[int, Sequence[float]]],
    line: tuple[float, float, float],
    level: float,
    had: int,
    worth: float | None,
    labels: tuple[str, str],
) -> str:
    """Scores against the number of patients, a line in their logarithm, and a level, as an SVG text.

    Args:
        points: number of patients, and the score of each seed.
        line: slope, start, and the number of patients from which on it was fitted.
        level: what real and synthetic scans together reach.
        had: patients that they hold.
        worth: further patients that would give as much; None where nobody can say.
        labels: of the vertical axis, and of the level.
    """
    figure, axes = _axes(height=3.2, width=8.6)
    counts = np.array([count for count, _ in points], float)
    # At least one patient: the axis is logarithmic, and a loss may be worth more patients than there are.
    place = max(had + worth, 1.0) if worth is not None else float(had)
    left, far = min(counts.min(), place), max(counts.max(), place) * 1.15
    for number, (count, scores) in enumerate(points):
        title = "real scans, one seed" if number == 0 else None
        axes.plot([count] * len(scores), scores, "o", color=COLOURS[0], markersize=4, alpha=0.55, label=title)
    slope, start, begin = line
    across = np.geomspace(min(begin, place), far, 40)
    title = "line of their slope" if begin <= counts.min() else f"line of their slope from {begin:.0f} patients on"
    axes.plot(across, start + slope * np.log(across), color=COLOURS[0], linewidth=1.6, label=title)
    axes.axhline(level, color=COLOURS[1], linewidth=1.6, label=labels[1])
    if worth is not None and had + worth >= 1:
        title = f"as much as {had + worth:.0f} real patients"
        axes.plot([had + worth], [level], "D", color=COLOURS[1], markersize=7, label=title)
    axes.set_xscale("log")
    axes.set_xlim(left / 1.15, far)
    _plain_ticks(axes, [int(count) for count in counts])
    axes.set_xlabel("real patients (log scale)")
    axes.set_ylabel(labels[0])
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure)


def _plain_ticks(axes: Axes, marks: Sequence[float] | None = None) -> None:
    """Numbers in the place of powers of ten on a logarithmic axis."""
    low, high = axes.get_xlim()
    usual = [digit * 10.0**power for power in range(-3, 7) for digit in (1, 2, 5)]
    if high / low > 100:
        usual = [mark for mark in usual if f"{mark:e}"[0] == "1"]
    chosen = [mark for mark in (usual if marks is None else marks) if low <= mark <= high]
    axes.set_xticks(chosen, [f"{mark:,g}" for mark in chosen])
    axes.set_xticks([], minor=True)


def _axes(height: float = 2.6, width: float = 6.4) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    """A figure as SVG. A fixed salt and no date: the same content gives the same text, byte for byte."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "synthoma", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    return text[text.index("<svg") :]
