"""The metric of the registration: normalised mutual information of two series, with its gradient."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage, optimize

from synthoma.core.types import Array, Floats, Ints
from synthoma.scans.resolutions import (
    COARSE,
    FINE,
    MIDDLE,
    Resolutions,
    axes_of,
    blurred,
    head_of,
    matching_blur,
    slice_thickness,
)
from synthoma.scans.rigid import Pose, turn_of

_BINS = 32
LEVER = 70.0  # mm: what a rotation is multiplied by to count as a shift, about the radius of a head
_SCALE = 300.0  # brings the metric's curvature near 1 / mm2, where BFGS begins
_RIM = 8.0  # mm of air around the head that is sampled too, for the skin's edge
_LEAST_SHARED = 0.25  # of the samples: with less overlap any metric can be perfect
_SAMPLES = {COARSE: 2_000, MIDDLE: 10_000, FINE: 20_000}
_REACH = {COARSE: 40.0, MIDDLE: 20.0, FINE: 12.0}  # mm by which a series can move beside the other's grid
_ITERATIONS = {COARSE: 15, MIDDLE: 25, FINE: 30}


class MutualInformation:
    """Metric of two series near a pose: voxels of the sampled one beside the sought one, laid on its axes.

    Called with six numbers in mm, a rotation vector times ``LEVER`` and a shift, both along the sampled grid's axes
    and about the middle of the samples; gives the value that is minimised and its gradient (6,).
    """

    def __init__(self, sampled: Resolutions, sought: Resolutions, mm: float, pose: Pose) -> None:
        image, other, reach = sampled.at(mm), sought.at(mm), _REACH[mm]
        spacing, axes = np.array(image.GetSpacing()), axes_of(image)
        self._pose, self._axes, self._corner = pose, axes, np.array(image.GetOrigin())
        self._iterations = _ITERATIONS[mm]
        # Not coarser than the level: between thick slices the gradient would be that of the interpolation.
        self._step = np.minimum(spacing, mm)
        size = np.ceil((np.array(image.GetSize()) * spacing + 2 * reach) / self._step).astype(int)
        # Room on every side: what is sampled may move beside its own grid.
        start = self._corner - axes @ np.full(3, reach)
        placed = sitk.Resample(
            other, size.tolist(), pose.to_itk(), sitk.sitkLinear, start.tolist(), self._step.tolist(),
            # Intensities are 0 to 1: -1 marks what the series does not show.
            axes.ravel().tolist(), -1.0,
        )  # fmt: skip
        values = sitk.GetArrayFromImage(placed)
        thick = slice_thickness(other, axes, pose.matrix)
        known = values >= 0
        self._values = blurred(values, known, matching_blur(thick, spacing**2) / self._step)
        # A place counts where all eight voxels around it are known.
        self._known = ndimage.minimum_filter(known.astype(np.uint8), 2, origin=-1) > 0
        own = sitk.GetArrayFromImage(image)
        own = blurred(own, np.ones(own.shape, bool), matching_blur(spacing**2, thick) / spacing)
        places = np.argwhere(head_of(own, spacing, _RIM))
        # Every k-th voxel, and none at random: the same input gives the same bytes.
        places = places[:: max(1, len(places) // _SAMPLES[mm])]
        self._bins = np.clip((own[tuple(places.T)] * _BINS).astype(np.int64), 0, _BINS - 1)
        points = places[:, ::-1] * spacing
        self._middle = points.mean(0) if len(points) else np.zeros(3)
        self._points, self._reach = np.ascontiguousarray((points - self._middle).T), reach
        line = np.arange(_BINS)
        # A Parzen window of one bin (Gaussian); each column sums to 1, so that no share is lost at the ends.
        window = np.exp(-0.5 * (line[:, None] - line) ** 2)
        self._window = window / window.sum(0)

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """The cost at six numbers, and its gradient (6,).

        Args:
            x: rotation vector in radians times the lever, then the shift, (6,) in mm; see ``pose``.
        """
        turn, jacobian = turn_of(x[:3] / LEVER)
        # Row by row, since a product of matrices may add up in another order on more threads.
        arms = np.stack(
            [row[0] * self._points[0] + row[1] * self._points[1] + row[2] * self._points[2] for row in turn]
        )
        places = (arms + (self._middle + x[3:] + self._reach)[:, None]) / self._step[:, None]
        inside = np.ones(places.shape[1], dtype=np.bool_)
        for place, side in zip(places, self._values.shape[::-1], strict=True):
            # Places below the last voxel have all eight corners to interpolate between.
            inside &= (place >= 0) & (place < side - 1)
        kept = np.flatnonzero(inside)
        low = places[:, kept].astype(np.int64)
        rows, columns = self._values.shape[1:]
        at = low[0] + columns * (low[1] + rows * low[2])
        known = self._known.ravel()[at]
        kept, at, low = kept[known], at[known], low[:, known]
        # 0 is worse than anything: the measure is at least 1, and its cost at most -300.
        if len(kept) == 0 or len(kept) < _LEAST_SHARED * places.shape[1]:
            return 0.0, np.zeros(6)
        values, slopes = self._interpolated(at, places[:, kept] - low)
        cost, weight = self._information(self._bins[kept], values)
        push, arms = slopes * weight, arms[:, kept]
        # The derivative by a turn is a torque: arm cross push.
        torque = [
            (arms[1] * push[2] - arms[2] * push[1]).sum(),
            (arms[2] * push[0] - arms[0] * push[2]).sum(),
            (arms[0] * push[1] - arms[1] * push[0]).sum(),
        ]
        return cost, np.concatenate([jacobian.T @ torque / LEVER, push.sum(1)])

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
        # The last bin is the upper one of a pair, also for a value of exactly its place.
        lower = np.minimum(values.astype(np.int64), _BINS - 2)
        share, cell, cells = values - lower, bins * _BINS + lower, _BINS * _BINS
        joint = np.bincount(cell, 1 - share, cells) + np.bincount(cell + 1, share, cells)
        joint = self._window @ (joint.reshape(_BINS, _BINS) / len(cell)) @ self._window.T
        # Empty cells have no logarithm; times their share they would be 0.
        one, two, log = joint.sum(1), joint.sum(0), np.log(joint + 1e-12)
        log_two = np.log(two + 1e-12)
        apart = -float((one * np.log(one + 1e-12)).sum() + (two * log_two).sum())
        together = -float((joint * log).sum())
        # The derivative by the histogram goes back through its smoothing; the first marginal does not depend on values.
        rise = self._window.T @ (apart / together**2 * log - log_two / together) @ self._window
        rise = rise.ravel()
        return -_SCALE * apart / together, -_SCALE / len(cell) * (rise[cell + 1] - rise[cell])

    def pose(self, x: Floats) -> Pose:
        """The pose, from the sampled to the sought series' space, that six numbers stand for."""
        matrix, _ = turn_of(x[:3] / LEVER)
        turn = self._axes @ matrix @ self._axes.T
        shift = self._corner + self._axes @ (self._middle + x[3:]) - turn @ (self._corner + self._axes @ self._middle)
        return Pose(self._pose.matrix @ turn, self._pose(shift))

    def best(self, start: Floats) -> tuple[float, Pose]:
        """Least cost near a start, and its pose."""
        options = {"maxiter": self._iterations, "gtol": 0.05}
        found = optimize.minimize(self, start, jac=True, method="BFGS", options=options)
        return float(found.fun), self.pose(found.x)
