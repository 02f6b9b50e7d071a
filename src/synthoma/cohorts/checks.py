"""Plausibility of a decoded picture: text burned into it, or noise where a scan should be.

Or a mask that is another scan's, and sizes in another unit. All are warnings, not verdicts: they name what a person
should look at.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthoma.cohorts.framing import foreground
from synthoma.cohorts.squares import Framing
from synthoma.core.types import Array
from synthoma.scans.case import unlike_a_head

# Anatomy outside of the head (ears, tip of the nose) makes a few such marks, text many.
MIN_GLYPHS = 5
# Of neighbouring pixels: nearly 1 in a scan, about 0 in noise.
NOISE_CORRELATION = 0.5
_LOOKED_AT = 8


def glyphs(image: Array) -> int:
    """Number of letter-like marks outside the head of a slice (rows, columns).

    A mark is a small connected region, clearly brighter than what surrounds it, away from the head and with the
    proportions of a letter or digit. Text overlays and watermarks have many, anatomy outside the head (ears, nose
    tip, coil noise) few.
    """
    pixels = image.astype(np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    # In a smaller picture letters have fewer than the five pixels by which they are told from noise.
    if not high > low or min(pixels.shape) < 48:
        return 0
    # A rim around the head belongs to it: scalp beyond the threshold looks like small bright marks.
    head = ndimage.binary_dilation(foreground(pixels), iterations=max(2, min(pixels.shape) // 60))
    marks = (pixels - low > 0.35 * (high - low)) & ~head
    regions, count = ndimage.label(marks, structure=np.ones((3, 3)))
    if count == 0:
        return 0
    letters = 0
    # Text is small beside a head: what is taller is an ear, a hand or a ghost.
    tallest = max(pixels.shape) / 12
    for rows, columns in ndimage.find_objects(regions):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        letters += 5 <= height <= tallest and 2 <= width <= 2 * height
    return letters


def neighbour_correlation(image: Array) -> float:
    """Correlation of horizontally adjacent pixels within the tissue, -1..1; nan where there is too little of it.

    A scan's neighbours agree (0.8 and more); values that overflowed or were scrambled in a conversion do not.
    """
    pixels = image.astype(np.float32)
    # Not the brightest pixel: one hot spot would leave no tissue.
    peak = float(np.percentile(pixels, 99.5))
    inside = (pixels[:, 1:] > 0.1 * peak) & (pixels[:, :-1] > 0.1 * peak)
    # Of fewer pixels a correlation is chance.
    if inside.sum() < 100:
        return float("nan")
    left, right = pixels[:, :-1][inside], pixels[:, 1:][inside]
    if left.std() == 0 or right.std() == 0:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def suspicions(image: Array) -> list[str]:
    """What a person should look at in this slice: 'burned-in text', 'noise-like', or nothing."""
    found = []
    if glyphs(image) >= MIN_GLYPHS:
        found.append("burned-in text")
    if neighbour_correlation(image) < NOISE_CORRELATION:
        found.append("noise-like")
    return found


_STRAYING = 0.25
"""Share of a mask beside the head from which it is worth a remark: outlines at the skull reach beyond a bit."""

_HEAD = 0.02
"""Least share of a slice that is a head: less is what noise leaves."""


def doubts(images: Array, masks: Array, framing: Framing) -> list[str]:
    """What a person should look at in a case: a mask that lies beside the head, and sides that no head has.

    Args:
        images: its slices (N, C, S, S), background 0.
        masks: (N, S, S).
        framing: how they were made.
    """
    said = []
    outside = _beside_head(images, masks)
    if outside > _STRAYING:
        said.append(f"{100 * outside:.0f} % of its mask lies outside of the head: is it a mask of this scan?")
    if framing.source is not None and (size := unlike_a_head(framing.pixel_mm, framing.shape[1:])):
        said.append(size)
    return said


def _beside_head(images: Array, masks: Array) -> float:
    """Share of the masks of some slices that lies where no head is; 0 where no head can be told."""
    rows = np.flatnonzero(masks.any(axis=(1, 2)))
    # A few slices all through the tumour: a mask of another scan is wrong in most of them.
    rows = np.unique(rows[np.linspace(0, len(rows) - 1, min(len(rows), _LOOKED_AT)).astype(int)])
    marked = strayed = 0
    for row in rows:
        head = foreground(images[row].max(axis=0))
        if head.mean() < _HEAD:
            continue
        # Pixels at the edge of a head are half air: the cut lies beside where a person draws it.
        head = ndimage.binary_dilation(head, iterations=max(1, len(head) // 64))
        marked += int((masks[row] > 0).sum())
        strayed += int(((masks[row] > 0) & ~head).sum())
    return strayed / marked if marked else 0.0
