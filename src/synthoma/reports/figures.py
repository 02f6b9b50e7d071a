"""What a page shows beside text: addresses that hold their content, and small charts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """Bytes as a ``data:`` address, so that a page needs no file beside it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def histogram(series: dict[str, Sequence[float]], label: str) -> str:
    """Overlaid step histograms as an SVG text, one line a series, each as a share of its own total."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.add_subplot()
    values = np.concatenate([np.asarray(part, float) for part in series.values()] or [np.zeros(1)])
    edges = np.linspace(0, max(float(values.max(initial=0)), 1e-6), 21)
    for (name, part), colour in zip(series.items(), ("#1f5fa8", "#c7772b", "#3b8f5a", "#8b5aa8"), strict=False):
        counts, _ = np.histogram(part, bins=edges)
        axes.stairs(
            counts / max(counts.sum(), 1), edges, label=f"{name} (N = {len(part):,})", color=colour, linewidth=1.6
        )
    axes.set_xlabel(label)
    axes.set_ylabel("share of slices")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    buffer = io.StringIO()
    # A fixed salt and no date: the same cohort gives the same page, byte for byte.
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "synthoma", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
