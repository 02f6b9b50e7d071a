"""Closed outlines of a mask in a slice, holes joined to what encloses them."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree
from skimage import measure

from synthoma.core.types import Bools, Floats


def outlines_of(layer: Bools) -> list[Floats]:
    """Closed outlines of a mask (rows, columns), halfway between the centres of pixels inside and outside.

    A hole is joined to the outline around it by a line that is gone twice, to and fro (the keyhole of PS3.3 C.8.8.6.3,
    which every reader fills rightly).

    Returns:
        Points (n, 2), row and column, of each outline; the first point is not repeated at the end.
    """
    if not layer.any():
        return []
    # A rim of zeros closes outlines at the frame of the picture.
    lines = measure.find_contours(np.pad(layer, 1).astype(np.float32), 0.5, fully_connected="high")
    closed = [np.asarray(line[:-1] - 1, dtype=np.float64) for line in lines]
    # What is inside lies on the same side of all outlines, so those of holes run the other way round. The outermost
    # point of all belongs to no hole, and says which way is which.
    first = min(range(len(closed)), key=lambda number: float(closed[number][:, 0].min()))
    way = np.sign(_area(closed[first]))
    outer = [line for line in closed if np.sign(_area(line)) == way]
    holes = [line for line in closed if np.sign(_area(line)) != way]
    inside: list[list[Floats]] = [[] for _ in outer]
    for hole in holes:
        around = [number for number, line in enumerate(outer) if _encloses(line, hole[0])]
        inside[min(around, key=lambda number: abs(_area(outer[number])))].append(hole)
    return [_joined(line, own) for line, own in zip(outer, inside, strict=True)]


def _area(line: Floats) -> float:
    """Area that an outline encloses, with the sign of its direction."""
    after = np.roll(line, -1, axis=0)
    return float((line[:, 0] * after[:, 1] - line[:, 1] * after[:, 0]).sum() / 2)


def _encloses(line: Floats, point: Floats) -> bool:
    """Whether a point lies within an outline (even-odd rule)."""
    after = np.roll(line, -1, axis=0)
    # A hair aside, so that no corner lies on the ray.
    row = point[0] + 1e-3
    crossed = (line[:, 0] > row) != (after[:, 0] > row)
    start, end = line[crossed], after[crossed]
    columns = start[:, 1] + (row - start[:, 0]) * (end[:, 1] - start[:, 1]) / (end[:, 0] - start[:, 0])
    return bool(np.count_nonzero(columns > point[1]) % 2)


def _joined(line: Floats, holes: list[Floats]) -> Floats:
    """An outline with its holes, the nearest first, so that no joining line crosses another hole."""
    left = list(holes)
    while left:
        tree = KDTree(line)
        found = [tree.query(hole) for hole in left]
        nearest = min(range(len(left)), key=lambda number: float(found[number][0].min()))
        hole, (distances, places) = left.pop(nearest), found[nearest]
        start = int(distances.argmin())
        at = int(places[start])
        turned = np.roll(hole, -start, axis=0)
        line = np.concatenate([line[: at + 1], turned, turned[:1], line[at:]])
    return line
