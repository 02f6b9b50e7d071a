"""How clear and how various the classes of a cohort's slices are to a classifier of real scans: the inception score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.types import Place
from synthoma.pipeline.python_words import in_python

if TYPE_CHECKING:
    from synthoma.metrics.intervals import Interval

SPLITS = 10
"""Parts of the paper's protocol, where there are so many slices."""


@dataclass(frozen=True)
class InceptionScore:
    """The inception score of a cohort's slices under a trained classifier, see ``metrics.inception``.

    Attributes:
        score: 1..K with its interval over patients (of synthetic slices, over those that belong together).
        splits: mean and standard deviation over ten parts, as Salimans et al. 2016 report it.
        slices: how many were looked at.
        shares: mean probability of each class, by name: p(y).
        classifier: SHA-256 of the model file; scores of two classifiers do not compare.
    """

    score: Interval
    splits: tuple[float, float]
    slices: int
    shares: Mapping[str, float]
    classifier: str


@in_python
def inception(
    cohort: Place, classifier: Place, *, split: str | None = None, level: float = 0.95, seed: int = 0
) -> InceptionScore:
    """Score a cohort by a classifier that was trained on real scans.

    Held-out real slices under the same classifier (``split="test"`` of the real cohort) say what a good score is: an
    unsure classifier gives real slices a low one too.

    Args:
        cohort: the cohort, or its folder; synthetic or real, of the size and modalities that the classifier knows.
        classifier: run or model file of a classifier.
        split: look at the slices of this split alone; all where None.
        level: of the interval, 0..1.
        seed: of its draws and of the parts.

    Raises:
        InputError: not a classifier, slices of another size or without any of its modalities, or none of this split.
    """
    from synthoma.detection.classes import Classifier
    from synthoma.metrics.inception import inception_interval, inception_splits

    found = Classifier.open(Path(classifier))
    source = cohort if isinstance(cohort, Cohort) else Cohort(cohort)
    if source.size != found.size:
        came = f"slices of {source.size} px"
        raise InputError(f"slices of {found.size} px, as the classifier's", came, "prepare them with its --size")
    rows = np.arange(len(source)) if split is None else source.rows(split=split)
    if not len(rows):
        raise InputError(f"slices of the split {split}", "none", "choose another split, or leave it out")
    chances = found.of_cohort(source)[rows]
    groups = source.slices["group"].astype(str).iloc[rows].tolist()
    return InceptionScore(
        score=inception_interval(chances, groups=groups, level=level, seed=seed),
        splits=inception_splits(chances, min(SPLITS, len(rows)), seed=seed),
        slices=len(rows),
        shares=dict(zip(found.classes, chances.mean(axis=0).tolist(), strict=True)),
        classifier=found.digest,
    )
