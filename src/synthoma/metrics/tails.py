"""How far honest scores reach by chance, and what a count of exceedances proves."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from synthoma.core.errors import InputError
from synthoma.core.types import Floats

_SHARE = 0.25
# Honest scores that are all alike would else leave a tail of no width: every other score beyond chance.
_LEAST_SCALE = 1e-3
# artanh(1) is infinite, and means of it are too.
_MOST = 1 - 1e-9


@dataclass(frozen=True)
class Tail:
    """The upper quarter of correlations, as an exponential in Fisher's z = artanh(r).

    Attributes:
        start: z that a quarter of the scores exceed.
        scale: mean excess over it.
        longest: upper 95 % limit of ``scale``.
    """

    start: float
    scale: float
    longest: float

    def quantile(self, chance: float) -> float:
        """The score that is exceeded by this chance, which is at most a quarter."""
        return float(np.tanh(self.start + self.scale * np.log(_SHARE / chance)))

    def chance(self, score: float) -> float:
        """Upper limit of the chance that one more such score lies above this one; never more than a quarter is said."""
        excess = max(fisher(score) - self.start, 0.0)
        # By the longest tail that the scores allow: a chance that is said too small would accuse.
        return float(_SHARE * np.exp(-excess / self.longest))


def fit_tail(scores: Floats, groups: Sequence[Hashable]) -> Tail:
    """Tail of correlations (N,), N >= 4, by peaks over threshold (Pickands 1975) with an exponential excess.

    The limit of the scale is exact for independent excesses, of which the mean is a multiple of chi-squared with two
    degrees of freedom each. Slices of one patient are not independent: as many excesses are counted as there are groups
    among them. With few patients, only what is nearly identical is then beyond chance.

    Args:
        scores: -1..1.
        groups: N names.

    Raises:
        InputError: too few scores, or not one group for each.
    """
    if len(scores) < 4 or len(groups) != len(scores):
        came = f"{len(scores)} scores of {len(groups)} groups"
        raise InputError("at least 4 scores, with a group each", came, "add held-out scans")
    values = np.array([fisher(score) for score in np.asarray(scores, dtype=np.float64)])
    start = float(np.quantile(values, 1 - _SHARE))
    # Strictly: where a quarter and more are equal, none exceeds.
    above = values > start
    if not above.any():
        return Tail(start, _LEAST_SCALE, _LEAST_SCALE)
    scale = max(float((values[above] - start).mean()), _LEAST_SCALE)
    degrees = 2 * len({group for group, is_above in zip(groups, above.tolist(), strict=True) if is_above})
    # Twice the sum of n exponential excesses over their scale is chi-squared with 2n degrees; its 5 % point bounds the
    # scale.
    return Tail(start, scale, scale * degrees / float(stats.chi2.ppf(0.05, degrees)))


def fisher(score: float) -> float:
    """Fisher's z of a correlation; finite at 1 too."""
    return float(np.arctanh(np.clip(score, -_MOST, _MOST)))


def rank_p(above: int, of: int, rank: int, honest: int) -> float:
    """Chance that at least ``above`` of ``of`` scores exceed the ``rank``-th highest of ``honest`` scores.

    If all come independently from one distribution, whatever it is, their number is beta-binomial with parameters
    ``rank`` and ``honest + 1 - rank`` (Wilks 1941). A test against a fixed share is not exact: with few honest scores
    it finds exceedances where there are none.
    """
    return float(stats.betabinom.sf(above - 1, of, rank, honest + 1 - rank))


def proportion_bounds(hits: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a share after ``hits`` in ``of`` (Clopper and Pearson 1934).

    Each end alone holds with (1 + level) / 2.
    """
    side = (1 - level) / 2
    low = 0.0 if hits == 0 else float(stats.beta.ppf(side, hits, of - hits + 1))
    high = 1.0 if hits == of else float(stats.beta.ppf(1 - side, hits + 1, of - hits))
    return low, high


def share_bound(flagged: int, of: int, found: int, planted: int, level: float = 0.95) -> float:
    """Upper bound of the share of copies, from what a detector flags and from how many planted copies it finds.

    Let s be the share of copies, r the chance that a copy is flagged and f that another image is. An image is flagged
    with q = s r + (1 - s) f >= s r, so s <= q / r. Let U be the upper end of the Clopper-Pearson interval of q after
    ``flagged`` of ``of``, and L the lower end of that of r after ``found`` of ``planted``. Each fails with (1 - level)
    / 2; by Bonferroni, both hold with ``level``, and then s <= U / L. That false alarms count as copies makes the bound
    larger, never wrong. It speaks of copies that are altered as the planted ones are; where a given cohort holds a
    fixed number of copies, their number found varies less than the binomial assumed, and the bound holds all the more.

    Returns:
        0..1; 1 where nothing is known.
    """
    return mixture_bound(flagged, of, [(found, planted)], level)


def mixture_bound(flagged: int, of: int, planted: Sequence[tuple[int, int]], level: float = 0.95) -> float:
    """`share_bound` for copies of several kinds in any mixture, with (found, planted) of each kind.

    What is flagged of a mixture is at least what is flagged of the kind that is hardest to find. The lower ends of all
    kinds must hold at once, so they share their chance of failing (Bonferroni).
    """
    high = proportion_bounds(flagged, of, level)[1]
    low = min(proportion_bounds(found, many, 1 - (1 - level) / len(planted))[0] for found, many in planted)
    # The bound is a share: where copies are hardly found at all, nothing is known.
    return 1.0 if high >= low else high / low


def at_most(share: float) -> str:
    """An upper bound of a share, 0..1, in per cent with one decimal: rounded up, or it would be none."""
    # What is a whole tenth up to rounding of the machine stays one.
    return f"{math.ceil(1000 * share - 1e-9) / 10:.1f} %"
