"""Where a bright tumour ends, and what is too small to be one beside it.

A network that learned from simulated patients finds tumours that are far brighter than the brain with certainty, and
draws them too wide: their faint halo, and gyri between fingers of oedema. Readers outline them where brightness has
fallen half way to the brain's, as the width of any blurred edge is measured (full width at half maximum). What is found
far from the tumour is mostly something else that is bright in FLAIR, and small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synthoma.core.types import Bools, Bytes, Float32
from synthoma.detectors.segmenters.tissues import TissueMap

SEQUENCE = "flair"
"""Whose brightness tells where a tumour ends: in T2 fluid is as bright, in T1 tumours hardly differ from the brain."""

BRIGHT = 1.33
"""Brightness over the brain's from which a tumour's margin is looked for: of fainter ones noise would decide."""

LEAST_OF_LARGEST = 0.1
"""Share of the largest place's pixels that another one has at least; fewer are no tumour of their own."""

NEVER_SMALL_ML = 3.0
"""Volume that is no small place, however large the largest: a ball of 18 mm is a lesion that readers would measure."""


@dataclass(frozen=True)
class Refined:
    """What a model outlined, up to where its brightness ends.

    Attributes:
        maps: (n, T, S, S), 0 where something was taken away.
        small: places that were left out as too small.
        remark: what the reader should know; empty where there is nothing to say.
    """

    maps: Float32
    small: int
    remark: str


def refined(
    maps: Float32, thresholds: tuple[float, ...], shown: Float32, brain: TissueMap, pixel_ml: float | None = None
) -> Refined:
    """Maps over squares without small places, and without what is too dim to belong to a bright tumour.

    Args:
        maps: (n, T, S, S), probabilities of each target.
        thresholds: one for each target.
        shown: FLAIR of the same squares, (n, S, S), on a cohort's scale.
        brain: of the same squares; where it is not sure, nothing is changed.
        pixel_ml: volume of a pixel of the squares; None where unknown.
    """
    outlined = maps[:, 0] >= thresholds[0]
    if not brain.sure or not outlined.any():
        return Refined(maps, 0, "")
    most = None if pixel_ml is None else NEVER_SMALL_ML / pixel_ml
    large, small = without_small(outlined, most)
    taken = outlined & ~large
    limit = half_way(shown, large, brain.mask & ~large)
    if limit is not None:
        bright = shown >= limit
        kept, _ = without_small(large & _filled(large & bright), most)
        # A ring of low probability around what was taken away would be somebody's outer outline.
        taken |= (large & ~kept) | (~outlined & ~bright)
    result = np.where(taken[:, None], 0, maps).astype(np.float32)
    word = "1 place was left out: it has" if small == 1 else f"{small} places were left out: they have"
    told = f"{word} less than a tenth of the size of the largest one"
    return Refined(result, small, told if small else "")


def half_way(shown: Float32, tumour: Bools, brain: Bools) -> float | None:
    """Brightness half way from the brain to the tumour, both medians; None where it is not ``BRIGHT`` enough."""
    if not tumour.any() or not brain.any():
        return None
    around, inside = float(np.median(shown[brain])), float(np.median(shown[tumour]))
    return (around + inside) / 2 if inside >= BRIGHT * around > 0 else None


def without_small(mask: Bools, most: float | None = None) -> tuple[Bools, int]:
    """A mask (n, S, S) without the places that are small beside the largest one, and how many these were.

    A place of ``most`` pixels is not small; None where nobody knows how large a pixel is.
    """
    parts: Bytes
    parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    least = LEAST_OF_LARGEST * float(sizes.max())
    kept = sizes >= max(1.0, least if most is None else min(least, most))
    return kept[parts], count - int(kept.sum())


def _filled(mask: Bools) -> Bools:
    """The mask with its holes filled slice by slice: cysts and dead tissue are dark, and tumour all the same."""
    return np.stack([ndimage.binary_fill_holes(layer) for layer in mask])
