"""Scans whose background is not their darkest value: z-scores within the brain, with 0 around it."""

from __future__ import annotations

import numpy as np
import pytest

from synthoma.cohorts.arrays import scaled
from synthoma.cohorts.squares import FramingRule, frame, to_squares
from synthoma.scans.case import Geometry, Study
from synthoma.scans.intensity import floor_of, lifted, with_dark_background

GEOMETRY = Geometry((1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def stripped() -> np.ndarray:
    """A ball of tissue from 200 to 800, 0 around it: (6, 40, 48)."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[-3:3, -20:20, -24:24]
    brain = (z / 4) ** 2 + (y / 16) ** 2 + (x / 18) ** 2 < 1
    return np.where(brain, rng.uniform(200, 800, brain.shape), 0).astype(np.float32)


def z_scored(image: np.ndarray) -> np.ndarray:
    brain = image > 0
    return np.where(brain, (image - image[brain].mean()) / image[brain].std(), 0).astype(np.float32)


def test_z_scores_within_the_brain_are_framed_as_the_scan_itself(stripped: np.ndarray) -> None:
    framings = [frame(Study({"flair": one}, GEOMETRY), ("flair",), size=32) for one in (stripped, z_scored(stripped))]
    plain, scored = (to_squares(one) for one in framings)
    assert framings[0].fit == framings[1].fit
    assert (scored[plain < 0.01] < 0.03).all()  # air stays air
    # The darkest tissue is taken for no signal, so tissue from .25 to 1 comes to lie from 0 to 1.
    inside = plain > 0.3
    assert np.corrcoef(plain[inside], scored[inside])[0, 1] > 0.99
    assert np.median(scored[inside]) > 0.35


@pytest.mark.parametrize("change", ["none", "scanner", "shifted", "overshoot", "uint8", "not a number"])
def test_other_images_are_left_as_they_are(stripped: np.ndarray, change: str) -> None:
    image = {
        "none": stripped,
        "scanner": stripped.astype(np.int16),
        "shifted": stripped - 1000,  # its background is its darkest value
        "overshoot": np.where(stripped == 0, 0, stripped)
        - np.float32(2) * (np.arange(stripped.size) == 5).reshape(stripped.shape),
        "uint8": (stripped / 4).astype(np.uint8),
        "not a number": np.where(stripped == 0, np.nan, stripped - 500),
    }[change]
    assert with_dark_background(image) is image


def test_values_that_are_kept_stay(stripped: np.ndarray) -> None:
    image = z_scored(stripped)
    rule = FramingRule(crop=False, normalise="kept")
    framing = frame(Study({"flair": image}, GEOMETRY), ("flair",), size=48, rule=rule)
    np.testing.assert_array_equal(framing.images["flair"], image)


def test_lifting_by_hand() -> None:
    image = np.array([0.0, 0, 0, -2, -1, 3], np.float32)
    np.testing.assert_array_equal(lifted(image, -2.0), [0, 0, 0, 0, 1, 5])
    tissue = np.array([-2.0, -1, 0, 1, 2, 3], np.float32)
    np.testing.assert_array_equal(lifted(tissue, -2.0), [0, 1, 2, 3, 4, 5])  # one 0 is tissue
    assert floor_of(np.linspace(-1, 1, 1001)) == pytest.approx(-0.998)
    assert floor_of(np.array([0, 5, 9], np.uint16)) is None
    assert floor_of(np.array([-np.inf, 1.0, 2.0])) is None


def test_arrays_of_z_scores_have_air_at_0_too(stripped: np.ndarray) -> None:
    stack = z_scored(stripped)[:, None, :40, :40]
    found = scaled(stack, ["one"] * len(stack), normalise=True)
    air = stack == 0
    assert np.abs(found[air]).max() < 0.02
    assert np.median(found[~air]) > 0.35
