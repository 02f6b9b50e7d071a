"""Shares of right answers: their interval, and whether guessing would do as well."""

from __future__ import annotations

from scipy import stats

from synthoma.core.errors import InputError
from synthoma.metrics.intervals import Interval


def wilson(right: int, count: int, *, level: float = 0.95) -> Interval:
    """Interval of a share (Wilson 1927): all p from which the share lies no more than z standard errors away.

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n). Answers have to be independent of each other.
    nan without any.

    Args:
        right: how many were right.
        count: of how many.
        level: 0..1.

    Raises:
        InputError: more right than there were.
    """
    _check(right, count)
    if not count:
        return Interval(*(float("nan"),) * 3, 0)
    z, share = float(stats.norm.ppf((1 + level) / 2)), right / count
    middle, reach = share + z**2 / (2 * count), z * (share * (1 - share) / count + z**2 / (4 * count**2)) ** 0.5
    scale = 1 + z**2 / count
    # At 0 and at n of n the end is 0 or 1 by the formula, and just beyond it by rounding.
    return Interval(share, max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale), count)


def guessing(right: int, count: int, *, chance: float = 0.5) -> float:
    """Two-sided exact binomial p that so many right answers, or less likely numbers, come by chance; nan without any.

    Raises:
        InputError: more right than there were.
    """
    _check(right, count)
    return float(stats.binomtest(right, count, chance).pvalue) if count else float("nan")


def _check(right: int, count: int) -> None:
    if not 0 <= right <= count:
        raise InputError("a part of a whole", f"{right} of {count}", "give counts, the part first")
