from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synthoma.core.errors import InputError
from synthoma.metrics.classification import ranking_scores
from synthoma.metrics.significance import (
    delong,
    delong_interval,
    holm,
    mcnemar,
    minimum_detectable_effect,
    needed_patients,
)

# --- McNemar --------------------------------------------------------------------------------------------------


def answers(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = [1] * (both + only_first) + [0] * (only_second + neither)
    second = [1] * both + [0] * only_first + [1] * only_second + [0] * neither
    return np.array(first, bool), np.array(second, bool)


def test_mcnemar_by_hand() -> None:
    # Six tosses, one or fewer of one side: 2 * (1 + 6) / 64.
    found = mcnemar(*answers(10, 1, 5, 3))
    assert (found.only_first, found.only_second) == (1, 5)
    assert found.p == pytest.approx(14 / 64)
    assert mcnemar(*answers(0, 0, 6, 0)).p == pytest.approx(2 / 64)


@settings(max_examples=40)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_against_the_binomial_test(one: int, other: int, both: int, neither: int) -> None:
    found = mcnemar(*answers(both, one, other, neither))
    expected = stats.binomtest(one, one + other).pvalue if one + other else 1.0
    assert found.p == pytest.approx(expected)
    assert found.p == pytest.approx(mcnemar(*answers(neither, other, one, both)).p)


def test_mcnemar_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="same cases"):
        mcnemar(np.ones(3), np.ones(4))
    with pytest.raises(InputError, match="0 and 1"):
        mcnemar(np.array([0.3, 0.9]), np.ones(2))


# --- DeLong ---------------------------------------------------------------------------------------------------


def by_placements(truth: np.ndarray, scores: list[np.ndarray], names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas and covariance by loops over all pairs and groups, as DeLong 1988 and Obuchowski 1997 write them."""
    yes, no = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
    areas, of_yes, of_no = [], [], []
    for values in scores:
        outranks = np.array([[(values[i] > values[j]) + 0.5 * (values[i] == values[j]) for j in no] for i in yes])
        areas.append(outranks.mean())
        of_yes.append(outranks.mean(axis=1))
        of_no.append(outranks.mean(axis=0))
    groups = np.unique(names)
    with_yes, with_no = np.unique(names[yes]), np.unique(names[no])
    found = np.zeros((len(scores),) * 2)
    for k, r in itertools.product(range(len(scores)), repeat=2):

        def total(model: int, group: int, part: list[np.ndarray], places: np.ndarray) -> float:
            return sum(v - areas[model] for v, at in zip(part[model], places, strict=True) if names[at] == group)

        s10 = sum(total(k, g, of_yes, yes) * total(r, g, of_yes, yes) for g in with_yes)
        s01 = sum(total(k, g, of_no, no) * total(r, g, of_no, no) for g in with_no)
        s11 = sum(
            total(k, g, of_yes, yes) * total(r, g, of_no, no) + total(r, g, of_yes, yes) * total(k, g, of_no, no)
            for g in groups
        )
        found[k, r] = (
            len(with_yes) / (len(with_yes) - 1) * s10 / len(yes) ** 2
            + len(with_no) / (len(with_no) - 1) * s01 / len(no) ** 2
            + len(groups) / (len(groups) - 1) * s11 / (len(yes) * len(no))
        )
    return np.array(areas), found


def cases(seed: int, count: int = 40, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    truth = (np.arange(count) % 2).astype(int)
    shared = draws.normal(size=count)
    return truth, *(np.round(shared + gain * truth + draws.normal(size=count), 1) for _ in range(2))


def test_delong_by_hand() -> None:
    truth, scores = np.array([1, 1, 0, 0]), np.array([3.0, 2.0, 1.0, 2.5])
    # Placements 1, 1/2 of the positives and 1, 1/2 of the negatives: variance (1/8) / 2 + (1/8) / 2.
    found = delong(truth, scores, np.array([1.0, 2.0, 1.0, 2.0]))
    assert (found.first, found.second, found.difference) == pytest.approx((0.75, 0.5, 0.25))
    # Second model: 1/4, 3/4 and 3/4, 1/4 (variance 1/8); covariance of placements -1/8 and 1/8, which cancel.
    assert found.z == pytest.approx(0.25 / np.sqrt(1 / 8 + 1 / 8))
    assert found.p == pytest.approx(2 * stats.norm.sf(0.5))


@pytest.mark.parametrize("seed", range(5))
def test_areas_are_those_of_scikit_learn(seed: int) -> None:
    from sklearn.metrics import roc_auc_score

    draws = np.random.default_rng(seed)
    truth = np.r_[0, 1, draws.integers(0, 2, 60)]
    first, second = (np.round(draws.normal(size=62) + truth, 1) for _ in range(2))  # rounded: ties count half
    found = delong(truth, first, second)
    assert (found.first, found.second) == pytest.approx((roc_auc_score(truth, first), roc_auc_score(truth, second)))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("per_group", [1, 3])
def test_delong_against_structural_components(seed: int, per_group: int) -> None:
    truth, first, second = cases(seed)
    names = np.random.default_rng(seed).permutation(len(truth)) // per_group
    areas, covariance = by_placements(truth, [first, second], names)
    found = delong(truth, first, second, groups=names.tolist())
    assert (found.first, found.second) == pytest.approx(tuple(areas))
    assert found.first == pytest.approx(ranking_scores(truth, first)["roc_auc"])
    assert found.z == pytest.approx((areas[0] - areas[1]) / np.sqrt(np.array([1, -1]) @ covariance @ [1, -1]))
    other = delong(truth, second, first, groups=names.tolist())
    assert (other.z, other.p) == pytest.approx((-found.z, found.p))


def test_groups_of_one_are_no_groups() -> None:
    truth, first, second = cases(3)
    alone = delong(truth, first, second)
    named = delong(truth, first, second, groups=[f"p{i}" for i in range(len(truth))])
    assert (named.z, named.p) == pytest.approx((alone.z, alone.p))


@pytest.mark.slow
def test_delong_is_as_often_below_a_tenth_as_it_says() -> None:
    values = np.array([delong(*cases(seed, 80)).p for seed in range(300)])
    assert 0.05 <= np.mean(values < 0.1) <= 0.16
    assert 0.42 <= np.mean(values < 0.5) <= 0.58


def slices(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Thirty patients of ten slices; what a model gets wrong in a patient it gets wrong in all of the slices."""
    draws = np.random.default_rng(seed)
    names = np.repeat(np.arange(30), 10)
    truth = (draws.random(300) < 0.5).astype(int)
    scores = [truth + draws.normal(size=30)[names] * np.where(truth, 1, -1) + draws.normal(size=300) for _ in range(2)]
    return truth, scores[0], scores[1], names.tolist()


def test_slices_of_a_patient_are_not_independent() -> None:
    clustered, naive, held_naively, true = [], [], [], []
    for seed in range(100):
        truth, first, second, names = slices(seed)
        clustered.append(delong(truth, first, second, groups=names).p)
        naive.append(delong(truth, first, second).p)
        true.append(delong_interval(truth, first, groups=names))
        held_naively.append(delong_interval(truth, first))
    area = np.mean([one.value for one in true])
    held = [one.low <= area <= one.high for one in true]
    assert np.mean(np.array(clustered) < 0.05) < 0.12
    assert np.mean(np.array(naive) < 0.05) > 0.25
    assert np.mean(held) > 0.88
    assert np.mean([one.low <= area <= one.high for one in held_naively]) < 0.75
    assert true[0].n == 30


def test_interval_holds_the_true_area() -> None:
    expected = stats.norm.cdf(1 / np.sqrt(2))
    held = []
    for seed in range(300):
        draws = np.random.default_rng(seed)
        truth = np.arange(60) % 2
        found = delong_interval(truth, draws.normal(size=60) + truth)
        assert 0 <= found.low < found.value < found.high <= 1
        held.append(found.low <= expected <= found.high)
    assert 0.92 <= np.mean(held) <= 0.985
    wide, narrow = delong_interval(*cases(0)[:2], level=0.99), delong_interval(*cases(0)[:2], level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_interval_is_the_plain_one_where_that_is_narrow() -> None:
    truth, scores, _ = cases(5, 4000)
    variance = by_variance(truth, scores)
    found = delong_interval(truth, scores)
    half = 1.959964 * np.sqrt(variance)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=6e-4)


def by_variance(truth: np.ndarray, scores: np.ndarray) -> float:
    outranks = (scores[truth == 1][:, None] > scores[truth == 0]) + 0.5 * (
        scores[truth == 1][:, None] == scores[truth == 0]
    )
    rows, columns = outranks.mean(axis=1), outranks.mean(axis=0)
    return rows.var(ddof=1) / len(rows) + columns.var(ddof=1) / len(columns)


def test_areas_without_a_test() -> None:
    truth, first, second = cases(4)
    same = delong(truth, first, first)
    assert (same.difference, same.z, same.p) == (0, 0, 1)
    perfect = delong(truth, truth.astype(float), -truth.astype(float))
    assert (perfect.first, perfect.second) == (1, 0)
    assert np.isnan([perfect.z, perfect.p]).all()
    assert np.isnan(delong_interval(truth, truth.astype(float)).low)
    one_class = delong(np.ones(5), first[:5], second[:5])
    assert np.isnan([one_class.first, one_class.z, one_class.p]).all()
    one_patient = delong(truth, first, second, groups=["a"] * len(truth))
    assert one_patient.first == delong(truth, first, second).first
    assert np.isnan(one_patient.p)
    nothing = delong_interval(np.zeros(0), np.zeros(0), groups=[])
    assert np.isnan(nothing.value)
    assert nothing.n == 0


def test_delong_refuses_what_does_not_fit() -> None:
    truth, first, second = cases(4)
    with pytest.raises(InputError, match="one score for each case"):
        delong(truth, first[:-1], second)
    with pytest.raises(InputError, match="one group for each case"):
        delong(truth, first, second, groups=["a"])
    with pytest.raises(InputError, match="finite"):
        delong_interval(truth, np.where(truth == 1, np.nan, first))
    with pytest.raises(InputError, match="truth as 0 and 1"):
        delong(truth + 1, first, second)
    with pytest.raises(InputError, match="level"):
        delong_interval(truth, first, level=95)


# --- Holm -----------------------------------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    # Sorted .005 * 4, .01 * 3, .03 * 2, and .04 * 1, which may not be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_nan_is_no_test() -> None:
    found = holm([0.01, float("nan"), 0.04, 0.03, 0.005])
    assert np.isnan(found[1])
    assert [found[i] for i in (0, 2, 3, 4)] == pytest.approx(holm([0.01, 0.04, 0.03, 0.005]))


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_as_its_steps_say(values: list[float]) -> None:
    adjusted = holm(values)
    for alpha in (0.01, 0.05, 0.3):
        rejected, left = set(), sorted(range(len(values)), key=lambda place: values[place])
        while left and values[left[0]] * len(left) <= alpha:
            rejected.add(left.pop(0))
        assert {place for place, value in enumerate(adjusted) if value <= alpha} == rejected
    assert all(ours >= before for ours, before in zip(adjusted, values, strict=True))


def test_holm_refuses_statistics() -> None:
    with pytest.raises(InputError, match=r"1\.96"):
        holm([0.05, 1.96])


# --- what a study can find ------------------------------------------------------------------------------------


def test_needed_patients_are_those_of_the_power_tables() -> None:
    # Paired t test, two-sided 5 %, power 80 %, for a small, medium and large standardised effect.
    assert [needed_patients(1.0, effect) for effect in (0.2, 0.5, 0.8)] == [199, 34, 15]


def test_needed_patients_reach_the_power_and_one_fewer_does_not() -> None:
    def power(count: int, effect: float) -> float:
        limit = stats.t.ppf(0.975, count - 1)
        shift = effect * np.sqrt(count)
        return 1 - stats.nct.cdf(limit, count - 1, shift) + stats.nct.cdf(-limit, count - 1, shift)

    for effect in (0.1, 0.35, 1.0, 2.5):
        count = needed_patients(3.0, -3.0 * effect, power=0.9)
        assert power(count, effect) >= 0.9 > power(count - 1, effect)
    assert needed_patients(0.0, 0.1) == 2
    assert needed_patients(1e-6, 1.0) == 2
    # Normal approximation, which is exact so far out.
    expected = ((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) / 1e-3) ** 2
    assert needed_patients(1.0, 1e-3) == pytest.approx(expected, rel=1e-4)


def test_noise_that_all_patients_share_is_not_lessened_by_more_of_them() -> None:
    """One training's noise of .017 needs more patients than none; one of .02 leaves no effect of .05 to be found."""
    alone, noisy = needed_patients(0.1, 0.05), needed_patients(0.1, 0.05, noise=0.017)
    assert alone is not None
    assert noisy is not None
    assert noisy > 2 * alone
    error = np.sqrt(0.1**2 / noisy + 0.017**2)
    assert stats.norm.cdf(0.05 / error - 1.96) == pytest.approx(0.8, abs=0.005)
    assert needed_patients(0.1, 0.05, noise=0.02) is None


@pytest.mark.parametrize("count", [5, 34, 120])
def test_the_detectable_effect_needs_as_many_patients_as_there_are(count: int) -> None:
    effect = minimum_detectable_effect(2.0, count)
    assert needed_patients(2.0, 1.0001 * effect) == count
    assert needed_patients(2.0, 0.999 * effect) > count
    # It goes with the unit; more power asks for more, more patients for less.
    assert minimum_detectable_effect(200.0, count) == pytest.approx(100 * effect)
    assert minimum_detectable_effect(2.0, count, power=0.95) > effect
    assert minimum_detectable_effect(2.0, count + 1) < effect


def test_the_detectable_effect_is_found_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1)
    found = stats.ttest_1samp(draws.normal(minimum_detectable_effect(1.0, 12), 1.0, (20_000, 12)), 0, axis=1)
    assert (found.pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.01)


def test_detectable_effects_at_the_ends() -> None:
    assert np.isnan(minimum_detectable_effect(1.0, 1))
    assert np.isnan(minimum_detectable_effect(float("nan"), 9))
    assert minimum_detectable_effect(0.0, 5) == 0
    # Two patients: t has a limit of 12.7, so the smallest effect is far beyond their deviation.
    assert minimum_detectable_effect(1.0, 2) > 7
    with pytest.raises(InputError, match="alpha < power"):
        minimum_detectable_effect(1.0, 3, power=0.05)
    with pytest.raises(InputError, match="other than 0"):
        needed_patients(1.0, 0.0)
    with pytest.raises(InputError, match="larger"):
        needed_patients(1.0, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("patients", [6, 12])
def test_equal_models_of_a_few_patients_are_told_apart_in_one_of_twenty(patients: int) -> None:
    """Slices of a patient go together. By the normal distribution 11 % of p lie below 5 % with six patients."""
    told, held, true = 0, 0, stats.norm.cdf(0.5)
    for seed in range(300):
        draws = np.random.default_rng([patients, seed])
        names = np.repeat(np.arange(patients), 8)
        truth = (draws.random(len(names)) < 0.4).astype(int)
        first, second = (truth + draws.normal(size=patients)[names] + draws.normal(size=len(names)) for _ in range(2))
        told += delong(truth, first, second, groups=names.tolist()).p < 0.05
        found = delong_interval(truth, first, groups=names.tolist())
        held += found.low <= true <= found.high
    assert stats.binomtest(told, 300, 0.05, alternative="greater").pvalue > 0.01
    assert stats.binomtest(held, 300, 0.95, alternative="less").pvalue > 0.01
