from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from synthoma.evaluation.nulls import MOST_SLICES, beside, joint_p, plan_null, why_blind
from synthoma.evaluation.score import Score

WORSE = {"mean": "high"}


def grouped(patients: int, slices: int) -> list[str]:
    return [f"patient-{i}" for i in range(patients) for _ in range(slices)]


def alone(count: int) -> list[str]:
    """Synthetic slices that belong to nobody."""
    return [f"synthetic-{number}" for number in range(count)]


def test_divisions_share_no_group_and_all_sides_have_one_size() -> None:
    groups = np.array(grouped(20, 5))
    held = np.arange(100) >= 60
    plan = plan_null(groups.tolist(), held, alone(70), halves=30)
    assert len(plan.divisions) == 30
    assert plan.count == len(plan.synthetic) == 40
    assert held[plan.held].all()
    assert (plan.synthetic >= 100).all()
    assert len({tuple(one) for one, _ in plan.divisions}) > 25
    for one, other in plan.divisions:
        assert not set(groups[one]) & set(groups[other])
        assert len(one) == len(other) == 40
        assert len(set(groups[one])) == 8  # as many patients as are held out


@pytest.mark.parametrize("synthetic", [2, 3, 5, 12, 40])
def test_the_second_side_of_a_division_has_as_many_groups_as_are_synthetic(synthetic: int) -> None:
    groups = np.array(grouped(30, 20))
    held = np.arange(600) >= 360
    plan = plan_null(groups.tolist(), held, grouped(synthetic, 20), halves=20)
    assert len(plan.divisions) == 20
    assert len(plan.others) == 9
    for one, other in plan.divisions:
        assert 9 <= len(set(groups[one])) <= 12  # few slices of many patients may miss some
        assert len(set(groups[other])) == min(synthetic, 18)
    for other in plan.others:
        assert len(set(groups[other])) == min(synthetic, 18)
        assert not held[other].any()
        assert len(other) == plan.count


@pytest.mark.slow
@pytest.mark.parametrize(("held", "synthetic"), [(15, 2), (15, 5), (5, 5)])
def test_few_synthetic_patients_are_not_unrealistic_by_construction(held: int, synthetic: int) -> None:
    """New patients, few or many: 5 % of p lie below 5 %. Of all the rest as second side, half would for 5."""
    hits = []
    for seed in range(120):
        draws = np.random.default_rng(seed)
        values = np.repeat(draws.normal(size=(30 + synthetic, 3)), 10, axis=0) + 0.3 * draws.normal(
            size=(10 * (30 + synthetic), 3)
        )
        is_held = np.arange(300) >= 300 - 10 * held
        plan = plan_null(grouped(30, 10), is_held, grouped(synthetic, 10), halves=39, seed=seed)

        def score(one: np.ndarray, other: np.ndarray, values: np.ndarray = values) -> dict[str, float]:
            return {"mean": float(np.abs(np.sort(values[one], axis=0) - np.sort(values[other], axis=0)).mean())}

        hits.append(beside(score, plan, worse=WORSE, interval=False)["mean"].p <= 0.05)
    assert stats.binomtest(sum(hits), 120, 0.05, alternative="greater").pvalue > 0.01


def test_what_cannot_be_judged_says_why() -> None:
    assert "of 30 real patients or groups 1 are held out" in why_blind(30, 1, 10)
    assert "one patient or group" in why_blind(30, 10, 1)
    assert "3 synthetic patients or groups are too few to be judged beside 12 real ones" in why_blind(12, 4, 3)
    assert why_blind(12, 4, 8) == why_blind(20, 6, 2) == ""
    plan = plan_null(grouped(12, 20), np.arange(240) >= 160, grouped(3, 20), halves=9)
    assert plan.divisions == ()
    assert plan.blind == why_blind(12, 4, 3)


def test_held_out_patients_that_lie_apart_are_no_fault_of_synthetic_ones() -> None:
    """Other real patients are as far from them: the ratio is 1, where over the null alone it would be some 5."""
    draws = np.random.default_rng(0)
    values = np.concatenate([draws.normal(0, 1, 200), draws.normal(2, 1, 40), draws.normal(0, 1, 100)])
    plan = plan_null(grouped(24, 10), np.arange(240) >= 200, grouped(10, 10), halves=39)
    score = lambda one, other: {"mean": abs(values[one].mean() - values[other].mean())}  # noqa: E731
    found = beside(score, plan, worse=WORSE, interval=False)["mean"]
    assert found.value / found.null_median > 2
    assert found.ratio == pytest.approx(found.value / found.others_median)
    assert 0.7 < found.ratio < 1.4
    near = values.copy()
    near[200:240] -= 2  # held-out patients as all others: the null is the measure, or others where they are farther
    usual = beside(
        lambda one, other: {"mean": abs(near[one].mean() - near[other].mean())}, plan, worse=WORSE, interval=False
    )["mean"]
    assert usual.ratio == pytest.approx(usual.value / max(usual.null_median, usual.others_median))


def test_large_sets_are_thinned_evenly() -> None:
    groups = grouped(40, 150)
    plan = plan_null(groups, np.arange(6000) >= 3000, alone(4000), halves=9)
    assert plan.count == MOST_SLICES == len(plan.synthetic)
    assert len({groups[place] for place in plan.held}) == 20  # of every patient some


def test_equal_halves_are_one_division_from_either_side() -> None:
    """Six patients, three held out: ten ways to part them, not twenty."""
    groups = np.array(grouped(6, 20))
    plan = plan_null(groups.tolist(), np.arange(120) >= 60, alone(60), halves=99)
    parted = {frozenset((frozenset(groups[one]), frozenset(groups[other]))) for one, other in plan.divisions}
    assert len(plan.divisions) == len(parted) == 10


def test_uneven_groups_leave_out_the_divisions_that_are_too_small() -> None:
    groups = ["big"] * 70 + grouped(10, 1) + [f"held-{i // 5}" for i in range(40)]
    plan = plan_null(groups, np.arange(120) >= 80, alone(60), halves=40)
    assert {len(side) for division in plan.divisions for side in division} == {plan.count}
    assert 20 <= len(plan.divisions) <= 40


def test_too_few_groups_have_no_null() -> None:
    plan = plan_null(["one"] * 60, np.arange(60) >= 30, alone(40), halves=9)
    assert plan.divisions == ()
    found = beside(lambda one, other: {"mean": 1.0}, plan, worse=WORSE)["mean"]
    assert (found.null, found.p, found.ratio, found.value) == ((), None, None, 1.0)


def values_of(seed: int, shift: float) -> np.ndarray:
    """20 patients of 5 slices, and 50 synthetic ones; patients differ from one another."""
    draws = np.random.default_rng(seed)
    real = np.repeat(draws.normal(0, 1, 20), 5) + draws.normal(0, 0.3, 100)
    return np.concatenate([real, draws.normal(shift, 1, 50)])


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 0.1, 1.0), (3.0, 0.0, 0.021)])
def test_a_shift_beyond_that_of_patients_is_told(shift: float, low: float, high: float) -> None:
    values = values_of(3, shift)
    plan = plan_null(grouped(20, 5), np.arange(100) >= 60, alone(50), halves=49)
    score = lambda one, other: {"mean": abs(values[one].mean() - values[other].mean())}  # noqa: E731
    found = beside(score, plan, worse=WORSE)["mean"]
    assert low <= found.p <= high
    assert found.low < found.value < found.high
    assert found.ratio == pytest.approx(found.value / np.median(found.null))
    assert found.p >= 1 / 50  # never 0


@pytest.mark.slow
def test_p_is_honest_about_patients() -> None:
    """Real-vs-real: with new patients in the place of synthetic ones, 5 % of p lie below 5 %."""
    hits = []
    for seed in range(300):
        draws = np.random.default_rng(seed)
        values = np.repeat(draws.normal(0, 1, 30), 4)
        plan = plan_null(grouped(20, 4), np.arange(80) >= 40, alone(40), halves=39, seed=seed)
        score = lambda one, other, values=values: {"mean": abs(values[one].mean() - values[other].mean())}  # noqa: E731
        hits.append(beside(score, plan, worse=WORSE, interval=False)["mean"].p <= 0.05)
    assert stats.binomtest(sum(hits), 300, 0.05).pvalue > 0.01


def test_the_interval_is_that_of_patients_not_of_slices() -> None:
    """Its width is that of a mean of 8 patients, however many slices each has."""
    values = values_of(5, 0.0)
    plan = plan_null(grouped(20, 5), np.arange(100) >= 60, alone(40), halves=9)
    found = beside(lambda one, other: {"mean": float(values[one].mean())}, plan, worse=WORSE)["mean"]
    by_patient = values[60:100].reshape(8, 5).mean(axis=1)
    expected = stats.t.interval(0.95, 7, by_patient.mean(), by_patient.std(ddof=1) / np.sqrt(8))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-6)


def test_the_interval_is_that_of_simulated_patients_too() -> None:
    """Synthetic slices of ten groups say as much as ten, however many each has."""
    draws = np.random.default_rng(6)
    of_group = draws.normal(0, 1, 10)
    values = np.concatenate([np.zeros(400), np.repeat(of_group, 10)])
    plan = plan_null(grouped(40, 10), np.arange(400) >= 200, [f"simulated-{at // 10}" for at in range(100)], halves=9)
    found = beside(lambda one, other: {"mean": float(values[other].mean())}, plan, worse=WORSE)["mean"]
    expected = stats.t.interval(0.95, 9, of_group.mean(), of_group.std(ddof=1) / np.sqrt(10))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("divisions", [19, 39])
def test_one_p_for_several_scores_is_honest_with_few_divisions(divisions: int) -> None:
    """Scores of an evaluation that is one more division: 5 % of p lie below 5 %, though scores are skewed."""
    hits = 0
    for seed in range(400):
        drawn = np.random.default_rng(seed).lognormal(size=(6, divisions + 1))
        hits += (joint_p([entry(row[0], row[1:].tolist()) for row in drawn], ["high"] * 6) or 1) <= 0.05
    assert stats.binomtest(hits, 400, 0.05).pvalue > 0.01


def test_an_unbiased_distance_has_no_ratio() -> None:
    plan = plan_null(grouped(20, 5), np.arange(100) >= 60, alone(50), halves=9)
    found = beside(lambda one, other: {"kid": 0.4, "mean": 0.4}, plan, worse={"kid": "high", "mean": "high"})
    assert (found["kid"].ratio, found["mean"].ratio) == (None, 1.0)


def entry(value: float, null: list[float]) -> Score:
    return Score(value=value, null=tuple(null), null_median=None, ratio=None, p=0.5 if null else None, n=9)


def test_one_p_for_several_scores() -> None:
    draws = np.random.default_rng(0)
    nulls = draws.normal(size=(8, 99))
    usual = [entry(0.0, list(null)) for null in nulls]
    assert (joint_p(usual, ["high"] * 8) or 0) > 0.5
    striking = [entry(9.0, list(nulls[0])), *usual[1:]]
    assert joint_p(striking, ["high"] * 8) == pytest.approx(1 / 100)
    assert (joint_p(striking, ["low"] * 8) or 0) > 0.5  # far on the good side
    # One score at its 96th percentile is nothing new among eight.
    single = entry(float(np.quantile(nulls[0], 0.96)), list(nulls[0]))
    assert joint_p([single], ["high"]) == pytest.approx(0.05, abs=0.011)
    assert (joint_p([single, *usual[1:]], ["high"] * 8) or 0) > 0.15
    assert joint_p([entry(1.0, [])], ["high"]) is None


def test_no_interval_where_leaving_a_group_out_leaves_nothing_to_score() -> None:
    """Two held-out patients, and a score that takes two: how much they say cannot be known, and is not said."""
    values, names = values_of(5, 0.0), np.array([*grouped(20, 5), *alone(40)])
    plan = plan_null(grouped(20, 5), np.arange(100) >= 90, alone(40), halves=9)

    def score(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
        enough = len(set(names[one])) > 1
        return {"mean": float(values[other].mean()), "of two": float(values[other].mean()) if enough else float("nan")}

    found = beside(score, plan, worse={"mean": "high", "of two": "high"})
    assert found["mean"].low < found["mean"].value < found["mean"].high
    assert found["of two"].value == found["mean"].value
    assert (found["of two"].low, found["of two"].high) == (None, None)
