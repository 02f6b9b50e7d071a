"""Volumes on one grid: whether they share it, and what one shows on the grid of another."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans.case import Geometry, Volume


def to_itk(volume: Volume) -> sitk.Image:
    """The volume as a SimpleITK image."""
    image = sitk.GetImageFromArray(storable(volume.voxels))
    if volume.geometry is not None:
        image.SetSpacing(volume.geometry.spacing)
        image.SetOrigin(volume.geometry.origin)
        image.SetDirection(volume.geometry.direction)
    return image


def storable(voxels: Array) -> Array:
    """Voxels of a type that the formats know."""
    if voxels.dtype.kind == "b":
        return voxels.astype(np.uint8)
    if voxels.dtype.kind == "f" and voxels.dtype.itemsize not in (4, 8):
        return voxels.astype(np.float32 if voxels.dtype.itemsize < 4 else np.float64)
    return voxels


def same_grid(one: Geometry, other: Geometry) -> bool:
    """Whether two grids of one shape coincide, to a hundredth of a voxel and a thousandth of the axes."""
    spacing = np.array(one.spacing)
    return bool(
        np.allclose(spacing, other.spacing, rtol=1e-3)
        and np.all(np.abs(np.subtract(one.origin, other.origin)) <= 0.01 * spacing.max())
        and np.allclose(one.direction, other.direction, atol=1e-3)
    )


def onto_grid(volume: Volume, reference: Volume) -> Volume:
    """Resample linearly onto the grid of another volume of the same patient position; unchanged where they coincide.

    Args:
        volume: what is resampled, with geometry.
        reference: whose grid is taken, with geometry.

    Returns:
        The volume on that grid, 0 outside its own field of view, float32 where it had to be resampled.

    Raises:
        InputError: a geometry is missing, or less than half of the smaller volume lies inside the other.
    """
    if volume.geometry is None or reference.geometry is None:
        raise InputError(
            "modalities on one grid", "different sizes and no geometry", "resample them onto one grid first"
        )
    # Not resampled where nothing moves: values would be rounded, and the type would change.
    if volume.voxels.shape == reference.voxels.shape and same_grid(volume.geometry, reference.geometry):
        return volume
    # Series that share so little belong to different positions of the table: what came out would be mostly 0.
    if (share := _overlap(volume, reference)) < 0.5:
        came = f"two that share {100 * share:.0f} % of their space"
        raise InputError("modalities of one patient position", came, "register them onto one grid first")
    # As float32: whole numbers would be cut to whole numbers again, and small values lost.
    moving = sitk.Cast(to_itk(volume), sitk.sitkFloat32)
    # A grid of zeros without memory of its own: only where it lies is asked of it.
    fixed = to_itk(Volume(np.broadcast_to(np.uint8(0), reference.voxels.shape), reference.geometry))
    resampled = sitk.Resample(moving, fixed, sitk.Transform(), sitk.sitkLinear, 0.0)
    return Volume(sitk.GetArrayFromImage(resampled), reference.geometry)


def paste_onto(mask: Volume, reference: Geometry, shape: tuple[int, int, int]) -> Volume | None:
    """Put a mask that was cropped, or whose axes were turned or mirrored, onto the grid that it was drawn on.

    Nothing is resampled: every voxel keeps its value and its place in the patient.

    Args:
        mask: with geometry; 0 is background.
        reference: the grid.
        shape: of the grid, (z, y, x).

    Returns:
        The mask on the grid, 0 outside its own field; None where its voxels are not voxels of the grid.

    Raises:
        InputError: marked voxels would be lost, since they lie outside the grid.
    """
    if mask.geometry is None:
        return None
    inverse = np.linalg.inv(_steps(reference))
    turn = inverse @ _steps(mask.geometry)
    start = inverse @ np.subtract(mask.geometry.origin, reference.origin)
    whole_turn, whole_start = np.rint(turn), np.rint(start)
    # One step of 1 or -1 in each row and column: axes that change places or run backwards, and no turn in between.
    is_turn = np.all(np.abs(whole_turn).sum(axis=0) == 1) and np.all(np.abs(whole_turn).sum(axis=1) == 1)
    if not is_turn or np.abs(turn - whole_turn).max() > 1e-3 or np.abs(start - whole_start).max() > 0.01:
        return None
    axes = np.abs(whole_turn).argmax(axis=1)  # the mask's axis that runs along each axis of the grid
    signs = whole_turn.sum(axis=1)
    # Arrays are (z, y, x) and geometry is (x, y, z), hence the transpose.
    turned = mask.voxels.T.transpose(axes)[tuple(slice(None, None, int(sign)) for sign in signs)]
    # An axis that runs backwards starts at its far end.
    low = whole_start.astype(np.int64) - np.where(signs < 0, np.array(turned.shape) - 1, 0)
    into = [
        slice(max(0, at), max(0, min(at + n, top))) for at, n, top in zip(low, turned.shape, shape[::-1], strict=True)
    ]
    source = [slice(place.start - at, max(place.start, place.stop) - at) for place, at in zip(into, low, strict=True)]
    inside = turned[tuple(source)]
    # A tumour that is cut in silence would be scored and trained on as a smaller one.
    if lost := int(np.count_nonzero(turned) - np.count_nonzero(inside)):
        came = f"{lost} of {np.count_nonzero(turned)} marked voxels outside the image"
        raise InputError("a mask that lies inside its image", came, "check that mask and image belong together")
    whole = np.zeros(shape, mask.voxels.dtype)
    whole.T[tuple(into)] = inside
    return Volume(whole, reference, mask.remarks)


def _steps(geometry: Geometry) -> Array:
    """Step from voxel to voxel along each axis of the grid, mm, as columns."""
    steps: Array = np.array(geometry.direction).reshape(3, 3) * np.array(geometry.spacing)
    return steps


def _overlap(one: Volume, other: Volume) -> float:
    """Shared part of the bounding boxes in patient space, as a share of the smaller box."""
    (low1, high1), (low2, high2) = _box(one), _box(other)
    shared = np.prod(np.clip(np.minimum(high1, high2) - np.maximum(low1, low2), 0, None))
    return float(shared / min(np.prod(high1 - low1), np.prod(high2 - low2)))


def _box(volume: Volume) -> tuple[Array, Array]:
    """Lowest and highest corner of a grid in patient space, mm."""
    geometry = volume.geometry
    assert geometry is not None
    size = np.array(volume.voxels.shape[::-1])
    # Outer corners of voxels, not their middles: half a voxel more on every side.
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * size - 0.5
    points = corners @ _steps(geometry).T + np.array(geometry.origin)
    return points.min(axis=0), points.max(axis=0)
