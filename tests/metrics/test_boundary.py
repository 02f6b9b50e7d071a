from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.metrics.boundary import Boundary, boundary, hd95, surface_dice

SPACINGS = [(1.0, 1.0, 1.0), (5.0, 0.8, 1.1), (0.5, 2.0, 0.7)]


def by_distance_transform(
    truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...], tolerance: float = 2.0
) -> tuple[float, float]:
    """The same scores by another road: faces found by shifting, distances by transform of the whole grid."""

    def surface(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        inner = np.ones_like(mask)
        for axis in range(mask.ndim):
            for step in (-1, 1):
                inner &= np.roll(padded, step, axis)[(slice(1, -1),) * mask.ndim]
        return mask & ~inner

    edges = surface(truth > 0), surface(prediction > 0)
    maps = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    distances = maps[1][edges[0]], maps[0][edges[1]]
    within = sum((part <= tolerance + 1e-9).sum() for part in distances)
    return max(np.percentile(part, 95) for part in distances), within / sum(map(len, distances))


def blobs(seed: int, shape: tuple[int, ...] = (14, 30, 26)) -> list[np.ndarray]:
    draws = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(draws.normal(size=(3, *shape)), (0, 1, 3, 3))
    return [part > np.quantile(part, 0.93) for part in (noise[0], noise[0] + 0.5 * noise[1])]


def cube(at: int, side: int = 8) -> np.ndarray:
    mask = np.zeros((20, 24, 40), np.uint8)
    mask[5 : 5 + side, 6 : 6 + side, at : at + side] = 1
    return mask


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_against_distance_transforms(seed: int, spacing: tuple[float, float, float]) -> None:
    truth, prediction = blobs(seed)
    found = boundary(truth, prediction, spacing)
    assert (found.hd95, found.surface_dice) == pytest.approx(by_distance_transform(truth, prediction, spacing))


@pytest.mark.slow
@pytest.mark.parametrize("spacing", SPACINGS)
def test_against_monai(spacing: tuple[float, float, float]) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.metrics import compute_hausdorff_distance, compute_surface_dice

        truth, prediction = blobs(3)
        pair = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, truth)]
        options = {"include_background": True, "spacing": list(spacing)}
        distance = compute_hausdorff_distance(*pair, percentile=95, **options).item()
        share = compute_surface_dice(*pair, class_thresholds=[2.0], **options).item()
    assert hd95(truth, prediction, spacing) == pytest.approx(distance, rel=1e-5)
    assert surface_dice(truth, prediction, spacing) == pytest.approx(share, rel=1e-5)


@pytest.mark.parametrize(("step", "width"), [(1, 1.0), (3, 0.7), (4, 2.5)])
def test_a_shifted_cube_is_off_by_the_shift(step: int, width: float) -> None:
    # The face ahead is 64 of 296 surface voxels, far more than 5 %: all of it lies exactly the shift away.
    spacing = (3.0, 1.0, width)
    found = boundary(cube(6), cube(6 + step), spacing, tolerance=step * width)
    assert found.hd95 == pytest.approx(step * width)
    assert found.surface_dice == 1
    assert boundary(cube(6), cube(6 + step), spacing, tolerance=0.9 * step * width).surface_dice < 0.9


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.5, 1.0)])
def test_spheres_of_two_radii_lie_their_difference_apart(spacing: tuple[float, float, float]) -> None:
    shape = tuple(int(44 / step) for step in spacing)
    places = (np.indices(shape).T - (np.array(shape) - 1) / 2) * spacing
    radius = np.linalg.norm(places, axis=-1).T
    found = boundary(radius < 18, radius < 12, spacing, tolerance=4.0)
    assert found.hd95 == pytest.approx(6, abs=max(spacing))
    assert found.surface_dice == 0
    assert surface_dice(radius < 18, radius < 12, spacing, tolerance=9.0) == 1


def test_a_wide_spacing_counts() -> None:
    one, other = np.zeros((6, 8, 8)), np.zeros((6, 8, 8))
    one[2, 2:6, 2:6], other[3, 2:6, 2:6] = 1, 1
    assert boundary(one, other, (6.5, 1, 1)) == Boundary(6.5, 0.0)
    assert boundary(one, other, (1.5, 1, 1)) == Boundary(1.5, 1.0)


def test_empty_masks_have_a_penalty_and_no_nan() -> None:
    empty, full = np.zeros((10, 20, 30)), np.zeros((10, 20, 30))
    full[4, 4, 4] = 1
    diagonal = np.sqrt((10 * 3) ** 2 + 20**2 + (30 * 2) ** 2)
    assert boundary(empty, empty, (3, 1, 2)) == Boundary(0.0, 1.0)
    assert boundary(full, empty, (3, 1, 2)) == boundary(empty, full, (3, 1, 2)) == Boundary(pytest.approx(diagonal), 0)


def test_the_inside_of_a_single_slice_is_not_its_surface() -> None:
    disc, hole = np.zeros((1, 40, 40), bool), np.zeros((1, 40, 40), bool)
    disc[0, 5:35, 5:35] = True
    hole[0, 5:35, 5:35] = True
    hole[0, 19:21, 19:21] = False
    expected = by_distance_transform(disc[0], hole[0], (1.0, 1.0))
    found = boundary(disc, hole)
    assert (found.hd95, found.surface_dice) == pytest.approx(expected)
    assert found.surface_dice < 1  # as a volume every voxel would be surface, and the hole's edge lie within 2


def test_a_mask_of_one_voxel_and_one_at_the_end_of_the_grid() -> None:
    one, other = np.zeros((3, 4, 5)), np.zeros((3, 4, 5))
    one[0, 0, 0], other[2, 3, 4] = 1, 1
    assert hd95(one, other) == pytest.approx(np.sqrt(4 + 9 + 16))
    assert hd95(np.ones((1, 1, 1)), np.ones((1, 1, 1))) == 0
    assert boundary(np.ones((3, 4, 5)), np.ones((3, 4, 5))) == Boundary(0, 1)


# --- by area --------------------------------------------------------------------------------------------------


def ball(radius: float, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), at: float = 0.0) -> np.ndarray:
    shape = tuple(round(52 / step) for step in spacing)
    places = (np.indices(shape).T - (np.array(shape) - 1) / 2) * spacing - np.array([0, 0, at])
    return radius > np.linalg.norm(places, axis=-1).T


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_area_of_a_sphere_beyond_the_tolerance_of_another_that_is_shifted(spacing: tuple[float, float, float]) -> None:
    """A point at angle a from the axis lies |sqrt(r2 + d2 - 2 r d cos a) - r| off; its zone has area 2 pi r2 dcos a."""
    radius, shift, tolerance = 18.0, 5.0, 2.5
    cosines = np.linspace(-1, 1, 200_001)
    off = np.abs(np.sqrt(radius**2 + shift**2 - 2 * radius * shift * cosines) - radius)
    found = surface_dice(ball(radius, spacing), ball(radius, spacing, shift), spacing, tolerance, by_area=True)
    assert found == pytest.approx(np.mean(off <= tolerance), abs=0.05)


def test_areas_of_slabs_by_hand() -> None:
    """A plate of 12 x 60 and two slices of 5 mm, and one that lacks half of its columns."""
    one, other = np.zeros((12, 40, 80), bool), np.zeros((12, 40, 80), bool)
    one[4:6, 10:22, 10:70] = other[4:6, 10:22, 10:40] = True
    # Top and bottom and 10 mm high sides. More than 1 mm from the other lies what the one has from the next column on;
    # where that begins, and what corners lack, is known to two columns.
    areas = 2 * 12 * 60 + 10 * 144, 2 * 12 * 30 + 10 * 84
    lost = 2 * 12 * 29 + 10 * (12 + 2 * 29)
    found = surface_dice(one, other, (5.0, 1.0, 1.0), 1.0, by_area=True)
    assert found == pytest.approx(1 - lost / sum(areas), abs=0.03)
    counted = surface_dice(one, other, (5.0, 1.0, 1.0), 1.0)  # all voxels of two slices lie on a surface
    assert counted == pytest.approx(1 - 12 * 29 * 2 / (2 * 12 * 90))


def test_length_of_outlines_of_a_single_slice() -> None:
    """Squares of 20 and of 20 with a far wing: the share of the wing in both outlines."""
    one, other = np.zeros((1, 60, 60), bool), np.zeros((1, 60, 60), bool)
    one[0, 20:40, 10:30] = other[0, 20:40, 10:30] = True
    other[0, 29:31, 30:50] = True
    # The wing adds 2 x 20 of its sides to an outline of 80; all but 2 of each are farther than 2 from the square.
    found = surface_dice(one, other, tolerance=2.0, by_area=True)
    assert found == pytest.approx(1 - (2 * 18 + 2) / (80 + 120), abs=0.02)


def test_by_area_empty_and_equal_masks_are_as_by_voxels() -> None:
    empty, full = np.zeros((10, 20, 30)), np.zeros((10, 20, 30))
    full[3:6, 4:9, 5:11] = 1
    assert surface_dice(empty, empty, by_area=True) == surface_dice(full, full, by_area=True) == 1
    assert surface_dice(full, empty, by_area=True) == 0
    assert surface_dice(np.ones((3, 4, 5)), np.ones((3, 4, 5)), by_area=True) == 1  # to the ends of the grid
    one, other = blobs(5)
    there, back = surface_dice(one, other, by_area=True), surface_dice(other, one, by_area=True)
    assert there == pytest.approx(back)
    assert there == pytest.approx(surface_dice(one, other), abs=0.1)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_symmetric_bounded_and_scaling_with_the_spacing(seed: int) -> None:
    draws = np.random.default_rng(seed)
    one, other = (draws.random((2, 5, 7, 6)) < draws.uniform(0.02, 0.5)).astype(np.uint8)
    found = boundary(one, other, (2, 1, 0.5))
    assert found == boundary(other, one, (2, 1, 0.5))
    assert 0 <= found.hd95 <= np.linalg.norm([10, 7, 3])
    assert 0 <= found.surface_dice <= 1
    wide = boundary(one, other, (6, 3, 1.5), tolerance=6.0)
    assert (wide.hd95, wide.surface_dice) == pytest.approx((3 * found.hd95, found.surface_dice))
    assert boundary(one, one) == Boundary(0, 1)


@pytest.mark.parametrize(("spacing", "tolerance"), [((1, 1), 2), ((1, 0, 1), 2), ((1, 1, np.inf), 2), ((1, 1, 1), -1)])
def test_a_spacing_that_is_none_is_refused(spacing: tuple[float, ...], tolerance: float) -> None:
    with pytest.raises(InputError, match="spacings"):
        boundary(np.ones((2, 2, 2)), np.ones((2, 2, 2)), spacing, tolerance)
    with pytest.raises(InputError, match="one shape"):
        boundary(np.ones((2, 2, 2)), np.ones((2, 2, 3)))
