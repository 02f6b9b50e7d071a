"""What more real patients would give: a power law through the scores of detectors that learned from fewer.

The error falls as a power of the number of patients, 1 - score = scale * patients ** -power (Cortes et al. 1994, NIPS
6; Hestness et al. 2017, arXiv:1712.00409; here with an error of 0 in the end): a straight line in both logarithms,
fitted by least squares. Intervals come from a bootstrap over the patients who were asked; each draw takes seeds anew as
well, since another seed learns from other patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from synthoma.core.seeding import stream
from synthoma.core.types import Floats, Ints
from synthoma.metrics.intervals import Interval, bootstrap_many

FURTHEST = 3
"""The curve is followed to so many times as many patients as it was measured with; beyond, nobody knows."""

LEAST_ERROR = 1e-6
"""Errors below are those of rounding, and have no logarithm."""


def power_law(patients: Sequence[float], scores: Sequence[float]) -> tuple[float, float]:
    """Scale and power of 1 - score = scale * patients ** -power.

    Args:
        patients: two different numbers or more.
        scores: 0..1, one for each.
    """
    # A score of 1 has no logarithm of its error; the floor keeps it a point far down in place of minus infinity.
    error = np.maximum(1 - np.asarray(scores, np.float64), LEAST_ERROR)
    slope, start = np.polyfit(np.log(np.asarray(patients, np.float64)), np.log(error), 1)
    return float(np.exp(start)), float(-slope)


def gained(scale: float, power: float, had: float, further: float) -> float:
    """By how much the score rises from ``had`` patients with so many further ones, up to ``FURTHEST`` times as many."""
    # A power law holds within some decades at best; a bend beyond what was measured would be promised away.
    reached = min(had + further, FURTHEST * had)
    return float(scale * (had**-power - reached**-power))


def followed(scores: Mapping[int, Floats], further: float, *, seed: int) -> dict[str, Interval]:
    """Intervals of "power" and "gain": the power law's, and what so many further patients would give.

    Args:
        scores: number of patients learned from -> scores (seeds, patients asked), the same patients asked in all.
        further: patients beyond the largest of these numbers.
        seed: of the draws.
    """
    counts = sorted(scores)
    asked = scores[counts[0]].shape[1]
    # One stream for all draws, which come in a fixed order: the same scores have the same interval.
    rng = stream(seed, "planning.seeds")

    def statistic(drawn: Ints) -> dict[str, float]:
        whole = bool((drawn == np.arange(asked)).all())  # the sample itself: all seeds, each once
        means = []
        for count in counts:
            part = scores[count]
            # Apart for each number of patients, though these share their seeds: what they have in common is not taken
            # off, and the interval is rather too wide than too narrow.
            rows = np.arange(len(part)) if whole else rng.integers(0, len(part), len(part))
            means.append(float(part[np.ix_(rows, drawn)].mean()))
        scale, power = power_law(counts, means)
        return {"power": power, "gain": gained(scale, power, counts[-1], further)}

    return bootstrap_many(statistic, asked, seed=seed)
