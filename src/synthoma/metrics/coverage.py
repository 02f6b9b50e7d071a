"""Whether synthetic images lie among the real ones, and whether they reach all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from synthoma.errors import InputError
from synthoma.types import Floats


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


def coverage(*, real: Floats, synthetic: Floats, k: int = 5) -> Coverage:
    """Overlap of two sets by nearest neighbours; a set's reach at a point is the distance to its k-th neighbour.

    Args:
        real: features (N, D), N > k.
        synthetic: features (M, D), M > k.
        k: number of neighbours.

    Raises:
        InputError: a side of k images or fewer.
    """
    if min(len(real), len(synthetic)) <= k:
        came = f"{len(real)} and {len(synthetic)}"
        raise InputError(f"more than {k} images on each side", came, "add images, or use a smaller k")
    between = cdist(real, synthetic)
    reach_real = np.sort(cdist(real, real), axis=1)[:, k]  # column 0 is the image itself
    reach_synthetic = np.sort(cdist(synthetic, synthetic), axis=1)[:, k]
    within = between <= reach_real[:, None]
    return Coverage(
        precision=float(within.any(axis=0).mean()),
        recall=float((between <= reach_synthetic[None, :]).any(axis=1).mean()),
        density=float(within.sum(axis=0).mean() / k),
        coverage=float(within.any(axis=1).mean()),
    )
