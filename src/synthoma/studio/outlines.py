"""Outlines that a person drew on slices of a scan, as a mask of the tumour that is to be painted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from synthoma.studio.refusal import RefusedError

if TYPE_CHECKING:
    from synthoma.core.types import Bytes

Points = tuple[tuple[float, float], ...]
"""Corners of a closed outline: shares of a slice's height and width, from its upper left corner."""

Drawn = tuple[tuple[int, tuple[Points, ...]], ...]
Floats = tuple[float, ...]
MOST = 2000
"""Corners of all outlines."""
_FINER = 8
"""Outlines are filled on a grid so many times finer: a pixel belongs to the mask where half of it lies inside."""


def outlines_of(text: str, slices: int) -> dict[int, list[Points]]:
    """What the page sends: ``{"7": [[[0.4, 0.5], [0.5, 0.5], [0.5, 0.6]]]}``, outlines by number of their slice.

    Args:
        text: JSON; "" for no outline.
        slices: of the scan.

    Raises:
        RefusedError: anything else, or too many corners.
    """
    try:
        sent = json.loads(text) if text else {}
        found = {
            int(at): [tuple((float(row), float(column)) for row, column in outline) for outline in outlines]
            for at, outlines in sent.items()
            if outlines
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        found = {-1: []}
    corners = [corner for outlines in found.values() for outline in outlines for corner in outline]
    if not all(0 <= at < slices for at in found) or not all(0 <= share <= 1 for pair in corners for share in pair):
        raise RefusedError(422, "outlines in slices of the scan", "something else", "draw them on the page")
    if len(corners) > MOST:
        todo = "draw fewer slices: those between are filled"
        raise RefusedError(422, f"outlines of {MOST:,} corners", f"{len(corners):,}", todo)
    return found


def mask_of(outlines: Mapping[int, Sequence[Points]], shape: tuple[int, int, int], spacing: Sequence[float]) -> Bytes:
    """The mask that outlines mark.

    Slices between two drawn ones are filled by interpolation of shapes (``studio.between``).

    Args:
        outlines: by number of their slice; an area that two of them enclose is inside once.
        shape: of the scan (z, y, x).
        spacing: between voxels along the array's axes, mm.

    Returns:
        uint8 (z, y, x): 1 inside.
    """
    return _mask(tuple(sorted((at, tuple(found)) for at, found in outlines.items())), shape, tuple(spacing)).copy()


@lru_cache(maxsize=4)
def _mask(outlines: Drawn, shape: tuple[int, int, int], spacing: Floats) -> Bytes:
    import numpy as np

    from synthoma.studio.between import filled_between

    mask = np.zeros(shape, np.uint8)
    for at, found in outlines:
        for outline in found:
            mask[at] |= _inside(outline, shape[1:])
    drawn = np.flatnonzero(mask.any((1, 2)))
    if len(drawn) > 1 and (np.diff(drawn) > 1).any():
        mask, _ = filled_between(mask, np.zeros_like(mask), 0, "empty", spacing)
    return mask


def _inside(outline: Points, shape: tuple[int, int]) -> Bytes:
    """Pixels of which at least half lie inside an outline, which may cross itself."""
    import numpy as np
    from PIL import Image, ImageDraw

    rows, columns = shape
    if len(outline) < 3:
        return np.zeros(shape, np.uint8)
    # Pillow's corners are middles of pixels, and edges belong to the polygon: half a fine pixel each way.
    corners = [(column * columns * _FINER - 0.5, row * rows * _FINER - 0.5) for row, column in outline]
    fine = Image.new("L", (columns * _FINER, rows * _FINER))
    ImageDraw.Draw(fine).polygon(corners, fill=1)
    shares = np.asarray(fine, np.float32).reshape(rows, _FINER, columns, _FINER).mean((1, 3))
    return np.asarray(shares >= 0.5, np.uint8)


def digest(outlines: Mapping[int, Sequence[Points]]) -> str:
    """Eight letters by which the same outlines are known again."""
    from synthoma.core.provenance import bytes_digest

    return bytes_digest(json.dumps({str(at): found for at, found in outlines.items()}, sort_keys=True).encode())[:8]
