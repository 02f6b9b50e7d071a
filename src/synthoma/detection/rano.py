"""The two diameters of RANO: the largest of a lesion in an axial slice, and the largest perpendicular to it.

Wen et al. 2010 (J Clin Oncol 28:1963) and 2023 (RANO 2.0, J Clin Oncol 41:5187): a lesion is measured by the product of
its maximal perpendicular diameters in an axial slice; it is measurable if both reach 10 mm.

A lesion is what touches in space, corners included. In each axial slice each of its connected parts is taken for the
union of its pixels, which are boxes with extent. The largest diameter joins the two points of the part that lie
farthest apart. The perpendicular one is the largest distance between two points of the part on a line across the
largest diameter. Both are exact, on pixels of any sides. Where a part is bent, a line between its points may leave it.
Of all slices the one with the largest product counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from synthoma.core.types import Array, Bools, Floats
from synthoma.detection.findings import connected, corners
from synthoma.scans.case import Geometry
from synthoma.scans.orientation import turning

MEASURABLE = 10.0
"""mm that both diameters of a measurable lesion reach."""

MOST = 12
"""So many lesions are told, the largest first."""


@dataclass(frozen=True)
class Diameters:
    """Two perpendicular diameters of a region in a plane, in the unit of its pixels' sides."""

    largest: float
    perpendicular: float

    @property
    def product(self) -> float:
        """Of both."""
        return self.largest * self.perpendicular


@dataclass(frozen=True)
class Measured:
    """A lesion with its diameters.

    Attributes:
        at: index of the axial slice, along the grid's own axis.
        diameters: mm.
        voxels: of the whole lesion.
        box: of the whole lesion.
    """

    at: int
    diameters: Diameters
    voxels: int
    box: tuple[slice, ...]

    @property
    def measurable(self) -> bool:
        """Whether both diameters reach 10 mm; a shortfall of rounding alone is none."""
        return self.diameters.perpendicular >= MEASURABLE - 1e-6


def perpendicular_diameters(mask: Bools, pixel: tuple[float, float]) -> Diameters:
    """The largest diameter of a region, and the largest perpendicular to it.

    Where several pairs of points lie equally far apart, the one with the largest perpendicular counts.

    Args:
        mask: (rows, columns), at least one pixel.
        pixel: height and width.
    """
    return _exact(mask, pixel, *_longest(mask, pixel)[:2])


def _longest(mask: Bools, pixel: tuple[float, float]) -> tuple[float, list[Floats], float]:
    """The largest diameter, its directions (unit vectors), and what no perpendicular of them is longer than."""
    points = corners(mask) * np.asarray(pixel, dtype=np.float64)
    ends = points[ConvexHull(points).vertices]
    between = squareform(pdist(ends))
    longest = float(between.max())
    # Equal but for rounding: of a square both diagonals, whose order would else be chance.
    pairs = np.argwhere(np.triu(between >= longest - 1e-9)).tolist()
    ways = [(ends[j] - ends[i]) / longest for i, j in pairs]
    return longest, ways, max(float(np.ptp(ends @ np.array([-way[1], way[0]]))) for way in ways)


def _exact(mask: Bools, pixel: tuple[float, float], longest: float, ways: list[Floats]) -> Diameters:
    return Diameters(longest, max(_across(mask, pixel, way) for way in ways))


def _across(mask: Bools, pixel: tuple[float, float], along: Floats) -> float:
    """Largest distance between two points of a region on one line perpendicular to a direction (unit vector).

    Each pixel is a parallelogram in coordinates along and across the direction. Its upper and its lower end are
    piecewise linear along it, and so are those of all pixels together: between two neighbouring corners nothing bends.
    So the largest distance is reached at a corner's place, or in the limit towards it, where pixels begin or end.
    """
    across = np.array([-along[1], along[0]])
    # The pixels inside reach no farther than those at the rim, whose corners include all ends.
    rim = mask & ~ndimage.binary_erosion(mask)
    low = np.argwhere(rim) * np.asarray(pixel)
    box = np.array([[0, 0], [pixel[0], 0], [pixel[0], pixel[1]], [0, pixel[1]]])
    boxes = low[:, None] + box
    t, u = boxes @ along, boxes @ across
    # Corners that are one but for rounding would be two places a hair apart, and the limits between them mixed up.
    places = np.unique(np.round(t.ravel(), 9))
    # Two places a hair apart on either side of each corner stand for its two limits.
    hair = 1e-7 * max(pixel)
    asked = np.concatenate([places - hair, places + hair])
    asked.sort()
    top = np.full(len(asked), -np.inf)
    bottom = np.full(len(asked), np.inf)
    for start in range(4):
        end = (start + 1) % 4
        _extend(asked, (t[:, start], u[:, start]), (t[:, end], u[:, end]), top, bottom)
    return float(np.max(top - bottom, initial=0.0, where=np.isfinite(top)))


def _extend(
    asked: Floats, start: tuple[Floats, Floats], end: tuple[Floats, Floats], top: Floats, bottom: Floats
) -> None:
    """Raise and lower ends, in place, to where edges from ``start`` to ``end`` cross the places that are asked."""
    for t0, u0, t1, u1 in zip(*start, *end, strict=True):
        (a, ua), (b, ub) = ((t0, u0), (t1, u1)) if t0 <= t1 else ((t1, u1), (t0, u0))
        first, last = np.searchsorted(asked, [a, b])
        if first < last:  # an edge along the line is met by its neighbours
            at = ua + (asked[first:last] - a) * ((ub - ua) / (b - a))
            np.maximum(top[first:last], at, out=top[first:last])
            np.minimum(bottom[first:last], at, out=bottom[first:last])


def measured(mask: Bools, geometry: Geometry, most: int = MOST) -> list[Measured]:
    """The lesions of a mask with their diameters, that of the largest product first.

    Args:
        mask: (z, y, x) on a scan's own grid.
        geometry: of that grid; it says which axis runs upwards.
        most: so many of the largest lesions are looked at.
    """
    if not mask.any():
        return []
    axis = turning(geometry)[0][0]
    sides = [length for number, length in enumerate(geometry.spacing[::-1]) if number != axis]
    numbers, count = connected(mask)
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    places = ndimage.find_objects(numbers)
    found = []
    for at in np.argsort(-sizes, kind="stable")[:most].tolist():
        layers = np.moveaxis(numbers[places[at]] == at + 1, axis, 0)
        best = _largest(layers, (sides[0], sides[1]))
        found.append(Measured(best[0] + places[at][axis].start, best[1], int(sizes[at]), places[at]))
    return sorted(found, key=lambda one: -one.diameters.product)


def _largest(layers: Array, pixel: tuple[float, float]) -> tuple[int, Diameters]:
    """The slice with the largest product of diameters of a connected part, and these."""
    parts: list[tuple[float, int, Bools, float, list[Floats]]] = []
    for z, layer in enumerate(layers):
        numbers, _ = connected(layer)
        for number, place in enumerate(ndimage.find_objects(numbers), start=1):
            alone = numbers[place] == number
            longest, ways, widest = _longest(alone, pixel)
            parts.append((longest * widest, z, alone, longest, ways))
    # Exact perpendiculars take long: the slices that may have the largest product come first.
    parts.sort(key=lambda part: -part[0])
    best: tuple[int, Diameters] | None = None
    for bound, z, alone, longest, ways in parts:
        if best is not None and bound <= best[1].product:
            break
        found = _exact(alone, pixel, longest, ways)
        if best is None or found.product > best[1].product:
            best = z, found
    assert best is not None, "a lesion has a slice"
    return best
