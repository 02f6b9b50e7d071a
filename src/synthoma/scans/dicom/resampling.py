"""Masks from one grid onto another, voxel by voxel."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform

from synthoma.core.errors import InputError
from synthoma.core.types import Bytes, Floats
from synthoma.scans.case import Geometry
from synthoma.scans.dicom.stack import Series, grid_of
from synthoma.scans.grids import same_grid


def onto(labels: Bytes, series: Series, grid: Geometry, shape: tuple[int, ...]) -> Bytes:
    """Labels of a series (z, y, x) on another grid of the same position, by the nearest voxel.

    Raises:
        InputError: none of the labels lies on that grid.
    """
    own = grid_of(series)
    if labels.shape == shape and same_grid(own, grid):
        return labels
    moved = nearest_voxels(labels, axes_of_grid(own), np.array(own.origin), grid, shape)
    # An empty mask here would count as a scan without a tumour.
    if labels.any() and not moved.any():
        raise InputError("a mask over its scan", "one that lies beside it", "remove the mask from the folder")
    return moved


def axes_of_grid(grid: Geometry) -> Floats:
    """Columns: from one voxel to the next along x, y and z, mm."""
    axes: Floats = np.array(grid.direction).reshape(3, 3) * np.array(grid.spacing)
    return axes


def nearest_voxels(volume: Bytes, axes: Floats, origin: Floats, grid: Geometry, shape: tuple[int, ...]) -> Bytes:
    """The nearest voxels of a volume of other axes and origin, 0 outside."""
    back = np.linalg.inv(axes)
    matrix, offset = back @ axes_of_grid(grid), back @ (np.array(grid.origin) - origin)
    # Both are for (x, y, z); arrays are (z, y, x).
    # order=0: interpolated labels would be those of other tissue.
    turned = affine_transform(
        volume, matrix[::-1, ::-1], offset[::-1], shape, order=0, mode="constant", prefilter=False
    )
    return np.asarray(turned, dtype=np.uint8)


def are_whole(values: Floats) -> bool:
    """Whether places, in voxels, are those of voxels, to a quarter of one."""
    return bool(np.abs(values - np.rint(values)).max() <= 0.25)
