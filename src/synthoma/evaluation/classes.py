"""Realism and diversity within each class, beside the whole and without a say in the lights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.types import Array, Bools, Floats
from synthoma.evaluation.comparison import LEAST, Comparison
from synthoma.evaluation.families import EXTRACTORS, family_scores, group_numbers, scaled
from synthoma.evaluation.nulls import plan_null
from synthoma.evaluation.result import ClassScores
from synthoma.evaluation.score import Families
from synthoma.evaluation.settings import EvaluateConfig

SCORED = ("kid", "sliced_wasserstein", "recall", "coverage")
"""Scores that are shown of each class."""


def class_scores(
    real: Cohort, synthetic: Cohort, comparison: Comparison, features: Mapping[str, Floats], config: EvaluateConfig
) -> dict[str, ClassScores]:
    """Scores of each class alone, where both sides have enough of at least two; empty otherwise.

    Args:
        real: with the classes of its slices.
        synthetic: likewise.
        comparison: the slices.
        features: raw ones of all images by family, real first, (N + M, D) each.
        config: number of divisions, and seed.
    """
    rows = np.concatenate([comparison.training_rows, comparison.held_out_rows])
    ours = real.slices["label"].to_numpy()[rows]
    theirs = synthetic.slices["label"].to_numpy()[comparison.synthetic_rows]
    held = np.arange(len(rows)) >= len(comparison.training)
    found = {}
    for name in sorted(set(ours) & set(theirs)):
        inside, drawn = ours == name, theirs == name
        sizes = int((inside & held).sum()), int((inside & ~held).sum()), int(drawn.sum())
        if min(sizes) < LEAST:
            continue
        families = _families(comparison, features, inside, drawn, held, config)
        found[str(name)] = ClassScores.model_validate({"held_out": sizes[0], "synthetic": sizes[2], **families})
    return found if len(found) > 1 else {}


def _families(
    comparison: Comparison, features: Mapping[str, Floats], inside: Bools, drawn: Bools, held: Bools,
    config: EvaluateConfig,
) -> Families:  # fmt: skip
    """Scores of the real slices ``inside`` (N,) and the synthetic ones ``drawn`` (M,)."""
    groups: Array = np.array(comparison.groups)[inside]
    made_by = np.array(comparison.synthetic_groups)[drawn].tolist()
    # Half as many divisions, and no intervals (24 more sets of scores): classes are shown and have no say.
    plan = plan_null(groups.tolist(), held[inside], made_by, halves=max(9, config.halves // 2), seed=config.seed)
    names = group_numbers(groups.tolist(), made_by)
    both = np.concatenate([inside, drawn])
    scores = {
        family: family_scores(scaled(values[both]), plan, names, interval=False)
        for family, values in features.items()
        if family in EXTRACTORS
    }
    return {family: {name: part[name] for name in part if name in SCORED} for family, part in scores.items()}
