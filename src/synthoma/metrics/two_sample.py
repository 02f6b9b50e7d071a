"""Whether a simple model can tell real from synthetic images."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from scipy import special

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Bools, Floats, Ints

# Strength of the data against the ridge, as scikit-learn's C: features are many, and images few.
_C = 0.1
_MOST_STEPS = 50


def two_sample_auc(
    *,
    real: Floats,
    synthetic: Floats,
    real_groups: Sequence[Hashable],
    synthetic_groups: Sequence[Hashable] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> float:
    """Area under the ROC curve of a logistic regression that tells real from synthetic (Lopez-Paz and Oquab 2017).

    Cross-validated, a group (all slices of a patient) in one fold; features are standardised by the training folds,
    both sides weigh the same. A score counts by its rank in its fold: the mean of the shares of either side that lie
    below it, so that neither the level nor the balance of a fold matters. A linear model sees what moves the mean of
    features, and misses what only changes how they vary together.

    Args:
        real: (N, D).
        synthetic: (M, D).
        real_groups: N names.
        synthetic_groups: M names; without it each image is a group. A name on both sides is one group.
        folds: how many at most; fewer where a side has fewer groups.
        seed: of the folds.

    Returns:
        0..1: 0.5 where they cannot be told apart (by chance also somewhat below), 1 where they always are.

    Raises:
        InputError: unlike vectors, names of another number, fewer than 2 folds, or fewer than 2 groups on a side.
    """
    if real.ndim != 2 or synthetic.ndim != 2 or real.shape[1] != synthetic.shape[1]:
        came = f"{real.shape} and {synthetic.shape}"
        raise InputError("two sets of feature vectors of one length", came, "use one extractor for both")
    # An object is equal to itself alone, so that each image is a group.
    others = [object() for _ in synthetic] if synthetic_groups is None else synthetic_groups
    if (len(real_groups), len(others)) != (len(real), len(synthetic)):
        came = f"{len(real_groups)} and {len(others)} for {len(real)} and {len(synthetic)}"
        raise InputError("one group for each image", came, "give both in one order")
    number = min(folds, len(set(real_groups)), len(set(others)))
    if number < 2:
        came = f"{folds} folds, {len(set(real_groups))} and {len(set(others))} groups"
        raise InputError("2 folds and 2 groups on each side", came, "add patients")
    features = np.concatenate([real, synthetic]).astype(np.float64)
    made = np.repeat([0, 1], [len(real), len(synthetic)])
    seen: dict[Hashable, int] = {}
    names = np.array([seen.setdefault(name, len(seen)) for name in (*real_groups, *others)], dtype=np.int64)
    fold = balanced_folds(names, made, number, seed)
    ranks = np.full(len(made), np.nan)
    scores = _scores(features, made, fold != np.arange(number)[:, None])
    for at in range(number):
        test = fold == at
        # Both sides must be there to be learned from, and to be ranked among.
        if len(np.unique(made[test])) == len(np.unique(made[~test])) == 2:
            ranks[test] = shared_ranks(scores[at][test], made[test])
    known = ~np.isnan(ranks)
    return area(ranks[known], made[known]) if known.any() else float("nan")


def balanced_folds(names: Ints, made: Ints, number: int, seed: int) -> Ints:
    """Fold of each image: groups by falling size, each to the fold that holds least of its side."""
    sizes = np.stack([np.bincount(names, made == side) for side in (0, 1)], axis=1)
    # Shares of a side, not images: the smaller side is spread as evenly as the larger one.
    shares = sizes / sizes.sum(axis=0)
    chance = stream(seed, "metrics.two_sample_auc").permutation(len(sizes))
    load, chosen = np.zeros((number, 2)), np.zeros(len(sizes), dtype=np.int64)
    # Shuffled before a stable sort: groups of one size are dealt by chance and not by name.
    for group in chance[np.argsort(-shares[chance].sum(axis=1), kind="stable")]:
        # A group of one side counts what that side has in each fold; one of both sides counts both.
        chosen[group] = np.argmin(load @ (shares[group] > 0))
        load[chosen[group]] += shares[group]
    return np.asarray(chosen[names])


def _scores(features: Floats, made: Ints, learned: Bools) -> Floats:
    """What the model of each fold says of all images (F, N), having learned from some of them (F, N)."""
    shares = learned / learned.sum(axis=1, keepdims=True)
    mean = shares @ features
    # The difference of squares may come out below 0 by rounding.
    deviation = np.sqrt(np.maximum(shares @ features**2 - mean**2, 0))
    # What that rounding leaves of a constant feature must not be blown up to deviation 1.
    scale = np.where(deviation > 1e-6 * np.maximum(np.abs(mean), 1e-3), deviation, np.inf)
    scaled = (features - mean[:, None]) / scale[:, None]
    counts = np.stack([(learned & (made == side)).sum(axis=1) for side in (0, 1)], axis=1)
    # Both sides weigh half, as scikit-learn's "balanced". A row that is not learned from weighs 0.
    weights = _C * learned * learned.sum(axis=1, keepdims=True) / (2 * np.maximum(counts[:, made], 1))
    slopes = logistic_regression(scaled, made, weights)
    # Without the intercept, which shifts all of a fold alike and changes no rank.
    return np.asarray(np.einsum("fnd,fd->fn", scaled, slopes[:, :-1]))


def logistic_regression(features: Floats, made: Ints, weights: Floats) -> Floats:
    """Slopes and intercepts (F, D + 1) that minimise sum w log(1 + exp(-+ z)) + |slopes|^2 / 2, by Newton's method.

    The same optimum as that of general solvers, in a handful of steps: the score is computed some hundred times.

    Args:
        features: (F, N, D), for each of F models.
        made: (N,) 0 or 1.
        weights: (F, N) of each row, 0 for those that a model does not learn from.
    """
    rows = np.concatenate([features, np.ones((*features.shape[:2], 1))], axis=2)
    # The intercept is not held back; 1e-9 keeps the curve invertible where all weights of a model are 0.
    sign, ridge = 2.0 * made - 1, np.append(np.ones(features.shape[2]), 1e-9)

    def loss(of: Floats) -> Floats:
        # `logaddexp` does not overflow for images that are told far apart.
        far = np.logaddexp(0, -sign * np.einsum("fnd,fd->fn", rows, of))
        return np.asarray((weights * far).sum(axis=1) + 0.5 * of**2 @ ridge)

    found = np.zeros((len(rows), rows.shape[2]))
    before = loss(found)
    for _ in range(_MOST_STEPS):
        chance = special.expit(np.einsum("fnd,fd->fn", rows, found))
        slope = np.einsum("fnd,fn->fd", rows, weights * (chance - made)) + ridge * found
        curve = np.swapaxes(rows * (weights * chance * (1 - chance))[..., None], 1, 2) @ rows + np.diag(ridge)
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        after = loss(found - step)
        # Newton overshoots where sides hardly overlap: halved until the loss is no worse, up to rounding, or it never
        # ends.
        while (worse := after > before + 1e-9 * (1 + before)).any():
            step[worse] /= 2
            after = loss(found - step)
        found, before = found - step, after
        if np.abs(step).max() < 1e-5:
            break
    return found


def area(scores: Floats, made: Array) -> float:
    """Area under the ROC curve: how often a score of side 1 is above one of side 0, ties counting half (Hanley 1982).

    A general implementation spends more on checking its arguments than these few hundred scores take.
    """
    real, synthetic = np.sort(scores[made == 0]), scores[made == 1]
    # Those below, and those below or equal: half of their sum counts ties half.
    below = np.searchsorted(real, synthetic, side="left") + np.searchsorted(real, synthetic, side="right")
    return float(below.mean() / (2 * len(real)))


def shared_ranks(scores: Floats, made: Array) -> Floats:
    """For each score: mean over both sides of the share of that side below it, ties counting half."""
    parts = []
    for side in (0, 1):
        ordered = np.sort(scores[made == side])
        below = np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")
        parts.append(below / (2 * len(ordered)))
    return np.asarray(np.mean(parts, axis=0))
