"""A mask that somebody drew, as the shape of a tumour."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import REGIONS, Bytes, Float32
from synthoma.painting.growth import Box, Shape
from synthoma.painting.request import Request
from synthoma.painting.scan import Scan, anisotropic
from synthoma.painting.tissues import TissueMap

_OUTSIDE = 0.1  # share of a mask that may lie beyond what is taken for brain


def check_mask(mask: Bytes, scan: Scan) -> None:
    """Refuse a mask that cannot be painted.

    Raises:
        InputError: another grid, unknown values, or nothing marked.
    """
    if mask.shape != scan.shape:
        came = f"{'x'.join(map(str, mask.shape))} for {'x'.join(map(str, scan.shape))} (z, y, x)"
        raise InputError("a mask on the scan's grid", came, "draw it on this scan, or resample it")
    unknown = sorted(set(np.unique(mask).tolist()) - {0, *REGIONS})
    if unknown:
        names = ", ".join(f"{value} {name}" for value, name in REGIONS.items())
        raise InputError(f"mask values 0, {names}", f"value {unknown[0]}", "correct the mask's values")
    if not mask.any():
        raise InputError("a mask that marks something", "one that is empty", "draw the tumour that is to be painted")


def shape_of_mask(mask: Bytes, scan: Scan, tissue: TissueMap, request: Request) -> tuple[Shape, Bytes]:
    """Margins of a mask, and its regions in their box; a mask of value 1 alone gets a core of its own.

    Raises:
        InputError: what ``check_mask`` refuses, or a mask outside the brain.
    """
    check_mask(mask, scan)
    marked = mask > 0
    outside = float((marked & ~tissue.brain).sum() / marked.sum())
    if outside > _OUTSIDE:
        came = f"one of which {100 * outside:.0f} % lie outside"
        raise InputError("a mask inside the brain", came, "draw it inside, on this scan's own grid")
    margin = anisotropic(2 * request.biology.edge_mm + 8, scan.spacing, scan.flat)
    box = around(marked, margin)
    whole = signed(marked[box], scan)
    drawn = mask[box]
    if set(np.unique(drawn).tolist()) <= {0, 1}:
        # Told tumour or not: its core lies where it is deepest.
        inside = np.sort(whole[drawn > 0])
        off = inside[min(int(len(inside) * request.biology.core), len(inside) - 1)]
        core = np.maximum(whole - off, whole)
        regions = np.where(drawn > 0, np.where(core < 0, 1, 2), 0).astype(np.uint8)
    else:
        regions = drawn.astype(np.uint8)
        core = signed(np.isin(regions, (1, 3)), scan) if np.isin(regions, (1, 3)).any() else whole + 1e3
    noise = np.random.default_rng(0).standard_normal((3, *whole.shape))
    smooth = anisotropic(4.0, scan.spacing, scan.flat)
    fields = np.stack([ndimage.gaussian_filter(field, smooth) for field in noise])
    fields /= fields.std((1, 2, 3), keepdims=True)
    return Shape(box, whole, np.asarray(core, np.float32), np.asarray(fields, np.float32)), regions


def around(marked: np.ndarray, margin: tuple[float, float, float]) -> Box:
    """The box of what is marked, made larger by so many voxels (z, y, x) on each side, inside the array."""
    where = np.argwhere(marked)
    low, high = where.min(0), where.max(0) + 1
    parts = [
        slice(max(0, int(low[axis] - margin[axis])), min(size, int(high[axis] + margin[axis]) + 1))
        for axis, size in enumerate(marked.shape)
    ]
    return parts[0], parts[1], parts[2]


def signed(inside: np.ndarray, scan: Scan) -> Float32:
    """Distance in mm to the edge of a region, negative inside; within the slice for a single one."""
    sampling = (1e6 if scan.flat else scan.spacing[0], *scan.spacing[1:])
    # Distances are from middle to middle; the edge of a mask lies half a pixel before the next one.
    half = min(scan.spacing[1:]) / 2
    out = ndimage.distance_transform_edt(~inside, sampling=sampling) - half
    within = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=sampling)[1:-1, 1:-1, 1:-1] - half
    return np.asarray(np.where(inside, -within, out), np.float32)
