"""What readers complain of, as numbers of single images: symmetry, brightness, spectrum, and how tumours lie and look.

Each number's distribution over synthetic slices is compared with that over held-out real ones.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from synthoma.core.types import Array, Bools, Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.nulls import NullPlan, beside
from synthoma.evaluation.realistic.result import ComparedNumber, Spread
from synthoma.metrics.anatomy import centre_to_edge, head_area, left_right_asymmetry, lesion_descriptors
from synthoma.metrics.spectrum import checkerboard_peak, spectral_slope

RINGS = 8
LEAST = 10
"""Numbers on each side below which nothing is compared."""

SMALLEST_FOR_SPECTRA = 32
"""Side in pixels below which an image has no spectrum to speak of."""


def measured(images: Array) -> dict[str, Floats]:
    """Numbers of single images (N, H, W), each (N,), nan where an image has none."""
    rings = centre_to_edge(images, RINGS)
    found = {
        "mean brightness of the head": _mean_inside(images),
        # Without the outermost ring, half of whose pixels are air.
        "centre brighter than edge": rings[:, : RINGS // 2].mean(axis=1) - rings[:, RINGS // 2 : -1].mean(axis=1),
        "left-right asymmetry": left_right_asymmetry(images),
        "area of the head": head_area(images),
    }
    if min(images.shape[1:]) >= SMALLEST_FOR_SPECTRA:
        found["slope of the spectrum"] = spectral_slope(images)
        found["checkerboard"] = checkerboard_peak(images)
    return found


def _mean_inside(images: Array) -> Floats:
    inside = images > 0.02
    count = inside.sum(axis=(1, 2))
    total = np.where(inside, images, 0).sum(axis=(1, 2), dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def appearance(comparison: Comparison, plan: NullPlan) -> dict[str, ComparedNumber]:
    """Each number of ``measured``, compared."""
    return compared(measured(comparison.real), measured(comparison.synthetic), plan)


def tumours(
    comparison: Comparison, real_masks: Bools, synthetic_masks: Bools, plan: NullPlan
) -> dict[str, ComparedNumber]:
    """Size, place and look of tumours, compared; empty where one side shows none.

    Args:
        comparison: the slices.
        real_masks: where real slices show tumour (N, H, W), in the order of ``comparison.real``.
        synthetic_masks: (M, H, W).
        plan: who is compared.
    """
    if not (real_masks.any() and synthetic_masks.any()):
        return {}
    real = lesion_descriptors(comparison.real, real_masks)
    return compared(real, lesion_descriptors(comparison.synthetic, synthetic_masks), plan)


def compared(real: dict[str, Floats], synthetic: dict[str, Floats], plan: NullPlan) -> dict[str, ComparedNumber]:
    """Distributions of numbers over slices: Wasserstein-1 in deviations of the real ones, beside its null.

    Returns:
        By name. A number that too few slices have is left out.
    """
    found = {}
    for name, ours in real.items():
        values = np.concatenate([ours, synthetic[name]])
        held, made = (values[rows][np.isfinite(values[rows])] for rows in (plan.held, plan.synthetic))
        # The scale is that of all real slices: held-out ones alone are too few to set it.
        scale = float(np.nanstd(ours))
        # What real slices do not vary in has no deviation to count in.
        if min(len(held), len(made)) < LEAST or scale < 1e-12:
            continue

        def score(one: Ints, other: Ints, values: Floats = values, scale: float = scale) -> dict[str, float]:
            first, second = (values[rows][np.isfinite(values[rows])] for rows in (one, other))
            if min(len(first), len(second)) < LEAST:
                return {"distance": float("nan")}
            return {"distance": float(stats.wasserstein_distance(first, second)) / scale}

        entry = beside(score, plan, worse={"distance": "high"}, interval=False)["distance"]
        found[name] = ComparedNumber(
            **entry.model_dump(exclude_unset=True),
            effect=float(made.mean() - held.mean()) / scale,
            real=Spread(mean=float(held.mean()), deviation=float(held.std())),
            synthetic=Spread(mean=float(made.mean()), deviation=float(made.std())),
        )
    return found
