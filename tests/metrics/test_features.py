from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from synthoma.metrics.features import (
    _wavelet_block,
    feature_names,
    random_features,
    standard_images,
    standardised,
    wavelet_features,
)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Textured heads (7, 64, 64) in 0..1."""
    draws = np.random.default_rng(0)
    grid = np.mgrid[:64, :64] - 31.5
    head = (grid**2).sum(axis=0) < 26**2
    texture = [ndimage.gaussian_filter(draws.normal(size=(64, 64)), 1.5) * 3 for _ in range(7)]
    return np.clip(np.stack(texture) * 0.15 + 0.5, 0, 1) * head


@pytest.mark.slow
@pytest.mark.parametrize("extract", [wavelet_features, random_features])
def test_an_image_does_not_depend_on_its_company(images: np.ndarray, extract: object) -> None:
    together = extract(np.concatenate([images] * 60))  # more than one block
    assert together.dtype == np.float64
    for row in (0, 3, 300):
        assert np.allclose(extract(images[row % 7][None])[0], together[row], rtol=1e-4, atol=1e-5)
    assert np.array_equal(extract(images), extract(images))


def test_wavelet_columns_have_names(images: np.ndarray) -> None:
    features = wavelet_features(images)
    assert features.shape == (7, 54)
    assert len(feature_names()) == len(set(feature_names())) == 54
    columns = dict(zip(feature_names(), features.T, strict=True))
    shares = np.stack([columns[f"histogram {i + 1}/16"] for i in range(16)]) ** 2
    assert np.allclose(shares.sum(axis=0), 1, atol=1e-5)
    assert np.allclose(columns["mean of approximation"] / 16, images.mean(axis=(1, 2)), atol=0.05)


def test_blur_takes_energy_from_the_fine_bands(images: np.ndarray) -> None:
    blurred = ndimage.gaussian_filter(images, (0, 1.5, 1.5))
    before, after = wavelet_features(images), wavelet_features(blurred)
    for name, old, new in zip(feature_names(), before.T, after.T, strict=True):
        if name.startswith(("log mean of", "log deviation of")) and name.endswith("level 1"):
            assert (new < old - 0.5).all(), name


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_constant_image_has_finite_features(value: float) -> None:
    flat = np.full((2, 64, 64), value)
    assert np.isfinite(wavelet_features(flat)).all()
    assert np.isfinite(random_features(flat)).all()


@pytest.mark.parametrize("size", [16, 32, 64, 96, 128, 256])
def test_any_size_works_and_8_bits_are_not_told_apart(size: int) -> None:
    draws = np.random.default_rng(1)
    smooth = np.clip(ndimage.gaussian_filter(draws.random((3, size, size)), (0, size / 16, size / 16)) * 1.2, 0, 1)
    assert wavelet_features(smooth).shape == (3, 54)
    stored = (smooth * 255).round() / 255
    if size == 64:
        assert np.array_equal(random_features(smooth), random_features(stored))
    assert standard_images(smooth).shape == (3, 1, 64, 64)


def daubechies() -> tuple[np.ndarray, np.ndarray]:
    """The filter that has the properties tested below, and its mirror."""
    root = np.sqrt(3.0)
    low = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * np.sqrt(2.0))
    return low, low[::-1] * np.array([1, -1, 1, -1])


def test_the_filter_is_daubechies_two() -> None:
    low, high = daubechies()
    assert low.sum() == pytest.approx(np.sqrt(2))
    assert (low @ low, high @ high) == (pytest.approx(1), pytest.approx(1))
    assert low[2:] @ low[:2] == pytest.approx(0, abs=1e-12)  # shifted by two it is orthogonal to itself
    assert [low @ high, low[2:] @ high[:2], low[:2] @ high[2:]] == pytest.approx([0, 0, 0], abs=1e-12)
    assert [high.sum(), high @ np.arange(4)] == pytest.approx([0, 0], abs=1e-12)  # two vanishing moments


def test_one_level_equals_a_sum_over_pixels() -> None:
    image = np.random.default_rng(2).random((64, 64)).astype(np.float32)
    low, high = daubechies()
    padded = np.pad(image, 1, mode="reflect")
    bands = {}
    for name, down, right in (("horizontal", low, high), ("vertical", high, low), ("diagonal", high, high)):
        band = np.zeros((32, 32))
        for i in range(32):
            for j in range(32):
                band[i, j] = down @ padded[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] @ right
        bands[name] = band
    columns = dict(zip(feature_names(), _wavelet_block(torch.from_numpy(image)[None, None])[0].tolist(), strict=True))
    for name, band in bands.items():
        assert columns[f"log mean of {name} level 1"] == pytest.approx(np.log(np.abs(band).mean() + 1e-5), rel=1e-4)
        assert columns[f"log deviation of {name} level 1"] == pytest.approx(np.log(band.std() + 1e-5), rel=1e-4)
        kurtosis = ((band - band.mean()) ** 4).mean() / band.var() ** 2
        assert columns[f"kurtosis of {name} level 1"] == pytest.approx(np.log(kurtosis + 1e-3), rel=1e-3)


def test_random_features_are_a_function_of_their_seed(images: np.ndarray) -> None:
    torch.manual_seed(1)
    first = random_features(images)
    torch.manual_seed(2)
    assert np.array_equal(first, random_features(images))
    assert first.shape == (7, 256)
    assert not np.allclose(first, random_features(images, seed=1))


def test_standardised_features_keep_the_distances_of_z_scores() -> None:
    draws = np.random.default_rng(3)
    reference = draws.normal(size=(80, 10)) @ draws.normal(size=(10, 10)) + 5
    other = draws.normal(size=(30, 10)) * 2
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    ours, theirs = standardised(reference, other)
    assert np.allclose(ours.mean(axis=0), 0, atol=1e-9)
    assert ours.var(axis=0).sum() == pytest.approx(10)  # unit variance each, before the turn to principal axes
    assert (np.diff(ours.var(axis=0)) <= 1e-9).all()
    expected = np.linalg.norm((reference[:30] - other) / deviation, axis=1)
    assert np.allclose(np.linalg.norm(ours[:30] - theirs, axis=1), expected)
    assert np.allclose(np.linalg.norm(theirs, axis=1), np.linalg.norm((other - mean) / deviation, axis=1))


def test_features_that_real_images_do_not_vary_in_say_nothing() -> None:
    reference = np.random.default_rng(4).normal(size=(20, 3))
    reference[:, 1] = 7.0
    changed = reference.copy()
    changed[:, 1] = 1e6
    ours, theirs = standardised(reference, changed)
    assert np.allclose(ours, theirs)
    assert np.isfinite(standardised(np.ones((1, 3)))[0]).all()


def test_few_components_are_the_widest_ones() -> None:
    draws = np.random.default_rng(5)
    one = draws.normal(size=(100, 1))
    reference = np.concatenate([one + 0.1 * draws.normal(size=(100, 4)), draws.normal(size=(100, 1))], axis=1)
    (kept,) = standardised(reference, components=1)
    assert kept.shape == (100, 1)
    assert abs(np.corrcoef(kept[:, 0], one[:, 0])[0, 1]) > 0.95
