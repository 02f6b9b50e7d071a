"""Size and place of tumours whose size and place are known."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.spatial.distance import pdist

from synthoma.detection.findings import (
    dice,
    largest_diameter,
    lesion_diameter,
    measurements,
    side,
    to_millimetres,
)
from synthoma.detectors.segmenters.chances import scan_probability, slice_probabilities
from synthoma.detectors.segmenters.label_maps import label_map, meanings, target_masks
from synthoma.scans.case import Geometry
from tests.scans.writers import OBLIQUE


def a_box() -> np.ndarray:
    """Two slices of three rows of four columns."""
    mask = np.zeros((6, 10, 12), dtype=bool)
    mask[2:4, 3:6, 5:9] = True
    return mask


def test_a_box_in_space() -> None:
    geometry = Geometry((0.5, 2.0, 3.0), (10.0, 20.0, 30.0))
    found = measurements({"tumour": a_box()}, geometry, 0, (2.0, 0.5)).content()
    assert found["volume"] == 24 * 3.0
    assert found["volume_unit"] == "mm3"
    assert found["diameter"] == pytest.approx(np.sqrt((2 * 3) ** 2 + (3 * 2) ** 2 + (4 * 0.5) ** 2), abs=1e-4)
    assert found["diameter_in_plane"] == pytest.approx(np.sqrt(6**2 + 2**2), abs=1e-4)
    assert found["centroid_voxel"] == {"z": 2.5, "y": 4.0, "x": 6.5}
    assert found["centroid_mm_lps"] == [10 + 6.5 * 0.5, 20 + 4 * 2.0, 30 + 2.5 * 3.0]
    assert found["box_voxel"] == {"z": [2, 3], "y": [3, 5], "x": [5, 8]}


def test_a_box_on_a_picture_is_measured_in_pixels() -> None:
    found = measurements({"tumour": a_box()[2:3]}, None, 0, (1.0, 1.0)).content()
    assert (found["volume"], found["volume_unit"]) == (12, "pixels")
    assert found["diameter"] is None
    assert (found["diameter_in_plane"], found["diameter_unit"]) == (5.0, "pixels")
    assert found["centroid_mm_lps"] is None


def test_nothing_found_is_null_and_never_nan() -> None:
    found = measurements({"tumour": np.zeros((3, 4, 5), bool)}, OBLIQUE, 0, (1.0, 1.0)).content()
    text = json.dumps(found, allow_nan=False)
    assert found["volume"] == 0
    assert [key for key in found if found[key] is None] == [
        "largest_region_share", "diameter", "diameter_in_plane", "centroid_voxel", "centroid_mm_lps", "box_voxel"
    ]  # fmt: skip
    assert "null" in text


@pytest.mark.slow
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=3, max_side=5)))
def test_the_hull_finds_the_diameter_of_all_corners(mask: np.ndarray) -> None:
    spacing = (3.0, 0.5, 1.25)[: mask.ndim]
    corners = [
        (np.array(place) + shift) * spacing
        for place in np.argwhere(mask)
        for shift in product((0, 1), repeat=mask.ndim)
    ]
    found = largest_diameter(mask, spacing)
    assert found == (None if not corners else pytest.approx(pdist(np.array(corners)).max()))


def test_a_speck_far_away_does_not_lengthen_a_lesion() -> None:
    mask = a_box()
    mask[5, 9, 11] = True
    found = measurements({"tumour": mask}, Geometry((1.0, 1.0, 1.0)), 0, (1.0, 1.0)).content()
    assert found["diameter"] == pytest.approx(np.sqrt(2**2 + 3**2 + 4**2), abs=1e-4)
    assert found["diameter_in_plane"] == 5
    assert (found["regions"], found["largest_region_share"]) == (2, 0.96)
    diagonal = np.eye(4, dtype=bool)
    assert lesion_diameter(diagonal, (1.0, 1.0)) == pytest.approx(np.sqrt(32)), "touching corners connect"


def test_a_place_in_the_patient_agrees_with_simpleitk() -> None:
    import SimpleITK as sitk

    from synthoma.scans.case import Volume
    from synthoma.scans.grids import to_itk

    image = to_itk(Volume(np.zeros((5, 6, 7), np.uint8), OBLIQUE))
    assert isinstance(image, sitk.Image)
    expected = image.TransformContinuousIndexToPhysicalPoint((2.5, 1.0, 3.25))
    np.testing.assert_allclose(to_millimetres(np.array([3.25, 1.0, 2.5]), OBLIQUE), expected)


@pytest.mark.parametrize(("column", "expected"), [(12, "right"), (30, "midline"), (46, "left")])
def test_columns_run_to_the_patients_left(column: int, expected: str) -> None:
    image = np.zeros((3, 50, 62), np.uint8)
    image[:, 5:45, 6:56] = 100  # the head's middle is column 30.5
    mask = np.zeros(image.shape, bool)
    mask[1, 20:24, column : column + 2] = True
    found, shift = side(mask, image)
    assert found == expected
    assert shift == pytest.approx((column + 0.5 - 30.5) / 50, abs=0.02)
    assert side(np.zeros(image.shape, bool), image) == (None, None)


def test_a_slice_is_judged_by_its_highest_pixels() -> None:
    maps = np.zeros((3, 128, 128), np.float32)
    maps[1, :4, :4] = 0.8  # 0.1 % of 128 x 128 is 16
    maps[2, 0, 0] = 0.8
    np.testing.assert_allclose(slice_probabilities(maps), [0, 0.8, 0.05], atol=1e-6)
    assert slice_probabilities(np.full((1, 16, 16), 0.5, np.float32)) == 0.5
    assert slice_probabilities(np.pad(np.ones((1, 2, 2), np.float32), ((0, 0), (0, 14), (0, 14)))) == 1


def test_a_scan_is_judged_by_two_neighbours() -> None:
    assert scan_probability(np.array([0.1, 0.9, 0.5, 0.1])) == pytest.approx(0.7)
    assert scan_probability(np.array([0.9, 0.0, 0.9])) == pytest.approx(0.45)
    assert scan_probability(np.array([0.3])) == pytest.approx(0.3)


def test_nested_targets_become_brats_labels_and_back() -> None:
    names = ("tumour", "core", "enhancing")
    maps = np.array([[0, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]], np.float32)[:, None, None]
    labels = label_map(maps, (0.5, 0.5, 0.5), names)
    assert labels.ravel().tolist() == [0, 2, 1, 3, 3]
    assert meanings(names) == {2: "oedema", 1: "core", 3: "enhancing"}
    masks = target_masks(labels, names)
    assert [masks[name].sum() for name in names] == [4, 3, 2], "what is inside belongs to what is around it"
    assert label_map(maps[:1], (0.5,), ("tumour",)).max() == 1
    assert meanings(("tumour",)) == {1: "tumour"}


def test_dice_by_hand() -> None:
    first, second = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert dice(first, second) == 0.5
    assert dice(first, first) == 1
    assert dice(first & second & False, first & False) == 1
    assert dice(first, first & False) == 0
