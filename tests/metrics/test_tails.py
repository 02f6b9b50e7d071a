from __future__ import annotations

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.metrics.tails import at_most, fisher, fit_tail, mixture_bound, proportion_bounds, rank_p, share_bound


def test_bounds_in_closed_form() -> None:
    for of in (1, 20, 500):
        assert proportion_bounds(0, of) == (0.0, pytest.approx(1 - 0.025 ** (1 / of)))
        assert proportion_bounds(of, of) == (pytest.approx(0.025 ** (1 / of)), 1.0)
    # One hit: (1 - q)^n + n q (1 - q)^(n - 1) = 0.05.
    q = proportion_bounds(1, 30, level=0.9)[1]
    assert (1 - q) ** 30 + 30 * q * (1 - q) ** 29 == pytest.approx(0.05)


@pytest.mark.slow
def test_the_share_of_copies_is_bounded() -> None:
    """Copies of an unknown share, found with an unknown recall: the bound is wrong in at most 5 %."""
    draws = np.random.default_rng(0)
    for share, recall in ((0.0, 0.9), (0.02, 0.8), (0.2, 0.6), (0.5, 0.95)):
        flagged = draws.binomial(300, share * recall, 400)
        found = draws.binomial(100, recall, 400)
        bounds = [share_bound(int(k), 300, int(h), 100) for k, h in zip(flagged, found, strict=True)]
        assert np.mean(np.array(bounds) >= share) >= 0.95
    assert share_bound(0, 300, 0, 100) == 1.0
    assert share_bound(300, 300, 100, 100) == 1.0
    assert share_bound(0, 500, 200, 200) == pytest.approx((1 - 0.025 ** (1 / 500)) / 0.025 ** (1 / 200))


@pytest.mark.slow
def test_ranks_are_exact() -> None:
    """p of the number above the second highest of 40 honest scores is uniform at most, whatever the distribution."""
    draws = np.random.default_rng(0)
    p = []
    for _ in range(2000):
        scores = draws.exponential(size=140)
        above = int((scores[40:] > np.sort(scores[:40])[-2]).sum())
        p.append(rank_p(above, 100, 2, 40))
    for level in (0.01, 0.1, 0.5):
        assert np.mean(np.array(p) <= level) < level + 3 * np.sqrt(level / 2000)
    assert rank_p(1, 1, 1, 19) == pytest.approx(1 / 20)


def test_a_tail_finds_its_own_law() -> None:
    draws = np.random.default_rng(0)
    tail = fit_tail(np.tanh(draws.exponential(0.2, 4000)), [str(at) for at in range(4000)])
    assert tail.scale == pytest.approx(0.2, rel=0.1)
    assert tail.scale < tail.longest < 1.15 * tail.scale
    assert fisher(tail.quantile(0.01)) == pytest.approx(0.2 * np.log(100), rel=0.1)
    assert 0.01 < tail.chance(tail.quantile(0.01)) < 0.02
    assert tail.chance(-1) == tail.chance(tail.quantile(0.25)) == pytest.approx(0.25)
    assert tail.chance(1.0) < 1e-9


def test_few_patients_make_a_long_tail() -> None:
    draws = np.random.default_rng(0)
    scores = np.tanh(draws.exponential(0.2, 60))
    longest = [fit_tail(scores, [str(at % groups) for at in range(60)]).longest for groups in (1, 5, 60)]
    assert longest == sorted(longest, reverse=True)
    assert longest[0] > 10 * longest[2] / 2
    with pytest.raises(InputError, match="at least 4 scores"):
        fit_tail(scores[:3], ["a", "b", "c"])


def test_equal_scores_have_a_tail_too() -> None:
    tail = fit_tail(np.full(30, 0.5), ["a", "b"] * 15)
    assert tail.quantile(0.01) == pytest.approx(0.5, abs=0.01)
    assert tail.chance(0.9) < 1e-6


def test_a_printed_bound_is_never_below_the_bound() -> None:
    assert [at_most(share) for share in (0.0, 0.003, 0.0030001, 0.0124, 0.07, 1.0)] == [
        "0.0 %", "0.3 %", "0.4 %", "1.3 %", "7.0 %", "100.0 %",
    ]  # fmt: skip
    for share in np.random.default_rng(0).random(500).tolist():
        assert share <= float(at_most(share).removesuffix(" %")) / 100 < share + 0.00101


def test_the_bound_of_a_mixture_rests_on_the_kind_that_is_hardest_to_find() -> None:
    assert mixture_bound(3, 300, [(90, 100)]) == share_bound(3, 300, 90, 100)
    assert mixture_bound(3, 300, [(90, 100), (60, 100)]) > share_bound(3, 300, 60, 100)
    assert mixture_bound(3, 300, [(90, 100), (0, 100)]) == 1.0


@pytest.mark.slow
def test_the_bound_of_a_mixture_covers_any_mixture() -> None:
    """All copies are of the hard kind: the mean recall would be too good to them."""
    draws, share, recalls = np.random.default_rng(0), 0.1, (1.0, 1.0, 0.5)
    covered = []
    for _ in range(400):
        flagged = draws.binomial(200, share * recalls[-1])
        planted = [(int(draws.binomial(40, recall)), 40) for recall in recalls]
        covered.append(mixture_bound(int(flagged), 200, planted) >= share)
    assert np.mean(covered) >= 0.95
