"""How much a size moves when the same scan is looked at again, slightly turned, shifted and noisy.

Nothing in the head has changed, so what moves is the measurement. It is less than what a second examination moves:
another position in the coil, another day's contrast agent, another scanner are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import SimpleITK as sitk
from scipy import stats

from synthoma.core.seeding import stream
from synthoma.core.types import Array, Float32
from synthoma.scans.case import Case, Geometry, Study, Volume
from synthoma.scans.grids import to_itk

TURN = (1.0, 2.0)
"""Degrees of a turn, either way."""

SHIFT = 0.5
"""Of a voxel, along each axis, at most."""

NOISE = 0.02
"""Standard deviation of what is added, as a share of the range of the picture's values (1st to 99th percentile)."""

THICK = 2.0
"""A voxel so many times longer than wide belongs to thick slices: those are turned and shifted within their plane,
since between them an interpolation would blur what a scanner would not."""

HOW = (
    "each scan was looked at {repeats} times again, turned by {low:g} to {high:g} degrees, shifted by up to half a "
    "voxel (thick slices within their plane) and with noise of {noise:g} % of its range; what two visits differ by "
    "must exceed Student's t (95 %) times the root of the sum of both mean squared deviations. Position in the "
    "scanner, contrast agent and other scanners move sizes further than that"
)


@dataclass(frozen=True)
class Deviations:
    """How far repeated measurements of one size lie from the one that is reported.

    Attributes:
        squares: mean squared deviation.
        repeats: measurements that it is the mean of.
    """

    squares: float
    repeats: int

    @classmethod
    def of(cls, reported: float, repeated: Sequence[float]) -> Deviations:
        """From the reported size, not from the mean of the repeated ones: what shifts them all counts too."""
        return cls(float(np.mean((np.array(repeated) - reported) ** 2)), len(repeated))


def limit_of_change(before: Deviations, now: Deviations) -> float:
    """Largest difference of two visits that repeatability alone makes in 95 % (repeatability coefficient).

    t times the root of the sum of both variances, with as many degrees of freedom as the scan of fewer repeats has.
    Bland and Altman 1999, Stat Methods Med Res 8:135, section 4; t in place of 1.96 since the repeats are few.
    """
    reach = float(stats.t.ppf(0.975, min(before.repeats, now.repeats)))
    return reach * math.sqrt(before.squares + now.squares)


def perturbed_case(case: Case, study: Study, index: int) -> Case:
    """The same case with a study that was slightly turned, shifted and made noisy.

    Args:
        case: any.
        study: what it loads, with geometry.
        index: of the repeat: the same index moves the same study alike.
    """
    return replace(case, load=partial(_moved, study, index))


def _moved(study: Study, index: int) -> Study:
    assert study.geometry is not None, "only scans with a geometry are compared"
    # Always the same motions: a limit is to differ between scans because they do, and not by other draws.
    rng = stream(0, "detection.repeatability", index)
    shape = next(iter(study.images.values())).shape
    transform = _motion(rng, study.geometry, shape)
    images = {name: _noisy(rng, _resampled(image, study.geometry, transform)) for name, image in study.images.items()}
    return Study(images, study.geometry, remarks=study.remarks)


def _motion(rng: np.random.Generator, geometry: Geometry, shape: tuple[int, ...]) -> sitk.Transform:
    """A turn about the middle of the grid, and a shift."""
    spacing, matrix = np.array(geometry.spacing), np.array(geometry.direction).reshape(3, 3)
    longest = int(spacing.argmax())
    thick = spacing[longest] > THICK * spacing.min()
    axis = matrix[:, longest] if thick else rng.normal(size=3)
    angle = np.deg2rad(rng.uniform(*TURN)) * rng.choice([-1.0, 1.0])
    steps = rng.uniform(-SHIFT, SHIFT, 3)
    if thick:
        steps[longest] = 0
    transform = sitk.VersorRigid3DTransform()
    transform.SetRotation((axis / np.linalg.norm(axis)).tolist(), float(angle))
    middle = (np.array(shape[::-1]) - 1) / 2
    transform.SetCenter((np.array(geometry.origin) + matrix @ (middle * spacing)).tolist())
    transform.SetTranslation((matrix @ (steps * spacing)).tolist())
    return transform


def _resampled(image: Array, geometry: Geometry, transform: sitk.Transform) -> Float32:
    """On the same grid, interpolated linearly; the least value where nothing was seen."""
    moving = sitk.Cast(to_itk(Volume(image, geometry)), sitk.sitkFloat32)
    moved = sitk.Resample(moving, moving, transform, sitk.sitkLinear, float(image.min()))
    return np.asarray(sitk.GetArrayFromImage(moved), dtype=np.float32)


def _noisy(rng: np.random.Generator, image: Float32) -> Float32:
    low, high = np.percentile(image, [1, 99])
    noise = rng.normal(0, NOISE * (float(high) - float(low)), image.shape).astype(np.float32)
    # Where a file has exactly its least value, the background was cut away: it stays so.
    return np.where(image > image.min(), image + noise, image)


def repeated(
    case: Case, study: Study, repeats: int, measure: Callable[[Case], dict[str, float]]
) -> list[dict[str, float]]:
    """Measure a scan again, each time moved otherwise."""
    return [measure(perturbed_case(case, study, index)) for index in range(repeats)]
