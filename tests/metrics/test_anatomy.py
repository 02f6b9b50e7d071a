from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.metrics.anatomy import centre_to_edge, head_area, heads, left_right_asymmetry, lesion_descriptors

DOWN, RIGHT = np.mgrid[:64, :64].astype(float)


def disc(down: float = 31.5, right: float = 31.5, radius: float = 24.0) -> np.ndarray:
    return np.hypot(DOWN - down, RIGHT - right) < radius


def head(right: float = 31.5) -> np.ndarray:
    """A head that is symmetric about a column, brighter towards its front."""
    return disc(right=right) * (0.3 + 0.004 * DOWN + 0.2 * disc(26, right - 9, 5) + 0.2 * disc(26, right + 9, 5))


# --- heads ----------------------------------------------------------------------------------------------------


def test_heads_are_the_largest_region_without_holes() -> None:
    image = head()
    image[disc(40, 31.5, 4)] = 0  # a dark ventricle
    image[2:5, 2:5] = 0.9  # a letter burned into the corner
    assert np.array_equal(heads(image[None])[0], disc())
    assert head_area(image[None])[0] == disc().mean()


def test_slices_do_not_touch_one_another() -> None:
    stack = np.stack([disc(right=20, radius=10), disc(right=44, radius=10), np.zeros((64, 64)), disc(radius=30)]) * 0.5
    assert np.array_equal(heads(stack), stack > 0)
    for score in (head_area, left_right_asymmetry, centre_to_edge):
        assert np.array_equal(score(stack), np.concatenate([score(one[None]) for one in stack]), equal_nan=True)


def test_a_head_up_to_the_frame_has_its_holes_filled() -> None:
    image = np.full((64, 64), 0.5)
    image[20:30, 20:30] = 0
    assert head_area(image[None])[0] == 1
    image[20:30, 30:] = 0  # now it opens to the frame
    assert head_area(image[None])[0] == pytest.approx(1 - 10 * 44 / 4096)


# --- symmetry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", [31.5, 27.0, 38.5])
def test_a_symmetric_head_is_symmetric_wherever_it_lies(right: float) -> None:
    assert left_right_asymmetry(head(right)[None])[0] == pytest.approx(0, abs=1e-9)


def test_what_is_on_one_side_only_counts_and_upper_and_lower_do_not() -> None:
    dark, top = head(), head()
    dark[disc(30, 42, 6)] = 0.05
    top[disc(14, 31.5, 6)] = 0.05
    found = left_right_asymmetry(np.stack([head(), dark, top]))
    assert found[1] > 0.01 > abs(found[2])
    assert np.allclose(left_right_asymmetry(dark[None, :, ::-1]), found[1], atol=0.02)
    larger = head()
    larger[disc(30, 42, 9)] = 0.05
    assert left_right_asymmetry(larger[None])[0] > found[1]


def test_noise_is_smoothed_away() -> None:
    noisy = head() + disc() * np.random.default_rng(0).normal(0, 0.05, (64, 64))
    assert left_right_asymmetry(np.clip(noisy, 0.03, 1)[None] * disc())[0] < 0.02


# --- shading --------------------------------------------------------------------------------------------------


def test_rings_of_a_disc_are_rings() -> None:
    radius = np.hypot(DOWN - 31.5, RIGHT - 31.5)
    found = centre_to_edge((disc() * (1 - radius / 30))[None], rings=6)
    # Mean radius of a ring a..b of a disc is 2/3 (b^3 - a^3) / (b^2 - a^2).
    ends = np.arange(7) / 6 * 24
    expected = 1 - 2 / 3 * np.diff(ends**3) / np.diff(ends**2) / 30
    assert found.shape == (1, 6)
    assert np.allclose(found[0], expected, atol=0.03)
    assert (np.diff(found[0]) < 0).all()


def test_rings_follow_the_shape_of_the_head() -> None:
    box = np.zeros((64, 64))
    box[10:50, 10:40] = 0.2
    box[10:13, 10:40] = box[47:50, 10:40] = box[10:50, 10:13] = box[10:50, 37:40] = 0.9
    found = centre_to_edge(box[None], rings=5)[0]
    assert found[-1] == pytest.approx(0.9)
    assert found[0] == pytest.approx(0.2)


def test_a_thin_head_leaves_rings_empty() -> None:
    line = np.zeros((1, 64, 64))
    line[0, 30:33] = 0.4
    found = centre_to_edge(line, rings=8)[0]
    assert found[0] == pytest.approx(0.4)
    assert np.isnan(found).sum() == 6
    with pytest.raises(InputError, match="1 ring"):
        centre_to_edge(line, rings=0)


def test_blank_pictures_have_no_head() -> None:
    blank = np.zeros((2, 64, 64))
    assert head_area(blank).tolist() == [0, 0]
    assert np.isnan(left_right_asymmetry(blank)).all()
    assert np.isnan(centre_to_edge(blank)).all()
    assert not heads(blank).any()
    none = blank[:0]
    assert (head_area(none).shape, left_right_asymmetry(none).shape) == ((0,), (0,))
    assert centre_to_edge(none).shape == (0, 8)
    for score in (heads, head_area, left_right_asymmetry, centre_to_edge):
        with pytest.raises(InputError, match=r"\(N, H, W\)"):
            score(blank[0])


# --- lesions --------------------------------------------------------------------------------------------------


def described(image: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    return {name: float(values[0]) for name, values in lesion_descriptors(image[None], mask[None]).items()}


def test_lesion_by_hand() -> None:
    image, mask = disc() * 0.3, np.zeros((64, 64), bool)
    mask[20:26, 40:50] = True
    image[mask] = np.where(RIGHT[mask] % 2, 0.6, 0.8)
    found = described(image, mask)
    box = 48.0  # of the head: pixels 8..55
    assert disc().any(axis=0).sum() == box
    assert found["area"] == pytest.approx(60 / disc().sum())
    assert found["right"] == pytest.approx((44.5 - 31.5) / (box / 2))
    assert found["down"] == pytest.approx((22.5 - 31.5) / (box / 2))
    assert found["contrast"] == pytest.approx(0.7 - 0.3)
    assert found["texture"] == pytest.approx(0.1)
    # Moments of a rectangle a x b: (a^2 + b^2) / 12.
    assert found["roundness"] == pytest.approx(60 / (2 * np.pi * (36 + 100) / 12))
    assert found["parts"] == 1


def test_position_does_not_depend_on_where_the_head_lies() -> None:
    image, mask = disc() * 0.3, disc(25, 40, 5)
    moved = described(np.roll(image, (4, -6), (0, 1)), np.roll(mask, (4, -6), (0, 1)))
    assert moved == pytest.approx(described(image, mask))


def test_the_surrounding_ring_stays_within_the_head() -> None:
    image, mask = disc() * 0.3, disc(31.5, 50, 7) & disc()
    image[mask] = 0.5
    assert described(image, mask)["contrast"] == pytest.approx(0.2)  # with air in the ring it would be more


def test_roundness_and_parts() -> None:
    image = disc() * 0.3
    assert described(image, disc(30, 30, 9))["roundness"] == pytest.approx(1, abs=0.01)
    two = disc(30, 20, 5) | disc(30, 42, 5)
    assert described(image, two)["parts"] == 2
    assert described(image, two)["roundness"] < 0.3
    long = (np.abs(DOWN - 31) < 2) & (np.abs(RIGHT - 31) < 12)
    assert described(image, long)["roundness"] < 0.4
    corner = np.zeros((64, 64), bool)
    corner[30, 30] = corner[31, 31] = True  # joined by a corner
    assert described(image, corner)["parts"] == 1


def test_a_blurred_boundary_is_less_sharp() -> None:
    mask = disc(31.5, 31.5, 10)
    sharp = disc() * 0.3 + mask * 0.4
    found = [described(ndimage.gaussian_filter(sharp, sigma), mask)["sharpness"] for sigma in (0, 1, 2, 4)]
    # Central differences see half of a step on both sides of it, and at a slant half along both axes.
    assert 0.2 < found[0] < 0.2 * np.sqrt(2)
    assert (np.diff(found) < 0).all()


def test_pictures_without_a_lesion_or_head_are_nan() -> None:
    image, mask = disc() * 0.3, disc(25, 40, 5)
    found = lesion_descriptors(np.stack([image, image, 0 * image]), np.stack([mask, 0 * mask, mask]))
    for name, values in found.items():
        assert values.shape == (3,)
        assert np.isfinite(values[0]), name
        assert np.isnan(values[1]), name
        assert np.isnan(values[2]) == (name in {"area", "right", "down", "contrast"}), name
    assert np.array_equal(found["parts"][[0, 2]], [1, 1])
    nothing = lesion_descriptors(np.zeros((0, 64, 64)), np.zeros((0, 64, 64)))
    assert all(values.shape == (0,) for values in nothing.values())
    with pytest.raises(InputError, match="one shape"):
        lesion_descriptors(image[None], mask[None, :32])


def test_a_lesion_does_not_depend_on_its_company() -> None:
    draws = np.random.default_rng(0)
    images = np.stack([disc() * draws.uniform(0.2, 0.6, (64, 64)) for _ in range(5)] * 30)
    masks = np.stack([disc(*draws.uniform(24, 40, 2), draws.uniform(0, 8)) for _ in range(150)])
    together = lesion_descriptors(images, masks)
    for place in (0, 127, 128, 149):
        alone = lesion_descriptors(images[place][None], masks[place][None])
        for name, values in alone.items():
            assert np.allclose(together[name][place], values[0], equal_nan=True), name
