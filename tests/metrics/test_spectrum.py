from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.metrics.spectrum import checkerboard_peak, spectral_slope


def noise(count: int = 12, shape: tuple[int, int] = (64, 64), slope: float = 0.0, seed: int = 0) -> np.ndarray:
    """Pictures in 0..1 whose power falls as frequency to the ``slope``."""
    draws = np.random.default_rng(seed).normal(size=(count, *shape))
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1]))
    frequency[0, 0] = np.inf
    shaped = np.fft.ifft2(np.fft.fft2(draws) * frequency ** (slope / 2)).real
    return 0.5 + 0.14 * shaped / shaped.std(axis=(1, 2), keepdims=True)


def heads(count: int = 10, side: int = 64) -> np.ndarray:
    down, right = (np.mgrid[:side, :side] - side / 2 + 0.5) * 64 / side
    inside = (down / 26) ** 2 + (right / 21) ** 2 < 1
    return np.clip(noise(count, (side, side), -2.2, 3), 0.1, 1) * inside


@pytest.mark.parametrize("slope", [0.0, -1.0, -2.0, -3.0])
@pytest.mark.parametrize("shape", [(64, 64), (96, 80), (65, 51)])
def test_slope_of_noise_of_a_known_spectrum(slope: float, shape: tuple[int, int]) -> None:
    found = spectral_slope(noise(12, shape, slope))
    assert found.shape == (12,)
    assert found.mean() == pytest.approx(slope, abs=0.12)


def test_the_ends_of_the_frame_add_no_power() -> None:
    # A piece of a larger picture does not go round: without a window the jumps at its ends leave about -3.
    pieces = noise(24, (192, 192), -4.0)[:, :64, :64]
    assert spectral_slope(pieces).mean() == pytest.approx(-4, abs=0.3)


def test_slope_does_not_depend_on_contrast_level_or_turning() -> None:
    images = noise(slope=-2.0)
    before = spectral_slope(images)
    assert np.allclose(spectral_slope(0.4 + 0.5 * (images - 0.5)), before, atol=0.05)
    assert np.allclose(spectral_slope(np.rot90(images, axes=(1, 2))), before, atol=0.05)


def test_blur_makes_the_slope_steeper_and_noise_less_steep() -> None:
    images = heads()
    before = spectral_slope(images)
    assert (spectral_slope(ndimage.gaussian_filter(images, (0, 0.8, 0.8))) < before - 0.5).all()
    grainy = images + np.random.default_rng(1).normal(0, 0.05, images.shape)
    assert (spectral_slope(grainy) > before + 0.2).all()


def test_the_peak_does_not_depend_on_turning_or_mirroring() -> None:
    images = heads()
    before = checkerboard_peak(images)
    for changed in (images[:, ::-1], images[:, :, ::-1], images.transpose(0, 2, 1)):
        # The window's middle lies between two pixels' mirror images: half a pixel is left.
        assert np.allclose(checkerboard_peak(changed), before, atol=0.1)


def test_nothing_stands_out_of_noise() -> None:
    peaks = checkerboard_peak(noise(60))
    assert abs(peaks.mean()) < 0.3  # the largest of three, each of a few frequencies
    assert np.abs(peaks).max() < 0.8


@pytest.mark.parametrize("pattern", ["checkerboard", "columns", "rows"])
@pytest.mark.parametrize("side", [64, 65, 128])
def test_two_per_cent_of_a_pattern_of_two_pixels_raises_the_peak(pattern: str, side: int) -> None:
    images = heads(10, side)
    down, right = np.mgrid[:side, :side]
    sign = {"checkerboard": down + right, "columns": right, "rows": down}[pattern] % 2 * 2 - 1
    before, after = checkerboard_peak(images), checkerboard_peak(images + 0.02 * sign * (images > 0))
    assert (after > before + 0.5).all()
    assert after.min() > before.max()
    # A pattern of another period is none of it.
    wide = np.where(right // 2 % 2, 1, -1) * 0.02 * (images > 0)
    assert np.abs(checkerboard_peak(images + wide) - before).max() < 0.4


def test_doubled_pixels_are_no_peak_but_bare_transposed_convolutions_are() -> None:
    # Zeros between pixels and a 3x3 kernel: even and odd pixels get different sums (Odena 2016).
    small = heads(6, 32)
    spread = np.zeros((6, 64, 64))
    spread[:, ::2, ::2] = small
    kernel = np.full((1, 3, 3), 4 / 9)
    uneven = ndimage.convolve(spread, kernel, mode="constant")
    even = ndimage.zoom(small, (1, 2, 2), order=1)
    assert (checkerboard_peak(np.clip(uneven, 0, 1)) > checkerboard_peak(even) + 1).all()


def test_flat_pictures_have_neither_and_do_not_disturb_the_others() -> None:
    images = heads(3)
    images[1] = 0.0
    for score in (spectral_slope, checkerboard_peak):
        found = score(images)
        assert np.isnan(found).tolist() == [False, True, False]
        assert np.allclose(found[[0, 2]], score(images[[0, 2]]))
        assert np.isnan(score(np.full((1, 64, 64), 0.3))).all()
        assert score(np.zeros((0, 64, 64))).shape == (0,)


def test_many_pictures_are_worked_on_in_blocks() -> None:
    images = np.concatenate([heads()] * 7)
    for score in (spectral_slope, checkerboard_peak):
        assert np.allclose(score(images)[60:], score(images[60:]))


@pytest.mark.parametrize("score", [spectral_slope, checkerboard_peak])
def test_pictures_that_are_too_small_are_refused(score: object) -> None:
    with pytest.raises(InputError, match="32 pixels"):
        score(np.zeros((2, 31, 64)))
    with pytest.raises(InputError, match=r"\(N, H, W\)"):
        score(np.zeros((64, 64)))
