from __future__ import annotations

import math

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.metrics.network_judge import network_aucs
from synthoma.metrics.two_sample import two_sample_auc

pytestmark = pytest.mark.slow


def sides(count: int, seed: int, *, turned: bool = False) -> np.ndarray:
    """Two sets of points of equal means; where turned, features of the second vary together in pairs."""
    draws = np.random.default_rng(seed)
    points = draws.normal(size=(2 * count, 6))
    if turned:
        for at in (0, 2, 4):
            second = points[count:, at + 1]
            points[count:, at + 1] = 0.9 * np.sign(second) * np.abs(points[count:, at]) + 0.1 * second
    return points


def test_a_network_sees_what_a_linear_model_cannot() -> None:
    """|a| and |b| go together on one side: no feature's mean moves."""
    count = 200
    points = sides(count, 0, turned=True)
    groups, pair = np.arange(2 * count) // 4, (np.arange(count), np.arange(count, 2 * count))
    linear = two_sample_auc(real=points[:count], synthetic=points[count:], real_groups=groups[:count].tolist(),
                            synthetic_groups=groups[count:].tolist())  # fmt: skip
    assert linear < 0.6
    assert network_aucs(points, groups, [pair])[0] > 0.7


def test_equal_sets_score_a_half_on_average_and_a_shift_nearly_one() -> None:
    equal, shifted = [], []
    for seed in range(12):
        points = sides(60, seed)
        pair = (np.arange(60), np.arange(60, 120))
        equal += network_aucs(points, np.arange(120) // 3, [pair])
        shifted += network_aucs(points + 2.0 * (np.arange(120) >= 60)[:, None], np.arange(120) // 3, [pair])
    assert np.mean(equal) == pytest.approx(0.5, abs=0.05)
    assert min(shifted) > 0.98


def test_patients_are_not_learned_by_heart() -> None:
    """Each patient has a look of its own; sides are equal. Slices of one patient in two folds would give it away."""
    draws = np.random.default_rng(3)
    points = np.repeat(draws.normal(size=(20, 8)), 10, axis=0) + 0.05 * draws.normal(size=(200, 8))
    pair = (np.arange(100), np.arange(100, 200))
    by_patient = network_aucs(points, np.arange(200) // 10, [pair])[0]
    by_slice = network_aucs(points, np.arange(200), [pair])[0]
    assert by_slice > 0.9
    assert by_patient < 0.8


def test_each_comparison_stands_alone() -> None:
    """In one batch or by itself, and however many images others have."""
    points = sides(90, 5)
    groups = np.arange(180) // 3
    pairs = [
        (np.arange(60), np.arange(60, 120)),
        (np.arange(30), np.arange(100, 130)),
        (np.arange(60, 120), np.arange(60)),
    ]
    together = network_aucs(points, groups, pairs)
    assert together == pytest.approx([network_aucs(points, groups, [pair])[0] for pair in pairs], abs=1e-6)
    assert math.isnan(network_aucs(points, np.zeros(180, int), pairs)[0])
    with pytest.raises(InputError, match="a group for each"):
        network_aucs(points, groups[:5], pairs)
