"""Readers and cases crossed, against closed forms and simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from synthoma.metrics.crossed import Crossed, crossed_interval


def means(scores: np.ndarray, **options: object) -> Crossed:
    """The mean of the columns of (N, R) scores; each row is a case."""

    def figures(keep: np.ndarray) -> Sequence[float]:
        return scores[keep].mean(axis=0)  # type: ignore[no-any-return]

    return crossed_interval(figures, [str(row) for row in range(len(scores))], ["a"] * len(scores), **options)  # type: ignore[arg-type]


def test_one_reader_has_the_error_of_a_mean() -> None:
    scores = np.random.default_rng(0).normal(size=(40, 1))
    found = means(scores)
    assert found.error == pytest.approx(scores.std(ddof=1) / 40**0.5)
    assert found.high - found.value == pytest.approx(1.959964 * found.error, rel=1e-6)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.value) / found.error))


def test_readers_who_say_the_same_say_no_more_than_one() -> None:
    """Cov2 is the whole variance; nothing lies between readers."""
    one = np.random.default_rng(0).normal(size=(40, 1))
    for fixed in (True, False):
        assert means(np.repeat(one, 4, axis=1), fixed=fixed).error == pytest.approx(means(one).error)


def test_readers_who_differ_widen_the_interval_for_others_alone() -> None:
    """By hand: no case changes anything, so that the variance is that of the readers' figures, with R - 1 degrees."""
    scores = np.tile([0.2, 0.5, 0.8], (30, 1))
    found = means(scores)
    assert found.error == pytest.approx(0.3 / 3**0.5)
    assert found.freedom == pytest.approx(2)
    assert found.high - found.value == pytest.approx(float(stats.t.ppf(0.975, 2)) * found.error)
    assert means(scores, fixed=True).error == pytest.approx(0)


def test_slices_of_a_patient_are_left_out_together() -> None:
    """Ten patients of four equal slices are ten cases."""
    each = np.random.default_rng(0).normal(size=10)
    slices = np.repeat(each, 4)

    def figures(keep: np.ndarray) -> Sequence[float]:
        return [slices[keep].mean()]

    found = crossed_interval(figures, np.repeat(np.arange(10), 4).astype(str).tolist(), ["a"] * 40)
    assert found.n == 10
    assert found.error == pytest.approx(each.std(ddof=1) / 10**0.5)


def test_a_variance_that_is_known_to_be_more_is_taken() -> None:
    """Readers who are always right show the jackknife nothing."""
    scores = np.ones((20, 2))
    assert means(scores, fixed=True).error == 0
    assert means(scores, fixed=True, least=(0.04, 0.04)).error == pytest.approx(0.2)
    none = means(np.full((5, 1), np.nan))
    assert np.isnan(none.value)
    assert none.readers == 0


@pytest.mark.slow
@pytest.mark.parametrize(("readers", "between", "fixed"), [(2, 0.3, True), (3, 0.3, False), (5, 0.4, False)])
def test_the_interval_of_d_holds_the_truth_where_readers_share_cases(readers: int, between: float, fixed: bool) -> None:
    """Readers who differ, and pictures that deceive all of them alike: 300 tests of 40 + 40."""
    draws, held = np.random.default_rng(readers), 0
    signal = np.repeat([True, False], 40)
    names, kinds = [str(row) for row in range(80)], np.where(signal, "real", "made").tolist()
    for _ in range(300):
        d = 0.8 + between * draws.normal(size=readers)
        noise = 0.4**0.5 * draws.normal(size=(80, 1)) + 0.6**0.5 * draws.normal(size=(80, readers))
        called = np.where(signal, 0.5, -0.5)[:, None] * d + noise > 0.3 * draws.normal(size=readers)

        def figures(keep: np.ndarray, called: np.ndarray = called) -> Sequence[float]:
            rates = [(called[keep & side].sum(axis=0) + 0.5) / ((keep & side).sum() + 1) for side in (signal, ~signal)]
            return stats.norm.ppf(rates[0]) - stats.norm.ppf(rates[1])  # type: ignore[no-any-return]

        found = crossed_interval(figures, names, kinds, fixed=fixed)
        held += found.low <= (d.mean() if fixed else 0.8) <= found.high
    assert held / 300 >= 0.93
