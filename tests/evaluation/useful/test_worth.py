"""Worth of cohorts whose worth is known, and parts of it against hand values and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from synthoma.evaluation.useful.differences import seed_noise
from synthoma.evaluation.useful.result import Worth
from synthoma.evaluation.useful.worth import chosen_by_others, ratio_interval, unselected_ratio, worth

HAD = 28


def scores(
    rng: np.random.Generator, rise: float, worths: tuple[float, ...], patients: int = 12, spread: float = 0.06
) -> tuple[dict[int, np.ndarray], dict[str, np.ndarray]]:
    """Three seeds of real arms that rise by so much with each doubling, and of mixtures worth so many patients."""
    hard = 0.2 * rng.normal(size=patients)

    def arm(level: float) -> np.ndarray:
        own, of_seed = rng.normal(size=patients), 0.2 * spread * rng.normal(size=(3, 1))
        return 0.7 + level + hard + 0.7 * spread * own + of_seed + spread * rng.normal(size=(3, patients))

    real = {count: arm(rise * np.log2(count / HAD)) for count in (7, 14, HAD)}
    return real, {f"mixed {at}": arm(rise * np.log2(1 + one / HAD)) for at, one in enumerate(worths)}


def judged(seed: int, rise: float, worths: tuple[float, ...], patients: int = 12, spread: float = 0.06) -> Worth:
    real, mixed = scores(np.random.default_rng(seed), rise, worths, patients, spread)
    noise = seed_noise([real[HAD], *mixed.values()])
    found = worth(real, mixed, had=HAD, known=HAD, noise=noise)
    assert found is not None
    return found


@pytest.mark.parametrize("true", [-7.0, 0.0, 10.0, 28.0])
def test_without_noise_it_is_what_it_was_made_to_be(true: float) -> None:
    found = judged(0, 0.08, (true, true - 5), spread=1e-4)
    assert found.value == pytest.approx(true, abs=0.1)
    assert found.low is not None
    assert found.high is not None
    assert found.low < true < found.high
    assert found.arm == "mixed 0"
    assert (found.because, found.most) == ("", 56)
    assert found.line.start + found.line.slope * np.log(HAD) == pytest.approx(found.curve[-1].score)


@pytest.mark.slow
def test_nothing_is_promised_where_there_is_nothing() -> None:
    """Two mixtures worth 0: the median lies there, and the lower end above it in at most one of 40."""
    found = [judged(seed, 0.08, (0, 0)) for seed in range(400)]
    given = [one for one in found if one.value is not None]
    assert len(given) > 350
    assert abs(np.median([one.value for one in given])) < 2
    assert np.mean([one.low > 0 for one in given]) <= 0.035
    assert np.mean([one.low <= 0 <= one.high for one in given]) >= 0.93


def test_a_mixture_that_is_worth_something_is_found() -> None:
    given = [one for one in (judged(seed, 0.08, (10, -14), 24) for seed in range(200)) if one.value is not None]
    assert np.median([one.value for one in given]) == pytest.approx(10, abs=2)
    assert np.mean([one.low <= 10 <= one.high for one in given]) >= 0.93
    assert np.mean([one.arm == "mixed 0" for one in given]) > 0.95


@pytest.mark.slow
def test_a_flat_curve_has_no_number() -> None:
    found = [judged(seed, 0.0, (0, 0)) for seed in range(300)]
    assert np.mean([one.value is None for one in found]) > 0.96
    assert all((one.value is None) == (one.low is None) == (one.high is None) == bool(one.because) for one in found)
    assert any("do not clearly raise" in one.because for one in found)


def test_an_interval_over_all_of_the_curve_is_no_number() -> None:
    found = [judged(seed, 0.03, (0, 0), 12, spread=0.1) for seed in range(300)]
    wide = [one for one in found if "from 7 to 84 patients" in one.because]
    assert wide
    for one in found:
        assert one.value is None or one.low > 7 - HAD or one.high < one.most


def test_it_ends_where_the_curve_is_followed_to() -> None:
    found = judged(0, 0.08, (300, 0), spread=1e-4)
    assert (found.value, found.high) == pytest.approx((56, 56))
    assert judged(0, 0.08, (-27.9, -27.9), spread=1e-4).low >= -HAD


def test_few_points_are_no_curve() -> None:
    real, mixed = scores(np.random.default_rng(0), 0.08, (0,))
    assert worth({HAD: real[HAD]}, mixed, had=HAD, known=HAD, noise=0.01) is None
    # Five of 28 patients say little of what more would give, and are only drawn.
    assert worth({5: real[7], HAD: real[HAD]}, mixed, had=HAD, known=HAD, noise=0.01) is None
    with_few = worth({3: real[7] - 5, **real}, mixed, had=HAD, known=HAD, noise=0.01)
    without = worth(real, mixed, had=HAD, known=HAD, noise=0.01)
    assert with_few is not None
    assert without is not None
    assert (with_few.value, with_few.line) == (without.value, without.line)
    assert [point.patients for point in with_few.curve] == [3, 7, 14, HAD]


def test_a_choice_never_sees_what_it_is_judged_by() -> None:
    # Of noise alone the best mean is above 0; what others chose is not.
    draws = np.random.default_rng(0)
    best, others = [], []
    for _ in range(600):
        mixtures = [draws.normal(size=(3, 1)) + draws.normal(size=(3, 8)) for _ in range(4)]
        best.append(max(one.mean() for one in mixtures))
        others.append(chosen_by_others(mixtures).mean())
    error = np.std(others) / np.sqrt(600)
    assert np.mean(best) > 0.4
    assert abs(np.mean(others)) < 3 * error
    # And each is that of the highest mean over the others, counted out.
    found = chosen_by_others(mixtures)
    for seed in range(3):
        for patient in range(8):
            rest = [np.delete(np.delete(one, seed, 0), patient, 1).mean() for one in mixtures]
            assert found[seed, patient] == mixtures[int(np.argmax(rest))][seed, patient]


def test_a_clear_winner_is_what_others_choose() -> None:
    one, other = np.random.default_rng(1).random((2, 3, 9))
    assert np.array_equal(chosen_by_others([one, other + 2]), other + 2)


def test_ratio_interval_by_hand() -> None:
    # (1 - 2 r)^2 <= t^2 (0.01 + 0.01 r^2) with t = 2.0 (60 degrees of freedom): 3.96 r^2 - 4 r + 0.96 = 0.
    ends = ratio_interval(1.0, 2.0, 0.01 * np.eye(2), 61)
    assert ends == pytest.approx(tuple(np.sort(np.roots([3.96, -4, 0.96]))), rel=1e-3)
    assert ratio_interval(1.0, 0.19, 0.01 * np.eye(2), 61) is None  # the divisor is not told from 0
    assert ratio_interval(1.0, -2.0, 0.01 * np.eye(2), 61) is None  # or below it


def test_ratio_interval_holds_the_ratio() -> None:
    draws = np.random.default_rng(2)
    held = []
    for _ in range(1000):
        pairs = np.array([[0.3], [1.0]]) + draws.multivariate_normal([0, 0], [[1, -0.6], [-0.6, 1]], 12).T
        ends = ratio_interval(*pairs.mean(axis=1), np.cov(pairs) / 12, 12)
        held.append(ends is None or ends[0] <= 0.3 <= ends[1])
    assert 0.93 <= np.mean(held) <= 0.97


def test_selection_is_taken_off() -> None:
    """Both figures hold one noise: what passes the test has its divisor too large, and with it its gain too small."""
    draws = np.random.default_rng(3)
    plain, corrected = [], []
    errors = np.array([[0.5, -0.25], [-0.25, 0.25]])
    for above, below in draws.multivariate_normal([0.0, 1.0], errors, 4000):
        if ratio_interval(above, below, errors, 200):
            plain.append(above / below)
            corrected.append(unselected_ratio(above, below, errors, 200))
    assert np.median(plain) < -0.15
    assert abs(np.median(corrected)) < 0.6 * abs(np.median(plain))
    # A divisor far above its limit was hardly selected.
    assert unselected_ratio(1.0, 9.0, errors, 200) == pytest.approx(1 / 9, rel=1e-6)
