"""Outlined regions one by one, as pictures' tools know them: boxes, run lengths, outlines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synthoma.core.types import Array, Bools, Bytes, Floats


@dataclass(frozen=True)
class Instance:
    """A connected region of one label; pixels that touch at a corner are connected.

    Attributes:
        value: of the label.
        region: (rows, columns), the whole picture's size.
    """

    value: int
    region: Bools

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width, height in pixels."""
        down, right = np.nonzero(self.region)
        left, top = int(right.min()), int(down.min())
        return left, top, int(right.max()) - left + 1, int(down.max()) - top + 1


def instances(mask: Bytes) -> Iterator[Instance]:
    """Connected regions of a mask (rows, columns), label by label."""
    from scipy.ndimage import label

    for value in np.unique(mask[mask > 0]).tolist():
        numbered, count = label(mask == value, structure=np.ones((3, 3)))
        for number in range(1, count + 1):
            yield Instance(value, numbered == number)


def run_lengths(region: Bools) -> list[int]:
    """COCO's uncompressed run lengths: column by column, the first run of zeros, be it empty."""
    flat: Array = region.ravel(order="F")
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    counts = np.diff(edges).tolist()
    return [0, *counts] if flat[0] else counts


def outline(region: Bools) -> Floats:
    """The outer border of a connected region as a polygon (n, 2) of x and y in pixels, without the first point again.

    A pixel's left border is its number, its right one a pixel further, so that the polygon's box is the region's.
    Holes are filled.
    """
    from skimage.measure import find_contours

    around = np.pad(region.astype(np.float64), 1)
    borders = find_contours(around, 0.5, fully_connected="high")
    # The outer border: those of holes lie within its box.
    longest = max(borders, key=lambda border: float(np.ptp(border[:, 0]) * np.ptp(border[:, 1])))
    # Pixel centres lie at whole numbers, behind one row and column of padding.
    return np.asarray(longest[:-1, ::-1] - 0.5)
