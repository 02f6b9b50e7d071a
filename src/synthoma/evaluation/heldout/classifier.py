"""Scores of a classifier on held-out slices, with intervals by patient."""

from __future__ import annotations

import numpy as np

from synthoma.core.types import Array, Floats, Ints
from synthoma.evaluation.heldout.result import ClassifierScores, ClassScores
from synthoma.masks.result import Estimate
from synthoma.metrics.classification import confusion, weighted_classes
from synthoma.metrics.intervals import SHARE, bootstrap_many


def classifier_scores(
    truth: Ints, chances: Floats, groups: Array, classes: tuple[str, ...], *, draws: int, seed: int
) -> ClassifierScores:
    """Scores of probabilities against classes.

    Args:
        truth: (N,) places in ``classes``.
        chances: (N, K) in 0..1.
        groups: (N,) whose slice it is; whole groups are drawn for the intervals.
        classes: K names.
        draws: of the bootstrap, over patients.
        seed: of the bootstrap.
    """
    place = np.unique(groups, return_inverse=True)[1]
    count = int(place.max()) + 1
    scored = weighted_classes(truth, chances, len(classes))

    def scores(drawn: Ints) -> dict[str, float]:
        # Patients that are drawn twice weigh twice: no slice is copied, so each of the many draws is cheap.
        return scored(np.bincount(drawn, minlength=count)[place])

    found = {
        name: Estimate.of(interval)
        for name, interval in bootstrap_many(scores, count, limits=SHARE, draws=draws, seed=seed).items()
    }
    called = chances.argmax(axis=1)
    per_class = {
        name: ClassScores(
            slices=int((truth == k).sum()),
            groups=len(set(place[truth == k].tolist())),
            called=int((called == k).sum()),
            precision=found[f"precision.{k}"],
            recall=found[f"recall.{k}"],
            f1=found[f"f1.{k}"],
            auc=found[f"auc.{k}"],
        )
        for k, name in enumerate(classes)
    }
    return ClassifierScores(
        classes=classes,
        accuracy=found["accuracy"],
        balanced_accuracy=found["balanced_accuracy"],
        precision=found["precision_macro"],
        recall=found["recall_macro"],
        f1=found["f1_macro"],
        auc=found["auc_macro"],
        # The accuracy of always saying the commonest class, which every accuracy is to be held against.
        commonest=float(np.bincount(truth).max() / len(truth)),
        confusion=tuple(map(tuple, confusion(truth, called, range(len(classes))).tolist())),
        per_class=per_class,
    )
