"""Realism and diversity: distances and overlaps of feature sets, each beside its real-vs-real values at the same N."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from synthoma.evaluation.comparison import Comparison
from synthoma.metrics.coverage import coverage
from synthoma.metrics.distances import frechet_distance, intensity_distances, kernel_distance, sliced_wasserstein
from synthoma.metrics.features import random_features, standardised, wavelet_features
from synthoma.seeding import stream
from synthoma.types import Floats, Ints

EXTRACTORS: dict[str, Callable[[Floats], Floats]] = {"wavelet": wavelet_features, "random": random_features}
"""Families of features by name."""

DISTANCES = ("kid", "sliced_wasserstein", "frechet")
OVERLAPS = ("precision", "recall", "density", "coverage")
NEIGHBOURS = 5


def fidelity(comparison: Comparison, *, halves: int = 20, seed: int = 0) -> dict[str, Any]:
    """Scores of synthetic against held-out real slices, and of real against real, by feature family.

    The null is made of ``halves`` random divisions of all real slices into two sets of different groups. Both sides of
    the comparison and of every division have the same number of slices, for all scores depend on it; divisions too
    uneven for that are left out. The null's spread holds what differs between patients. A score's p-value is the share
    of null values at least as bad (with one added on both sides, so it is never 0).

    Returns:
        {family: {score: {"value", "null": [...], "null_median", "ratio", "p", "n"}}}
    """
    result = {}
    for family, extract in EXTRACTORS.items():
        features = extract(comparison.real), extract(comparison.synthetic)
        real, synthetic = standardised(*features)
        first = len(comparison.training)
        draws = stream(seed, f"evaluation.fidelity.{family}")
        divisions = [group_halves(comparison.groups, draws) for _ in range(halves)]
        smaller = [min(len(one), len(other)) for one, other in divisions]
        count = min(len(synthetic), len(real) - first)
        usual = int(np.median(smaller))
        count = min(count, usual) if usual > NEIGHBOURS else count
        ours = _scores(
            real[first:][_some(draws, len(real) - first, count)], synthetic[_some(draws, len(synthetic), count)]
        )
        null = [
            _scores(real[draws.permutation(one)[:count]], real[draws.permutation(other)[:count]])
            for (one, other), size in zip(divisions, smaller, strict=True)
            if size >= count
        ]
        result[family] = {
            name: _beside(name, value, [row[name] for row in null], count) for name, value in ours.items()
        }
    return result


def group_halves(groups: Sequence[str], draws: np.random.Generator) -> tuple[Ints, Ints]:
    """Positions of two halves of about one size that share no group."""
    names, inverse, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    order = draws.permutation(len(names))
    first = order[np.cumsum(sizes[order]) <= len(groups) / 2 + sizes.max() / 2]
    inside = np.isin(inverse, first)
    return np.flatnonzero(inside), np.flatnonzero(~inside)


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
    return {
        "edges": edges.round(6).tolist(),
        "shares": shares,
        "synthetic": intensity_distances(real=thin["real"], synthetic=thin["synthetic"]),
        "null": intensity_distances(real=thin["real"], synthetic=thin["training"]),
    }


def _some(draws: np.random.Generator, total: int, count: int) -> Ints:
    return np.sort(draws.permutation(total)[:count])


def _scores(real: Floats, synthetic: Floats) -> dict[str, float]:
    overlap = coverage(real=real, synthetic=synthetic, k=NEIGHBOURS)
    return {
        "kid": kernel_distance(real=real, synthetic=synthetic),
        "sliced_wasserstein": sliced_wasserstein(real=real, synthetic=synthetic, projections=256),
        "frechet": frechet_distance(real=real, synthetic=synthetic),
        **{name: getattr(overlap, name) for name in OVERLAPS},
    }


def _beside(name: str, value: float, null: list[float], count: int) -> dict[str, Any]:
    """A score with its null."""
    if not null:
        return {"value": value, "null": [], "null_median": None, "ratio": None, "p": None, "n": count}
    values = np.array(null)
    worse = (values >= value) if name in DISTANCES else (values <= value)
    median = float(np.median(values))
    # KID's null is centred on 0, so a ratio to it would say nothing.
    ratio = value / median if name != "kid" and abs(median) > 1e-12 else None
    p = (1 + int(worse.sum())) / (1 + len(values))
    return {"value": value, "null": values.tolist(), "null_median": median, "ratio": ratio, "p": p, "n": count}
