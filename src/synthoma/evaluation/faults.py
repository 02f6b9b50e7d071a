"""The metric's self-test: known faults planted into the user's own real scans, and which scores would have seen them.

A score that stays silent says nothing unless it would have spoken. Each fault is planted into one side of several
real-vs-real divisions, and the scores are taken as those of a synthetic cohort.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage
from sklearn.cluster import KMeans

from synthoma.core.seeding import stream
from synthoma.core.types import Float32, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.families import WORSE, Extractor, blocks_of, group_numbers, scaled, set_scores
from synthoma.evaluation.nulls import NullPlan
from synthoma.evaluation.result import SelfTest
from synthoma.metrics.features import standardised, wavelet_features

TRIALS = 8
"""Divisions into which each fault is planted."""

SCORED = ("kid", "sliced_wasserstein", "recall", "coverage")
"""Scores that are asked whether they notice."""


def blurred(images: Float32) -> Float32:
    """Blurred by 0.8 pixels at a side of 64."""
    # A share of the picture, so that it is one and the same fault at any size of slices.
    sigma = 0.8 * images.shape[1] / 64
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma)), np.float32)


def noisy(images: Float32, draws: np.random.Generator) -> Float32:
    """With noise of 3 % of bright tissue."""
    return np.asarray(np.clip(images + 0.03 * draws.normal(size=images.shape), 0, 1), np.float32)


def checkered(images: Float32) -> Float32:
    """With a checkerboard of 2 %, within the head."""
    # Every pixel differs from its four neighbours: the pattern of period 2 that strided layers leave.
    down, right = np.indices(images.shape[1:])
    board = np.where((down + right) % 2, 0.02, -0.02).astype(np.float32)
    # Air stays black: a board in it would be noticed by the level of the air and not by the pattern.
    return np.asarray(np.clip(images + board * (images > 0.02), 0, 1), np.float32)


def brightened(images: Float32) -> Float32:
    """With a gamma of 0.85."""
    return np.asarray(np.clip(images, 0, 1) ** 0.85, np.float32)


def faults(
    comparison: Comparison, plan: NullPlan, extractors: Mapping[str, Extractor], *, alpha: float, seed: int
) -> SelfTest | None:
    """Plant each fault and count how often each score has p <= alpha; None without a null."""
    trials = plan.divisions[:TRIALS]
    if not trials:
        return None
    real = comparison.real
    draws = stream(seed, "evaluation.faults")
    # Among them what single families miss: wavelets a collapse, random convolutions a change of gamma.
    changed = {
        "blur 0.8 px": blurred(real),
        "noise 3 %": noisy(real, draws),
        "checkerboard 2 %": checkered(real),
        "gamma 0.85": brightened(real),
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    # The changed images are the same patients' again.
    names = np.concatenate([group_numbers(plan.groups, [])] * 2)
    modes = _modes(real)
    for family, extract in extractors.items():
        plain = extract(real)
        points = scaled(plain)
        blocks = blocks_of(plan.count)
        null = [set_scores(points, names, one, other, blocks=blocks) for one, other in plan.divisions]
        sides = {
            "half of the modes dropped": [(one, _of_modes(other, modes, draws)) for one, other in trials],
            "collapse to a fifth of the images": [
                (one, draws.choice(draws.permutation(other)[: max(2, len(other) // 5)], len(other)))
                for one, other in trials
            ],
        }
        for fault, chosen in sides.items():
            # A generator that repeats itself draws images that belong to nobody: repeated ones get groups of their own,
            # or scores would leave them out as slices of one patient.
            planted = [
                set_scores(
                    np.concatenate([points, points[other]]),
                    np.concatenate([names[: len(points)], names.max() + 1 + np.arange(len(other))]),
                    one,
                    len(points) + np.arange(len(other)),
                    blocks=blocks,
                )
                for one, other in chosen
            ]
            found.setdefault(fault, {})[family] = _caught(planted, null, alpha)
        for fault, images in changed.items():
            both = scaled(np.concatenate([plain, extract(images)]))
            # On the scale of this fault: changed images join those that set it, and move the null too.
            null = [set_scores(both, names, one, other, blocks=blocks) for one, other in plan.divisions]
            planted = [set_scores(both, names, one, other + len(real), blocks=blocks) for one, other in trials]
            found.setdefault(fault, {})[family] = _caught(planted, null, alpha)
    return SelfTest(faults=found, n=plan.count, trials=len(trials))


def _caught(
    planted: Sequence[Mapping[str, float]], null: Sequence[Mapping[str, float]], alpha: float
) -> dict[str, float]:
    """Share of trials in which each score is worse than chance allows, held against all other divisions."""
    hits = dict.fromkeys(SCORED, 0)
    for trial, scores in enumerate(planted):
        for name in SCORED:
            # Not against its own division: the same patients without the fault are no independent draw.
            others = np.array([row[name] for number, row in enumerate(null) if number != trial])
            worse = others >= scores[name] if WORSE[name] == "high" else others <= scores[name]
            hits[name] += int((1 + worse.sum()) / (1 + len(others)) <= alpha)
    return {name: hits[name] / len(planted) for name in SCORED}


def _modes(images: Float32) -> Ints:
    """Which of eight clusters each image belongs to."""
    points = standardised(wavelet_features(images))[0]
    # Seeded by 0 and not by the run: which kinds of images there are is a matter of the cohort.
    return np.asarray(KMeans(min(8, len(points)), n_init=2, random_state=0).fit_predict(points), dtype=np.int64)


def _of_modes(places: Ints, modes: Ints, draws: np.random.Generator) -> Ints:
    """As many places of half of the clusters, drawn with replacement where they are too few."""
    kept = draws.permutation(int(modes.max()) + 1)[: (int(modes.max()) + 1) // 2]
    pool = places[np.isin(modes[places], kept)]
    # With fewer than are wanted, some come twice.
    return np.asarray(draws.choice(pool if len(pool) else places, len(places), replace=len(pool) < len(places)))
