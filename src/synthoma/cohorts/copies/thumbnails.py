"""What the duplicate search looks at: a small square picture of the head. Made while slices are read, without torch."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Float32, Floats

SIDE = 64
"""Side of a thumbnail in pixels."""

_EDGE = 0.25  # share of the steepest edges (99th percentile): steeper is content
_LINE = 0.02  # share of a row or column that must be content
_CLOSEST = 0.5  # a crop keeps at least this share of the longer side: a top of head stays small


def thumbnail(image: Array) -> Float32:
    """A square around the head, reduced to 64 x 64 px, so that copies with other margins still look alike.

    The square's side is the content's longer side, but at least half the picture's; what it takes from outside the
    picture has the picture's smallest value.

    Args:
        image: (H, W) of any real type, finite, of any size from 1 x 1 px.

    Returns:
        (64, 64) in [0, 1]; zeros for a picture of one value.

    Raises:
        InputError: not a two-dimensional array with pixels.
    """
    if image.ndim != 2 or 0 in image.shape:
        raise InputError("a grey picture of shape (H, W)", f"shape {image.shape}", "convert colours to grey first")
    low, high = float(image.min()), float(image.max())
    if not high > low:
        return np.zeros((SIDE, SIDE), dtype=np.float32)
    # In double precision: single would round whole numbers above 2 ** 24, and with them the range.
    scaled = ((image.astype(np.float64) - low) / (high - low)).astype(np.float32)
    square = _square(scaled)
    return _resize(square, SIDE, SIDE).clip(0, 1)


def _square(picture: Float32) -> Float32:
    """The square around the content of a picture in [0, 1]; black where it reaches over the edge."""
    step = max(picture.shape) / SIDE
    # At thumbnail size, so that thresholds mean the same for a picture of any size.
    small = _resize(picture, *(max(1, round(length / step)) for length in picture.shape))
    # Edges rather than brightness: these stay where they are under gamma, noise and a grey background.
    smooth = ndimage.gaussian_filter(small, 1.0)
    edges = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1))
    content = edges > _EDGE * np.percentile(edges, 99)
    spans = [_span(content.mean(1 - axis), picture.shape[axis]) for axis in (0, 1)]
    side = max(*(end - begin for begin, end in spans), int(np.ceil(_CLOSEST * max(picture.shape))))
    row, column = ((begin + end - side) // 2 + side for begin, end in spans)
    # Padded by its side all round: the square may reach over any edge.
    return np.pad(picture, side)[row : row + side, column : column + side]


def _resize(picture: Float32, height: int, width: int) -> Float32:
    """Triangle-filtered over the area of a new pixel when it shrinks, linear when it grows."""
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)


def _span(shares: Floats, length: int) -> tuple[int, int]:
    """First and one past the last line with enough content, scaled to ``length``; all of it if there is none."""
    lines = np.flatnonzero(shares > _LINE)
    if len(lines) == 0:
        return 0, length
    return int(lines[0] * length / len(shares)), int(np.ceil((lines[-1] + 1) * length / len(shares)))
