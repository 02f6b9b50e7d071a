"""Whether synthetic images lie among the real ones, and whether they reach all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from synthoma.core.errors import InputError
from synthoma.core.types import Floats, Ints


@dataclass(frozen=True)
class Coverage:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    Attributes:
        precision: share of synthetic images within the reach of some real one, 0..1.
        recall: share of real images within the reach of some synthetic one, 0..1.
        density: mean number of real neighbourhoods that hold a synthetic image, over k; about 1 for equal sets.
        coverage: share of real images whose neighbourhood holds a synthetic one, 0..1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def coverage(
    *,
    real: Floats,
    synthetic: Floats,
    k: int = 5,
    real_groups: Ints | None = None,
    synthetic_groups: Ints | None = None,
) -> Coverage:
    """Overlap of two sets by nearest neighbours; a set's reach at a point is the distance to its k-th neighbour.

    With groups, neighbours are those of other groups. Slices of one patient lie close together; among them the reach
    would be small, and a set of patients would seem to overlap less with itself than with independent images.

    Args:
        real: features (N, D), N > k.
        synthetic: features (M, D), M > k.
        k: number of neighbours.
        real_groups: (N,) number of each image's group (patient); without it every image is its own.
        synthetic_groups: (M,) likewise.

    Raises:
        InputError: a side on which an image has fewer than k neighbours.
    """
    between = _squares(real, synthetic)
    reach_real, reach_synthetic = _reach(real, real_groups, k), _reach(synthetic, synthetic_groups, k)
    # `<=`, as Kynkaanniemi et al. (2019) define it: a copy of the k-th neighbour is still within reach.
    within = between <= reach_real[:, None]
    return Coverage(
        precision=float(within.any(axis=0).mean()),
        recall=float((between <= reach_synthetic[None, :]).any(axis=1).mean()),
        density=float(within.sum(axis=0).mean() / k),
        coverage=float(within.any(axis=1).mean()),
    )


def _squares(first: Floats, second: Floats) -> Floats:
    """Squared distances (N, M), by one product of matrices; what rounding leaves of equal points is 0."""
    one, other = ((part**2).sum(axis=1) for part in (first, second))
    found = one[:, None] + other - 2 * first @ second.T
    # Rounding leaves a small number, even below 0, where points are equal. A copy is at distance 0.
    return np.asarray(np.where(found > 1e-12 * (one[:, None] + other), found, 0.0))


def _reach(points: Floats, groups: Ints | None, k: int) -> Floats:
    """Squared distance of each point to its k-th neighbour in another group (N,)."""
    own = np.arange(len(points)) if groups is None else np.asarray(groups)
    # The largest group decides: each of its images has so many fewer neighbours.
    most = int(np.unique(own, return_counts=True)[1].max(initial=0))
    if len(points) - most < k:
        came = f"{len(points)} images" + (f", {most} of one group" if groups is not None else "")
        raise InputError(
            f"more than {k} images on each side, of several groups", came, "add images, or use a smaller k"
        )
    apart = _squares(points, points)
    apart[own[:, None] == own] = np.inf  # with itself among them
    # `partition` finds the k-th smallest without sorting the rest.
    return np.asarray(np.partition(apart, k - 1, axis=1)[:, k - 1])


def authenticity(*, training: Floats, synthetic: Floats) -> float:
    """Share of synthetic images that lie near to no training image (Alaa et al. 2022, as the package pymdma has it).

    Near is an image that is at most as far from a training image as the nearest other training image is. An honest
    generator scores some 50 %, and copies that were altered a little may score more than honest images do: read it
    beside what held-out images score, and do not read it as a proof.

    Args:
        training: features (N, D), N >= 2.
        synthetic: features (M, D), M >= 1.

    Returns:
        0..1.

    Raises:
        InputError: too few images.
    """
    if len(training) < 2 or not len(synthetic):
        came = f"{len(training)} and {len(synthetic)}"
        raise InputError("2 training images and 1 synthetic one", came, "add images")
    between, reach = cdist(training, synthetic), np.sqrt(_reach(training, None, 1))[:, None]
    # Where both distances are the same by rights, rounding must not decide.
    near = (between < reach) | np.isclose(between, reach)
    return float(1 - near.any(axis=0).mean())
