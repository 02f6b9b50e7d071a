from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from synthoma.core.errors import InputError
from synthoma.metrics import intervals
from synthoma.metrics.intervals import (
    SHARE,
    Difference,
    Interval,
    bootstrap,
    bootstrap_many,
    paired_difference,
    score_interval,
)


def test_interval_of_two_scores_is_known_exactly() -> None:
    # Means of two draws from {0, 1}: 0, 1/2, 1 with 1/4, 1/2, 1/4; their deviation times sqrt(2) is 1/2 or nearly so.
    found = score_interval(np.array([0.0, 1.0]), draws=40_000)
    reach = 12.706 / 2
    assert (found.value, found.low, found.high, found.n) == pytest.approx((0.5, 0.5 - reach, 0.5 + reach, 2), rel=0.01)
    assert score_interval(np.array([0.0, 1.0]), limits=SHARE) == Interval(0.5, 0.0, 1.0, 2)


def test_interval_against_all_samples_of_four() -> None:
    scores = np.array([0.1, 0.4, 0.5, 0.9])
    everything = [np.mean(sample) for sample in itertools.product(scores, repeat=4)]
    found = score_interval(scores, level=0.8, draws=20_000)
    assert found.value == pytest.approx(scores.mean())
    side = stats.norm.cdf(np.sqrt(4 / 3) * stats.t.ppf(0.1, 3))  # 0.029 in the place of 0.1: four scores are few
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(everything, [side, 1 - side])), abs=0.03)


def test_interval_of_many_scores_is_the_normal_one() -> None:
    scores = np.random.default_rng(0).normal(0.8, 0.1, 400)
    found = score_interval(scores)
    half = 1.96 * scores.std() / 20
    assert (found.low, found.high) == pytest.approx((scores.mean() - half, scores.mean() + half), abs=0.0015)


@pytest.mark.slow
@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_coverage_by_simulation(statistic: str) -> None:
    held = []
    for repeat in range(200):
        scores = np.random.default_rng(repeat).normal(0.7, 0.1, 30)
        found = score_interval(scores, statistic=statistic, seed=repeat)
        held.append(found.low <= 0.7 <= found.high)
    assert 0.88 <= np.mean(held) <= 0.99


@pytest.mark.slow
def test_groups_make_the_interval_as_wide_as_patients_differ() -> None:
    held_by_group, held_by_image = [], []
    for repeat in range(200):
        draws = np.random.default_rng(repeat)
        patients = draws.normal(0, 1, 30)
        scores = np.repeat(patients, 10) + draws.normal(0, 0.3, 300)
        names = np.repeat([f"p{i}" for i in range(30)], 10).tolist()
        by_group = score_interval(scores, groups=names, draws=400, seed=repeat)
        by_image = score_interval(scores, draws=400, seed=repeat)
        assert by_group.n == 30
        held_by_group.append(by_group.low <= 0 <= by_group.high)
        held_by_image.append(by_image.low <= 0 <= by_image.high)
    assert np.mean(held_by_group) > 0.85
    assert np.mean(held_by_image) < 0.6


def test_groups_of_one_are_no_groups_and_unequal_ones_keep_their_weight() -> None:
    scores = np.array([0.2, 0.5, 0.9, 0.4])
    assert score_interval(scores, groups="abcd") == score_interval(scores)
    found = score_interval(np.array([0.0, 0.0, 0.0, 1.0]), groups=["a", "a", "a", ("b", 1)], limits=SHARE)
    assert found == Interval(0.25, 0.0, 1.0, 2)


def test_nan_scores_are_left_out() -> None:
    scores = np.array([0.2, np.nan, 0.5, 0.9])
    assert score_interval(scores) == score_interval(scores[[0, 2, 3]])
    assert score_interval(scores).n == 3
    assert score_interval(scores, groups="aabb").n == 2


@pytest.mark.parametrize("scores", [[], [0.7], [np.nan, 0.7]])
def test_fewer_than_two_groups_have_no_interval(scores: list[float]) -> None:
    found = score_interval(np.array(scores))
    assert np.isnan([found.low, found.high]).all()
    assert found.value == (pytest.approx(0.7) if scores else pytest.approx(np.nan, nan_ok=True))


def test_draws_are_a_function_of_the_seed_and_not_of_their_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(3).random(25)
    first = score_interval(scores, seed=4)
    assert first == score_interval(scores, seed=4)
    assert first != score_interval(scores, seed=5)
    monkeypatch.setattr(intervals, "_BLOCK", 60)
    assert first == score_interval(scores, seed=4)


def test_any_statistic_and_several_over_one_set_of_draws() -> None:
    scores = np.random.default_rng(5).random(30)
    found = bootstrap_many(
        lambda drawn: {"mean": float(scores[drawn].mean()), "median": float(np.median(scores[drawn]))}, 30
    )
    for name in ("mean", "median"):
        expected = score_interval(scores, statistic=name)
        assert [found[name].value, found[name].low, found[name].high] == pytest.approx(
            [expected.value, expected.low, expected.high]
        )
    assert bootstrap(lambda drawn: float(scores[drawn].mean()), 30) == found["mean"]


def test_draws_without_a_value_are_left_out_unless_they_are_most() -> None:
    def rare(share: float) -> Interval:
        # nan wherever one of the first groups was not drawn
        return bootstrap(lambda drawn: 1.0 if drawn.min() < share * 10 else float("nan"), 10)

    assert (rare(0.2).low, rare(0.2).high) == (1.0, 1.0)  # 89 % of draws are defined
    assert np.isnan(bootstrap(lambda drawn: float("nan") if drawn[0] else 1.0, 10).low)  # 10 % are


@pytest.mark.slow
@pytest.mark.parametrize(("count", "least"), [(2, 0.93), (3, 0.93), (5, 0.93), (7, 0.93), (10, 0.92)])
@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_few_patients_have_wide_intervals(count: int, least: float, statistic: Literal["mean", "median"]) -> None:
    """Plain percentiles hold the true mean in 50 % with two, 82 % with five and 91 % with ten."""
    draws = np.random.default_rng(13).normal(size=(400, count))
    found = [score_interval(row, seed=seed, statistic=statistic, draws=400) for seed, row in enumerate(draws)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) > least


@pytest.mark.slow
def test_three_by_student() -> None:
    scores = np.array([0.2, 0.5, 0.9])
    found = score_interval(scores, draws=40_000)
    half = float(stats.t.ppf(0.975, 2)) * scores.std(ddof=1) / np.sqrt(3)
    assert (found.low, found.high) == pytest.approx((scores.mean() - half, scores.mean() + half), rel=0.02)
    any_statistic = bootstrap(lambda drawn: float(scores[drawn].mean()), 3, draws=40_000)
    assert (any_statistic.low, any_statistic.high) == pytest.approx((found.low, found.high))
    within = bootstrap_many(lambda drawn: {"mean": float(scores[drawn].mean())}, 3, limits=SHARE)["mean"]
    assert (within.low, within.high) == (0.0, 1.0)


def test_two_patients_who_differ_alike_prove_nothing() -> None:
    found = paired_difference(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    assert (found.value, found.n, found.p) == (1.0, 2, 0.5)  # as often as two coins fall alike
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    none = paired_difference(np.array([0.5, 1.0, 0.7]), np.array([0.5, 1.0, 0.7]), limits=SHARE)
    assert (none.value, none.p) == (0.0, 1.0)
    assert np.isnan([none.low, none.high]).all()
    five = paired_difference(np.arange(5) + np.array([0.9, 1, 1, 1, 1.1]), np.arange(5.0))
    assert five.p >= 2**-4


# --- paired ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3, 6])
def test_few_pairs_hardly_ever_say_anything(count: int) -> None:
    """No difference: one in twenty p lies below 5 %, where the bootstrap alone has one in two to seven."""
    draws = np.random.default_rng(12).normal(size=(300, count))
    found = [paired_difference(row, np.zeros(count), draws=400, seed=seed) for seed, row in enumerate(draws)]
    assert np.mean([one.p < 0.05 for one in found]) < 0.09
    assert np.mean([one.low <= 0 <= one.high for one in found]) > 0.91


@pytest.mark.parametrize("count", [2, 3, 5, 7, 12])
def test_patients_who_are_all_alike_are_as_uncertain_as_their_number_says(count: int) -> None:
    """All right: the lower end is that of Clopper and Pearson for so many of so many, and all wrong is its mirror."""
    right, wrong = (score_interval([value] * count, limits=SHARE, draws=200) for value in (1.0, 0.0))
    least = stats.binomtest(count, count).proportion_ci(0.95, method="exact").low
    assert (right.low, right.high) == pytest.approx((least, 1.0))
    assert (wrong.low, wrong.high) == pytest.approx((0.0, 1 - least))
    between = score_interval([0.8] * count, limits=SHARE, draws=200)
    assert (between.low, between.high) == pytest.approx((0.8 * least, 1 - 0.2 * least))


def test_scores_without_limits_that_are_alike_say_nothing_of_few() -> None:
    assert np.isnan(score_interval([3.0] * 5, draws=200).low)
    assert score_interval([3.0] * 6, draws=200).low == 3.0


def test_pairs_find_what_two_intervals_hide() -> None:
    draws = np.random.default_rng(6)
    hard = draws.uniform(0.2, 0.95, 40)
    first, second = hard + 0.02 + draws.normal(0, 0.01, 40), hard
    alone = score_interval(first), score_interval(second)
    assert alone[0].low < alone[1].high
    found = paired_difference(first, second)
    assert found.value == pytest.approx((first - second).mean())
    assert 0 < found.low < 0.02 < found.high < 0.03
    assert found.p == pytest.approx(2 / 2001)
    other = paired_difference(second, first)
    assert (other.value, other.low, other.high) == pytest.approx((-found.value, -found.high, -found.low))
    assert other.p == found.p


def test_a_difference_of_shares_is_one_itself() -> None:
    """Student's t of two patients reaches 12.7 errors, far beyond what Dice can differ by."""
    first, second = np.array([0.9, 0.2]), np.array([0.1, 0.1])
    assert paired_difference(first, second).high > 1
    found = paired_difference(first, second, limits=SHARE)
    assert (found.value, found.low, found.high) == (pytest.approx(0.45), -1.0, 1.0)


def test_equal_models_differ_by_nothing() -> None:
    same = np.random.default_rng(7).random(20)
    assert paired_difference(same, same) == Difference(0.0, 0.0, 0.0, 20, 1.0)


@pytest.mark.slow
def test_p_is_as_often_below_a_tenth_as_it_says() -> None:
    values = []
    for repeat in range(200):
        draws = np.random.default_rng(repeat)
        values.append(paired_difference(draws.normal(size=40), draws.normal(size=40), seed=repeat).p)
    assert 0.05 <= np.mean(np.array(values) < 0.1) <= 0.18
    assert 0.4 <= np.mean(np.array(values) < 0.5) <= 0.6


def test_pairs_with_nan_are_left_out_together() -> None:
    first, second = np.array([0.5, np.nan, 0.7, 0.9]), np.array([0.4, 0.1, np.nan, 0.6])
    found = paired_difference(first, second)
    assert (found.n, found.value) == (2, pytest.approx(0.2))
    nothing = paired_difference(first[:0], second[:0])
    assert nothing.n == 0
    assert np.isnan([nothing.value, nothing.p]).all()
    one = paired_difference(first[:1], second[:1])
    assert np.isnan([one.low, one.high, one.p]).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="same patients"):
        paired_difference(np.zeros(3), np.zeros(4))
    with pytest.raises(InputError, match="one order"):
        score_interval(np.zeros(3), groups=["a", "b"])
    with pytest.raises(InputError, match="level"):
        score_interval(np.zeros(3), level=1.0)
    with pytest.raises(InputError, match="draw"):
        bootstrap(lambda drawn: 0.0, 3, draws=0)
