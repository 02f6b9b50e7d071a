"""Distances between two sets of feature vectors, and between two samples of numbers.

Arguments go by keyword (``real``, ``synthetic``): for several of these scores the order matters, and tools disagree.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy
from scipy import linalg

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Floats


def kernel_distance(*, real: Floats, synthetic: Floats) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (KID, Binkowski et al. 2018, 3).

    Its expectation is 0 where both sets come from one distribution; a single value may be below 0.

    Args:
        real: (N, D) with N >= 2.
        synthetic: (M, D) with M >= 2.
    """
    _need(real, synthetic, 2)
    width = real.shape[1]

    def kernel(a: Floats, b: Floats) -> Floats:
        values: Floats = a @ b.T / width + 1.0
        return values * values * values  # several times faster than a power

    n, m = len(real), len(synthetic)
    within_real, within_synthetic = kernel(real, real), kernel(synthetic, synthetic)
    # The diagonals are left out: with them the estimate is biased upwards by 1/N.
    a = (within_real.sum() - np.trace(within_real)) / (n * (n - 1))
    b = (within_synthetic.sum() - np.trace(within_synthetic)) / (m * (m - 1))
    return float(a + b - 2 * kernel(real, synthetic).mean())


def frechet_distance(*, real: Floats, synthetic: Floats) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of Gaussians fitted to both sets (Heusel et al. 2017, eq. 6).

    As everywhere in the field (FID), this is the square of a distance: four times as much is twice as far.
    It is biased upwards at small N, by an amount that depends on the set; read it beside its real-vs-real value.

    Args:
        real: (N, D) with N >= 2.
        synthetic: (M, D) with M >= 2.
    """
    _need(real, synthetic, 2)
    difference = real.mean(axis=0) - synthetic.mean(axis=0)
    # Of a single feature `cov` is a number, which `eigh` refuses.
    first, second = np.atleast_2d(np.cov(real, rowvar=False)), np.atleast_2d(np.cov(synthetic, rowvar=False))
    # tr (C1 C2)^(1/2) through the symmetric product, whose eigenvalues are real and not negative.
    values, vectors = linalg.eigh(first)
    # Rounding leaves eigenvalues a little below 0 where images are fewer than features.
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    overlap = np.sqrt(np.clip(linalg.eigvalsh(root @ second @ root), 0, None)).sum()
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * overlap)


def frechet_infinity(*, real: Floats, synthetic: Floats, points: int = 8, repeats: int = 8, seed: int = 0) -> float:
    """The Fréchet distance that infinitely many images would have (Chong and Forsyth 2020).

    Its bias falls as 1/N: random subsets of half to all images of both sides are scored, evenly spaced in 1/N, and a
    straight line through their means is read off at 1/N = 0. Where features are many for the images (half a set below
    some 1.5 times D), and where images depend on one another (slices of a patient), a bias remains; the value may be
    below 0. Its own spread is somewhat above that of the plain distance.

    Args:
        real: (N, D) with N >= 4.
        synthetic: (M, D) with M >= 4.
        points: sizes of subsets, 2 or more.
        repeats: subsets of each size.
        seed: of the subsets.
    """
    _need(real, synthetic, 4)
    if points < 2 or repeats < 1:
        raise InputError("2 points and 1 repeat or more", f"{points} and {repeats}", "use 8 and 8")
    draws = stream(seed, "metrics.frechet_infinity")
    # Sizes N / 1 to N / 2: evenly spaced in 1 / N, along which the bias is a straight line.
    across, distances = np.linspace(1, 2, points), []
    for inverse in across:
        # Both sides shrink together, or the slope would mix two biases.
        sizes = [round(len(part) / float(inverse)) for part in (real, synthetic)]
        found = [
            frechet_distance(
                real=draws.permutation(real)[: sizes[0]], synthetic=draws.permutation(synthetic)[: sizes[1]]
            )
            for _ in range(repeats if inverse > 1 else 1)  # all images are one subset
        ]
        distances.append(np.mean(found))
    slope, _ = np.polyfit(across, distances, 1)
    return float(np.mean(distances) - slope * across.mean())


def sliced_wasserstein(*, real: Floats, synthetic: Floats, projections: int = 1000, seed: int = 0) -> float:
    """Root of the mean over random directions of the squared Wasserstein-2 distance of projected sets (Rabin 2011).

    A distance, in the unit of the features: a shift of all points of one set counts once, not squared.

    Args:
        real: (N, D).
        synthetic: (M, D).
        projections: number of directions.
        seed: of the directions.
    """
    _need(real, synthetic, 1)
    directions = _directions(real.shape[1], projections, seed)
    # The middle of each step of the distribution. Of sets of one size these are the values themselves.
    levels = (np.arange(max(len(real), len(synthetic))) + 0.5) / max(len(real), len(synthetic))
    first = _quantiles(real @ directions, levels)
    second = _quantiles(synthetic @ directions, levels)
    return float(np.sqrt(np.mean((first - second) ** 2)))


@cache
def _directions(width: int, count: int, seed: int) -> Floats:
    """Directions of length 1 (width, count); the same ones for every pair of sets."""
    # The same directions for all pairs: what chance adds is alike in a score and its null, and hardly moves their
    # ratio.
    drawn = stream(seed, "metrics.sliced_wasserstein").normal(size=(width, count))
    # Normal values over their length lie evenly on the sphere; even ones in a cube would favour its corners.
    return np.asarray(drawn / np.linalg.norm(drawn, axis=0))


def _quantiles(values: Floats, levels: Floats) -> Floats:
    """Inverse empirical distribution of each column at the given levels: (L, P)."""
    # In one dimension the optimal transport pairs values by rank, so that quantiles are all it takes.
    ordered = np.sort(values, axis=0)
    if len(levels) == len(values):
        return ordered
    # A set of fewer points repeats some: its distribution has steps, and interpolated values would be nobody's.
    chosen: Floats = ordered[np.minimum((levels * len(values)).astype(int), len(values) - 1)]
    return chosen


def intensity_distances(*, real: Floats, synthetic: Floats) -> dict[str, float]:
    """Distance of two samples of grey values: Wasserstein-1 (in grey units) and the Kolmogorov-Smirnov statistic."""
    if not (real.size and synthetic.size):
        raise InputError("grey values on both sides", "an empty side", "check the cohorts")
    first, second = np.ravel(real), np.ravel(synthetic)
    return {
        # Only the statistic is used. The exact p, SciPy's choice for up to 10,000 values, would be computed for
        # nothing.
        # ``scipy.stats`` is loaded where it is used: every training looks at distances, and it takes a second.
        "wasserstein_1": float(scipy.stats.wasserstein_distance(first, second)),
        "kolmogorov_smirnov": float(scipy.stats.ks_2samp(first, second, method="asymp").statistic),
    }


def _need(real: Floats, synthetic: Floats, least: int) -> None:
    if real.ndim != 2 or synthetic.ndim != 2 or real.shape[1] != synthetic.shape[1]:
        came = f"{real.shape} and {synthetic.shape}"
        raise InputError("two sets of feature vectors of one length", came, "use one extractor for both")
    if min(len(real), len(synthetic)) < least:
        raise InputError(f"at least {least} images on each side", f"{len(real)} and {len(synthetic)}", "add images")
