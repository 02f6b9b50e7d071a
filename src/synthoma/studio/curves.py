"""How a training went so far: its log as curves, few enough points to draw."""

from __future__ import annotations

import json
import math
from pathlib import Path

from synthoma.studio import look

POINTS = 400
"""Of each curve at most."""
MOST_CURVES = 12
_LARGEST = 32 * 2**20
"""Bytes of a log that are read, the newest."""
LOG = "log.jsonl"
_NO_CURVE = frozenset({"step", "images", "seconds", "epochs", "warning"})


def curves(run: Path) -> dict[str, object]:
    """The figures of a training's log.

    Args:
        run: its folder. The log is read as it is being written: a last line without an end is left out.

    Returns:
        ``images``: how many had been shown, rising; and ``curves``: name -> a figure at each of them, None where
        there is none. At most 400 points, each the mean over its stretch.
    """
    lines = _entries(run / LOG)
    names = list(dict.fromkeys(name for line in lines for name in line if name not in _NO_CURVE))
    names = [name for name in names if any(_figure(line, name) is not None for line in lines)][:MOST_CURVES]
    stretch = max(1, -(-len(lines) // POINTS))
    parts = [lines[start : start + stretch] for start in range(0, len(lines), stretch)]
    return {
        "images": [_figure(part[-1], "images") for part in parts],
        "curves": {name: [_mean(part, name) for part in parts] for name in names},
    }


def _entries(path: Path) -> list[look.Facts]:
    """Lines of a log that tell how many images were shown."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _LARGEST))
            text = stream.read()
    except OSError:
        return []
    found: list[look.Facts] = []
    last = -1.0
    for line in text.split(b"\n")[:-1]:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        images = _figure(entry, "images") if isinstance(entry, dict) else None
        if images is None or images < last:
            continue
        if images == last:  # losses and a snapshot after the same images are one point
            found[-1] = {**found[-1], **entry}
        else:
            found.append(entry)
        last = images
    return found


def _figure(entry: look.Facts, name: str) -> float | None:
    value = entry.get(name)
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        else None
    )


def _mean(part: list[look.Facts], name: str) -> float | None:
    figures = [value for entry in part if (value := _figure(entry, name)) is not None]
    return sum(figures) / len(figures) if figures else None
