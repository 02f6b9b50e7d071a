"""Squares and back: whatever way a grid lies, a map comes back to the voxels that it was made from."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthoma.cohorts.framing import Box, fit_square, resize_back, resize_mask
from synthoma.cohorts.squares import FramingRule, frame, from_squares, picture, to_squares
from synthoma.core.errors import InputError
from synthoma.core.types import Plane
from synthoma.scans.case import Geometry, Study
from synthoma.scans.orientation import from_lps, from_plane, to_lps, to_plane
from tests.scans.writers import OBLIQUE, voxels

ORIENTATIONS = [
    Geometry((1.0, 1.5, 2.0), (3.0, 4.0, 5.0), tuple(float(v) for v in (np.eye(3)[:, list(order)] * signs).ravel()))  # type: ignore[arg-type]
    for order, signs in zip(permutations(range(3)), product((1, -1), repeat=3), strict=False)
]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


@pytest.mark.parametrize("geometry", [*ORIENTATIONS, OBLIQUE, None], ids=lambda one: "-")
def test_turning_into_lps_and_back_is_exact(geometry: Geometry | None) -> None:
    array = voxels(0, (3, 4, 5))
    turned = to_lps(Study({"t1": array}, geometry))
    np.testing.assert_array_equal(from_lps(turned.images["t1"], geometry), array)
    np.testing.assert_array_equal(from_lps(turned.images["t1"][None], geometry)[0], array)


@pytest.mark.parametrize("plane", PLANES)
def test_cutting_a_plane_and_back_is_exact(plane: Plane) -> None:
    array = voxels(0, (3, 4, 5))
    images = to_plane(Study({"t1": array}, Geometry((1.0, 1.0, 1.0))), plane)[0]
    np.testing.assert_array_equal(from_plane(images["t1"], plane), array)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("geometry", [*ORIENTATIONS, OBLIQUE], ids=lambda one: "-")
def test_a_map_comes_back_to_its_voxels(geometry: Geometry, plane: Plane) -> None:
    image = np.zeros((10, 12, 14), dtype=np.float32)
    image[3:6, 4:9, 5:8] = 1.0
    geometry = Geometry((1.0, 1.0, 1.0), geometry.origin, geometry.direction)
    framing = frame(
        Study({"t1": image}, geometry), ("t1",), size=14, plane=plane, rule=FramingRule(crop=False, normalise="unit")
    )
    back = from_squares(to_squares(framing), framing)
    assert back.shape == (1, *image.shape)
    np.testing.assert_array_equal(back[0] > 0.5, image > 0.5)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("geometry", ORIENTATIONS, ids=lambda one: "-")
def test_a_slice_knows_its_place_in_the_source(geometry: Geometry, plane: Plane) -> None:
    image = voxels(1, (5, 6, 7))
    framing = frame(Study({"t1": image}, geometry), ("t1",), size=16, plane=plane, rule=FramingRule(crop=False))
    for z in range(framing.shape[0]):
        axis, index = framing.source_slice(z)
        own = np.sort(np.take(image, index, axis=axis).ravel())
        np.testing.assert_array_equal(own, np.sort(framing.images["t1"][z].ravel()))


def test_outside_of_the_box_is_zero() -> None:
    fit, _ = fit_square(Box(2, 3, 6, 4), (1.0, 1.0), 12)
    back = resize_back(np.ones((12, 12), dtype=np.float32), fit, (10, 9))
    expected = np.zeros((10, 9))
    expected[2:8, 3:7] = 1
    np.testing.assert_allclose(back, expected)


def test_what_is_missing_stays_empty_and_is_named() -> None:
    framing = frame(Study({"flair": voxels(0)}), ("t1", "flair"), size=16)
    squares = to_squares(framing)
    assert framing.missing == ("t1",)
    assert not squares[:, 0].any()
    assert squares[:, 1].any()
    np.testing.assert_array_equal(to_squares(framing, [2])[0], squares[2])
    with pytest.raises(InputError, match="one of the modalities t2"):
        frame(Study({"flair": voxels(0)}), ("t2",), size=16)


def head(depth: int = 3, side: int = 60) -> np.ndarray:
    """A bright disc in the middle of the dark."""
    _, y, x = np.indices((depth, side, side))
    return np.where(np.hypot(y - side / 2, x - side / 2) < side / 4, 100, 0).astype(np.uint8)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 59), st.integers(0, 59), st.integers(1, 9), st.integers(1, 4)),
        max_size=5,
    ),
    st.sampled_from(PLANES),
    st.integers(16, 80),
)
def test_a_crop_never_cuts_a_mask(boxes: list[tuple[int, int, int, int, int]], plane: Plane, size: int) -> None:
    image = np.repeat(head(), 4, axis=0)
    mask = np.zeros(image.shape, np.uint8)
    for z, y, x, side, value in boxes:
        mask[4 * z : 4 * z + 3, y : y + side, x : x + side] = value
    study = Study({"t1": image}, Geometry((1.0, 1.0, 1.0)), mask, {1: "core", 2: "oedema", 3: "enhancing", 4: "cavity"})
    framing = frame(study, ("t1",), size=size, plane=plane, hold_mask=True)
    assert framing.mask is not None
    for z, layer in enumerate(framing.mask):
        for own in (framing, picture(framing, z, hold_mask=True)):
            tumour = resize_mask(layer, own.fit)
            assert ((tumour > 0) & (tumour < 4)).any() == ((layer > 0) & (layer < 4)).any()
    # At the scale of the scan itself not a voxel goes.
    box = framing.fit.box
    same = frame(study, ("t1",), size=max(box.height, box.width), plane=plane, hold_mask=True)
    kept = np.stack([resize_mask(layer, same.fit) for layer in framing.mask])
    assert np.bincount(kept.ravel(), minlength=5)[1:].tolist() == np.bincount(mask.ravel(), minlength=5)[1:].tolist()


def test_what_is_to_be_found_does_not_move_the_crop() -> None:
    image = head()
    mask = np.zeros(image.shape, np.uint8)
    mask[1, 2, 57] = 1  # far outside of the head
    blind = frame(Study({"t1": image}), ("t1",), size=32)
    asked = frame(Study({"t1": image}, None, mask, {1: "tumour"}), ("t1",), size=32)
    told = frame(Study({"t1": image}, None, mask, {1: "tumour"}), ("t1",), size=32, hold_mask=True)
    assert asked.fit == blind.fit == picture(told, 1).fit
    assert (asked.widened, told.widened) == (False, True)
    assert picture(told, 1, hold_mask=True).fit == told.fit
    assert picture(told, 0, hold_mask=True).fit == blind.fit
    assert told.fit.box == Box(
        2, blind.fit.box.left, blind.fit.box.top + blind.fit.box.height - 2, 58 - blind.fit.box.left
    )


def test_values_beyond_half_precision_are_brought_down_and_named() -> None:
    image = head().astype(np.float32)
    assert frame(Study({"t1": image}), ("t1",), size=32).clipped == ()
    image[0, 30, 30], image[1, 30, 30], image[1, 2, 2] = 1e9, np.inf, -np.inf
    for size in (60, 32, 100):  # as it is, shrunk, grown
        framing = frame(Study({"t1": image, "t2": head()}), ("t1", "t2"), size=size, rule=FramingRule(crop=False))
        squares = to_squares(framing)
        assert framing.clipped == ("t1",)
        assert np.isfinite(squares.astype(np.float16)).all()
    whole = frame(Study({"t1": image}), ("t1",), size=60, rule=FramingRule(crop=False))
    square = to_squares(whole)[:, 0]
    assert (square[0, 30, 30], square[1, 30, 30], square[1, 2, 2]) == (65504, 65504, -65504)
    assert square[2].max() == pytest.approx(1)
