"""Rigid registration of two series of one study that lie on other grids or in other frames of reference.

1. *Metric*: normalised mutual information (Studholme et al. 1999, "An overlap invariant entropy measure of 3D medical
   image alignment", Pattern Recognition 32(1)) of voxels in and around the head. The joint histogram is smoothed with a
   Gaussian Parzen window, so that the metric has an exact gradient. Both series are blurred to the same slice
   thickness first: a voxel of a 7 mm slice is compared with the mean of what it covers, not with one thin slice.
2. *Starts*: where the headers put the two, and where their heads' centres meet; around each, shifts and turns on a
   grid, ranked by the metric at 8 mm. The best six that differ are optimised at 8 mm, the best two of these at 4 mm,
   and the better one at 2 mm, by BFGS (Nocedal and Wright 2006, "Numerical Optimization", chapter 6).
3. *Both directions*: all of this is done twice, with each series as the one whose voxels are sampled. The transform is
   the mean of the two; how far they lie apart is a first sign of failure. Where they contradict each other, the one of
   the better quality is kept, and the other direction has to stay with it when it starts there.
4. *Quality*: the head is cut into blocks of 24 mm, and each is shifted by up to 6 mm along every axis, 125 places in
   all. What is compared are directions of edges, which do not depend on contrast (Haber and Modersitzki 2006,
   "Intensity gradient based registration and fusion of multi-modal images", MICCAI). The quality is the share of
   blocks that fit best where the transform puts them, or 3 mm beside it along one axis: 5.6 % by chance.

SimpleITK holds the grids and resamples. Its own optimisers were tried and left: gradient descent ends up to 1.5 mm from
the optimum where slices are thick, Powell's method takes 4 to 8 s a level, and LBFGS does not leave the start.

No random number is drawn, and sums do not depend on threads: the same input gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import SimpleITK as sitk

from synthoma.core.types import Floats
from synthoma.scans.block_matching import block_fit
from synthoma.scans.case import Volume
from synthoma.scans.grids import to_itk
from synthoma.scans.mutual_information import LEVER, MutualInformation
from synthoma.scans.resolutions import COARSE, FINE, MIDDLE, Resolutions
from synthoma.scans.rigid import Pose, RigidTransform, frame_of, mean_pose, nine_of, pose_distance, three_of

__all__ = ["Registered", "RigidTransform", "fitting_blocks", "register"]

LEAST_QUALITY = 0.35
"""Share of blocks below which a registration is not to be trusted.

Set on 24 pairs of 8 simulated patients (`benchmarks/registration.py 5 8`), none of which is among those that the
benchmark reports. What was registered reaches 0.46 or more. True poses displaced by 6 mm reach 0.08 at most; noise,
shuffled blocks and another patient's head 0.08; a mirrored head 0.21. Of poses displaced by 4 mm three quarters fall
below the limit, and of those by 3 mm two thirds."""

MOST_APART = 3.0
"""Mean distance in mm, over the head, of the two directions' results above which neither is trusted.

On the same pairs results that are right lie 1.1 mm apart at most."""

LEAST_BLOCKS = 12
"""Blocks that both series must show: with fewer there is no evidence."""

_ANGLES, _SHIFT = (12.0, 25.0), 18.0  # degrees and mm of the grid of starts
_CANDIDATES, _FINALISTS = 6, 2
_DISTINCT = {COARSE: 12.0, MIDDLE: 4.0}  # mm between starts that count as two

_Found = TypeVar("_Found", bound=tuple[float, Pose, *tuple[object, ...]])


@dataclass(frozen=True)
class Registered:
    """A moving series on the grid of a fixed one.

    Attributes:
        volume: float32, interpolated linearly, 0 outside the moving series' field of view.
        transform: from fixed to moving space.
        quality: share, 0 to 1, of the head's blocks that fit best where they lie; 0.056 by chance.
        remark: what the quality rests on, or why the result must not be trusted.
        agreed: whether it may be trusted.
    """

    volume: Volume
    transform: RigidTransform
    quality: float
    remark: str
    agreed: bool


def register(fixed: Volume, moving: Volume) -> Registered:
    """Bring one series onto the grid of another series of the same head.

    Contrasts, grids, fields of view and noise may differ; the heads may be turned against one another by up to 40
    degrees, wherever the headers put them. Series that cannot be registered give a result that is not ``agreed``.

    Args:
        fixed: whose grid is taken, with geometry.
        moving: what is brought onto it, with geometry.

    Raises:
        InputError: no geometry, an axis of fewer than four voxels, or voxels that are NaN or infinite.
    """
    one, other = Resolutions(fixed, "fixed"), Resolutions(moving, "moving")
    head = one.some_head
    there, back = _align(one, other), _align(other, one).inverse()
    apart = pose_distance(there, back, head)
    if apart > MOST_APART:
        # Of a whole head and a stripped one, the samples of one may find no way where the other's do.
        fits = [block_fit(one, other, pose)[0] for pose in (there, back)]
        if max(fits) >= LEAST_QUALITY and fits[0] >= fits[1]:
            back = _refined(other, one, [there.inverse()]).inverse()
        elif max(fits) >= LEAST_QUALITY:
            there = _refined(one, other, [back])
        apart = pose_distance(there, back, head)
    # Where they still contradict each other their mean would be a third pose that nothing speaks for.
    pose = mean_pose(there, back, head.mean(0)) if apart <= MOST_APART else there
    share, count = block_fit(one, other, pose)
    centre = head.mean(0)
    # Turned about the centre of the head, its shift is how far that centre moves.
    transform = RigidTransform(nine_of(pose.matrix), three_of(pose(centre) - centre), three_of(centre))
    seen = sitk.Resample(
        sitk.Cast(to_itk(moving), sitk.sitkFloat32), frame_of(fixed), transform.to_itk(), sitk.sitkLinear, 0.0
    )
    found = f"{100 * share:.0f} % of {count} blocks of the head fit best where they lie"
    met = f"both directions agree to {apart:.1f} mm"
    # Too few blocks come first: a share of three blocks is no evidence either way.
    if count < LEAST_BLOCKS:
        remark = f"not to be trusted: the series share {count} blocks of the head, too few to judge"
    elif share < LEAST_QUALITY:
        remark = f"not to be trusted: {found}, and {100 * LEAST_QUALITY:.0f} % are needed"
    elif apart > MOST_APART:
        remark = f"not to be trusted: the two directions contradict each other by {apart:.0f} mm"
    else:
        remark = f"registered: {found}; {met}"
    agreed = remark.startswith("registered")
    return Registered(Volume(sitk.GetArrayFromImage(seen), fixed.geometry), transform, share, remark, agreed)


def fitting_blocks(fixed: Volume, moving: Volume, transform: RigidTransform) -> tuple[float, int]:
    """How well a known transform fits: the share of blocks that ``register`` calls quality, and how many were judged.

    Raises:
        InputError: as ``register``.
    """
    matrix, centre = np.array(transform.rotation).reshape(3, 3), np.array(transform.centre)
    pose = Pose(matrix, centre + np.array(transform.translation) - matrix @ centre)
    return block_fit(Resolutions(fixed, "fixed"), Resolutions(moving, "moving"), pose)


def _align(sampled: Resolutions, sought: Resolutions) -> Pose:
    """The best pose from the sampled to the sought series' space."""
    points = sampled.some_head
    shift = sought.some_head.mean(0) - points.mean(0)
    starts: list[tuple[float, Pose, MutualInformation, Floats]] = []
    # Headers are right where the patient lay still in one frame; else the heads have to be brought together.
    for offset in (np.zeros(3), shift):
        match = MutualInformation(sampled, sought, COARSE, Pose(np.eye(3), offset))
        starts += [(match(x)[0], match.pose(x), match, x) for x in _grid_of_starts()]
    found = [match.best(x) for _, _, match, x in _distinct(starts, points, _DISTINCT[COARSE], _CANDIDATES)]
    kept = _distinct(found, points, _DISTINCT[MIDDLE], _FINALISTS)
    return _refined(sampled, sought, [pose for _, pose in kept])


def _refined(sampled: Resolutions, sought: Resolutions, poses: list[Pose]) -> Pose:
    """The best pose near some that are a centimetre off at most."""
    still = np.zeros(6)
    middle = [MutualInformation(sampled, sought, MIDDLE, pose).best(still) for pose in poses]
    _, pose = min(middle, key=lambda found: found[0])
    return MutualInformation(sampled, sought, FINE, pose).best(still)[1]


def _grid_of_starts() -> list[Floats]:
    """Every shift with every turn, each (6,) as ``MutualInformation`` takes it; the first one changes nothing."""
    line = (0.0, -_SHIFT, _SHIFT)
    turns = [np.zeros(3)]
    turns += [np.deg2rad(sign * angle) * LEVER * axis for angle in _ANGLES for axis in np.eye(3) for sign in (-1, 1)]
    return [np.concatenate([turn, (x, y, z)]) for x in line for y in line for z in line for turn in turns]


def _distinct(found: list[_Found], points: Floats, mm: float, most: int) -> list[_Found]:
    """The best of what begins with cost and pose, each at least so far from all better ones."""
    kept: list[_Found] = []
    for item in sorted(found, key=lambda item: item[0]):
        # Near copies of the best start would fill all places, and lead to one optimum only.
        if all(pose_distance(item[1], other[1], points) > mm for other in kept):
            kept.append(item)
        if len(kept) == most:
            break
    return kept
