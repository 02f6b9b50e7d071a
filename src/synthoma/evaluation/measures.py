"""What realism and diversity measure together: families of scores, and what explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from synthoma.core.plugins import using
from synthoma.core.types import Array, Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.diverse.variety import diversity, twins_within
from synthoma.evaluation.families import EXTRACTORS, LEARNED, family_scores, group_numbers, scaled
from synthoma.evaluation.nulls import NullPlan, beside, plan_null
from synthoma.evaluation.realistic.differences import authenticities, radiomics_distance, what_differs
from synthoma.evaluation.realistic.distinguished import distinguished
from synthoma.evaluation.result import Fidelity
from synthoma.evaluation.score import Scores
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.metrics.own import Metric, plugged_metrics

COMPONENTS = 24
"""Components with which each family enters the common test, or the widest would drown the others."""


def null_of(comparison: Comparison, config: EvaluateConfig) -> NullPlan:
    """Who is compared with whom."""
    held = np.arange(len(comparison.groups)) >= len(comparison.training)
    return plan_null(comparison.groups, held, comparison.synthetic_groups, halves=config.halves, seed=config.seed)


def main_scores(
    comparison: Comparison, features: Mapping[str, Floats], plan: NullPlan, config: EvaluateConfig,
    *, interval: bool = True,
) -> Fidelity:  # fmt: skip
    """Scores by family, and whether models tell both sides apart: what the lights go by.

    Args:
        comparison: the slices.
        features: raw ones of all images by family, real first, (N + M, D) each.
        plan: who is compared.
        config: level and seed.
        interval: whether intervals are wanted.
    """
    first, made_by = len(comparison.real), comparison.synthetic_groups
    points = {name: scaled(values) for name, values in features.items()}
    names = group_numbers(comparison.groups, made_by)
    # The family of the detector trained here knows the training slices, which stand in the null.
    apart = [
        # One factor for a whole family: its axes keep their proportions, and families weigh alike beside each other.
        values[:, :COMPONENTS] / max(values[:first].std(), 1e-12)
        for name, values in points.items()
        if name != LEARNED
    ]
    together = np.concatenate(apart, axis=1)
    return Fidelity(
        families={name: family_scores(values, plan, names, interval=interval) for name, values in points.items()},
        distinguished=distinguished(together, plan, made_by, alpha=config.thresholds.alpha, seed=config.seed),
    )


def all_scores(
    comparison: Comparison, features: Mapping[str, Floats], plan: NullPlan, config: EvaluateConfig
) -> Fidelity:
    """The scores that the lights of realism and diversity go by, and what explains them; arguments as above."""
    weight_free = {name: scaled(values) for name, values in features.items() if name in EXTRACTORS}
    radiomics, made_by = features["radiomics"], comparison.synthetic_groups
    main = main_scores(comparison, features, plan, config)
    return Fidelity(
        families=main.families,
        distinguished=main.distinguished,
        what_differs=what_differs(radiomics, plan),
        diversity=diversity(comparison, weight_free["wavelet"], plan, made_by, seed=config.seed),
        twins=twins_within(comparison),
        frechet_radiomics=radiomics_distance(radiomics, plan),
        authenticity=authenticities(comparison, weight_free),
        **({"own": own_scores(comparison, plan, metrics)} if (metrics := plugged_metrics()) else {}),
    )


def _asked(metric: Metric, real: Array, synthetic: Array) -> float:
    """What a score of another package gives.

    Raises:
        ConfigError: it fails, or gives no number.
    """
    with using(f"a plugged-in score {metric.name!r}"):
        return float(metric.score(real, synthetic))


def own_scores(comparison: Comparison, plan: NullPlan, metrics: Sequence[Metric]) -> Scores:
    """Scores of other packages, each beside its null; they have no say in the lights."""
    images = np.concatenate([comparison.real, comparison.synthetic])

    def score(one: Ints, other: Ints) -> dict[str, float]:
        return {metric.name: _asked(metric, images[one], images[other]) for metric in metrics}

    return beside(score, plan, worse={metric.name: metric.worse for metric in metrics}, interval=False)
