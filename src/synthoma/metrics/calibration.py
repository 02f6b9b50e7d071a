"""Whether a probability of 0.8 means that four of five are right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Floats, Ints


@dataclass(frozen=True)
class Reliability:
    """Points of the reliability curve, one a bin that is not empty, by rising probability.

    Attributes:
        probability: mean probability of the bin (B,).
        share: observed share of positives in it (B,).
        count: how many it holds (B,).
    """

    probability: Floats
    share: Floats
    count: Ints


def reliability(truth: Array, probabilities: Floats, *, bins: int = 15) -> Reliability:
    """Reliability curve over bins of equal mass.

    Equal probabilities share a bin, so the curve does not depend on the order of the images; many of one value make
    their bin larger and the number of bins smaller.

    Args:
        truth: (N,) of 0 and 1.
        probabilities: (N,), 0..1.
        bins: how many at most.

    Raises:
        InputError: two lengths, other values, or no bin.
    """
    real, values = _checked(truth, probabilities)
    if bins < 1:
        raise InputError("at least 1 bin", f"{bins}", "use 10 to 20")
    if not len(real):
        return Reliability(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64))
    # Ranks are whole numbers, and so are bins: a quotient in floating point could fall to either side of a bin's edge.
    before = rankdata(values, method="min").astype(np.int64) - 1
    # Bins that nothing fell into, where many probabilities are equal, are closed up.
    places = np.unique(before * bins // len(values), return_inverse=True)[1]
    count = np.bincount(places)
    return Reliability(np.bincount(places, values) / count, np.bincount(places, real) / count, count)


def expected_calibration_error(truth: Array, probabilities: Floats, *, bins: int = 15) -> float:
    """Mean over images of |observed share - mean probability| of their bin, bins of equal mass (Nixon et al. 2019).

    It is above 0 for a perfect model too, by about the noise of a share in N / bins images. nan without images.

    Args:
        truth: (N,) of 0 and 1.
        probabilities: (N,), 0..1.
        bins: how many at most.
    """
    curve = reliability(truth, probabilities, bins=bins)
    if not len(curve.count):
        return float("nan")
    return float(np.average(np.abs(curve.share - curve.probability), weights=curve.count))


def brier_score(truth: Array, probabilities: Floats) -> float:
    """Mean squared difference of probability and answer, 0..1, 0.25 for a constant 0.5 (Brier 1950); nan if empty.

    Args:
        truth: (N,) of 0 and 1.
        probabilities: (N,), 0..1.
    """
    real, values = _checked(truth, probabilities)
    return float(np.mean((values - real) ** 2)) if len(real) else float("nan")


def _checked(truth: Array, probabilities: Floats) -> tuple[Floats, Floats]:
    real, values = np.asarray(truth, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if real.ndim != 1 or real.shape != values.shape:
        came = f"{real.shape} and {values.shape}"
        raise InputError("one probability and one answer for each image", came, "score the same images in one order")
    # nan compares as False, so that it is refused here as well.
    if not (np.isin(real, (0, 1)).all() and ((values >= 0) & (values <= 1)).all()):
        came = "other values"
        raise InputError("answers of 0 and 1, probabilities from 0 to 1", came, "apply a sigmoid or softmax first")
    return real, values
