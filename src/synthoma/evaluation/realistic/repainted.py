"""How like the simulated slices synthetic ones are that repaint them."""

from __future__ import annotations

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.seeding import stream
from synthoma.core.types import Floats, Ints
from synthoma.evaluation.comparison import LEAST, Comparison
from synthoma.evaluation.realistic.result import Repainted
from synthoma.metrics.similarity import psnr, ssim


def repainted(comparison: Comparison, synthetic: Cohort, phantom: Cohort, *, seed: int) -> Repainted | None:
    """SSIM and PSNR of synthetic slices to the simulated ones that they repaint, and to others of these.

    Args:
        comparison: the slices.
        synthetic: the cohort, which says what its slices repaint.
        phantom: the simulated slices.
        seed: of the others.

    Returns:
        Means over slices; None where the phantom cohort holds none of those that were repainted, or the cohort does not
        say which they are.
    """
    if comparison.modality not in phantom.modalities or phantom.meta.size != synthetic.meta.size:
        return None
    found = _sources(comparison, synthetic, phantom)
    known = np.flatnonzero(found >= 0)
    if len(known) < LEAST:
        return None
    channel = phantom.modalities.index(comparison.modality)
    sources = np.clip(phantom.images[found[known], channel].astype(np.float32), 0, 1)
    made = comparison.synthetic[known]
    others = sources[another(len(known), seed)]
    return Repainted(
        n=len(known),
        ssim=_mean(ssim(made, sources)),
        ssim_others=_mean(ssim(made, others)),
        psnr=_mean(psnr(made, sources)),
        psnr_others=_mean(psnr(made, others)),
    )


def another(count: int, seed: int) -> Ints:
    """For each of at least two slices another one (count,), each once: the next in a shuffled circle."""
    order = stream(seed, "evaluation.pairs").permutation(count)
    found = np.empty_like(order)
    found[order] = np.roll(order, 1)
    return found


def _sources(comparison: Comparison, synthetic: Cohort, phantom: Cohort) -> Ints:
    """Row of the simulated slice that each compared one repaints (N,); -1 where it is not there or nobody says."""
    if "repaints" not in synthetic.slices or "slice" not in phantom.slices:
        return np.full(len(comparison.synthetic_rows), -1)
    table = phantom.slices
    rows = {
        f"{case}/{number}": row for row, (case, number) in enumerate(zip(table["case"], table["slice"], strict=True))
    }
    named = synthetic.slices["repaints"].iloc[comparison.synthetic_rows].astype(str)
    return np.array([rows.get(name, -1) for name in named], dtype=np.int64)


def _mean(values: Floats) -> float | None:
    """Mean of those that are finite; None where none is."""
    # A picture that equals its source has an infinite ratio, and would make the mean infinite.
    known = np.isfinite(values)
    return float(values[known].mean()) if known.any() else None
