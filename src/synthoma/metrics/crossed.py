"""A figure of several readers who all saw the same cases: how sure it is for other readers and other cases.

Answers of one reader are no independent draws, nor are answers to one case. The model of Obuchowski and Rockette (1995,
Communications in Statistics 24:285) for one kind of test: the figure of reader r is mu + R_r + e_r, with Var(R) between
readers, and errors e that come from the cases and go together (Cov2), since all readers saw the same. Then

    Var(mean) = (MS(R) + R max(Cov2, 0)) / R,    MS(R) = sum_r (figure_r - mean)^2 / (R - 1)

and the interval is Student's with ((MS(R) + R max(Cov2, 0))^2) / (MS(R)^2 / (R - 1)) degrees of freedom (Hillis 2007,
Statistics in Medicine 26:596; 2014, ibid. 33:330). Variance and Cov2 are those of a jackknife that leaves out one case
at a time for all readers, each kind of case by itself. A variance between readers is not below 0: MS(R) counts no less
than what cases alone bring. Of two readers MS(R) has one degree of freedom and says next to nothing; ``fixed`` asks for
the interval of these very readers instead: cases alone vary, Var(mean) is the mean of all covariances. Readers who
are always right show a jackknife no spread: ``least`` is what their figures vary at least, by the closed form of one
reader, and their covariances grow with it.

It is preferred to a bootstrap over readers and cases, since that of two or three readers cannot show how little they
say: two readers drawn twice are often one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from synthoma.core.types import Array, Bools, Floats
from synthoma.metrics.intervals import Interval

_STILL = 1e-15
"""Variance of a figure that no case changes."""

Figures = Callable[[Bools], Sequence[float]]
"""A figure of each reader (R,) of the cases (N,) that are kept."""


@dataclass(frozen=True)
class Crossed(Interval):
    """The mean of all readers, with its interval; ``n`` is the number of cases.

    Attributes:
        error: standard error.
        freedom: degrees of freedom; infinite for fixed readers.
        readers: how many have the figure.
    """

    error: float
    freedom: float
    readers: int

    @property
    def p(self) -> float:
        """Two-sided p that it is 0; nan where there is no error to measure by."""
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom)) if self.error > 0 else float("nan")

    def smallest_seen(self, share: float = 0.8, level: float = 0.95) -> float:
        """The distance from 0 that as many readers and cases would have seen in this share of tests."""
        return float((stats.t.ppf((1 + level) / 2, self.freedom) + stats.t.ppf(share, self.freedom)) * self.error)


def crossed_interval(
    figures: Figures, cases: Sequence[str], kinds: Sequence[str], *, least: Sequence[float] = (),
    fixed: bool = False, level: float = 0.95,
) -> Crossed:  # fmt: skip
    """Mean of the readers' figures, for other cases and, unless they are fixed, other readers.

    Args:
        figures: gives the figure of each reader where some pictures are left out; nan of a reader leaves them out.
        cases: N names; pictures of one name (slices of a patient) are left out together.
        kinds: N names of kinds of cases that are drawn apart, as real and synthetic.
        least: smallest variance (R,) that each reader's figure can have by its cases; none where nobody says.
        fixed: the interval is about these readers; always so with one.
        level: 0..1.
    """
    everything = np.ones(len(cases), dtype=np.bool_)
    whole = np.asarray(figures(everything), dtype=np.float64)
    known = np.isfinite(whole)
    # One name may stand for a real and for a synthetic case.
    values, count = whole[known], len(set(zip(cases, kinds, strict=True)))
    if not len(values):
        return Crossed(*(float("nan"),) * 3, count, float("nan"), float("nan"), 0)
    covariance = _jackknife(figures, known, np.asarray(cases), np.asarray(kinds))
    if len(least):
        covariance = _raised(covariance, np.asarray(least, dtype=np.float64)[known])
    # One reader has no variance between readers to go by.
    return _combined(values, covariance, count, level, fixed=fixed or len(values) == 1)


def _jackknife(figures: Figures, known: Bools, cases: Array, kinds: Array) -> Floats:
    """Covariance (R, R) of the readers' figures over cases, kind by kind."""
    readers = int(known.sum())
    total = np.zeros((readers, readers))
    for kind in np.unique(kinds):
        names = np.unique(cases[kinds == kind])
        # A single case cannot be left out; its kind adds no variance.
        if len(names) < 2:
            continue
        left = np.array(
            [np.asarray(figures(~((kinds == kind) & (cases == name))), dtype=np.float64)[known] for name in names]
        )
        # A reader whom this leaves without a figure (one answer of a kind) is as without it.
        gaps = np.nan_to_num(left - np.nanmean(left, axis=0))
        # (n - 1) / n times the sum: a mean without one case moves n - 1 times less than that case deviates.
        total += (len(names) - 1) / len(names) * gaps.T @ gaps
    return total


def _raised(covariance: Floats, least: Floats) -> Floats:
    """A covariance with no variance below ``least``, and correlations as they were; 1 where none was seen."""
    own = np.diag(covariance)
    still = own <= _STILL
    wanted = np.sqrt(np.maximum(own, least))
    spread = np.sqrt(np.where(still, 1.0, own))
    correlation = np.where(np.logical_or.outer(still, still), 0.0, covariance / np.outer(spread, spread))
    # Readers of whom no spread was seen may all err on the same cases: the widest that is possible.
    correlation[np.ix_(still, still)] = 1.0
    return np.asarray(correlation * np.outer(wanted, wanted))


def _combined(values: Floats, covariance: Floats, count: int, level: float, *, fixed: bool) -> Crossed:
    readers, mean = len(values), float(values.mean())
    if fixed:
        # A covariance over few cases may come out negative; a mean of readers cannot vary less than not at all.
        error, freedom = max(float(covariance.mean()), 0.0) ** 0.5, float("inf")
    else:
        own = float(np.diag(covariance).mean())
        shared = max(float((covariance.sum() - np.trace(covariance)) / (readers * (readers - 1))), 0.0)
        # Between readers there is no less than what different cases bring to each alone, or cases would count for
        # nothing.
        between = max(float(values.var(ddof=1)), own - shared, 0.0)
        total = between + readers * shared
        error = (total / readers) ** 0.5
        # No variance between readers: the cases alone are left, whose error is taken as known.
        freedom = total**2 / (between**2 / (readers - 1)) if between > 0 else float("inf")
    reach = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return Crossed(mean, mean - reach, mean + reach, count, error, freedom, readers)
