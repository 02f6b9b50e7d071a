"""Squares and back: whatever way a grid lies, a map comes back to the voxels that it was made from."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from synthoma.data.case import Geometry, Study
from synthoma.data.preprocessing import Box, fit_square, from_lps, from_plane, resize_back, to_lps, to_plane
from synthoma.data.squares import frame, from_squares, to_squares
from synthoma.errors import InputError
from synthoma.types import Plane
from tests.data.writers import OBLIQUE, voxels

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
    framing = frame(Study({"t1": image}, geometry), ("t1",), size=14, plane=plane, crop=False, normalise="unit")
    back = from_squares(to_squares(framing), framing)
    assert back.shape == (1, *image.shape)
    np.testing.assert_array_equal(back[0] > 0.5, image > 0.5)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("geometry", ORIENTATIONS, ids=lambda one: "-")
def test_a_slice_knows_its_place_in_the_source(geometry: Geometry, plane: Plane) -> None:
    image = voxels(1, (5, 6, 7))
    framing = frame(Study({"t1": image}, geometry), ("t1",), size=16, plane=plane, crop=False)
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
