"""A region that is to be filled: its margin, what networks are told of it, and how the filled one is put back."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthoma.core.types import REGIONS, Array, Bools, Bytes, Float32

MARGIN_MM, MARGIN_PIXELS = 3.0, 1.5
"""Width of the soft margin outside the mask: so many mm, and at least so many pixels."""
NEAR_MM, FAR_MM = 3.0, 9.0
"""A field of noise is the sum of one that is smooth over this and one that is smooth over that."""


def margin_of(mask: Bytes, pixel_mm: float) -> Float32:
    """How much of the filled image each pixel shows: 1 inside a mask (H, W), falling to 0 over the soft margin."""
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    width = max(MARGIN_MM / pixel_mm, MARGIN_PIXELS)
    # From the edge of the mask, half a pixel before the middle of the first one outside.
    away = ndimage.distance_transform_edt(mask == 0) - 0.5
    share = np.clip(1 - away / width, 0, 1)
    share[mask > 0] = 1
    return np.asarray(share**2 * (3 - 2 * share), np.float32)


def told_planes(mask: Bytes, margin: Float32, present: Bools, *, regions: bool) -> Float32:
    """Planes that networks are told (``network.TOLD``, H, W).

    Args:
        mask: values of ``core.types.REGIONS``.
        margin: of ``margin_of``.
        present: which of the four sequences there are.
        regions: whether the mask tells regions apart; where it does not, its inside is told by the margin alone.
    """
    planes = [margin, np.full(mask.shape, regions, np.float32)]
    planes += [(mask == value).astype(np.float32) * regions for value in REGIONS]
    planes += [np.full(mask.shape, there, np.float32) for there in present]
    return np.stack(planes).astype(np.float32)


def blanked(images: Float32, margin: Float32) -> Float32:
    """Images (C, H, W) with nothing left where anything is to be filled."""
    return np.where(margin > 0, np.float32(0), images)


def noise_fields(rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float) -> Float32:
    """Fields (4, H, W) as those of ``painting.growth``, and one of single pixels."""
    fields = [_smooth(rng.standard_normal(shape), pixel_mm) for _ in range(3)]
    return np.stack([*fields, rng.standard_normal(shape)]).astype(np.float32)


def _smooth(white: Array, pixel_mm: float) -> Array:
    parts = []
    for width in (NEAR_MM, FAR_MM):
        field = ndimage.gaussian_filter(white, width / pixel_mm, mode="wrap")
        parts.append(field / max(float(field.std()), 1e-9))
    both = parts[0] + parts[1]
    return np.asarray((both - both.mean()) / max(float(both.std()), 1e-9))
