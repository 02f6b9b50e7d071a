from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthoma.core.errors import InputError
from synthoma.metrics.calibration import brier_score, expected_calibration_error, reliability


def test_curve_by_hand() -> None:
    truth, values = np.array([1, 0, 0, 1, 1, 1]), np.array([0.9, 0.1, 0.3, 0.5, 0.7, 0.6])
    curve = reliability(truth, values, bins=3)
    assert curve.probability == pytest.approx([0.2, 0.55, 0.8])
    assert curve.share == pytest.approx([0, 1, 1])
    assert curve.count.tolist() == [2, 2, 2]
    assert expected_calibration_error(truth, values, bins=3) == pytest.approx((0.2 + 0.45 + 0.2) / 3)


def test_brier_score_by_hand() -> None:
    assert brier_score(np.array([1, 0]), np.array([0.8, 0.4])) == pytest.approx((0.04 + 0.16) / 2)
    assert brier_score(np.array([1, 0, 0]), np.full(3, 0.5)) == 0.25


def test_an_honest_model_is_calibrated_and_a_boastful_one_is_not() -> None:
    draws = np.random.default_rng(0)
    honest = draws.random(60_000)
    truth = draws.random(60_000) < honest
    assert expected_calibration_error(truth, honest) < 0.012
    # Squashed to 0.25..0.75: off by |p - 1/2| / 2, of which the mean is 1/8.
    timid = 0.25 + honest / 2
    assert expected_calibration_error(truth, timid) == pytest.approx(1 / 8, abs=0.01)
    # E (p - y)^2 = E p (1 - p) = 1/6 for the honest model.
    assert brier_score(truth, honest) == pytest.approx(1 / 6, abs=0.005)
    assert brier_score(truth, timid) > brier_score(truth, honest)


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=60), st.integers(1, 20))
def test_no_image_is_lost_and_order_does_not_matter(pairs: list[tuple[bool, int]], bins: int) -> None:
    truth, values = np.array(pairs, dtype=float).T
    values /= 5
    curve = reliability(truth, values, bins=bins)
    assert curve.count.sum() == len(truth)
    assert len(curve.count) <= bins
    assert (np.diff(curve.probability) > 0).all()
    assert np.average(curve.share, weights=curve.count) == pytest.approx(truth.mean())
    assert np.average(curve.probability, weights=curve.count) == pytest.approx(values.mean())
    order = np.argsort(values + 0.01 * truth)
    shuffled = reliability(truth[order], values[order], bins=bins)
    assert np.allclose(shuffled.share, curve.share)
    assert np.allclose(shuffled.probability, curve.probability)


def test_distinct_probabilities_fill_bins_evenly() -> None:
    values = np.random.default_rng(1).permutation(1000) / 1000
    counts = reliability(values > 0.5, values, bins=15).count
    assert len(counts) == 15
    assert counts.max() - counts.min() <= 1


def test_no_images_and_what_is_refused() -> None:
    none = np.zeros(0)
    assert np.isnan(expected_calibration_error(none, none))
    assert np.isnan(brier_score(none, none))
    assert len(reliability(none, none).count) == 0
    with pytest.raises(InputError, match="sigmoid"):
        brier_score(np.array([1, 0]), np.array([3.0, -2.0]))
    with pytest.raises(InputError, match="sigmoid"):
        expected_calibration_error(np.array([1, 0]), np.array([0.5, np.nan]))
    with pytest.raises(InputError, match="one order"):
        reliability(np.array([1, 0]), np.array([0.5]))
    with pytest.raises(InputError, match="at least 1 bin"):
        reliability(np.array([1]), np.array([0.5]), bins=0)
