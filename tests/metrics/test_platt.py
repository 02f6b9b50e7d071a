from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from synthoma.core.errors import InputError
from synthoma.metrics.platt import platt


@pytest.mark.parametrize(("count", "others", "scale"), [(30, 200, 1.0), (80, 80, 1e4), (8, 256, 1e-3)])
def test_it_is_the_minimum_of_the_cross_entropy(count: int, others: int, scale: float) -> None:
    draws = np.random.default_rng(count)
    first, second = scale * draws.normal(1, 1, count), scale * draws.normal(0, 1, others)
    high, low = (count + 1) / (count + 2), 1 / (others + 2)

    def loss(line: np.ndarray) -> float:
        up, down = line[0] * first / scale + line[1], line[0] * second / scale + line[1]
        return float((np.logaddexp(0, up) - high * up).mean() / 2 + (np.logaddexp(0, down) - low * down).mean() / 2)

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-15, "maxiter": 5000})
    found = platt(first, second)
    assert (found.slope * scale, found.offset) == pytest.approx(tuple(best.x), rel=1e-4, abs=1e-5)


def test_as_scikit_learn_has_it() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    draws = np.random.default_rng(0)
    first, second = draws.normal(1, 1, 40), draws.normal(0, 1, 90)
    # A soft target is an image of each group, weighted.
    scores = np.concatenate([first, second, first, second])[:, None]
    high, low = 41 / 42, 1 / 92
    weights = np.repeat([high / 40, low / 90, (1 - high) / 40, (1 - low) / 90], [40, 90, 40, 90])
    truth = np.repeat([1, 0], [130, 130])
    model = linear.LogisticRegression(C=np.inf, tol=1e-10).fit(scores, truth, sample_weight=1000 * weights)
    found = platt(first, second)
    assert found.slope == pytest.approx(model.coef_[0, 0], rel=1e-3)
    assert found.chance(first) == pytest.approx(model.predict_proba(first[:, None])[:, 1], abs=1e-3)


def test_groups_that_part_without_fail_stay_finite() -> None:
    found = platt(np.array([1e6, 1.1e6]), np.array([-1e6, -2e6, -3e6]))
    assert np.isfinite([found.slope, found.offset]).all()
    assert found.chance(np.array([-1e30, 0.0, 1e30])).tolist() == pytest.approx([0, found.chance(np.zeros(1))[0], 1])


@pytest.mark.parametrize("first", [[0.0, 1.0], [-3.0, -2.0]])
def test_scores_that_say_nothing_or_the_opposite_give_a_half(first: list[float]) -> None:
    found = platt(np.array(first), np.array([0.0, 1.0]))
    assert found.chance(np.array([-9.0, 0.0, 9.0])) == pytest.approx([0.5] * 3, abs=1e-6)


def test_all_the_same_is_a_half_and_nothing_is_refused() -> None:
    assert platt(np.ones(3), np.ones(4)).chance(np.ones(1)) == pytest.approx(0.5)
    for wrong in (np.zeros(0), np.array([np.nan])):
        with pytest.raises(InputError, match="finite scores of both groups"):
            platt(wrong, np.ones(3))
