"""Do readers tell two kinds of pictures apart, and to which answer do they lean? d' and bias of signal detection.

A reader calls pictures "real" or "synthetic"; real ones are the signal. H is the share of real pictures called real, F
that of synthetic ones. The share of right answers mixes two things: somebody who calls nearly everything synthetic
finds nearly every synthetic picture and is right in half of all. d' = (z(H) - z(F)) / k is how far both kinds lie apart
for the reader, c = -(z(H) + z(F)) / 2 how far the answers lean (above 0: towards "synthetic"), z being the normal
quantile (Green and Swets 1966; Macmillan and Creelman 2005). k is 1 where pictures come one by one, and sqrt(2) where
both kinds lie side by side and "left" is the answer that counts: two pictures are seen for one answer (ibid., ch. 7).

Shares of 0 and 1 have no quantile: H = (hits + 0.5) / (signals + 1), always and for both (log-linear correction, Hautus
1995). The variance of z(H) is H (1 - H) / (n phi(z(H))^2), that of d' the sum over H and F by k^2, that of c a quarter
of the sum (Gourevitch and Galanter 1967), and the interval the normal one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Floats
from synthoma.metrics.intervals import Interval

LARGEST = 6.0
"""The largest d' that is looked for; half of it is seen at a glance."""


@dataclass(frozen=True)
class Detected:
    """How well a reader tells signal from noise.

    Attributes:
        d: d', with its interval; 0 is guessing.
        c: bias, with its interval; above 0 the reader tends to say "noise".
    """

    d: Interval
    c: Interval


def detected(
    hits: int, signals: int, alarms: int, noises: int, *, side_by_side: bool = False, level: float = 0.95
) -> Detected:
    """D' and c with intervals.

    Args:
        hits: signals that were called signals.
        signals: how many there were.
        alarms: noises that were called signals.
        noises: how many there were.
        side_by_side: both kinds were seen together, and the answer was a side.
        level: of the intervals, 0..1.

    Raises:
        InputError: more hits than signals, more alarms than noises, or none of a kind.
    """
    if not (0 <= hits <= signals and 0 <= alarms <= noises and signals and noises):
        came = f"{hits} of {signals} and {alarms} of {noises}"
        raise InputError("answers to both kinds of pictures", came, "give counts of both kinds")
    d, c, error_d, error_c = _figures(np.array(hits), signals, np.array(alarms), noises, side_by_side=side_by_side)
    reach, count = _reach(level), signals + noises
    return Detected(
        Interval(float(d), float(d - reach * error_d), float(d + reach * error_d), count),
        Interval(float(c), float(c - reach * error_c), float(c + reach * error_c), count),
    )


def separation(hits: float, signals: float, alarms: float, noises: float, *, side_by_side: bool = False) -> float:
    """D' alone; nan where a kind is absent."""
    if not (signals and noises):
        return float("nan")
    # Always, not for shares of 0 and 1 alone, so that figures of all readers are alike (decision 0016).
    high, low = stats.norm.ppf([(hits + 0.5) / (signals + 1), (alarms + 0.5) / (noises + 1)])
    return float((high - low) / _factor(side_by_side))


def leaning(hits: float, signals: float, alarms: float, noises: float) -> float:
    """C alone; nan where a kind is absent."""
    if not (signals and noises):
        return float("nan")
    return float(-stats.norm.ppf([(hits + 0.5) / (signals + 1), (alarms + 0.5) / (noises + 1)]).sum() / 2)


def power(
    d: float, signals: int, noises: int, *, bias: float = 0.0, side_by_side: bool = False, level: float = 0.95
) -> float:
    """How often the interval of one reader's d' leaves out 0 where the true one is ``d``: exact, over all outcomes.

    Both counts are binomial; every pair of them is gone through, so nothing is drawn.

    Args:
        d: the true d'.
        signals: pictures of one kind.
        noises: pictures of the other.
        bias: the reader's c.
        side_by_side: both kinds are seen together.
        level: of the interval, 0..1.
    """
    # Signals lie half of the distance above the middle, noises as far below it, and the bias moves the limit.
    half = d * _factor(side_by_side) / 2
    of_hits = stats.binom.pmf(np.arange(signals + 1), signals, stats.norm.cdf(half - bias))
    of_alarms = stats.binom.pmf(np.arange(noises + 1), noises, stats.norm.cdf(-half - bias))
    hits, alarms = np.meshgrid(np.arange(signals + 1), np.arange(noises + 1), indexing="ij")
    found, _, error, _ = _figures(hits, signals, alarms, noises, side_by_side=side_by_side)
    # The chances of all outcomes whose interval leaves out 0, on either side of it, are summed.
    return float(np.outer(of_hits, of_alarms)[np.abs(found) > _reach(level) * error].sum())


def smallest_seen(
    signals: int, noises: int, *, share: float = 0.8, bias: float = 0.0, side_by_side: bool = False
) -> float:
    """The d' that one reader's interval sees in this share of tests; nan where it is larger than any that is real."""

    def lacks(d: float) -> float:
        return power(d, signals, noises, bias=bias, side_by_side=side_by_side) - share

    # Below the largest d' the search has no change of sign to look for.
    if not (signals and noises) or lacks(LARGEST) < 0:
        return float("nan")
    return float(optimize.brentq(lacks, 0.0, LARGEST, xtol=1e-3))


def _figures(
    hits: Array, signals: int, alarms: Array, noises: int, *, side_by_side: bool
) -> tuple[Floats, Floats, Floats, Floats]:
    """d', c and their standard errors, of arrays of counts."""
    rates = (hits + 0.5) / (signals + 1), (alarms + 0.5) / (noises + 1)
    high, low = (stats.norm.ppf(rate) for rate in rates)
    spread = sum(
        rate * (1 - rate) / (count * stats.norm.pdf(z) ** 2)
        for rate, z, count in zip(rates, (high, low), (signals, noises), strict=True)
    )
    factor = _factor(side_by_side)
    return (high - low) / factor, -(high + low) / 2, np.sqrt(spread) / factor, np.sqrt(spread) / 2


def _factor(side_by_side: bool) -> float:
    return 2**0.5 if side_by_side else 1.0


def _reach(level: float) -> float:
    return float(stats.norm.ppf((1 + level) / 2))
