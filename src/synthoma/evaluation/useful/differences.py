"""Differences of arms over the same patients, with intervals that hold patients and seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from synthoma.core.seeding import stream
from synthoma.core.types import Floats
from synthoma.evaluation.useful.result import Difference
from synthoma.metrics.intervals import DRAWS


def seed_noise(scores: Sequence[Floats]) -> float:
    """Standard deviation of an arm's mean from seed to seed, pooled over arms (seeds, patients)."""
    # Variances are averaged and not deviations, of which those of a few seeds are too small in the mean.
    variances = [part.mean(axis=1).var(ddof=1) for part in scores if len(part) > 1]
    return float(np.sqrt(np.mean(variances))) if variances else 0.0


def paired(first: Floats, second: Floats, noise: float, name: str, alpha: float = 0.05) -> Difference:
    """Difference of two arms (seeds, patients) over the same patients, with interval and p.

    Patients are drawn with replacement (patient-clustered paired bootstrap), and to each draw comes the noise of two
    means of so many seeds: other weights and batches would have given another difference on the same patients.
    """
    gaps = first.mean(axis=0) - second.mean(axis=0)
    # Each mean is one of so many seeds, drawn by themselves: their variances add up.
    shake = noise * float(np.sqrt(1 / len(first) + 1 / len(second)))
    draws = shaken_draws(gaps, shake, name)
    # Draws of exactly 0 count on both sides, which makes p larger rather than smaller.
    least = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    p = min(1.0, 2 * (int(least) + 1) / (len(draws) + 1))
    error, value = _error(gaps, shake), float(gaps.mean())
    # Not cut to what a difference can be: how far beyond it an interval reaches says how little a few patients tell.
    low, high = widened(gaps, shake, draws, alpha)
    return Difference(
        value=value,
        low=low,
        high=high,
        p=max(p, 2 * float(stats.t.sf(abs(value) / error, len(gaps) - 1))),
        n=len(gaps),
        spread=float(error * np.sqrt(len(gaps))),
        shake=shake,
    )


def _error(values: Floats, shake: float) -> float:
    """Standard error of a mean over patients (N,).

    What a patient's value varies by holds no noise of seeds that all patients share: it is added.
    """
    # Not 0: p is a quotient by it, also where all patients differ alike.
    return max(float(np.sqrt(values.var(ddof=1) / len(values) + shake**2)), 1e-12)


def widened(values: Floats, shake: float, draws: Floats, alpha: float = 0.05) -> tuple[float, float]:
    """Interval of a mean over patients (N,) at 1 - alpha, by its bootstrap draws and by Student's t: the wider counts.

    A bootstrap of a few patients cannot show how little they say.
    """
    low, high = _interval(draws, alpha)
    reach = float(stats.t.ppf(1 - alpha / 2, len(values) - 1)) * _error(values, shake)
    return min(low, float(values.mean()) - reach), max(high, float(values.mean()) + reach)


def shaken_draws(values: Floats, shake: float, name: str) -> Floats:
    """Bootstrap means (draws,) of values of patients (N,), each with the noise of seeds.

    Args:
        values: one for each patient.
        shake: standard error from seeds alone.
        name: of the random draws.
    """
    # Seed 0: an evaluation that is read again, or continued, has the same interval.
    generator = stream(0, f"evaluation.utility.{name}")
    picked = generator.integers(0, len(values), (DRAWS, len(values)))
    return np.asarray(values[picked].mean(axis=1) + shake * generator.normal(size=DRAWS))


def _interval(draws: Floats, alpha: float = 0.05) -> tuple[float, float]:
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)
