"""Whether a simple model can tell real from synthetic images."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from synthoma.errors import InputError
from synthoma.seeding import stream
from synthoma.types import Array, Floats, Ints

_C = 0.1


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
    fold = _folds(names, made, number, seed)
    ranks = np.full(len(made), np.nan)
    for at in range(number):
        test = fold == at
        if len(np.unique(made[test])) == len(np.unique(made[~test])) == 2:
            ranks[test] = _ranks(_scores(features[~test], made[~test], features[test]), made[test])
    known = ~np.isnan(ranks)
    return float(roc_auc_score(made[known], ranks[known])) if known.any() else float("nan")


def _folds(names: Ints, made: Ints, number: int, seed: int) -> Ints:
    """Fold of each image: groups by falling size, each to the fold that holds least of its side."""
    sizes = np.stack([np.bincount(names, made == side) for side in (0, 1)], axis=1)
    shares = sizes / sizes.sum(axis=0)
    chance = stream(seed, "metrics.two_sample_auc").permutation(len(sizes))
    load, chosen = np.zeros((number, 2)), np.zeros(len(sizes), dtype=np.int64)
    for group in chance[np.argsort(-shares[chance].sum(axis=1), kind="stable")]:
        chosen[group] = np.argmin(load @ (shares[group] > 0))
        load[chosen[group]] += shares[group]
    return np.asarray(chosen[names])


def _scores(features: Floats, made: Ints, queries: Floats) -> Floats:
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, np.inf)
    model = LogisticRegression(C=_C, class_weight="balanced", max_iter=2000).fit((features - mean) / scale, made)
    return np.asarray(model.decision_function((queries - mean) / scale))


def _ranks(scores: Floats, made: Array) -> Floats:
    """For each score: mean over both sides of the share of that side below it, ties counting half."""
    parts = []
    for side in (0, 1):
        ordered = np.sort(scores[made == side])
        below = np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")
        parts.append(below / (2 * len(ordered)))
    return np.asarray(np.mean(parts, axis=0))
