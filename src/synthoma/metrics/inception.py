"""Inception score (Salimans et al. 2016, section 4): are images clearly of a class each, and of all classes together?

IS = exp(E_x KL(p(y | x) || p(y))), with p(y) the mean of p(y | x) over the images. It is 1 where all images are given
the same probabilities, and K where each of K classes is certain and as frequent as the others. The classifier is one of
the user's own scans, not one of photographs, which knows nothing of MRI.

It looks at the images' classes alone: one image a class, drawn again and again, scores K. It says nothing of realism
(Barratt & Sharma 2018, "A note on the inception score"), and figures of two classifiers do not compare. So hold it
against that of held-out real images under the same classifier.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.special import xlogy

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Floats
from synthoma.metrics.intervals import DRAWS, Interval, bootstrap

TOLERANCE = 1e-3
"""By which probabilities of an image may miss 1 in sum."""


def inception_score(probabilities: Floats) -> float:
    """exp(E_x KL(p(y | x) || p(y))).

    Args:
        probabilities: p(y | x) of N images and K classes, (N, K), each row of sum 1.

    Returns:
        1..K; nan of no images.

    Raises:
        InputError: not probabilities.
    """
    known = _checked(probabilities)
    # 0 log 0 is 0 with `xlogy`: a classifier may be quite certain.
    return _score(known.sum(axis=0), float(xlogy(known, known).sum()), len(known))


def inception_splits(probabilities: Floats, splits: int = 10, *, seed: int = 0) -> tuple[float, float]:
    """Mean and standard deviation of the score over parts of the images, as the paper reports it.

    A part of few images misses classes by chance, so these scores are lower than that of all images together, and grow
    with the size of the parts. The deviation is one between parts of a single sample: for what the score would be with
    other patients take ``inception_interval``.

    Args:
        probabilities: (N, K).
        splits: parts, of equal size but for one image.
        seed: of the order in which images are dealt out.

    Raises:
        InputError: not probabilities, or fewer images than parts.
    """
    known = _checked(probabilities)
    if not 1 <= splits <= len(known):
        raise InputError(f"1 to {len(known)} splits of {len(known)} images", str(splits), "use fewer splits")
    order = stream(seed, "metrics.inception_splits").permutation(len(known))
    scores = [inception_score(known[part]) for part in np.array_split(order, splits)]
    # Dealt out at random: images come sorted by patient or class, and a part of one class scores 1.
    # Over n and not n - 1, as the authors' own code has it: figures in papers are to compare.
    return float(np.mean(scores)), float(np.std(scores))


def inception_interval(
    probabilities: Floats,
    *,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """The score and its bootstrap interval over patients.

    Args:
        probabilities: (N, K).
        groups: N names, of the patients whose images they are; images of one name are drawn together. Without it each
            image is a group.
        level: 0..1.
        draws: samples drawn.
        seed: of the draws.

    Raises:
        InputError: not probabilities, or as many names as images are needed.
    """
    known = _checked(probabilities)
    names = list(range(len(known))) if groups is None else list(groups)
    if len(names) != len(known):
        raise InputError("one group for each image", f"{len(names)} for {len(known)}", "give both in one order")
    seen: dict[Hashable, int] = {}
    places = np.array([seen.setdefault(name, len(seen)) for name in names], dtype=np.int64)
    count = len(seen)
    # The score is made of three sums, so a draw of groups needs no look at their images.
    sums = np.zeros((count, known.shape[1]))
    # `sums[places] += known` would add one image of each group only.
    np.add.at(sums, places, known)
    information = np.bincount(places, weights=xlogy(known, known).sum(axis=1), minlength=count)
    sizes = np.bincount(places, minlength=count)
    return bootstrap(
        lambda drawn: _score(sums[drawn].sum(axis=0), float(information[drawn].sum()), int(sizes[drawn].sum())),
        count,
        limits=(1.0, float(known.shape[1])),
        level=level,
        draws=draws,
        seed=seed,
    )


def _score(summed: Floats, information: float, count: int) -> float:
    """The score from the sums of p(y | x) (K,) and of p(y | x) log p(y | x) over ``count`` images."""
    if not count:
        return math.nan
    mean = summed / count
    return max(1.0, math.exp(information / count - float(xlogy(mean, mean).sum())))  # rounding may fall below 1


def _checked(probabilities: Floats) -> Floats:
    known = np.asarray(probabilities, dtype=np.float64)
    if known.ndim != 2 or not known.shape[1]:
        raise InputError("probabilities (images, classes)", f"shape {known.shape}", "give one row for each image")
    if not (np.isfinite(known).all() and (known >= 0).all() and (abs(known.sum(axis=1) - 1) < TOLERANCE).all()):
        raise InputError("probabilities of sum 1 for each image", "others", "give the softmax of the logits")
    return known
