from __future__ import annotations

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.metrics.coverage import Coverage, authenticity, coverage


def points(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_by_hand_on_a_line() -> None:
    # Reach (k = 1): real 0, 1, 10, 12 -> 1, 1, 2, 2; synthetic 0.5, 11, 30 -> 10.5, 10.5, 19.
    found = coverage(real=points(0, 1, 10, 12), synthetic=points(0.5, 11, 30), k=1)
    assert found.precision == pytest.approx(2 / 3)  # 30 is within no real reach
    assert found.recall == pytest.approx(1.0)
    assert found.density == pytest.approx((2 + 2 + 0) / 3)
    assert found.coverage == pytest.approx(1.0)
    found = coverage(real=points(0, 1, 10, 12), synthetic=points(0.4, 0.6, 0.5), k=1)
    # Reach of synthetic: 0.1, 0.1, 0.1, which holds no real point.
    assert found == Coverage(precision=1.0, recall=0.0, density=2.0, coverage=0.5)


def test_equal_sets_overlap_fully() -> None:
    features = np.random.default_rng(0).normal(size=(60, 5))
    found = coverage(real=features, synthetic=features)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == pytest.approx(1.2, abs=0.01)  # each point also lies in its own reach: (k + 1) / k


def test_a_collapse_has_high_precision_and_low_recall() -> None:
    draws = np.random.default_rng(0)
    real = draws.normal(size=(200, 4))
    found = coverage(real=real, synthetic=0.05 * draws.normal(size=(200, 4)))
    assert found.precision > 0.95
    assert found.recall < 0.1
    assert found.coverage < 0.3


def test_far_away_images_have_neither() -> None:
    draws = np.random.default_rng(0)
    found = coverage(real=draws.normal(size=(50, 4)), synthetic=draws.normal(size=(50, 4)) + 100)
    assert found == Coverage(0, 0, 0, 0)


def test_real_and_synthetic_are_not_interchangeable() -> None:
    draws = np.random.default_rng(1)
    wide, narrow = 3 * draws.normal(size=(80, 2)), draws.normal(size=(80, 2))
    one, other = coverage(real=wide, synthetic=narrow), coverage(real=narrow, synthetic=wide)
    assert one.precision > one.recall
    assert (one.precision, one.recall) == (other.recall, other.precision)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(InputError, match="more than 5"):
        coverage(real=points(1, 2, 3, 4, 5), synthetic=points(1, 2, 3, 4, 5, 6))


def test_authenticity_by_hand() -> None:
    """Training images at 0, 1 and 5 reach 1, 1 and 4: of four images one lies outside all of them."""
    training = np.array([[0.0], [1.0], [5.0]])
    assert authenticity(training=training, synthetic=np.array([[0.4], [8.9], [9.5], [-0.9]])) == 0.25
    assert authenticity(training=training, synthetic=np.array([[9.0]])) == 0  # as far is near
    assert authenticity(training=training, synthetic=training) == 0


def test_honest_images_are_far_from_fully_authentic() -> None:
    draws = np.random.default_rng(0)
    found = authenticity(training=draws.normal(size=(300, 10)), synthetic=draws.normal(size=(300, 10)))
    assert 0.2 < found < 0.8
