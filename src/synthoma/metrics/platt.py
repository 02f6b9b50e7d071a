"""From scores to probabilities: a logistic curve through two groups of scores (Platt 1999).

Platt, Probabilistic outputs for support vector machines, 1999; fitted as in Lin, Lin and Weng, A note on Platt's
probabilistic outputs, Machine Learning 68, 2007 (their targets, eq. 2; Newton's method with step halving).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Floats

# Only an end: as a rule Newton's method stops long before, where the gradient is `FLAT`.
STEPS = 100
TINY = 1e-10
FLAT = 1e-12
"""What is added to the curvature, and the gradient at which the curve is found."""


@dataclass(frozen=True)
class Curve:
    """Probability 1 / (1 + exp(-(slope * score + offset))) of belonging to the first group, slope 0 or above."""

    slope: float
    offset: float

    def chance(self, scores: Floats) -> Floats:
        """Probabilities (N,) in 0..1 of scores (N,), as if half of all were of the first group."""
        # `exp` overflows at 709.
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * np.asarray(scores) + self.offset, -700, 700))))


def platt(first: Floats, second: Floats) -> Curve:
    """The curve under which these scores are likeliest, where a higher one is to speak for the first group.

    Both groups weigh the same in all, however many each holds. The targets are (N + 1) / (N + 2) and 1 / (M + 2), not 1
    and 0, so that scores which part the groups without fail give a finite curve. Where the second group has the higher
    scores, a score says nothing that it should: the curve is flat, and every probability 0.5.

    Args:
        first: scores (N,) of the first group, one or more.
        second: scores (M,) of the second, one or more.

    Raises:
        InputError: a group without scores, or scores that are no finite numbers.
    """
    scores = np.concatenate([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    count, others = len(first), len(second)
    if not count or not others or not np.isfinite(scores).all():
        came = f"{count} and {others}" + ("" if np.isfinite(scores).all() else ", some of them nan or infinite")
        raise InputError("finite scores of both groups", came, "give one or more of each")
    centre, spread = scores.mean(), scores.std()
    # Equal scores say nothing, whatever groups they are of.
    if not spread > 0:
        return Curve(0.0, 0.0)
    # Newton's method on centred scores of deviation 1: those of a critic may be in the thousands.
    terms = np.stack([(scores - centre) / spread, np.ones_like(scores)], axis=1)
    targets = np.repeat([(count + 1) / (count + 2), 1 / (others + 2)], [count, others])
    weights = np.repeat([0.5 / count, 0.5 / others], [count, others])
    slope, offset = _newton(terms, targets, weights)
    if slope <= 0:
        return Curve(0.0, 0.0)
    return Curve(float(slope / spread), float(offset - slope * centre / spread))


def _newton(terms: Floats, targets: Floats, weights: Floats) -> Floats:
    """Coefficients (2,) of the logistic curve of least weighted cross-entropy."""
    found = np.zeros(terms.shape[1])
    loss = _cross_entropy(terms @ found, targets, weights)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-terms @ found))
        gradient = terms.T @ (weights * (chance - targets))
        if np.abs(gradient).max() < FLAT:
            break
        # Where all scores are told apart, chances are 0 and 1 and the curvature vanishes by rounding.
        curvature = (terms * (weights * chance * (1 - chance))[:, None]).T @ terms + TINY * np.eye(len(found))
        way, length = np.linalg.solve(curvature, gradient), 1.0
        # Far from its goal a full step may overshoot and diverge: it is halved until the loss falls (Lin et al. 2007).
        while length > TINY and _cross_entropy(terms @ (found - length * way), targets, weights) > loss:
            length /= 2
        found = found - length * way
        loss = _cross_entropy(terms @ found, targets, weights)
    return found


def _cross_entropy(logits: Floats, targets: Floats, weights: Floats) -> float:
    # `logaddexp` is exact where exp(logit) would overflow.
    return float((weights * (np.logaddexp(0, logits) - targets * logits)).sum())
