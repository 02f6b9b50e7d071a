"""What differs between synthetic and held-out slices: named features, grey values, and scores that others report."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from synthoma.core.seeding import stream
from synthoma.core.types import Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.nulls import NullPlan, beside
from synthoma.evaluation.realistic.result import Authenticity, Difference, GreyDistance, GreyShares, Intensities
from synthoma.evaluation.score import Score
from synthoma.metrics.coverage import authenticity
from synthoma.metrics.distances import intensity_distances
from synthoma.metrics.radiomics import frechet_radiomics_distance, radiomics_names

DIFFERENCES = 10
"""Named features that are shown."""


def radiomics_distance(radiomics: Floats, plan: NullPlan) -> Score:
    """The Fréchet radiomics distance beside its null, see ``nulls.weighed``."""

    def score(one: Ints, other: Ints) -> dict[str, float]:
        found = frechet_radiomics_distance(real=radiomics[one], synthetic=radiomics[other])
        return {"frechet_radiomics": found if math.isfinite(found) else float("nan")}

    return beside(score, plan, worse={"frechet_radiomics": "high"}, interval=False)["frechet_radiomics"]


def authenticities(comparison: Comparison, points: Mapping[str, Floats]) -> dict[str, Authenticity]:
    """Authenticity of synthetic and of held-out slices against the training slices, in each family of features.

    Equally many of each: the more there are, the likelier one lies near.
    """
    training, real = len(comparison.training), len(comparison.real)
    count = min(real - training, len(comparison.synthetic))
    # Seeded by the number alone, as in `families.set_scores`: a score does not change with the seed of a run.
    draws = stream(count, "evaluation.authenticity")
    sides = {
        "synthetic": real + draws.permutation(len(comparison.synthetic))[:count],
        "held_out": training + draws.permutation(real - training)[:count],
    }
    return {
        family: Authenticity(
            **{side: authenticity(training=values[:training], synthetic=values[at]) for side, at in sides.items()}
        )
        for family, values in points.items()
    }


def what_differs(radiomics: Floats, plan: NullPlan) -> tuple[Difference, ...]:
    """The named features in which synthetic slices are farthest from held-out ones, in deviations of real slices.

    p is adjusted for having looked at all of them: the share of divisions whose *largest* difference is as large.
    "others" is the effect that other real patients have against the same held-out ones.
    """
    real = radiomics[: len(plan.groups)]
    scale = real.std(axis=0)
    # A feature in which real slices do not vary has no deviation to count in: its gap is 0.
    safe = np.where(scale > 1e-9, scale, np.inf)

    def gaps(one: Ints, other: Ints) -> Floats:
        return np.asarray((radiomics[other].mean(axis=0) - radiomics[one].mean(axis=0)) / safe)

    ours = gaps(plan.held, plan.synthetic)
    others = np.median([gaps(plan.held, other) for other in plan.others], axis=0) if plan.others else None
    # Each feature is held against the largest of a division: having looked at all of them is paid for, whatever their
    # dependence (Westfall and Young 1993).
    largest = np.array([np.abs(gaps(*division)).max() for division in plan.divisions])
    return tuple(
        Difference(
            feature=radiomics_names()[at],
            effect=float(ours[at]),
            others=None if others is None else float(others[at]),
            real=float(radiomics[plan.held][:, at].mean()),
            synthetic=float(radiomics[plan.synthetic][:, at].mean()),
            p=(1 + int((largest >= abs(ours[at])).sum())) / (1 + len(largest)) if len(largest) else None,
        )
        for at in np.argsort(-np.abs(ours), kind="stable")[:DIFFERENCES].tolist()
    )


def intensities(comparison: Comparison) -> Intensities:
    """The distribution of grey values inside the head (above 0.02): histograms of both sides, and their distances.

    What it cannot show: two sets may have the same histogram while one of them is noise or one image many times.
    """
    edges = np.linspace(0, 1, 65)
    sides = {"real": comparison.held_out, "synthetic": comparison.synthetic, "training": comparison.training}
    # Within the head. Air is most of a picture, and by it all sets would agree.
    values = {name: images[images > 0.02] for name, images in sides.items()}
    shares = {
        name: (np.histogram(part, edges)[0] / max(part.size, 1)).round(6).tolist() for name, part in values.items()
    }
    # Every k-th value: a distance of 200,000 is as good as one of millions, and sorting them is what it costs.
    thin = {name: part[:: max(1, part.size // 200_000)] for name, part in values.items()}
    if not thin["synthetic"].size:  # black pictures have no grey values
        thin["synthetic"] = np.zeros(1, np.float32)
    return Intensities(
        edges=tuple(edges.round(6).tolist()),
        shares=GreyShares(**shares),
        synthetic=GreyDistance(**intensity_distances(real=thin["real"], synthetic=thin["synthetic"])),
        null=GreyDistance(**intensity_distances(real=thin["real"], synthetic=thin["training"])),
    )
