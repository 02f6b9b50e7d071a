"""Can a model tell synthetic slices from held-out real ones?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from synthoma.core.types import Floats, Ints
from synthoma.evaluation.families import group_numbers
from synthoma.evaluation.nulls import NullPlan, weighed
from synthoma.evaluation.score import Scores
from synthoma.metrics.network_judge import network_aucs
from synthoma.metrics.two_sample import two_sample_auc


def distinguished(
    points: Floats, plan: NullPlan, made_by: Sequence[str], *, alpha: float = 0.05, seed: int = 0
) -> Scores:
    """Areas under the curve of two models that tell synthetic from held-out real images, each beside its null.

    Args:
        points: (N + M, K), real first.
        plan: who is compared.
        made_by: group of each synthetic slice (M,): slices of one simulated patient are no independent draws.
        alpha: level that they share with the distances, for which there must be divisions enough.
        seed: of the folds, and of the network.

    Returns:
        {"linear": a logistic regression, "network": one with a hidden layer}, see ``nulls.weighed``.
    """
    names = group_numbers(plan.groups, made_by)
    # So many that the least p, 1 / (1 + n), is at most half of the level: distances and models share it. Each of them
    # costs the training of two models.
    enough = math.ceil(2 / alpha - 1e-9) - 1
    null = plan.divisions[:enough]
    pairs = [(plan.held, plan.synthetic), *null, *((plan.held, other) for other in plan.others)]

    def linear(one: Ints, other: Ints) -> float:
        if min(len(set(names[one])), len(set(names[other]))) < 2:  # nothing to cross-validate over
            return float("nan")
        return two_sample_auc(
            real=points[one],
            synthetic=points[other],
            real_groups=names[one].tolist(),
            synthetic_groups=names[other].tolist(),
            seed=seed,
        )

    judges = {"linear": [linear(*pair) for pair in pairs], "network": network_aucs(points, names, pairs, seed=seed)}
    rows = [dict(zip(judges, both, strict=True)) for both in zip(*judges.values(), strict=True)]
    first, last = rows[1 : 1 + len(null)], rows[1 + len(null) :]
    return weighed(rows[0], first, last, worse=dict.fromkeys(judges, "high"), count=plan.count)
