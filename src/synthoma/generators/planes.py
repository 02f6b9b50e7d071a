"""What the planes mean that a generator draws: images, and a mask from one plane for each label."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthoma.core.types import Bytes, Floats, tumour_of
from synthoma.generators.shape import ImageShape

SPECK = 0.0005
"""Connected regions of a drawn mask below this share of the picture are removed."""


def split_planes(planes: Floats, shape: ImageShape, values: tuple[int, ...]) -> tuple[Floats, Bytes]:
    """Images (N, C, S, S) on the cohort's scale (0 background, 1 bright) and clean masks (N, S, S) of drawn planes.

    A pixel belongs to the label whose plane is highest, if that is above 0. Specks are removed.

    Args:
        planes: (N, C + L, S, S) in -1..1.
        shape: says how many of them are images.
        values: of each label's pixels in a mask (L,).
    """
    # Networks of the package keep to -1..1 when they draw; one that is plugged in may not.
    images = np.clip((planes[:, : shape.channels] + 1) / 2, 0, 1)
    if not shape.labels:
        return images, np.zeros((len(planes), shape.size, shape.size), dtype=np.uint8)
    labels = planes[:, shape.channels :]
    # One label a pixel: planes are drawn apart and may overlap, while labels of a mask exclude one another.
    masks = np.where(labels.max(axis=1) > 0, np.array(values)[labels.argmax(axis=1)], 0).astype(np.uint8)
    return images, np.stack([without_specks(mask) for mask in masks])


def without_specks(mask: Bytes) -> Bytes:
    """The mask (S, S) without connected tumour regions smaller than ``SPECK`` of the picture."""
    regions, count = ndimage.label(tumour_of(mask))
    if not count:
        return mask
    sizes = np.bincount(regions.ravel())
    # Two pixels at least: in small pictures the share alone would allow single ones.
    kept = sizes >= max(2.0, SPECK * mask.size)
    return np.where(kept[regions], mask, 0).astype(np.uint8)
