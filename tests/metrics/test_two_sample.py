from __future__ import annotations

import time

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.metrics.two_sample import area, logistic_regression, shared_ranks, two_sample_auc


def normal(count: int, width: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


def patients(count: int, slices: int, width: int = 64, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Slices that are far more like others of their patient than like anyone else's."""
    draws = np.random.default_rng(seed)
    centres = np.repeat(draws.normal(size=(count, width)), slices, axis=0)
    return centres + 0.1 * draws.normal(size=centres.shape), [f"{seed}-{i // slices}" for i in range(count * slices)]


def test_equal_distributions_cannot_be_told_apart() -> None:
    found = [
        two_sample_auc(real=normal(150, 20, 2 * i), synthetic=normal(150, 20, 2 * i + 1), real_groups=range(150))
        for i in range(12)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)
    assert np.std(found) < 0.08


def test_a_shift_is_told_by_its_size() -> None:
    real = normal(400)
    values = [
        two_sample_auc(real=real, synthetic=normal(400, 20, 1) + shift, real_groups=range(400))
        for shift in (0, 0.1, 0.3, 1.0)
    ]
    assert (np.diff(values) > 0).all()
    assert values[-1] > 0.999
    # The best linear rule for a shift of all 20 features: area Phi(|shift| sqrt(20) / sqrt(2)) = 0.829 for 0.3.
    assert values[2] == pytest.approx(0.829, abs=0.05)


def test_scale_of_features_and_constant_ones_do_not_matter() -> None:
    real, synthetic = normal(200), normal(200, 20, 1) + 0.3
    before = two_sample_auc(real=real, synthetic=synthetic, real_groups=range(200))
    scale = 10.0 ** np.linspace(-4, 4, 20)
    after = two_sample_auc(real=real * scale + 3, synthetic=synthetic * scale + 3, real_groups=range(200))
    assert after == pytest.approx(before, abs=1e-3)
    real[:, 4] = synthetic[:, 4] = 7.0
    assert 0.6 < two_sample_auc(real=real, synthetic=synthetic, real_groups=range(200)) < 1


@pytest.mark.slow
def test_knowing_a_patient_does_not_raise_it() -> None:
    careful, careless = [], []
    for seed in range(5):
        real, names = patients(20, 20, seed=2 * seed)
        synthetic, others = patients(20, 20, seed=2 * seed + 1)
        sides = {"real": real, "synthetic": synthetic}
        careful.append(two_sample_auc(**sides, real_groups=names, synthetic_groups=others))
        careless.append(two_sample_auc(**sides, real_groups=range(400), synthetic_groups=range(400, 800)))
    assert np.mean(careful) < 0.58
    assert np.mean(careless) > 0.95


def test_a_name_on_both_sides_is_one_group() -> None:
    # Synthetic slices made from a patient's own carry a flaw that differs from patient to patient.
    real, names = patients(20, 20)
    flaws = np.repeat(0.5 * normal(20, 64, 9), 20, axis=0)
    apart = [f"copy of {name}" for name in names]
    together = two_sample_auc(real=real, synthetic=real + flaws, real_groups=names, synthetic_groups=names)
    separate = two_sample_auc(real=real, synthetic=real + flaws, real_groups=names, synthetic_groups=apart)
    assert 0.2 < together < 0.75
    assert together != separate


@pytest.mark.parametrize("count", [40, 900])
def test_unequal_numbers_do_not_matter(count: int) -> None:
    equal = [
        two_sample_auc(real=normal(300, 10, i), synthetic=normal(count, 10, i + 50), real_groups=range(300))
        for i in range(6)
    ]
    assert np.mean(equal) == pytest.approx(0.5, abs=0.05)
    real, names = patients(9, 30, 10)
    shifted = real[: 5 * 30] + 3.0
    assert two_sample_auc(real=real, synthetic=shifted, real_groups=names, synthetic_groups=names[:150]) > 0.9


def test_ranks_by_hand() -> None:
    scores, made = np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1])
    # Shares below, ties half: of real 1/4, 3/4, 3/4, 1; of synthetic 0, 1/4, 1/4, 3/4.
    assert shared_ranks(scores, made) == pytest.approx([1 / 8, 1 / 2, 1 / 2, 7 / 8])
    # Neither the level of the scores nor more of one side changes them.
    assert shared_ranks(np.exp(5 * scores) - 40, made) == pytest.approx(shared_ranks(scores, made))
    assert shared_ranks(np.repeat(scores, [3, 3, 1, 1]), np.repeat(made, [3, 3, 1, 1]))[-2:] == pytest.approx(
        [1 / 2, 7 / 8]
    )


def test_few_groups_mean_few_folds() -> None:
    real, synthetic = normal(60, 5), normal(60, 5, 1) + 3
    two = ["a"] * 55 + ["b"] * 5
    assert two_sample_auc(real=real, synthetic=synthetic, real_groups=two) > 0.98
    assert two_sample_auc(real=real[:2], synthetic=synthetic[:2], real_groups="ab") in (0.0, 0.5, 1.0)


def test_folds_are_a_function_of_the_seed() -> None:
    sides = {"real": normal(100), "synthetic": normal(100, 20, 1), "real_groups": range(100)}
    assert two_sample_auc(**sides, seed=1) == two_sample_auc(**sides, seed=1)
    assert two_sample_auc(**sides, seed=1) != two_sample_auc(**sides, seed=2)


def test_it_is_fast() -> None:
    start = time.perf_counter()
    two_sample_auc(real=normal(500, 64), synthetic=normal(500, 64, 1), real_groups=range(500))
    assert time.perf_counter() - start < 5  # about 0.1 s on an idle core


def test_what_does_not_fit_is_refused() -> None:
    real = normal(10)
    with pytest.raises(InputError, match="one extractor"):
        two_sample_auc(real=real, synthetic=real[:, :3], real_groups=range(10))
    with pytest.raises(InputError, match="one group for each image"):
        two_sample_auc(real=real, synthetic=real, real_groups=range(9))
    with pytest.raises(InputError, match="2 groups"):
        two_sample_auc(real=real, synthetic=real, real_groups=["a"] * 10)
    with pytest.raises(InputError, match="2 folds"):
        two_sample_auc(real=real, synthetic=real, real_groups=range(10), folds=1)
    with pytest.raises(TypeError):
        two_sample_auc(real, real, range(10))


def test_the_area_is_that_of_a_general_implementation() -> None:
    from sklearn.metrics import roc_auc_score

    draws = np.random.default_rng(2)
    made = draws.integers(0, 2, 80)
    for scores in (draws.normal(size=80) + made, draws.integers(0, 4, 80).astype(float), np.ones(80)):
        assert area(scores, made) == pytest.approx(roc_auc_score(made, scores))


def test_newtons_method_finds_what_a_general_solver_finds() -> None:
    from sklearn.linear_model import LogisticRegression

    draws = np.random.default_rng(1)
    features = draws.normal(size=(120, 12))
    for made in ((features[:, 0] + draws.normal(size=120) > 0.8).astype(int), (features[:, 0] > 0.5).astype(int)):
        learned = np.arange(120) < np.array([[120], [80]])
        counts = np.stack([(learned & (made == side)).sum(axis=1) for side in (0, 1)], axis=1)
        weights = 10 * learned * learned.sum(axis=1, keepdims=True) / (2 * counts[:, made])
        found = logistic_regression(np.stack([features] * 2), made, weights)
        for slopes, rows in zip(found, learned, strict=True):
            known = LogisticRegression(C=10, class_weight="balanced", tol=1e-10, max_iter=5000)
            known.fit(features[rows], made[rows])
            assert slopes[:-1] == pytest.approx(known.coef_[0], abs=1e-4)
            assert slopes[-1] == pytest.approx(known.intercept_[0], abs=1e-4)
