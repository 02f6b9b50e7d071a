"""What a page shows beside text: addresses that hold their content, and small charts."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
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
        axes.stairs(counts / max(counts.sum(), 1), edges, label=title, color=colour, linewidth=1.6)
    axes.set_xlabel(label)
    axes.set_ylabel("share of slices")
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def shares(series: dict[str, Sequence[float]], edges: Sequence[float], label: str) -> str:
    """Histograms that are given as shares, with a smoothed density over each, as an SVG text."""
    figure, axes = _axes()
    middle = (np.asarray(edges[1:]) + np.asarray(edges[:-1])) / 2
    for (name, part), colour in zip(series.items(), COLOURS, strict=False):
        values = np.asarray(part, float)
        axes.stairs(values, edges, fill=True, color=colour, alpha=0.22)
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


def strip_plot(rows: Mapping[str, tuple[Sequence[float], float]], label: str) -> str:
    """Null values as grey ticks and the score as a coloured dot, a row each, on a logarithmic axis, as an SVG text."""
    figure, axes = _axes(height=0.9 + 0.45 * len(rows))
    for place, (null, value) in enumerate(rows.values()):
        axes.plot(
            null, [place] * len(null), "|", color="#8a939d", markersize=13, label="real vs real" if place == 0 else None
        )
        axes.plot([value], [place], "o", color=COLOURS[1], markersize=8, label="synthetic" if place == 0 else None)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    marks = [mark for mark in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if low <= mark <= high]
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(label)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure)


def _axes(height: float = 2.6) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    """A figure as SVG. A fixed salt and no date: the same content gives the same text, byte for byte."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "synthoma", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
