from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthoma.core.errors import InputError
from synthoma.metrics.distances import (
    frechet_distance,
    frechet_infinity,
    intensity_distances,
    kernel_distance,
    sliced_wasserstein,
)


def normal(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


# --- kernel distance ------------------------------------------------------------------------------------------


def test_kernel_distance_by_hand() -> None:
    real, synthetic = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 2.0], [2.0, 2.0]])
    # (x.y / 2 + 1)^3: among real 1; among synthetic (2 + 1)^3; between 1, 1, 1 and (2 + 1)^3.
    assert kernel_distance(real=real, synthetic=synthetic) == pytest.approx(1 + 27 - 2 * (1 + 1 + 1 + 27) / 4)


def test_kernel_distance_leaves_the_diagonal_out() -> None:
    real = np.array([[4.0], [0.0], [0.0]])
    # With its diagonal the first term would hold (16 + 1)^3.
    assert kernel_distance(real=real, synthetic=np.zeros((3, 1))) == pytest.approx(1 + 1 - 2)


def test_kernel_distance_of_halves_is_zero_on_average() -> None:
    values = []
    for seed in range(200):
        part = normal(40, 6, seed)
        values.append(kernel_distance(real=part[:20], synthetic=part[20:]))
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    assert min(values) < 0 < max(values)
    # A biased estimate would be off by about 2 (E k(x, x) - E k(x, y)) / 20, far more than the error of the mean.
    assert error < 0.5


def test_kernel_distance_finds_a_shift_and_does_not_care_who_is_first() -> None:
    real, synthetic = normal(60, 6, 1), normal(50, 6, 2) + 1.0
    distance = kernel_distance(real=real, synthetic=synthetic)
    assert distance > 10 * abs(kernel_distance(real=real[:30], synthetic=real[30:]))
    assert distance == pytest.approx(kernel_distance(real=synthetic, synthetic=real))


# --- Fréchet distance -----------------------------------------------------------------------------------------


def test_frechet_distance_of_a_shift_is_its_square() -> None:
    real, step = normal(300, 5), np.array([1.0, -2.0, 0.0, 0.5, 3.0])
    assert frechet_distance(real=real, synthetic=real + step) == pytest.approx(step @ step, rel=1e-9)


def test_frechet_distance_of_a_stretch() -> None:
    real = normal(300, 4)
    real -= real.mean(axis=0)
    # C2 = 9 C1: tr(C1 + 9 C1 - 2 * 3 C1) = 4 tr C1.
    expected = 4 * np.trace(np.cov(real, rowvar=False))
    assert frechet_distance(real=real, synthetic=3 * real) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_against_the_general_matrix_root() -> None:
    from scipy import linalg

    real, synthetic = normal(100, 4, 1) @ normal(4, 4, 2), normal(80, 4, 3) @ normal(4, 4, 4)
    first, second = np.cov(real, rowvar=False), np.cov(synthetic, rowvar=False)
    difference = real.mean(axis=0) - synthetic.mean(axis=0)
    root = linalg.sqrtm(first @ second).real
    expected = difference @ difference + np.trace(first + second - 2 * root)
    assert frechet_distance(real=real, synthetic=synthetic) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(real=synthetic, synthetic=real) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_equal_sets_and_of_single_features() -> None:
    real = normal(30, 60)  # fewer images than features
    assert frechet_distance(real=real, synthetic=real) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(real=np.array([[0.0], [2.0]]), synthetic=np.array([[3.0], [5.0]])) == pytest.approx(9)


# --- against torch-fidelity -----------------------------------------------------------------------------------

# torch-fidelity 0.4.0 (torch 2.13.0, numpy 2.4.6) on the float64 features of `stretched`:
#   fid_statistics_to_metric(fid_features_to_statistics(real), fid_features_to_statistics(synthetic), verbose=False)
#   kid_features_to_metric(real, synthetic, kid_subsets=1, kid_subset_size=count, verbose=False)
GOLDEN = [
    (200, 64, 11, 1.0, 37.48771660068938, 1.653931890559181),
    (60, 5, 12, 1.0, 3.5274066592687703, 4.368254855832252),
    (500, 54, 13, 0.3, 6.356674870910211, 0.10420584939849142),
]


def stretched(count: int, width: int, seed: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    real, synthetic = draws.normal(size=(count, width)), draws.normal(size=(count, width))
    return real, synthetic * np.linspace(0.8, 1.3, width) + shift * np.linspace(-1, 1, width)


@pytest.mark.parametrize(("count", "width", "seed", "shift", "frechet", "kernel"), GOLDEN)
def test_both_distances_are_those_of_torch_fidelity(
    count: int, width: int, seed: int, shift: float, frechet: float, kernel: float
) -> None:
    real, synthetic = stretched(count, width, seed, shift)
    assert frechet_distance(real=real, synthetic=synthetic) == pytest.approx(frechet, rel=1e-9)
    assert kernel_distance(real=real, synthetic=synthetic) == pytest.approx(kernel, rel=1e-9)


# --- Fréchet distance without its bias ------------------------------------------------------------------------


def test_frechet_infinity_of_equal_gaussians_is_about_zero() -> None:
    # The plain distance of 500 + 500 vectors of 64 features is about 4.4 where the truth is 0.
    found = [frechet_infinity(real=normal(500, 64, i), synthetic=normal(500, 64, 100 + i)) for i in range(4)]
    plain = [frechet_distance(real=normal(500, 64, i), synthetic=normal(500, 64, 100 + i)) for i in range(4)]
    assert np.mean(plain) > 4
    assert abs(np.mean(found)) < 0.3
    assert np.abs(found).max() < 0.8


@pytest.mark.parametrize(("first", "second"), [(500, 500), (800, 300)])
def test_frechet_infinity_of_shifted_and_stretched_gaussians(first: int, second: int) -> None:
    step, stretch = np.linspace(-0.5, 0.5, 32), np.linspace(0.8, 1.4, 32)
    expected = step @ step + ((stretch - 1) ** 2).sum()
    pairs = [(normal(first, 32, i), normal(second, 32, 100 + i) * stretch + step) for i in range(6)]
    found = np.mean([frechet_infinity(real=real, synthetic=synthetic) for real, synthetic in pairs])
    plain = np.mean([frechet_distance(real=real, synthetic=synthetic) for real, synthetic in pairs])
    assert found == pytest.approx(expected, abs=0.25)
    assert plain > expected + 0.8


def test_frechet_infinity_is_a_function_of_its_seed_and_needs_images() -> None:
    sides = {"real": normal(60, 5, 1), "synthetic": normal(60, 5, 2)}
    assert frechet_infinity(**sides, seed=3) == frechet_infinity(**sides, seed=3)
    assert frechet_infinity(**sides, seed=3) != frechet_infinity(**sides, seed=4)
    assert np.isfinite(frechet_infinity(real=normal(4, 54), synthetic=normal(4, 54, 1)))
    with pytest.raises(InputError, match="at least 4 images"):
        frechet_infinity(real=normal(3, 5), synthetic=normal(9, 5))
    with pytest.raises(InputError, match="2 points"):
        frechet_infinity(**sides, points=1)


# --- sliced Wasserstein ---------------------------------------------------------------------------------------


def test_sliced_wasserstein_of_a_shift() -> None:
    real, step = normal(50, 8), np.full(8, 0.5)
    distance = sliced_wasserstein(real=real, synthetic=real + step, projections=20_000)
    assert distance == pytest.approx((step @ step / 8) ** 0.5, rel=0.025)


def test_sliced_wasserstein_is_a_distance_not_its_square() -> None:
    """Three times as far is three times as much; the Frechet distance is a square, as everywhere in the field."""
    real, step = normal(60, 4), np.array([1.0, 0.0, 0.0, 0.0])
    near, far = (sliced_wasserstein(real=real, synthetic=real + much * step) for much in (1, 3))
    assert far == pytest.approx(3 * near)
    assert frechet_distance(real=real, synthetic=real + 3 * step) == pytest.approx(9)


def test_sliced_wasserstein_in_one_dimension_by_hand() -> None:
    real, synthetic = np.array([[0.0], [1.0], [5.0]]), np.array([[2.0], [0.0], [9.0]])
    assert sliced_wasserstein(real=real, synthetic=synthetic) == pytest.approx(((0 + 1 + 16) / 3) ** 0.5)


def test_sliced_wasserstein_of_unequal_numbers() -> None:
    real, step = normal(20, 4), np.array([1.0, 0.0, 0.0, 0.0])
    twice = np.repeat(real + step, 3, axis=0)
    same = sliced_wasserstein(real=real, synthetic=real + step)
    assert sliced_wasserstein(real=real, synthetic=twice) == pytest.approx(same)
    assert sliced_wasserstein(real=twice, synthetic=real) == pytest.approx(same)
    assert sliced_wasserstein(real=real, synthetic=np.repeat(real, 2, axis=0)) == pytest.approx(0, abs=1e-12)
    assert sliced_wasserstein(real=np.array([[0.0], [1.0]]), synthetic=np.array([[3.0]])) == pytest.approx(
        ((9 + 4) / 2) ** 0.5
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 30), st.integers(2, 30))
def test_distances_ignore_order(seed: int, first: int, second: int) -> None:
    draws = np.random.default_rng(seed)
    real, synthetic = draws.normal(size=(first, 3)), draws.normal(size=(second, 3))
    shuffled = {"real": draws.permutation(real), "synthetic": draws.permutation(synthetic)}
    for distance in (kernel_distance, frechet_distance, sliced_wasserstein):
        assert distance(**shuffled) == pytest.approx(distance(real=real, synthetic=synthetic), rel=1e-7, abs=1e-7)


# --- grey values ----------------------------------------------------------------------------------------------


def test_intensity_distances_by_hand() -> None:
    found = intensity_distances(real=np.array([0.0, 0.2]), synthetic=np.array([0.1, 0.7]))
    assert found["wasserstein_1"] == pytest.approx((0.1 + 0.5) / 2)
    assert found["kolmogorov_smirnov"] == pytest.approx(0.5)
    with pytest.raises(InputError, match="empty side"):
        intensity_distances(real=np.array([]), synthetic=np.array([0.1]))


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [kernel_distance, frechet_distance, sliced_wasserstein])
def test_unlike_or_absent_features_are_refused(distance: object) -> None:
    with pytest.raises(InputError, match="one extractor"):
        distance(real=normal(4, 3), synthetic=normal(4, 2))
    with pytest.raises(InputError, match="images on each side"):
        distance(real=normal(4, 3), synthetic=normal(0, 3))
    with pytest.raises(TypeError):
        distance(normal(4, 3), normal(4, 3))


@pytest.mark.parametrize("distance", [kernel_distance, frechet_distance, sliced_wasserstein])
@pytest.mark.parametrize("count", [2, 10, 50])
def test_small_sets_work(distance: object, count: int) -> None:
    assert np.isfinite(distance(real=normal(count, 54, 1), synthetic=normal(count, 54, 2)))
