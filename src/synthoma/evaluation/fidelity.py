"""Realistic and diverse? Distances and overlaps of feature sets, each beside its real-vs-real values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.nulls import Plan, beside, weighed
from synthoma.metrics.coverage import Coverage, authenticity, coverage
from synthoma.metrics.distances import (
    frechet_distance,
    frechet_infinity,
    intensity_distances,
    kernel_distance,
    sliced_wasserstein,
)
from synthoma.metrics.features import random_features, standardised, wavelet_features
from synthoma.metrics.network_judge import network_aucs
from synthoma.metrics.radiomics import frechet_radiomics_distance, radiomics_features, radiomics_names
from synthoma.metrics.similarity import ALIKE, TWIN_SIDE, distinct_modes, mean_pair_similarity, twins
from synthoma.metrics.two_sample import two_sample_auc

EXTRACTORS: dict[str, Callable[[Array], Floats]] = {
    "wavelet": wavelet_features,
    "random": random_features,
    "radiomics": radiomics_features,
}
"""Families of features that need no training, by name."""

WORSE = {
    "kid": "high",
    "sliced_wasserstein": "high",
    "frechet": "high",
    "precision": "low",
    "recall": "low",
    "density": "low",
    "coverage": "low",
}
"""Score of a family -> which values are bad."""

FARTHEST = 2.0
"""Deviations at which features are cut."""

NEIGHBOURS = 5
PROJECTIONS = 128
BLOCK = 500
"""Images of each side that are scored at once; of more, the scores of blocks are averaged, so that cost is linear."""

DIVERSITY_DIVISIONS = 39
TWINS_SHOWN = 12
DIFFERENCES = 10


def features_of(comparison: Comparison, extractors: Mapping[str, Callable[[Array], Floats]]) -> dict[str, Floats]:
    """Raw features of all images by family: the real ones first, (N, D) each."""
    return {
        name: np.concatenate([extract(comparison.real), extract(comparison.synthetic)])
        for name, extract in extractors.items()
    }


def scaled(features: Floats) -> Floats:
    """Features of all images as principal components, every one centred, of unit variance and cut at two deviations.

    Both sides of a comparison set the scale: were it the real side alone, new real patients would lie farther out than
    those that set it, and score as fakes. Cut, because a kernel of third power otherwise listens to the few images that
    lie farthest out, and with them to single patients.

    Args:
        features: (N, D) of real and synthetic images together.
    """
    deviation = features.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, np.inf)
    return standardised(np.clip((features - features.mean(axis=0)) / scale, -FARTHEST, FARTHEST))[0]


def family_scores(points: Floats, the: Plan, names: Ints, *, interval: bool = True) -> dict[str, Any]:
    """All scores of one family of features, see ``nulls.beside``.

    Args:
        points: (N + M, K), real first.
        the: who is compared.
        names: (N + M,) number of each image's group, see ``group_numbers``.
        interval: whether intervals are wanted.

    The relative Frechet distance (Woodland 2023) is the "ratio" of "frechet"; "frechet_infinity" extrapolates to
    endless N (Chong and Forsyth 2020) and has no null of its own.
    """
    score = partial(set_scores, points, names, blocks=blocks_of(the.count))
    found: dict[str, Any] = beside(score, the, worse=WORSE, interval=interval)
    if the.count >= 2 * points.shape[1]:
        found["frechet_infinity"] = {
            "value": frechet_infinity(real=points[the.held], synthetic=points[the.synthetic]),
            "null": [], "null_median": None, "ratio": None, "p": None, "n": the.count,
        }  # fmt: skip
    return found


def group_numbers(groups: Sequence[str], made_by: Sequence[str]) -> Ints:
    """A number for the group of each image (N + M,): those of real and of synthetic images are different ones."""
    names = [*(f"real {group}" for group in groups), *(f"synthetic {group}" for group in made_by)]
    return np.asarray(np.unique(np.array(names), return_inverse=True)[1], dtype=np.int64)


def blocks_of(count: int) -> int:
    """Blocks in which so many images of each side are scored."""
    return max(1, round(count / BLOCK))


def set_scores(points: Floats, names: Ints, one: Ints, other: Ints, *, blocks: int) -> dict[str, float]:
    """Scores of two sets of places among the points, the real side first: means over so many blocks of both.

    Blocks are drawn at random: in the order of a cohort, the first block would be its first patients or classes. Their
    number is that of the whole comparison: a Frechet distance depends on how many images it is of, and must not jump
    where a part is left out.
    """
    sides = [
        np.array_split(stream(len(places), "evaluation.blocks").permutation(places), blocks) for places in (one, other)
    ]
    scores = [_block_scores(points, names, first, second) for first, second in zip(*sides, strict=True)]
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}


def _block_scores(points: Floats, names: Ints, one: Ints, other: Ints) -> dict[str, float]:
    real, synthetic = points[one], points[other]
    try:
        overlap = coverage(
            real=real, synthetic=synthetic, k=NEIGHBOURS, real_groups=names[one], synthetic_groups=names[other]
        )
    except InputError:  # too few images of other groups to be neighbours
        overlap = Coverage(*(float("nan"),) * 4)
    return {
        "kid": kernel_distance(real=real, synthetic=synthetic),
        "sliced_wasserstein": sliced_wasserstein(real=real, synthetic=synthetic, projections=PROJECTIONS),
        "frechet": frechet_distance(real=real, synthetic=synthetic),
        "precision": overlap.precision,
        "recall": overlap.recall,
        "density": overlap.density,
        "coverage": overlap.coverage,
    }


def told_apart(
    points: Floats, the: Plan, made_by: Sequence[str], *, alpha: float = 0.05, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Areas under the curve of two models that tell synthetic from held-out real images, each beside its null.

    Args:
        points: (N + M, K), real first.
        the: who is compared.
        made_by: group of each synthetic slice (M,): slices of one simulated patient are no independent draws.
        alpha: level that they share with the distances, for which there must be divisions enough.
        seed: of the folds, and of the network.

    Returns:
        {"linear": a logistic regression, "network": one with a hidden layer}, see ``nulls.weighed``.
    """
    names = group_numbers(the.groups, made_by)
    enough = math.ceil(2 / alpha - 1e-9) - 1
    null = the.divisions[:enough]
    pairs = [(the.held, the.synthetic), *null, *((the.held, other) for other in the.others)]

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
    return weighed(rows[0], first, last, worse=dict.fromkeys(judges, "high"), count=the.count)


def diversity(
    comparison: Comparison, points: Floats, the: Plan, made_by: Sequence[str], *, seed: int = 0
) -> dict[str, Any]:
    """Whether synthetic images differ among themselves as real ones do.

    "similarity" is the mean multi-scale structural similarity of pairs within the synthetic set, those of its null
    within the second set of each division, pairs of different groups: high values are a collapse. "unequal_modes" is
    the share of clusters of real images in which synthetic ones are more or fewer than chance allows.

    Args:
        comparison: the slices.
        points: features of one family, real first.
        the: who is compared.
        made_by: group of each synthetic slice.
        seed: of pairs and clusters.
    """
    images = np.concatenate([comparison.real, comparison.synthetic])
    names = np.array([*the.groups, *(f"synthetic {group}" for group in made_by)])

    def score(one: Ints, other: Ints) -> dict[str, float]:
        modes = distinct_modes(
            real=points[one], synthetic=points[other], clusters=max(2, min(20, len(one) // 10)), seed=seed
        )
        alike = mean_pair_similarity(images[other], pairs=300, groups=names[other].tolist(), seed=seed)
        return {"similarity": alike, "unequal_modes": modes.different}

    worse = {"similarity": "high", "unequal_modes": "high"}
    return beside(score, the, worse=worse, interval=False, divisions=DIVERSITY_DIVISIONS)


def twins_within(comparison: Comparison) -> dict[str, Any]:
    """How many synthetic slices have a near-identical one beside them, and how many real ones have.

    Real slices are compared across patients: neighbouring slices of one patient are alike by nature. Synthetic ones are
    compared across cases, that is, all images that are offered as different ones, also where they repaint slices of one
    simulated patient; slices of one synthetic volume are not.

    Returns:
        {"share", "n", "real_share", "real_n", "excess", "alike", "side", "pairs"}. "excess" is the share beyond what
        real slices would have if they were as many: a set of twice as many has twice as many chances. "alike" is the
        correlation of twins, "side" that of the pictures compared. "pairs" are the most alike ones: rows of the
        synthetic cohort, "correlation" and "mirrored".
    """
    cases = comparison.synthetic_cases or range(len(comparison.synthetic))
    made, real = twins(comparison.synthetic, cases), twins(comparison.real, comparison.groups)
    pairs: dict[tuple[int, int], dict[str, Any]] = {}
    for at in np.argsort(-made.correlation, kind="stable").tolist():
        one, other = sorted((at, int(made.partner[at])))
        if made.correlation[at] > -1:
            rows = (int(comparison.synthetic_rows[one]), int(comparison.synthetic_rows[other]))
            alike = {"correlation": float(made.correlation[at]), "mirrored": bool(made.mirrored[at])}
            pairs.setdefault((one, other), {"rows": rows, **alike})
        if len(pairs) == TWINS_SHOWN:
            break
    usual = real.share * max(1.0, len(comparison.synthetic) / max(len(comparison.real), 1))
    return {
        "share": made.share, "n": len(comparison.synthetic), "real_share": real.share, "real_n": len(comparison.real),
        "excess": max(0.0, made.share - usual), "alike": ALIKE, "side": TWIN_SIDE, "pairs": list(pairs.values()),
    }  # fmt: skip


def radiomics_distance(radiomics: Floats, the: Plan) -> dict[str, Any]:
    """The Fréchet radiomics distance beside its null, see ``nulls.weighed``."""

    def score(one: Ints, other: Ints) -> dict[str, float]:
        found = frechet_radiomics_distance(real=radiomics[one], synthetic=radiomics[other])
        return {"frechet_radiomics": found if math.isfinite(found) else float("nan")}

    return beside(score, the, worse={"frechet_radiomics": "high"}, interval=False)["frechet_radiomics"]


def authenticities(comparison: Comparison, points: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    """Authenticity of synthetic and of held-out slices against the training slices, in each family of features.

    Equally many of each: the more there are, the likelier one lies near.
    """
    training, real = len(comparison.training), len(comparison.real)
    count = min(real - training, len(comparison.synthetic))
    draws = stream(count, "evaluation.authenticity")
    sides = {
        "synthetic": real + draws.permutation(len(comparison.synthetic))[:count],
        "held_out": training + draws.permutation(real - training)[:count],
    }
    return {
        family: {
            side: authenticity(training=values[:training], synthetic=values[places]) for side, places in sides.items()
        }
        for family, values in points.items()
    }


def what_differs(radiomics: Floats, the: Plan) -> list[dict[str, Any]]:
    """The named features in which synthetic slices are farthest from held-out ones, in deviations of real slices.

    p is adjusted for having looked at all of them: the share of divisions whose *largest* difference is as large.
    "others" is the effect that other real patients have against the same held-out ones.
    """
    real = radiomics[: len(the.groups)]
    scale = real.std(axis=0)
    safe = np.where(scale > 1e-9, scale, np.inf)

    def gaps(one: Ints, other: Ints) -> Floats:
        return np.asarray((radiomics[other].mean(axis=0) - radiomics[one].mean(axis=0)) / safe)

    ours = gaps(the.held, the.synthetic)
    others = np.median([gaps(the.held, other) for other in the.others], axis=0) if the.others else None
    largest = np.array([np.abs(gaps(*division)).max() for division in the.divisions])
    return [
        {
            "feature": radiomics_names()[at],
            "effect": float(ours[at]),
            "others": None if others is None else float(others[at]),
            "real": float(radiomics[the.held][:, at].mean()),
            "synthetic": float(radiomics[the.synthetic][:, at].mean()),
            "p": (1 + int((largest >= abs(ours[at])).sum())) / (1 + len(largest)) if len(largest) else None,
        }
        for at in np.argsort(-np.abs(ours), kind="stable")[:DIFFERENCES].tolist()
    ]


def intensities(comparison: Comparison) -> dict[str, Any]:
    """The distribution of grey values inside the head (above 0.02): histograms of both sides, and their distances.

    What it cannot show: two sets may have the same histogram while one of them is noise or one image many times.
    """
    edges = np.linspace(0, 1, 65)
    sides = {"real": comparison.held_out, "synthetic": comparison.synthetic, "training": comparison.training}
    values = {name: images[images > 0.02] for name, images in sides.items()}
    shares = {
        name: (np.histogram(part, edges)[0] / max(part.size, 1)).round(6).tolist() for name, part in values.items()
    }
    thin = {name: part[:: max(1, part.size // 200_000)] for name, part in values.items()}
    if not thin["synthetic"].size:  # black pictures have no grey values
        thin["synthetic"] = np.zeros(1, np.float32)
    return {
        "edges": edges.round(6).tolist(),
        "shares": shares,
        "synthetic": intensity_distances(real=thin["real"], synthetic=thin["synthetic"]),
        "null": intensity_distances(real=thin["real"], synthetic=thin["training"]),
    }
