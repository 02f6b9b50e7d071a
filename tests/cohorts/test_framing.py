from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from synthoma.cohorts.framing import Box, fit_square, foreground, head_box, resize, resize_mask, whole, widened
from synthoma.core.errors import InputError
from synthoma.scans.case import Geometry, Study
from synthoma.scans.intensity import intensity_window, known_method
from synthoma.scans.orientation import to_lps, to_plane


def as_itk(array: np.ndarray, geometry: Geometry) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    return image


@pytest.mark.parametrize("code", ["LPS", "RAS", "RPI", "ASL", "SRP", "PIR"])
def test_orientation_agrees_with_simpleitk(code: str) -> None:
    """SimpleITK's own orientation filter is the independent implementation."""
    start = as_itk(np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4), Geometry((1.0, 2.0, 3.0), (5.0, -6.0, 7.0)))
    turned = sitk.DICOMOrient(start, code)
    geometry = Geometry(turned.GetSpacing(), turned.GetOrigin(), turned.GetDirection())
    study = to_lps(
        Study({"t1": sitk.GetArrayFromImage(turned)}, geometry, sitk.GetArrayFromImage(turned).astype(np.uint8))
    )
    np.testing.assert_array_equal(study.images["t1"], sitk.GetArrayFromImage(start))
    assert study.mask is not None
    np.testing.assert_array_equal(study.mask, sitk.GetArrayFromImage(start))
    assert study.geometry == Geometry(start.GetSpacing(), start.GetOrigin(), start.GetDirection())


def test_an_oblique_scan_keeps_its_voxels_in_place() -> None:
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    direction = tuple((turn @ np.diag([-1, 1, -1]))[:, [2, 0, 1]].ravel())
    array = np.random.default_rng(0).integers(0, 99, (3, 4, 5)).astype(np.int16)
    before = as_itk(array, Geometry((2.0, 1.0, 1.5), (3.0, 4.0, 5.0), direction))  # type: ignore[arg-type]
    study = to_lps(Study({"t2": array}, Geometry(before.GetSpacing(), before.GetOrigin(), before.GetDirection())))
    assert study.geometry is not None
    after = as_itk(study.images["t2"], study.geometry)
    for index in ((0, 0, 0), (1, 2, 1), (3, 1, 2)):
        point = after.TransformIndexToPhysicalPoint(index)
        assert before[before.TransformPhysicalPointToIndex(point)] == after[index]
    assert np.argmax(np.abs(np.array(study.geometry.direction).reshape(3, 3)), axis=0).tolist() == [0, 1, 2]


def test_planes_show_the_top_up_and_the_front_first() -> None:
    array = np.zeros((2, 3, 4), np.float32)
    array[1, 0, 3] = 1  # top, front, left of the patient
    study = Study({"t1": array}, Geometry((1.0, 2.0, 5.0)))
    axial, _, pixel, step = to_plane(study, "axial")
    assert (axial["t1"].shape, pixel, step) == ((2, 3, 4), (2.0, 1.0), 5.0)
    assert axial["t1"][1, 0, 3] == 1
    coronal, _, pixel, step = to_plane(study, "coronal")
    assert (coronal["t1"].shape, pixel, step) == ((3, 2, 4), (5.0, 1.0), 2.0)
    assert coronal["t1"][0, 0, 3] == 1
    sagittal, _, pixel, step = to_plane(study, "sagittal")
    assert (sagittal["t1"].shape, pixel, step) == ((4, 2, 3), (5.0, 2.0), 1.0)
    assert sagittal["t1"][3, 0, 0] == 1


def test_a_picture_has_no_other_plane() -> None:
    with pytest.raises(InputError, match="--plane axial"):
        to_plane(Study({"image": np.zeros((1, 4, 4))}), "sagittal")


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.hypot(rows - centre[0], columns - centre[1]) <= radius


def test_head_box_holds_the_head_and_ignores_letters_and_noise() -> None:
    rng = np.random.default_rng(1)
    image = rng.rayleigh(3, (120, 100)).astype(np.float32)
    image[disc((120, 100), (60, 45), 30)] += 60
    image[disc((120, 100), (60, 45), 34) & ~disc((120, 100), (60, 45), 31)] += 220  # scalp
    image[2:9, 80:84] = 250  # a letter
    box = head_box({"t1": image[None]}, margin=0)
    assert abs(box.top - 26) <= 2
    assert abs(box.left - 11) <= 2
    assert abs(box.height - 69) <= 3
    assert abs(box.width - 69) <= 3


def test_head_on_a_white_ground_is_found() -> None:
    image = np.full((80, 80), 255, np.uint8)
    image[disc((80, 80), (40, 40), 25)] = 60
    found = foreground(image)
    assert found[40, 40]
    assert not found[3, 3]
    assert abs(found.sum() - np.pi * 625) < 250


def test_a_slice_without_contrast_has_no_head() -> None:
    image = np.full((20, 30), 7, np.uint8)
    assert not foreground(image).any()
    assert head_box({"t1": image[None]}) == whole(image) == Box(0, 0, 20, 30)


def test_windows_by_hand() -> None:
    image = np.zeros(10_000, np.uint8)
    image[5000:] = np.linspace(100, 200, 5000).astype(np.uint8)
    offset, scale = intensity_window(image.reshape(1, 100, 100), "robust")
    assert (offset, round(scale)) == (0.0, 199)
    assert intensity_window(image.reshape(1, 100, 100), "unit") == (0.0, 255.0)
    assert intensity_window(image.reshape(1, 100, 100).astype(np.uint16), "unit") == (0.0, 200.0)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [(np.uint16, 0, 4000), (np.int16, -1024, 3071), (np.float32, -0.5, 7.25), (np.int32, 3, 9)]
)
def test_unit_puts_what_is_there_between_0_and_1(kind: type, low: float, high: float) -> None:
    """Scanners use a small part of what 16 bits can say: a scan of 0 to 4000 over 65535 would be black."""
    image = np.linspace(low, high, 1000).astype(kind).reshape(10, 10, 10)
    offset, scale = intensity_window(image, "unit")
    assert (offset, scale) == (low, high - low)
    values = (image.astype(np.float64) - offset) / scale
    assert (values.min(), values.max()) == (0.0, 1.0)


def test_what_is_no_number_takes_no_part_in_a_window() -> None:
    image = np.linspace(0, 8, 1000, dtype=np.float32).reshape(10, 10, 10)
    plain = intensity_window(image, "robust")
    image[0, 0, 0], image[9, 9, 9] = -np.inf, np.inf
    assert intensity_window(image, "unit") == pytest.approx((0.008, 7.984), abs=1e-3)
    assert intensity_window(image, "robust") == pytest.approx(plain, abs=0.02)
    assert intensity_window(np.full((1, 4, 4), np.inf), "unit") == (0.0, 1.0)
    assert intensity_window(np.full((1, 4, 4), np.inf), "robust") == (0.0, 1.0)


def test_methods_that_a_model_may_name() -> None:
    assert (known_method(None), known_method("unit")) == ("robust", "unit")
    with pytest.raises(InputError, match="normalised by robust or unit; came one of 'zscore'"):
        known_method("zscore")


def test_one_bright_voxel_does_not_darken_the_rest() -> None:
    image = np.zeros((10, 64, 64), np.float32)
    image[:, 16:48, 16:48] = 100
    plain = intensity_window(image, "robust")
    image[0, 20, 20] = 100_000
    assert intensity_window(image, "robust") == pytest.approx(plain, rel=0.01)


def test_constant_volume_has_a_usable_window() -> None:
    for method in ("robust", "unit"):
        _, scale = intensity_window(np.zeros((2, 8, 8), np.float32), method)  # type: ignore[arg-type]
        assert scale > 0


def test_a_box_of_the_right_size_passes_unchanged() -> None:
    image = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    fit, (side, _) = fit_square(whole(image), (1.0, 1.0), 40)
    np.testing.assert_array_equal(resize(image, fit, 0.0), image)
    assert side == 1.0


def test_shrinking_averages_areas() -> None:
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    fit, (side, _) = fit_square(whole(image), (1.0, 1.0), 2)
    np.testing.assert_allclose(resize(image, fit, 0.0), image.reshape(2, 2, 2, 2).mean(axis=(1, 3)))
    assert side == 2.0


def test_pixels_become_isotropic_and_aspect_is_kept() -> None:
    fit, (side, _) = fit_square(Box(0, 0, 30, 50), (4.0, 1.0), 60)  # 120 mm high, 50 mm wide
    assert (fit.rows, fit.columns, side) == (60, 25, 2.0)
    square = resize(np.ones((30, 50), np.float32), fit, -1.0)
    assert (square[:, : fit.left] == -1).all()
    assert (square[:, fit.left : fit.left + 25] == 1).all()
    assert abs((60 - 25 - fit.left) - fit.left) <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 70), st.integers(4, 70), st.integers(16, 64), st.floats(0.3, 5))
def test_no_new_values_appear(height: int, width: int, size: int, aspect: float) -> None:
    rng = np.random.default_rng(height * 100 + width)
    fit, _ = fit_square(Box(0, 0, height, width), (aspect, 1.0), size)
    image = rng.normal(size=(height, width)).astype(np.float32)
    mask = rng.choice(np.array([0, 1, 3], np.uint8), (height, width))
    square = resize(image, fit, float(image.min()))
    assert square.shape == (size, size)
    assert image.min() <= square.min()
    assert square.max() <= image.max()
    assert set(np.unique(resize_mask(mask, fit))) <= {0, 1, 3}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 119), st.integers(0, 99), st.integers(1, 3), st.sampled_from([16, 28, 64, 90]))
def test_the_smallest_tumour_survives_any_size(row: int, column: int, side: int, size: int) -> None:
    mask = np.zeros((120, 100), np.uint8)
    mask[row : row + side, column : column + side] = 3
    mask[60, 50] = 4  # a cavity is no tumour
    fit, (scale, _) = fit_square(whole(mask), (1.0, 1.0), size)
    small = resize_mask(mask, fit)
    assert (small == 3).any() == (mask == 3).any()
    if (mask == 3).any():
        there = np.argwhere(small == 3).mean(axis=0) + 0.5 - (fit.top, fit.left)
        assert np.abs(there * scale - (np.argwhere(mask == 3).mean(axis=0) + 0.5)).max() <= 2 * scale + side


def test_of_a_tumour_that_would_vanish_the_pixel_nearest_to_its_centre_stays() -> None:
    mask = np.zeros((240, 240), np.uint8)
    mask[101, 50:53] = (1, 2, 1)
    fit, _ = fit_square(whole(mask), (1.0, 1.0), 16)  # 15 pixels each way become one
    assert mask[7::15, 7::15].sum() == 0  # what nearest neighbour takes
    small = resize_mask(mask, fit)
    assert np.argwhere(small).tolist() == [[101 // 15, 51 // 15]]
    assert small.sum() == 2
    assert not resize_mask(np.where(mask > 0, 4, 0).astype(np.uint8), fit).any()


def test_a_box_grows_by_what_it_would_cut() -> None:
    mask = np.zeros((3, 40, 50), np.uint8)
    box = Box(10, 12, 20, 25)
    assert widened(box, mask) == box
    mask[0, 10, 36] = 1
    assert widened(box, mask) == box
    mask[1, 8, 20] = mask[2, 20, 37] = 1
    assert widened(box, mask) == Box(8, 12, 22, 26)
    mask[2, 39, 0] = 4
    assert widened(box, mask) == Box(8, 0, 32, 38)
