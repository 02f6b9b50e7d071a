"""Mass effect: tissue around a tumour pushed outwards, fading with distance and towards the skull."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from synthoma.core.types import Bools, Bytes, Float32
from synthoma.painting.growth import Box
from synthoma.painting.scan import Scan
from synthoma.painting.tissues import TissueMap

_FADES_MM = 22.0
_HELD_MM = 12.0  # from another tumour, within which the push fades to none


def pushed(
    images: Mapping[str, Float32],
    mask: Bytes,
    box: Box,
    tissue: TissueMap,
    scan: Scan,
    push_mm: float,
    held: Bools | None = None,
) -> tuple[dict[str, Float32], Bools]:
    """The images with what lies around the tumour moved, and where they may have changed.

    The tumour itself stays as it was painted: its size is what was asked for.

    Args:
        images: with the tumour.
        mask: of the tumour, of the box.
        box: where it lies.
        tissue: of the scan.
        scan: the scan.
        push_mm: at the tumour's surface.
        held: other tumours (z, y, x), which stay where their masks say that they are; None for none.
    """
    whole = np.zeros(scan.shape, np.bool_)
    whole[box] = mask > 0
    sampling = (1e6 if scan.flat else scan.spacing[0], *scan.spacing[1:])
    away, nearest = ndimage.distance_transform_edt(~whole, sampling=sampling, return_indices=True)
    size = push_mm * np.exp(-((away / _FADES_MM) ** 2)) * np.clip(tissue.depth_mm / 12, 0, 1)
    if held is not None and held.any():
        # Less than the way to them, for pushes of 10 mm at most: nothing of them is seen anywhere else either.
        size *= np.clip(ndimage.distance_transform_edt(~held, sampling=sampling) / _HELD_MM, 0, 1)
    moved = (size > 0.1) & ~whole & tissue.brain
    at = np.argwhere(moved)
    if not len(at):
        return dict(images), moved
    # Outwards is away from the nearest point of the tumour's surface.
    outwards = (at.T - nearest[:, moved]) * np.array(scan.spacing)[:, None]
    outwards /= np.maximum(np.sqrt((outwards**2).sum(0)), 1e-6)
    # What is seen at a place came from nearer to the tumour, but never from inside it.
    length = np.minimum(size[moved], np.maximum(away[moved] - 0.5 * min(scan.spacing[1:]), 0))
    source = at.T - outwards * length / np.array(scan.spacing)[:, None]
    # Linear: a spline would ring beside the tumour's edge.
    result = {}
    for name, image in images.items():
        new = np.array(image)
        new[moved] = ndimage.map_coordinates(image, source, order=1, mode="nearest")
        result[name] = new
    return result, moved
