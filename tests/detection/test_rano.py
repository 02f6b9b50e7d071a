from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import ndimage

from synthoma.detection.rano import measured, perpendicular_diameters
from synthoma.scans.case import Geometry

# Columns are the grid's axes: x of the grid runs up, y to the left, z to the back.
TURNED = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)


def brute(mask: np.ndarray, pixel: tuple[float, float]) -> tuple[float, float]:
    """Both diameters by trying all pairs of corners, and lines across at many places, clipped pixel by pixel."""
    low = np.argwhere(mask) * np.array(pixel)
    box = np.array(list(itertools.product((0, pixel[0]), (0, pixel[1]))))
    points = np.unique((low[:, None] + box).reshape(-1, 2), axis=0)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    longest = gaps.max()
    best = 0.0
    for i, j in np.argwhere(np.triu(gaps > longest - 1e-9)):
        along = (points[j] - points[i]) / longest
        across = np.array([-along[1], along[0]])
        for t in np.unique(points @ along)[:, None] + np.array([-1e-6, 1e-6]):
            for place in t:
                ends = [clipped(corner, pixel, along, across, place) for corner in low]
                kept = [end for pair in ends if pair is not None for end in pair]
                best = max(best, max(kept) - min(kept)) if kept else best
    return longest, best


def clipped(corner: np.ndarray, pixel: tuple[float, float], along: np.ndarray, across: np.ndarray, t: float):
    """The stretch of the line {along . p = t} inside one pixel, as positions along ``across`` (slab method)."""
    first, last = -math.inf, math.inf
    for axis in range(2):
        start, step = t * along[axis], across[axis]
        if abs(step) < 1e-12:
            if not corner[axis] <= start <= corner[axis] + pixel[axis]:
                return None
            continue
        ends = sorted(((corner[axis] - start) / step, (corner[axis] + pixel[axis] - start) / step))
        first, last = max(first, ends[0]), min(last, ends[1])
    return (first, last) if first <= last else None


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("pixel", [(1.0, 1.0), (0.7, 1.9)])
def test_random_regions_measure_as_all_lines_that_there_are(seed: int, pixel: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(14, 14)), 1.3)
    numbers, _ = ndimage.label(noise > 0.02, np.ones((3, 3)))
    mask = numbers == np.bincount(numbers.ravel())[1:].argmax() + 1
    found = perpendicular_diameters(mask, pixel)
    longest, across = brute(mask, pixel)
    assert found.largest == pytest.approx(longest)
    assert found.perpendicular == pytest.approx(across, abs=1e-4)


def test_shapes_of_known_diameters() -> None:
    # The corners of a rectangle of 30 x 40 lie 50 apart; a line across its diagonal is 2 x 30 x 40 / 50 long at most,
    # cut off at the shorter side: 30 x 50 / 40.
    found = perpendicular_diameters(np.ones((30, 40), bool), (1.0, 1.0))
    assert (found.largest, found.perpendicular) == (pytest.approx(50), pytest.approx(37.5, abs=1e-4))
    square = perpendicular_diameters(np.ones((5, 10), bool), (2.0, 1.0))
    assert (square.largest, square.perpendicular) == (pytest.approx(200**0.5), pytest.approx(200**0.5, abs=1e-4))
    rows, columns = np.mgrid[:101, :101]
    disc = (rows - 50) ** 2 + (columns - 50) ** 2 <= 50**2
    assert perpendicular_diameters(disc, (0.5, 0.5)).perpendicular == pytest.approx(50.3, abs=0.6)
    single = perpendicular_diameters(np.ones((1, 1), bool), (3.0, 4.0))
    assert (single.largest, single.perpendicular) == (5, pytest.approx(3 * 5 / 4, abs=1e-4))


def test_each_lesion_is_measured_in_the_axial_slice_where_its_product_is_largest() -> None:
    mask = np.zeros((12, 60, 60), bool)
    mask[2:5, 5:15, 5:25] = True  # 10 x 20 mm
    mask[4, 5:15, 5:35] = True  # 10 x 30 mm: the slice that counts
    mask[9, 40:49, 40:60] = True  # 9 x 20 mm
    large, small = measured(mask, Geometry((1.0, 1.0, 5.0)))
    assert (large.at, large.voxels) == (4, 2 * 200 + 300)
    assert large.diameters.largest == pytest.approx(1000**0.5)
    assert (large.measurable, small.at) == (True, 9)
    assert measured(np.zeros_like(mask), Geometry((1.0, 1.0, 5.0))) == []


@pytest.mark.parametrize(("side", "measurable"), [(7, False), (8, True)])
def test_a_lesion_is_measurable_from_ten_millimetres_in_both_directions(side: int, measurable: bool) -> None:
    # Across the diagonal d of a square its perpendicular is d as well: 7.07 mm make 10.
    mask = np.zeros((3, 20, 20), bool)
    mask[1, 2 : 2 + side, 2 : 2 + side] = True
    assert [one.measurable for one in measured(mask, Geometry((1.0, 1.0, 1.0)))] == [measurable]


def test_axial_is_told_by_the_grid_not_by_the_array() -> None:
    upright = np.zeros((8, 30, 40), bool)
    upright[3, 4:16, 4:30] = True
    [known] = measured(upright, Geometry((1.5, 0.8, 4.0)))
    # The same lesion in an array whose last axis runs up: (z, y, x) of it are (back, left, up).
    turned = np.moveaxis(upright, 0, 2)
    [found] = measured(turned, Geometry((4.0, 1.5, 0.8), direction=TURNED))
    assert (found.at, found.diameters) == (3, known.diameters)
