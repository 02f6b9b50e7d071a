"""Do synthetic images differ among themselves as real ones do? Likeness within the set, clusters, and twins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthoma.core.types import Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.diverse.result import TwinPair, Twins
from synthoma.evaluation.nulls import NullPlan, beside
from synthoma.evaluation.score import Scores
from synthoma.metrics.similarity import ALIKE, TWIN_SIDE, distinct_modes, mean_pair_similarity, twins

DIVISIONS = 39
"""Real-against-real comparisons for likeness and clusters, which take longer than other scores."""

TWINS_SHOWN = 12


def diversity(
    comparison: Comparison, points: Floats, plan: NullPlan, made_by: Sequence[str], *, seed: int = 0
) -> Scores:
    """Whether synthetic images differ among themselves as real ones do.

    "similarity" is the mean multi-scale structural similarity of pairs within the synthetic set, those of its null
    within the second set of each division, pairs of different groups: high values are a collapse. "unequal_modes" is
    the share of clusters of real images in which synthetic ones are more or fewer than chance allows.

    Args:
        comparison: the slices.
        points: features of one family, real first.
        plan: who is compared.
        made_by: group of each synthetic slice.
        seed: of pairs and clusters.
    """
    images = np.concatenate([comparison.real, comparison.synthetic])
    names = np.array([*plan.groups, *(f"synthetic {group}" for group in made_by)])

    def score(one: Ints, other: Ints) -> dict[str, float]:
        # Ten images a cluster at least, as its test of proportions needs.
        modes = distinct_modes(
            real=points[one], synthetic=points[other], clusters=max(2, min(20, len(one) // 10)), seed=seed
        )
        alike = mean_pair_similarity(images[other], pairs=300, groups=names[other].tolist(), seed=seed)
        return {"similarity": alike, "unequal_modes": modes.different}

    worse = {"similarity": "high", "unequal_modes": "high"}
    return beside(score, plan, worse=worse, interval=False, divisions=DIVISIONS)


def twins_within(comparison: Comparison) -> Twins:
    """How many synthetic slices have a near-identical one beside them, and how many real ones have.

    Real slices are compared across patients: neighbouring slices of one patient are alike by nature. Synthetic ones are
    compared across cases, that is, all images that are offered as different ones, also where they repaint slices of one
    simulated patient; slices of one synthetic volume are not.
    """
    cases = comparison.synthetic_cases or range(len(comparison.synthetic))
    kin = comparison.synthetic_groups or None
    made, real = twins(comparison.synthetic, cases, kin), twins(comparison.real, comparison.groups)
    pairs: dict[tuple[int, int], TwinPair] = {}
    for at in np.argsort(-made.correlation, kind="stable").tolist():
        one, other = sorted((at, int(made.partner[at])))
        # -1 stands for a picture that has none to be compared with.
        if made.correlation[at] > -1:
            rows = (int(comparison.synthetic_rows[one]), int(comparison.synthetic_rows[other]))
            alike, mirrored = float(made.correlation[at]), bool(made.mirrored[at])
            pairs.setdefault((one, other), TwinPair(rows=rows, correlation=alike, mirrored=mirrored))
        if len(pairs) == TWINS_SHOWN:
            break
    # Each picture has more chances of a twin among more pictures: in proportion, as long as few have one.
    usual = real.share * max(1.0, len(comparison.synthetic) / max(len(comparison.real), 1))
    return Twins(
        share=made.share, n=len(comparison.synthetic), real_share=real.share, real_n=len(comparison.real),
        excess=max(0.0, made.share - usual), alike=ALIKE, side=TWIN_SIDE, pairs=tuple(pairs.values()),
        within=None if kin is None else made.share_within,
        spare=tuple(int(row) for row in comparison.synthetic_rows[made.spare]),
    )  # fmt: skip
