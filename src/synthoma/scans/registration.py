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
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import SimpleITK as sitk
from scipy import ndimage, optimize

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools, Float32, Floats, Ints
from synthoma.scans.case import Direction, Vector3, Volume
from synthoma.scans.intensity import intensity_window
from synthoma.scans.volumes import to_itk

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

_LEAST_VOXELS = 4  # along every axis: fewer slices do not say how they are tilted
_BINS = 32
_LEVER = 70.0  # mm: what a rotation is multiplied by to count as a shift, about the radius of a head
_SCALE = 300.0  # brings the metric's curvature near 1 / mm2, where BFGS begins
_HEAD = 0.1  # of the intensity window: brighter is head
_RIM = 8.0  # mm of air around the head that is sampled too, for the skin's edge
_LEAST_SHARED = 0.25  # of the samples: with less overlap any metric can be perfect
_COARSE, _MIDDLE, _FINE = 8.0, 4.0, 2.0  # mm
_SAMPLES = {_COARSE: 2_000, _MIDDLE: 10_000, _FINE: 20_000}
_REACH = {_COARSE: 40.0, _MIDDLE: 20.0, _FINE: 12.0}  # mm by which a series can move beside the other's grid
_ITERATIONS = {_COARSE: 15, _MIDDLE: 25, _FINE: 30}
_ANGLES, _SHIFT = (12.0, 25.0), 18.0  # degrees and mm of the grid of starts
_CANDIDATES, _FINALISTS = 6, 2
_DISTINCT = {_COARSE: 12.0, _MIDDLE: 4.0}  # mm between starts that count as two
_CELL, _BLOCK, _STEPS = 3.0, 8, 2  # mm, cells of 3 mm along a block, cells of shift
_FILLED = 0.4  # of a block's cells that both series must show


_Found = TypeVar("_Found", bound=tuple[Any, ...])


@dataclass(frozen=True)
class RigidTransform:
    """A turn about a centre and a shift; maps points of the fixed series' space to the moving series' space.

    A point x goes to ``rotation (x - centre) + centre + translation``, in mm and LPS axes, as in ITK.

    Attributes:
        rotation: 3x3 matrix, row by row.
        translation: mm.
        centre: mm.
    """

    rotation: Direction
    translation: Vector3
    centre: Vector3

    def apply(self, points: Floats) -> Floats:
        """Where points (N, 3) of fixed space lie in moving space, mm."""
        matrix, centre = np.array(self.rotation).reshape(3, 3), np.array(self.centre)
        return np.asarray((points - centre) @ matrix.T + centre + np.array(self.translation))

    def inverse(self) -> RigidTransform:
        """The transform from moving space to fixed space."""
        matrix, shift = np.array(self.rotation).reshape(3, 3), np.array(self.translation)
        return RigidTransform(_nine(matrix.T), _three(-shift), _three(np.array(self.centre) + shift))

    def to_itk(self) -> sitk.AffineTransform:
        """For ``sitk.Resample(moving, fixed, ...)``."""
        return sitk.AffineTransform(self.rotation, self.translation, self.centre)

    def to_meta(self) -> dict[str, Any]:
        """As plain data, for a file."""
        return {"rotation": list(self.rotation), "translation": list(self.translation), "centre": list(self.centre)}

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> RigidTransform:
        """What ``to_meta`` gave."""
        return cls(*(cast(Any, tuple(map(float, meta[name]))) for name in ("rotation", "translation", "centre")))


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
    one, other = _Scan(fixed, "fixed"), _Scan(moving, "moving")
    head = one.some_head
    there, back = _align(one, other), _align(other, one).inverse()
    apart = _distance(there, back, head)
    if apart > MOST_APART:
        # Of a whole head and a stripped one, the samples of one may find no way where the other's do.
        fits = [_fit(one, other, pose)[0] for pose in (there, back)]
        if max(fits) >= LEAST_QUALITY and fits[0] >= fits[1]:
            back = _refined(other, one, [there.inverse()]).inverse()
        elif max(fits) >= LEAST_QUALITY:
            there = _refined(one, other, [back])
        apart = _distance(there, back, head)
    # Where they still contradict each other their mean would be a third pose that nothing speaks for.
    pose = _mean(there, back, head.mean(0)) if apart <= MOST_APART else there
    share, count = _fit(one, other, pose)
    centre = head.mean(0)
    transform = RigidTransform(_nine(pose.matrix), _three(pose(centre) - centre), _three(centre))
    seen = sitk.Resample(
        sitk.Cast(to_itk(moving), sitk.sitkFloat32), _frame(fixed), transform.to_itk(), sitk.sitkLinear, 0.0
    )
    found = f"{100 * share:.0f} % of {count} blocks of the head fit best where they lie"
    met = f"both directions agree to {apart:.1f} mm"
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
    pose = _Pose(matrix, centre + np.array(transform.translation) - matrix @ centre)
    return _fit(_Scan(fixed, "fixed"), _Scan(moving, "moving"), pose)


# Poses and grids -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pose:
    """A point x goes to ``matrix x + shift``, mm."""

    matrix: Floats
    shift: Floats

    def __call__(self, points: Floats) -> Floats:
        return np.asarray(points @ self.matrix.T + self.shift)

    def inverse(self) -> _Pose:
        return _Pose(self.matrix.T, -self.matrix.T @ self.shift)

    def to_itk(self) -> sitk.AffineTransform:
        return sitk.AffineTransform(self.matrix.ravel().tolist(), self.shift.tolist())


def _distance(one: _Pose, other: _Pose, points: Floats) -> float:
    """Mean distance in mm between where two poses put points (N, 3)."""
    return float(np.linalg.norm(one(points) - other(points), axis=1).mean())


def _mean(one: _Pose, other: _Pose, centre: Floats) -> _Pose:
    """The pose halfway: the rotation nearest to the mean matrix, and the mean place of the centre."""
    left, _, right = np.linalg.svd(one.matrix + other.matrix)
    matrix = left @ right
    return _Pose(matrix, (one(centre) + other(centre)) / 2 - matrix @ centre)


def _turn(vector: Floats) -> tuple[Floats, Floats]:
    """Rotation matrix of a rotation vector in radians, and its left Jacobian (Barfoot 2017, 7.14 and 7.77)."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    if angle < 1e-6:
        return np.eye(3) + cross, np.eye(3) + cross / 2
    a, b = np.sin(angle) / angle, (1 - np.cos(angle)) / angle**2
    square = cross @ cross
    return np.eye(3) + a * cross + b * square, np.eye(3) + b * cross + (1 - a) / angle**2 * square


def _axes(image: sitk.Image) -> Floats:
    """The grid's axes as columns, without unit."""
    return np.array(image.GetDirection()).reshape(3, 3)


def _frame(volume: Volume) -> sitk.Image:
    """An image of that grid, for resampling."""
    return to_itk(Volume(np.broadcast_to(np.uint8(0), volume.voxels.shape), volume.geometry))


def _three(values: Floats) -> Vector3:
    return cast(Vector3, tuple(float(value) for value in values))


def _nine(matrix: Floats) -> Direction:
    return cast(Direction, tuple(float(value) for value in matrix.ravel()))


# Series --------------------------------------------------------------------------------------------------------------


class _Scan:
    """A series with intensities from 0 to 1, and smaller versions of it."""

    def __init__(self, volume: Volume, role: str) -> None:
        if volume.geometry is None:
            raise InputError(f"a {role} series with geometry", "one without", "use a format that states it, as NIfTI")
        if min(volume.voxels.shape) < _LEAST_VOXELS:
            came = "x".join(map(str, volume.voxels.shape[::-1]))
            todo = "leave this series out"
            raise InputError(f"a {role} series of at least {_LEAST_VOXELS} voxels along each axis", came, todo)
        if not np.isfinite(volume.voxels).all():
            raise InputError(f"a {role} series of finite voxels", "NaN or infinite ones", "repair or leave it out")
        offset, scale = intensity_window(volume.voxels, "robust")
        voxels = np.clip((volume.voxels.astype(np.float32) - np.float32(offset)) / np.float32(scale), 0, 1)
        self._whole = to_itk(Volume(voxels, volume.geometry))
        self._levels: dict[float, sitk.Image] = {}

    def at(self, mm: float) -> sitk.Image:
        """The series with voxels of about so many mm, means of what they cover; thicker slices stay as they are."""
        if mm not in self._levels:
            source = self.at(mm / 2) if mm > _FINE else self._whole
            sides = zip(source.GetSpacing(), source.GetSize(), strict=True)
            # At least four voxels are left along every axis.
            factors = [int(np.clip(round(mm / step), 1, size // _LEAST_VOXELS)) for step, size in sides]
            self._levels[mm] = sitk.BinShrink(source, factors)
        return self._levels[mm]

    @cached_property
    def some_head(self) -> Floats:
        """Places (N, 3) in mm of some 500 voxels of the head; of the whole grid where no head is seen."""
        image = self.at(_MIDDLE)
        head = _head(sitk.GetArrayFromImage(image), np.array(image.GetSpacing()), 0.0)
        places = np.argwhere(head if head.any() else np.ones_like(head))
        places = places[:: max(1, len(places) // 500)]
        steps = _axes(image) * np.array(image.GetSpacing())
        return np.asarray(places[:, ::-1] @ steps.T + np.array(image.GetOrigin()))


def _head(voxels: Float32, spacing: Floats, rim: float) -> Bools:
    """Where the head is, bool (z, y, x), with so many mm around it."""
    head = ndimage.binary_opening(voxels > _HEAD)
    sides = [2 * round(rim / step) + 1 for step in spacing[::-1]]
    return np.asarray(ndimage.maximum_filter(head.astype(np.uint8), sides) > 0)


def _thickness(image: sitk.Image, axes: Floats, matrix: Floats) -> Floats:
    """Square of what a voxel of an image measures along other axes that a rotation carries to it, (3,) in mm2."""
    along = (axes.T @ matrix.T @ _axes(image)) ** 2
    return np.asarray(along @ np.array(image.GetSpacing()) ** 2)


def _blurred(voxels: Float32, known: Bools, sigma: Floats) -> Float32:
    """Gaussian blur (sigma in voxels, x first) of what is known (z, y, x); what is not known does not leak in."""
    if not sigma.any():
        return np.where(known, voxels, np.float32(0))
    weight = ndimage.gaussian_filter(known.astype(np.float32), sigma[::-1], truncate=3)
    total = ndimage.gaussian_filter(np.where(known, voxels, np.float32(0)), sigma[::-1], truncate=3)
    return np.asarray(total / np.maximum(weight, 1e-3), dtype=np.float32)


def _matching_blur(own: Floats, other: Floats) -> Floats:
    """Gaussian in mm, (3,), that makes slices of one squared thickness as thick as the other's; 0 where they are."""
    # A slice is a box, whose variance is a twelfth of its squared thickness.
    return np.asarray(np.sqrt(np.maximum(other - own, 0) / 12))


# Metric --------------------------------------------------------------------------------------------------------------


class _Match:
    """Metric of two series near a pose: voxels of the sampled one beside the sought one, laid on its axes.

    Called with six numbers in mm, a rotation vector times ``_LEVER`` and a shift, both along the sampled grid's axes
    and about the middle of the samples; gives the value that is minimised and its gradient (6,).
    """

    def __init__(self, sampled: _Scan, sought: _Scan, mm: float, pose: _Pose) -> None:
        image, other, reach = sampled.at(mm), sought.at(mm), _REACH[mm]
        spacing, axes = np.array(image.GetSpacing()), _axes(image)
        self._pose, self._axes, self._corner, self._iterations = (
            pose,
            axes,
            np.array(image.GetOrigin()),
            _ITERATIONS[mm],
        )
        self._step = np.minimum(spacing, mm)
        size = np.ceil((np.array(image.GetSize()) * spacing + 2 * reach) / self._step).astype(int)
        start = self._corner - axes @ np.full(3, reach)
        placed = sitk.Resample(
            other, size.tolist(), pose.to_itk(), sitk.sitkLinear, start.tolist(), self._step.tolist(),
            axes.ravel().tolist(), -1.0,
        )  # fmt: skip
        values = sitk.GetArrayFromImage(placed)
        thick = _thickness(other, axes, pose.matrix)
        known = values >= 0
        self._values = _blurred(values, known, _matching_blur(thick, spacing**2) / self._step)
        # A place counts where all eight voxels around it are known.
        self._known = ndimage.minimum_filter(known.astype(np.uint8), 2, origin=-1) > 0
        own = sitk.GetArrayFromImage(image)
        own = _blurred(own, np.ones(own.shape, bool), _matching_blur(spacing**2, thick) / spacing)
        places = np.argwhere(_head(own, spacing, _RIM))
        places = places[:: max(1, len(places) // _SAMPLES[mm])]
        self._bins = np.clip((own[tuple(places.T)] * _BINS).astype(np.int64), 0, _BINS - 1)
        points = places[:, ::-1] * spacing
        self._middle = points.mean(0) if len(points) else np.zeros(3)
        self._points, self._reach = np.ascontiguousarray((points - self._middle).T), reach
        line = np.arange(_BINS)
        window = np.exp(-0.5 * (line[:, None] - line) ** 2)
        self._window = window / window.sum(0)

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        turn, jacobian = _turn(x[:3] / _LEVER)
        # Row by row, since a product of matrices may add up in another order on more threads.
        arms = np.stack(
            [row[0] * self._points[0] + row[1] * self._points[1] + row[2] * self._points[2] for row in turn]
        )
        places = (arms + (self._middle + x[3:] + self._reach)[:, None]) / self._step[:, None]
        inside = np.ones(places.shape[1], dtype=np.bool_)
        for place, side in zip(places, self._values.shape[::-1], strict=True):
            inside &= (place >= 0) & (place < side - 1)
        kept = np.flatnonzero(inside)
        low = places[:, kept].astype(np.int64)
        rows, columns = self._values.shape[1:]
        at = low[0] + columns * (low[1] + rows * low[2])
        known = self._known.ravel()[at]
        kept, at, low = kept[known], at[known], low[:, known]
        if len(kept) == 0 or len(kept) < _LEAST_SHARED * places.shape[1]:
            return 0.0, np.zeros(6)
        values, slopes = self._interpolated(at, places[:, kept] - low)
        cost, weight = self._information(self._bins[kept], values)
        push, arms = slopes * weight, arms[:, kept]
        torque = [
            (arms[1] * push[2] - arms[2] * push[1]).sum(),
            (arms[2] * push[0] - arms[0] * push[2]).sum(),
            (arms[0] * push[1] - arms[1] * push[0]).sum(),
        ]
        return cost, np.concatenate([jacobian.T @ torque / _LEVER, push.sum(1)])

    def _interpolated(self, at: Array, part: Floats) -> tuple[Floats, Floats]:
        """Values (N,) in bins between eight voxels each, and their exact slopes (3, N) per mm.

        Args:
            at: index (N,) of the first of the eight in the flattened voxels.
            part: how far each place lies from it, (3, N) in voxels.
        """
        cells = self._values.ravel()
        layer, row = self._values.shape[1] * self._values.shape[2], self._values.shape[2]
        u, v, w = part.astype(np.float32)
        low = [cells[at + step] for step in (0, row, layer, layer + row)]
        along = [cells[at + (step + 1)] - here for step, here in zip((0, row, layer, layer + row), low, strict=True)]
        near = [here + u * rise for here, rise in zip(low, along, strict=True)]
        across = near[1] - near[0], near[3] - near[2]
        first, last = near[0] + v * across[0], near[2] + v * across[1]
        along = [along[0] + v * (along[1] - along[0]), along[2] + v * (along[3] - along[2])]
        top = np.float32(_BINS - 1)
        slopes = np.stack([along[0] + w * (along[1] - along[0]), across[0] + w * (across[1] - across[0]), last - first])
        return (first + w * slopes[2]) * top, slopes * (top / self._step)[:, None]

    def _information(self, bins: Ints, values: Floats) -> tuple[float, Floats]:
        """The cost, and its derivative (N,) with respect to each sampled value."""
        lower = np.minimum(values.astype(np.int64), _BINS - 2)
        share, cell, cells = values - lower, bins * _BINS + lower, _BINS * _BINS
        joint = np.bincount(cell, 1 - share, cells) + np.bincount(cell + 1, share, cells)
        joint = self._window @ (joint.reshape(_BINS, _BINS) / len(cell)) @ self._window.T
        one, two, log = joint.sum(1), joint.sum(0), np.log(joint + 1e-12)
        log_two = np.log(two + 1e-12)
        apart = -float((one * np.log(one + 1e-12)).sum() + (two * log_two).sum())
        together = -float((joint * log).sum())
        # The derivative by the histogram goes back through its smoothing; the first marginal does not depend on values.
        rise = self._window.T @ (apart / together**2 * log - log_two / together) @ self._window
        rise = rise.ravel()
        return -_SCALE * apart / together, -_SCALE / len(cell) * (rise[cell + 1] - rise[cell])

    def pose(self, x: Floats) -> _Pose:
        """The pose, from the sampled to the sought series' space, that six numbers stand for."""
        matrix, _ = _turn(x[:3] / _LEVER)
        turn = self._axes @ matrix @ self._axes.T
        shift = self._corner + self._axes @ (self._middle + x[3:]) - turn @ (self._corner + self._axes @ self._middle)
        return _Pose(self._pose.matrix @ turn, self._pose(shift))

    def best(self, start: Floats) -> tuple[float, _Pose]:
        """Least cost near a start, and its pose."""
        options = {"maxiter": self._iterations, "gtol": 0.05}
        found = optimize.minimize(self, start, jac=True, method="BFGS", options=options)
        return float(found.fun), self.pose(found.x)


# Search --------------------------------------------------------------------------------------------------------------


def _align(sampled: _Scan, sought: _Scan) -> _Pose:
    """The best pose from the sampled to the sought series' space."""
    points = sampled.some_head
    shift = sought.some_head.mean(0) - points.mean(0)
    starts: list[tuple[float, _Pose, _Match, Floats]] = []
    for offset in (np.zeros(3), shift):
        match = _Match(sampled, sought, _COARSE, _Pose(np.eye(3), offset))
        starts += [(match(x)[0], match.pose(x), match, x) for x in _grid_of_starts()]
    found = [match.best(x) for _, _, match, x in _distinct(starts, points, _DISTINCT[_COARSE], _CANDIDATES)]
    kept = _distinct(found, points, _DISTINCT[_MIDDLE], _FINALISTS)
    return _refined(sampled, sought, [pose for _, pose in kept])


def _refined(sampled: _Scan, sought: _Scan, poses: list[_Pose]) -> _Pose:
    """The best pose near some that are a centimetre off at most."""
    still = np.zeros(6)
    middle = [_Match(sampled, sought, _MIDDLE, pose).best(still) for pose in poses]
    _, pose = min(middle, key=lambda found: found[0])
    return _Match(sampled, sought, _FINE, pose).best(still)[1]


def _grid_of_starts() -> list[Floats]:
    """Every shift with every turn, each (6,) as ``_Match`` takes it; the first one changes nothing."""
    line = (0.0, -_SHIFT, _SHIFT)
    turns = [np.zeros(3)]
    turns += [np.deg2rad(sign * angle) * _LEVER * axis for angle in _ANGLES for axis in np.eye(3) for sign in (-1, 1)]
    return [np.concatenate([turn, (x, y, z)]) for x in line for y in line for z in line for turn in turns]


def _distinct(found: list[_Found], points: Floats, mm: float, most: int) -> list[_Found]:
    """The best of what begins with cost and pose, each at least so far from all better ones."""
    kept: list[_Found] = []
    for item in sorted(found, key=lambda item: item[0]):
        if all(_distance(item[1], other[1], points) > mm for other in kept):
            kept.append(item)
        if len(kept) == most:
            break
    return kept


# Quality -------------------------------------------------------------------------------------------------------------


def _fit(fixed: _Scan, moving: _Scan, pose: _Pose) -> tuple[float, int]:
    """Share of the blocks that fit best where they lie, and how many blocks both series show."""
    one, other = fixed.at(_FINE), moving.at(_FINE)
    spacing, axes = np.array(one.GetSpacing()), _axes(one)
    size = np.ceil(np.array(one.GetSize()) * spacing / _CELL).astype(int)
    thick = _thickness(other, axes, pose.matrix)
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
        cells = _blurred(cells, known, np.hypot(_matching_blur(own, wanted), _CELL / 2) / _CELL)
        # Beside the edge of the field of view there is no slope to speak of.
        seen.append(ndimage.binary_erosion(known) & _head(cells, np.full(3, _CELL), _CELL))
        edges.append(_directions(cells, seen[-1]))
    used = _per_block(seen[0] & seen[1]) > _FILLED * _BLOCK**3
    if not used.any():
        return 0.0, 0
    shifts = np.argwhere(np.ones((2 * _STEPS + 1,) * 3)) - _STEPS
    padded = np.pad(edges[1], ((0, 0), *((_STEPS, _STEPS),) * 3))
    scores = np.empty((len(shifts), int(used.sum())))
    for row, shift in zip(scores, shifts, strict=True):
        moved = tuple(slice(_STEPS + s, _STEPS + s + n) for s, n in zip(shift, seen[0].shape, strict=True))
        row[:] = _per_block((edges[0] * padded[(slice(None), *moved)]).sum(0) ** 2)[used]
    # A block without any edge fits everywhere alike, which is no sign that it fits here.
    fits = (np.abs(shifts[scores.argmax(0)]).sum(1) <= 1) & (scores.max(0) > 0)
    return float(fits.mean()), int(used.sum())


def _directions(cells: Float32, seen: Bools) -> Float32:
    """Direction (3, z, y, x) in which values rise: length near 1 at edges, small in noise, 0 where nothing is seen."""
    slopes = np.array(np.gradient(cells))
    steep = np.sqrt((slopes**2).sum(0))
    noise = 0.7 * float(np.median(steep[seen])) if seen.any() else 0.0
    return np.asarray(slopes / np.sqrt(steep**2 + noise**2 + 1e-12) * seen, dtype=np.float32)


def _per_block(cells: Array) -> Floats:
    """Sum over each block, (blocks,); what is left over at the far ends is in none."""
    z, y, x = (side // _BLOCK for side in cells.shape)
    whole = cells[: z * _BLOCK, : y * _BLOCK, : x * _BLOCK]
    return np.asarray(whole.reshape(z, _BLOCK, y, _BLOCK, x, _BLOCK).sum((1, 3, 5), dtype=np.float64).ravel())
