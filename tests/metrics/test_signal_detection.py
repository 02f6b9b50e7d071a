"""d' and bias against a published table, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from synthoma.core.errors import InputError
from synthoma.metrics.proportions import guessing, wilson
from synthoma.metrics.signal_detection import detected, leaning, power, separation, smallest_seen

# One physician, 50 real and 50 synthetic pictures a row (the seed project's thesis, table 2.2): real ones called real,
# synthetic ones called real; right answers in %, Wilson's interval, p, d' and c with half widths.
TABLE = {
    "T1 128": (26, 6, 70, 60.4, 78.1, 7.85e-5, 1.188, 0.56, 0.545, 0.28),
    "T1c 128": (24, 3, 71, 61.5, 79.0, 3.22e-5, 1.437, 0.63, 0.768, 0.32),
    "T2 128": (22, 8, 64, 54.2, 72.7, 0.00664, 0.819, 0.54, 0.558, 0.27),
    "FLAIR 128": (12, 8, 54, 44.3, 63.4, 0.484, 0.277, 0.56, 0.829, 0.28),
    "Concat 128": (34, 7, 77, 67.8, 84.2, 5.51e-8, 1.507, 0.56, 0.296, 0.28),
    "Concat 64": (13, 9, 54, 44.3, 63.4, 0.484, 0.263, 0.55, 0.760, 0.27),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))
def test_a_published_table_comes_out_of_its_counts(row: tuple[float, ...]) -> None:
    hits, alarms = int(row[0]), int(row[1])
    right = hits + 50 - alarms
    share, found = wilson(right, 100), detected(hits, 50, alarms, 50)
    assert [round(100 * end, 1) for end in (share.value, share.low, share.high)] == list(row[2:5])
    assert guessing(right, 100) == pytest.approx(row[5], rel=2e-3)
    assert found.d.value == pytest.approx(row[6], abs=5e-4)
    assert found.d.high - found.d.value == pytest.approx(row[7], abs=6e-3)
    assert found.c.value == pytest.approx(row[8], abs=6e-4)
    assert found.c.high - found.c.value == pytest.approx(row[9], abs=6e-3)


def test_shares_of_none_and_all_have_a_value() -> None:
    """Hautus: 10 of 10 is 10.5 / 11."""
    z = stats.norm.ppf(10.5 / 11)
    found = detected(10, 10, 0, 10)
    assert found.d.value == pytest.approx(2 * z)
    assert found.c.value == pytest.approx(0)
    assert np.isfinite([found.d.low, found.d.high]).all()
    assert separation(10, 10, 0, 10) == found.d.value
    assert leaning(0, 10, 0, 10) == pytest.approx(z)  # says "noise" to everything
    assert np.isnan(separation(0, 0, 1, 3))
    assert np.isnan(leaning(1, 3, 0, 0))


def test_two_pictures_at_once_show_more() -> None:
    """The same shares mean a d' that is smaller by sqrt(2), and c does not change."""
    one, two = detected(20, 25, 7, 25), detected(20, 25, 7, 25, side_by_side=True)
    assert two.d.value == pytest.approx(one.d.value / 2**0.5)
    assert two.d.high - two.d.low == pytest.approx((one.d.high - one.d.low) / 2**0.5)
    assert two.c == one.c


@pytest.mark.parametrize("counts", [(5, 4, 0, 4), (1, 4, 5, 4), (-1, 4, 0, 4), (0, 0, 0, 4), (0, 4, 0, 0)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="both kinds"):
        detected(*counts)


@pytest.mark.slow
def test_power_is_what_a_simulation_counts() -> None:
    draws, d = np.random.default_rng(0), 0.8
    hits = draws.binomial(20, stats.norm.cdf(d / 2 - 0.3), 2000)
    alarms = draws.binomial(30, stats.norm.cdf(-d / 2 - 0.3), 2000)
    seen = [
        found.low > 0 or found.high < 0
        for found in (detected(int(hit), 20, int(alarm), 30).d for hit, alarm in zip(hits, alarms, strict=True))
    ]
    assert power(d, 20, 30, bias=0.3) == pytest.approx(np.mean(seen), abs=0.03)


def test_power_grows_and_guessing_is_called_seeing_in_one_of_twenty() -> None:
    assert power(0, 50, 50) == pytest.approx(0.05, abs=0.01)
    assert power(0.5, 50, 50) < power(0.5, 200, 200) < power(1, 200, 200)
    assert power(0.5, 25, 25) < power(0.5, 25, 25, side_by_side=True)
    least = smallest_seen(50, 50)
    assert power(least, 50, 50) == pytest.approx(0.8, abs=5e-3)
    assert np.isnan(smallest_seen(0, 50))


@pytest.mark.slow
@pytest.mark.parametrize("count", [10, 20, 50])
@pytest.mark.parametrize("bias", [0.0, 0.8])
@pytest.mark.parametrize("side_by_side", [False, True])
def test_the_interval_holds_the_truth_in_93_of_100_tests(count: int, bias: float, side_by_side: bool) -> None:
    """Exact: every outcome with its probability."""
    found = {
        (hits, alarms): detected(hits, count, alarms, count, side_by_side=side_by_side)
        for hits in range(count + 1)
        for alarms in range(count + 1)
    }
    for d in (0.0, 0.5, 1.0, 1.5):
        half = d * (2**0.5 if side_by_side else 1) / 2
        of_hits, of_alarms = (
            stats.binom.pmf(np.arange(count + 1), count, stats.norm.cdf(z)) for z in (half - bias, -half - bias)
        )
        for one, truth in (("d", d), ("c", bias)):
            held = sum(
                of_hits[hits] * of_alarms[alarms]
                for (hits, alarms), both in found.items()
                if getattr(both, one).low <= truth <= getattr(both, one).high
            )
            assert held >= 0.93, (one, d)


@pytest.mark.slow
def test_the_interval_holds_the_truth_in_500_simulated_tests() -> None:
    """Readers of any ability and habit, 50 + 50 pictures."""
    draws = np.random.default_rng(0)
    d, bias = draws.uniform(0, 2, 500), draws.normal(0, 0.5, 500)
    hits = draws.binomial(50, stats.norm.cdf(d / 2 - bias))
    alarms = draws.binomial(50, stats.norm.cdf(-d / 2 - bias))
    found = [detected(int(hit), 50, int(alarm), 50).d for hit, alarm in zip(hits, alarms, strict=True)]
    assert np.mean([one.low <= true <= one.high for one, true in zip(found, d, strict=True)]) >= 0.93
