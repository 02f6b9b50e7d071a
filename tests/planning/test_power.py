"""The learning curve's power law: against its own formula, scipy, and what must be unsure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from synthoma.planning.power import FURTHEST, followed, gained, power_law


def test_a_power_law_is_found_again() -> None:
    patients = [5, 10, 20]
    scale, power = power_law(patients, [1 - 0.6 * count**-0.3 for count in patients])
    assert (scale, power) == (pytest.approx(0.6), pytest.approx(0.3))


def test_the_fit_is_the_line_of_least_squares_in_both_logarithms() -> None:
    patients, scores = [4, 9, 18, 40], [0.31, 0.52, 0.5, 0.7]
    line = stats.linregress(np.log(patients), np.log(1 - np.array(scores)))
    scale, power = power_law(patients, scores)
    assert (scale, power) == (pytest.approx(np.exp(line.intercept)), pytest.approx(-line.slope))


def test_a_perfect_score_has_no_infinite_logarithm() -> None:
    scale, power = power_law([5, 10, 20], [0.5, 0.9, 1.0])
    assert np.isfinite([scale, power]).all()


def test_gain_by_hand_and_no_farther_than_three_times() -> None:
    assert gained(0.5, 1.0, 10, 10) == pytest.approx(0.5 * (1 / 10 - 1 / 20))
    assert gained(0.5, 1.0, 10, 1e6) == pytest.approx(0.5 * (1 / 10 - 1 / (10 * FURTHEST)))
    assert gained(0.5, 0.0, 10, 10) == 0


@pytest.mark.slow
def test_intervals_hold_patients_and_seeds() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 0.05, 20)
    truth = {count: 1 - 0.8 * count**-0.4 for count in (5, 10, 20)}
    alike = {count: np.tile(mean + hard, (3, 1)) for count, mean in truth.items()}
    shaken = {count: part + rng.normal(0, 0.06, (3, 1)) for count, part in alike.items()}
    calm, noisy = followed(alike, 20, seed=1), followed(shaken, 20, seed=1)
    assert calm["gain"].low < 0.8 * (20**-0.4 - 40**-0.4) < calm["gain"].high
    assert calm["power"].low > 0
    # What seeds vary by widens the interval, though patients are the same.
    assert noisy["power"].high - noisy["power"].low > 2 * (calm["power"].high - calm["power"].low)
    assert followed(shaken, 20, seed=1) == noisy


@pytest.mark.slow
def test_a_flat_curve_promises_nothing() -> None:
    flat = {count: np.random.default_rng(count).normal(0.5, 0.1, (4, 10)) for count in (5, 10, 20)}
    found = followed(flat, 20, seed=0)
    assert found["gain"].low < 0 < found["gain"].high
