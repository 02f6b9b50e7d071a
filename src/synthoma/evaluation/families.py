"""Families of features, their scale, and the scores of two sets: what the questions of realism and diversity share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.nulls import NullPlan, beside
from synthoma.evaluation.score import Score, Scores
from synthoma.metrics.coverage import Coverage, coverage
from synthoma.metrics.distances import frechet_distance, frechet_infinity, kernel_distance, sliced_wasserstein
from synthoma.metrics.features import random_features, standardised, wavelet_features
from synthoma.metrics.radiomics import radiomics_features

Extractor = Callable[[Array], Floats]
"""Features (N, D) of images (N, H, W)."""

EXTRACTORS: dict[str, Extractor] = {
    "wavelet": wavelet_features,
    "random": random_features,
    "radiomics": radiomics_features,
}
"""Families of features that need no training, by name."""

LEARNED = "learned"
"""The family of a detector trained here: shown, without a say. Its null holds slices that it learned from."""

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

# As Naeem et al. (2020) have it for density and coverage.
NEIGHBOURS = 5
PROJECTIONS = 128
BLOCK = 500
"""Images of each side that are scored at once; of more, the scores of blocks are averaged, so that cost is linear."""


def features_of(comparison: Comparison, extractors: Mapping[str, Extractor]) -> dict[str, Floats]:
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
    # A constant feature becomes 0: divided by its own rounding error it would be noise as loud as the others.
    scale = np.where(deviation > 1e-9, deviation, np.inf)
    return standardised(np.clip((features - features.mean(axis=0)) / scale, -FARTHEST, FARTHEST))[0]


def family_scores(points: Floats, plan: NullPlan, names: Ints, *, interval: bool = True) -> Scores:
    """All scores of one family of features, see ``nulls.beside``.

    Args:
        points: (N + M, K), real first.
        plan: who is compared.
        names: (N + M,) number of each image's group, see ``group_numbers``.
        interval: whether intervals are wanted.

    The relative Frechet distance (Woodland 2023) is the "ratio" of "frechet"; "frechet_infinity" extrapolates to
    endless N (Chong and Forsyth 2020) and has no null of its own.
    """
    score = partial(set_scores, points, names, blocks=blocks_of(plan.count))
    found = beside(score, plan, worse=WORSE, interval=interval)
    # Its smallest subsets hold half of the images. Of fewer images than features covariances are singular, and the bias
    # does not fall along a line.
    if plan.count >= 2 * points.shape[1]:
        value = frechet_infinity(real=points[plan.held], synthetic=points[plan.synthetic])
        found["frechet_infinity"] = Score(value=value, null=(), null_median=None, ratio=None, p=None, n=plan.count)
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
    # Seeded by the number of places alone, so that a score does not change with the seed of a run.
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
