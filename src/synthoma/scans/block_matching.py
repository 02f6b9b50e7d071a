"""Whether a registration holds: blocks of the head that fit best where it puts them."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from synthoma.core.types import Array, Bools, Float32, Floats
from synthoma.scans.resolutions import FINE, Resolutions, axes_of, blurred, head_of, matching_blur, slice_thickness
from synthoma.scans.rigid import Pose

_CELL, _BLOCK, _STEPS = 3.0, 8, 2  # mm, cells of 3 mm along a block, cells of shift
_FILLED = 0.4  # of a block's cells that both series must show


def block_fit(fixed: Resolutions, moving: Resolutions, pose: Pose) -> tuple[float, int]:
    """Share of the blocks that fit best where they lie, and how many blocks both series show."""
    one, other = fixed.at(FINE), moving.at(FINE)
    spacing, axes = np.array(one.GetSpacing()), axes_of(one)
    size = np.ceil(np.array(one.GetSize()) * spacing / _CELL).astype(int)
    thick = slice_thickness(other, axes, pose.matrix)
    edges, seen = [], []
    for image, still, own, wanted in (
        (one, sitk.Transform(), spacing**2, thick),
        (other, pose.to_itk(), thick, spacing**2),
    ):
        placed = sitk.Resample(
            image, size.tolist(), still, sitk.sitkLinear, one.GetOrigin(), [_CELL] * 3, one.GetDirection(), -1.0
        )
        cells = sitk.GetArrayFromImage(placed)
        known = cells >= 0
        # Half a cell of blur beside it: finer edges would be aliases in cells of 3 mm.
        cells = blurred(cells, known, np.hypot(matching_blur(own, wanted), _CELL / 2) / _CELL)
        # Beside the edge of the field of view there is no slope to speak of.
        seen.append(ndimage.binary_erosion(known) & head_of(cells, np.full(3, _CELL), _CELL))
        edges.append(_directions(cells, seen[-1]))
    # Blocks that hardly show anything fit by chance.
    used = _per_block(seen[0] & seen[1]) > _FILLED * _BLOCK**3
    if not used.any():
        return 0.0, 0
    shifts = np.argwhere(np.ones((2 * _STEPS + 1,) * 3)) - _STEPS
    padded = np.pad(edges[1], ((0, 0), *((_STEPS, _STEPS),) * 3))
    scores = np.empty((len(shifts), int(used.sum())))
    for row, shift in zip(scores, shifts, strict=True):
        moved = tuple(slice(_STEPS + s, _STEPS + s + n) for s, n in zip(shift, seen[0].shape, strict=True))
        # Squared: what is bright on one side of an edge in one sequence may be dark in another.
        row[:] = _per_block((edges[0] * padded[(slice(None), *moved)]).sum(0) ** 2)[used]
    # A block without any edge fits everywhere alike, which is no sign that it fits here.
    fits = (np.abs(shifts[scores.argmax(0)]).sum(1) <= 1) & (scores.max(0) > 0)
    return float(fits.mean()), int(used.sum())


def _directions(cells: Float32, seen: Bools) -> Float32:
    """Direction (3, z, y, x) in which values rise: length near 1 at edges, small in noise, 0 where nothing is seen."""
    slopes = np.array(np.gradient(cells))
    steep = np.sqrt((slopes**2).sum(0))
    # The edge parameter of Haber and Modersitzki (2006), below which slopes are noise: most of a head has no edge.
    noise = 0.7 * float(np.median(steep[seen])) if seen.any() else 0.0
    return np.asarray(slopes / np.sqrt(steep**2 + noise**2 + 1e-12) * seen, dtype=np.float32)


def _per_block(cells: Array) -> Floats:
    """Sum over each block, (blocks,); what is left over at the far ends is in none."""
    z, y, x = (side // _BLOCK for side in cells.shape)
    whole = cells[: z * _BLOCK, : y * _BLOCK, : x * _BLOCK]
    return np.asarray(whole.reshape(z, _BLOCK, y, _BLOCK, x, _BLOCK).sum((1, 3, 5), dtype=np.float64).ravel())
