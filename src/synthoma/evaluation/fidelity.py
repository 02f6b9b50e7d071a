"""Realistic and diverse? Distances and overlaps of feature sets, each beside its real-vs-real values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from synthoma.errors import InputError
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.nulls import Plan, beside
from synthoma.metrics.coverage import Coverage, coverage
from synthoma.metrics.distances import (
    frechet_distance,
    frechet_infinity,
    intensity_distances,
    kernel_distance,
    sliced_wasserstein,
)
from synthoma.metrics.features import random_features, standardised, wavelet_features
from synthoma.metrics.radiomics import radiomics_features, radiomics_names
from synthoma.metrics.similarity import distinct_modes, mean_pair_similarity
from synthoma.metrics.two_sample import two_sample_auc
from synthoma.seeding import stream
from synthoma.types import Array, Floats, Ints

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
) -> dict[str, Any]:
    """Area under the curve of a linear model that tells synthetic from held-out real images, beside its null.

    Args:
        points: (N + M, K), real first.
        the: who is compared.
        made_by: group of each synthetic slice (M,): slices of one simulated patient are no independent draws.
        alpha: level that it shares with one other test, for which there must be divisions enough.
        seed: of the folds.
    """
    names = np.array([*the.groups, *(f"synthetic {group}" for group in made_by)])

    def score(one: Ints, other: Ints) -> dict[str, float]:
        if min(len(set(names[one])), len(set(names[other]))) < 2:  # nothing to cross-validate over
            return {"auc": float("nan")}
        auc = two_sample_auc(
            real=points[one],
            synthetic=points[other],
            real_groups=names[one].tolist(),
            synthetic_groups=names[other].tolist(),
            seed=seed,
        )
        return {"auc": auc}

    enough = math.ceil(2 / alpha - 1e-9) - 1
    return beside(score, the, worse={"auc": "high"}, interval=False, divisions=enough)["auc"]


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


def what_differs(radiomics: Floats, the: Plan) -> list[dict[str, Any]]:
    """The named features in which synthetic slices are farthest from held-out ones, in deviations of real slices.

    p is adjusted for having looked at all of them: the share of divisions whose *largest* difference is as large.
    """
    real = radiomics[: len(the.groups)]
    scale = real.std(axis=0)
    safe = np.where(scale > 1e-9, scale, np.inf)

    def gaps(one: Ints, other: Ints) -> Floats:
        return np.asarray((radiomics[other].mean(axis=0) - radiomics[one].mean(axis=0)) / safe)

    ours = gaps(the.held, the.synthetic)
    largest = np.array([np.abs(gaps(*division)).max() for division in the.divisions])
    return [
        {
            "feature": radiomics_names()[at],
            "effect": float(ours[at]),
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
