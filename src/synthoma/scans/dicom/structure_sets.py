"""DICOM structure sets (RTSTRUCT, PS3.3 A.19): outlines in mm, filled plane by plane."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset

from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Floats
from synthoma.scans.case import Geometry
from synthoma.scans.dicom.files import AGAIN, read_file, text
from synthoma.scans.dicom.resampling import axes_of_grid
from synthoma.scans.dicom.segments import DicomMask, Part
from synthoma.scans.dicom.stack import Series

_EDGE = 0.01
"""A pixel whose centre is so near to a contour, in pixels, belongs to it: contours of masks run through the centres."""


def read_structure_set(mask: DicomMask, series: Series, grid: Geometry) -> tuple[dict[Part, Bools], bool]:
    """Regions on the grid, and whether the file draws anything at all."""
    dataset, _ = read_file(mask.file, ("ROIContourSequence",))
    contours: dict[int, list[Floats]] = {}
    for item in dataset.get("ROIContourSequence") or ():
        contours.setdefault(int(item.ReferencedROINumber), []).extend(_closed(item))
    regions = {part: np.zeros((len(series.planes), *series.shape), dtype=np.bool_) for _, part in mask.parts}
    drawn = False
    own = series.series in mask.series
    for number, part in mask.parts:
        if points := contours.get(number):
            drawn = True
            _fill(regions[part], points, grid, own=own)
    return regions, drawn


def _closed(item: Dataset) -> list[Floats]:
    """Points (n, 3) in mm of each closed planar contour; single points and open lines outline nothing."""
    found = []
    for contour in item.get("ContourSequence") or ():
        if not text(contour, "ContourGeometricType").upper().startswith("CLOSED"):
            continue
        stored = np.array([float(value) for value in contour.get("ContourData") or ()])
        if stored.size % 3 or not np.isfinite(stored).all():
            raise InputError("contours of points in space", f"{stored.size} numbers", AGAIN)
        # Three points at least, or nothing is enclosed.
        if stored.size >= 9:
            found.append(stored.reshape(-1, 3))
    return found


def _fill(region: Bools, contours: Sequence[Floats], grid: Geometry, *, own: bool) -> None:
    """Fill contours into a region, in place. A contour inside another one of its slice is a hole.

    Drawn on another series, contours may be further apart than the slices here: each slice takes the nearest one.
    """
    matrix = np.linalg.inv(axes_of_grid(grid))
    levels: dict[float, list[Floats]] = {}
    for points in contours:
        indices = (points - np.array(grid.origin)) @ matrix.T  # columns, rows, slices
        if np.ptp(indices[:, 2]) > 0.5:
            raise InputError("contours in the planes of their series", "some across them", AGAIN)
        # To a hundredth of a slice: contours of one plane may differ in the last digit of their decimal texts.
        levels.setdefault(round(float(indices[:, 2].mean()), 2), []).append(indices[:, :2])
    # Sorted, since the least distance between two neighbours is asked for.
    places = np.array(sorted(levels))
    apart = float(np.diff(places).min()) if len(places) > 1 and not own else 1.0
    for index in range(len(region)):
        nearest = float(places[np.abs(places - index).argmin()])
        # Half of the way to the next contour, so that gaps are closed and the ends are not drawn out.
        if abs(nearest - index) <= max(apart, 1.0) / 2:
            region[index] |= filled(levels[nearest], region.shape[1:])


def filled(contours: Sequence[Floats], shape: tuple[int, ...]) -> Bools:
    """Pixels (rows, columns) inside an odd number of contours, each (n, 2) of columns and rows, or on one of them."""
    inside, edge = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    for points in contours:
        for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
            _cross(inside, start, end)
            _touch(edge, start, end)
    # Edges count: of a mask that was exported as contours through its pixels, none is lost.
    return inside | edge


def _cross(inside: Bools, start: Floats, end: Floats) -> None:
    """Turn the pixels to the left of an edge inside out, row by row (even-odd rule)."""
    # From the upper to the lower end, since a row is crossed whichever way the contour runs.
    (x0, y0), (x1, y1) = (start, end) if start[1] <= end[1] else (end, start)
    # The first row counts and the last does not: at a vertex one of the two edges is crossed.
    first, last = max(0, math.ceil(y0)), min(len(inside), math.ceil(y1))
    if first < last:
        rows = np.arange(first, last)
        crossing = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
        inside[first:last] ^= np.arange(inside.shape[1]) < crossing[:, None]


def _touch(edge: Bools, start: Floats, end: Floats) -> None:
    """Mark the pixels whose centre lies on an edge."""
    low, high = np.minimum(start, end) - _EDGE, np.maximum(start, end) + _EDGE
    left, top = (max(0, math.ceil(value)) for value in low)
    right, bottom = (min(size, math.floor(value) + 1) for size, value in zip(edge.shape[::-1], high, strict=True))
    if left >= right or top >= bottom:
        return
    y, x = np.mgrid[top:bottom, left:right].astype(float)
    along = np.array(end) - start
    length = float(along @ along)
    # A contour may hold a point twice in a row.
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length if length else np.zeros_like(x)
    share = np.clip(share, 0, 1)
    away = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
    edge[top:bottom, left:right] |= away <= _EDGE
