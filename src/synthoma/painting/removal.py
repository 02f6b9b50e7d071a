"""A tumour taken out: the hole filled with tissue as the same head has it elsewhere.

Candidates are the mirrored hemisphere and patches of the scan itself, moved by some mm, that look like the surroundings
of the hole; each is fitted to the rim without a seam (``membrane``). Their fine structure is trusted as far as they
explained the surroundings: ridge regression on the ring about the hole gives each a weight, and what none explains is
left to the membrane. The scanner's grain is not put back: no grain comes nearer to what was there than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Float32, Floats
from synthoma.painting.growth import Box
from synthoma.painting.masks import around
from synthoma.painting.membrane import membrane
from synthoma.painting.scan import Scan, anisotropic
from synthoma.painting.tissues import brain_of

Method = Literal["blend", "mirror", "membrane"]
MARGIN_MM = 2.0
"""What is taken out around a mask, whose edge is softer than it says."""
RING_MM = 12.0
_LEAST_SHARE = 0.6  # of a hole for which a move finds tissue
_MOST = 0.6  # share of the brain that may be replaced


@dataclass(frozen=True)
class Removed:
    """A scan without its tumour.

    Attributes:
        images: modality -> float32 (z, y, x); outside of ``changed`` bit for bit the scan's.
        changed: what was replaced.
    """

    images: Mapping[str, Float32]
    changed: Bools


def remove(scan: Scan, hole: Bools, *, method: Method = "blend", margin_mm: float = MARGIN_MM) -> Removed:
    """Replace a region by plausible healthy tissue.

    Args:
        scan: which.
        hole: the tumour (z, y, x).
        method: see the module; "mirror" takes the mirrored hemisphere alone, "membrane" no structure at all.
        margin_mm: how much around the hole is replaced too.

    Raises:
        InputError: nothing to remove, no brain, a region outside it, or more of it than can be told from the rest.
    """
    if not hole.any():
        raise InputError(
            "a tumour to remove", "a mask that marks nothing", "give the tumour's mask, or leave the scan out"
        )
    # The hole must not decide what is brain: a bright or dark tumour looks like bone or fat.
    nearest = tuple(ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True))
    brain = brain_of({name: image[nearest] for name, image in scan.images.items()}, scan.spacing) | hole
    if float(hole.sum() / brain.sum()) > _MOST:
        came = f"one of {100 * hole.sum() / brain.sum():.0f} % of the brain"
        raise InputError("a tumour smaller than the rest of the brain", came, "correct the mask")
    sampling = (1e6 if scan.flat else scan.spacing[0], *scan.spacing[1:])
    if margin_mm > 0:
        hole = (ndimage.distance_transform_edt(~hole, sampling=sampling) <= margin_mm) & brain | hole
    box = around(hole, anisotropic(RING_MM + 2, scan.spacing, scan.flat))
    ring = ndimage.distance_transform_edt(~hole[box], sampling=sampling) <= RING_MM
    ring &= ~hole[box] & brain[box]
    if method == "membrane" or ring.sum() < 30:
        moves: list[_Move] = []
    else:
        moves = _moves(scan, brain, hole, box, ring, mirror_only=method == "mirror")
    images = {}
    for name, image in scan.images.items():
        filled = _filled(image, brain, hole, box, ring, moves, scan, weigh=method == "blend")
        new = np.array(image)
        new[hole] = filled[hole[box]]
        images[name] = new
    return Removed(images, hole)


@dataclass(frozen=True)
class _Move:
    """Where to take tissue from: mirrored or not, and moved by whole voxels (z, y, x)."""

    mirrored: bool
    by: tuple[int, int, int]


def _moves(scan: Scan, brain: Bools, hole: Bools, box: Box, ring: Bools, *, mirror_only: bool) -> list[_Move]:
    """The places whose surroundings look most like those of the hole, best first.

    The mirror is the brain's middle in x; moves in the plane correct for heads that are turned.
    """
    reach = (0 if scan.flat else 1, *(max(1, round(14 / scan.spacing[axis])) for axis in (1, 2)))
    step = (1, *(max(1, round(2.0 / scan.spacing[axis])) for axis in (1, 2)))
    usable = brain & ~hole
    scales = {name: float(image[box][ring].std()) + 1e-6 for name, image in scan.images.items()}
    # A sample of the ring, the same for all.
    at = np.argwhere(ring)
    at = at[:: max(1, len(at) // 1500)] + [part.start for part in box]
    inside = np.argwhere(hole[box])
    inside = inside[:: max(1, len(inside) // 500)] + [part.start for part in box]
    own = np.stack([image[tuple(at.T)] / scales[name] for name, image in scan.images.items()])
    own = own - own.mean(1, keepdims=True)
    found: list[tuple[float, _Move]] = []
    for mirrored in (True,) if mirror_only else (True, False):
        # A mirrored place is known but for the turn of the head; like tissue of the same side may be anywhere.
        wide = reach if mirrored else tuple(3 * side for side in reach)
        for dz in range(-reach[0], reach[0] + 1):
            for dy in range(-wide[1], wide[1] + 1, step[1]):
                for dx in range(-wide[2], wide[2] + 1, step[2]):
                    move = _Move(mirrored, (dz, dy, dx))
                    where, fits = _source(at, move, brain)
                    hidden, whole = _source(inside, move, brain)
                    # Little may come from the tumour itself or from beyond the brain, and it is not taken.
                    share = float((usable[tuple(hidden.T)] & whole).mean())
                    if share < _LEAST_SHARE or fits.mean() < 0.9:
                        continue
                    theirs = np.stack([image[tuple(where.T)] / scales[name] for name, image in scan.images.items()])
                    good = usable[tuple(where.T)]
                    theirs = theirs - theirs[:, good].mean(1, keepdims=True) if good.sum() > 20 else theirs
                    gap = ((theirs - own) ** 2).mean(0)
                    # What has no counterpart counts as unlike.
                    # In squared deviations unrelated places differ by 2: at 4, none is chosen for lying outside.
                    unlike = float(np.where(good & fits, gap, 4.0).mean())
                    found.append((unlike + 4 * (1 - share), move))
    found.sort(key=lambda pair: pair[0])
    return [move for _, move in found[: 1 if mirror_only else 10]]


def _source(at: np.ndarray, move: _Move, brain: Bools) -> tuple[np.ndarray, Bools]:
    """Voxels (n, 3) that a move takes for these, held inside the scan, and which of them lie inside."""
    where = at + np.array(move.by)
    if move.mirrored:
        columns = np.flatnonzero(brain.any((0, 1)))
        where[:, 2] = int(columns[0]) + int(columns[-1]) - at[:, 2] + move.by[2]
    limit = np.array(brain.shape) - 1
    return np.clip(where, 0, limit), np.asarray(((where >= 0) & (where <= limit)).all(1))


def _filled(
    image: Float32, brain: Bools, hole: Bools, box: Box, ring: Bools, moves: list[_Move],
    scan: Scan, *, weigh: bool,
) -> Float32:  # fmt: skip
    """One modality of the box with its hole filled."""
    own, gap = image[box], hole[box]
    trusted = brain[box]
    smooth = membrane(own, gap, scan.spacing, trusted)
    if not moves:
        return smooth
    spans = (np.arange(part.start, part.stop) for part in box)
    places = np.stack(np.meshgrid(*spans, indexing="ij"), -1).reshape(-1, 3)
    details, taken = [], []
    for move in moves:
        where, fits = _source(places, move, brain)
        good = ((brain & ~hole)[tuple(where.T)] & fits).reshape(own.shape)
        other = np.where(good | ~gap, image[tuple(where.T)].reshape(own.shape), smooth)
        # Seamless: what is missing between the two at the rim is spread over the hole.
        fitted = other + membrane(own - other, gap, scan.spacing, trusted)
        taken.append(fitted)
        details.append(other - ndimage.gaussian_filter(other, anisotropic(6.0, scan.spacing, True)))
    if not weigh:
        return np.asarray(np.where(gap, taken[0], own), np.float32)
    detail = own - ndimage.gaussian_filter(smooth, anisotropic(6.0, scan.spacing, True))
    known = np.stack([part[ring] for part in details])
    weights = _ridge(known, detail[ring])
    rest = 1 - weights.sum()
    filled = rest * smooth + sum(weight * part for weight, part in zip(weights, taken, strict=True))
    return np.asarray(np.where(gap, filled, own), np.float32)


def _ridge(known: Floats, wanted: Floats) -> Floats:
    """Weights (k,) of sources (k, n) for what is wanted (n,): not negative, together at most 1."""
    from scipy.optimize import nnls

    # A share of the sources' own energy: a fixed penalty would depend on the grey scale of the scan.
    strength = np.sqrt(0.02 * (known**2).sum() / len(known))
    matrix = np.concatenate((known.T, strength * np.eye(len(known))))
    weights, _ = nnls(matrix, np.concatenate((wanted, np.zeros(len(known)))))
    total = weights.sum()
    return np.asarray(weights / total if total > 1 else weights)
