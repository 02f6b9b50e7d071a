"""How far the surfaces of two masks lie apart: HD95 and surface Dice (NSD).

A surface voxel belongs to the mask and has a face neighbour outside it, or lies at the end of the grid; distances go
between voxel centres, in mm; every surface voxel counts once, as in MONAI. The surface Dice of Nikolov et al. (2018,
arXiv 1809.04430; DeepMind's ``surface-distance``) weighs surfaces by area instead: `surface_dice` with ``by_area``.

MONAI's scores agree with these to its float32 (the tests compare them), yet are not used: on a 240x240x155 volume they
take four to ten times as long, since each finds the surfaces anew; they see a single slice as a volume, all of whose
voxels are surface; and they give NaN for empty masks. Tools disagree on these scores by far more than models do
(Podobnik and Vrtovec 2024): name the tool with the figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree
from skimage import measure

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools, Floats
from synthoma.metrics.overlap import as_masks

TOLERANCE = 2.0
"""Distance in mm up to which two surfaces count as one."""

Spacing = tuple[float, float, float]
PIXELS: Spacing = (1.0, 1.0, 1.0)
"""Spacing where nobody knows it: distances are then in pixels, and a step between slices counts as one."""


@dataclass(frozen=True)
class Boundary:
    """Agreement of two surfaces.

    Attributes:
        hd95: the larger of the two directed 95th percentiles, mm; 0 is perfect.
        surface_dice: share of the voxels of both surfaces that lie within the tolerance of the other, 0..1.
    """

    hd95: float
    surface_dice: float


def boundary(truth: Array, prediction: Array, spacing: Spacing = PIXELS, tolerance: float = TOLERANCE) -> Boundary:
    """HD95 and surface Dice, by counted surface voxels, of two masks.

    Both empty: 0 mm and 1. Only one empty: the diagonal of the grid, as a penalty that no pair of masks exceeds, and 0.

    Args:
        truth: (z, y, x), tumour above 0.
        prediction: (z, y, x).
        spacing: of the voxels (z, y, x), mm.
        tolerance: mm.

    Raises:
        InputError: another number of axes, two shapes, or a spacing or tolerance that is none.
    """
    ours, theirs = as_masks(truth, prediction)
    steps = np.asarray(spacing, dtype=np.float64)
    if steps.shape != (3,) or not (np.isfinite(steps).all() and (steps > 0).all() and tolerance >= 0):
        came = f"{tuple(spacing)} and {tolerance}"
        raise InputError("three spacings above 0 and a tolerance of at least 0 mm", came, "give them in mm (z, y, x)")
    if not (ours.any() and theirs.any()):
        if not (ours.any() or theirs.any()):
            return Boundary(0.0, 1.0)
        # Infinity would spoil every mean over patients, and leaving the pair out would flatter models that find
        # nothing.
        return Boundary(float(np.linalg.norm(steps * ours.shape)), 0.0)
    first, second = _surface(ours, steps), _surface(theirs, steps)
    distances = _to_nearest(first, second), _to_nearest(second, first)
    # Multiples of a spacing may miss the tolerance by rounding alone: 3 x 0.7 is above 2.1.
    within = sum(int(np.count_nonzero(part <= tolerance + 1e-9)) for part in distances)
    # The worse of two percentiles, as MONAI. MedPy takes one percentile of both directions together, which is never
    # higher.
    farthest = max(float(np.percentile(part, 95)) for part in distances)
    return Boundary(farthest, within / (len(first) + len(second)))


def hd95(truth: Array, prediction: Array, spacing: Spacing = PIXELS) -> float:
    """95 % Hausdorff distance in mm; arguments, empty masks and errors as `boundary`."""
    return boundary(truth, prediction, spacing).hd95


def surface_dice(
    truth: Array, prediction: Array, spacing: Spacing = PIXELS, tolerance: float = TOLERANCE, *, by_area: bool = False
) -> float:
    """Surface Dice (NSD), 0..1; arguments, empty masks and errors as `boundary`.

    Args:
        truth: (z, y, x), tumour above 0.
        prediction: (z, y, x).
        spacing: of the voxels (z, y, x), mm.
        tolerance: mm.
        by_area: as Nikolov et al. (2018) define it: the share of the area of both surfaces, or of the length of both
            outlines of a single slice, that lies within the tolerance of the other. False counts surface voxels.
    """
    counted = boundary(truth, prediction, spacing, tolerance)
    ours, theirs = as_masks(truth, prediction)
    if not by_area or not (ours.any() and theirs.any()):
        return counted.surface_dice
    steps = np.asarray(spacing, dtype=np.float64)
    first, second = _elements(ours, steps), _elements(theirs, steps)
    within = sum(
        float(one.weights[_to_nearest(one.places, other.places) <= tolerance + 1e-9].sum())
        for one, other in ((first, second), (second, first))
    )
    return within / float(first.weights.sum() + second.weights.sum())


@dataclass(frozen=True)
class _Elements:
    """Middles (N, 3) of the pieces of a surface in mm, and their areas in mm2; of an outline, lengths in mm."""

    places: Floats
    weights: Floats


def _elements(mask: Bools, spacing: Floats) -> _Elements:
    """Triangles of the surface halfway between voxels (marching cubes), or edges of a single slice's outline."""
    flat = [axis for axis in range(3) if mask.shape[axis] == 1]
    # Marching cubes looks at every voxel of the array: only the box of the mask is given to it.
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    start = np.array([part.start for part in box])
    if flat:
        kept = [axis for axis in range(3) if axis != flat[0]]
        # A rim of zeros closes the surface where the mask ends at the box or at the frame of the scan.
        closed = np.pad(mask[box].squeeze(axis=flat[0]), 1).astype(np.float32)
        lines = [line * spacing[kept] for line in measure.find_contours(closed, 0.5)]
        ends = np.concatenate([np.stack([line[:-1], line[1:]], axis=1) for line in lines])
        places = np.zeros((len(ends), 3))
        # - 1 for the rim.
        places[:, kept] = ends.mean(axis=1) + (start[kept] - 1) * spacing[kept]
        return _Elements(places, np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1))
    corners, faces, _, _ = measure.marching_cubes(np.pad(mask[box], 1).astype(np.float32), 0.5, spacing=tuple(spacing))
    # Corners come in float32. Products of their differences are summed over many thousand triangles.
    triangles = corners[faces].astype(np.float64)
    sides = triangles[:, 1:] - triangles[:, :1]
    weights = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / 2
    # - 1 for the rim, as of an outline.
    return _Elements(triangles.mean(axis=1) + (start - 1) * spacing, weights)


def _surface(mask: Bools, spacing: Floats) -> Floats:
    """Places of the surface voxels (N, 3), mm.

    An axis of one voxel is left out of the search for surfaces: across it, every voxel of a single slice would be one.
    """
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    # Erosion takes what lies beyond the box for background, so a mask that reaches the end of the scan has a surface
    # there.
    inside = mask[box]
    flat = tuple(axis for axis in range(3) if mask.shape[axis] == 1)
    kept = inside.squeeze(axis=flat)
    # A grid of a single voxel has no axis left to erode along: the voxel is surface.
    eroded = ndimage.binary_erosion(kept).reshape(inside.shape) if kept.ndim else np.zeros_like(inside)
    places: Floats = (np.argwhere(inside & ~eroded) + [part.start for part in box]) * spacing
    return places


def _to_nearest(places: Floats, others: Floats) -> Floats:
    """Distance of each place to the nearest of the others."""
    distances: Floats = KDTree(others, leafsize=32).query(places)[0]
    return distances
