"""Rigid transforms: turns and shifts of a patient's space, their mean, and how far two lie apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import SimpleITK as sitk

from synthoma.core.types import Floats
from synthoma.scans.case import Direction, Vector3, Volume
from synthoma.scans.grids import to_itk


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
        # The transpose undoes a rotation, and to turn back about the same point that point has to move with the shift.
        return RigidTransform(nine_of(matrix.T), three_of(-shift), three_of(np.array(self.centre) + shift))

    def to_itk(self) -> sitk.AffineTransform:
        """The same for SimpleITK, for ``sitk.Resample(moving, fixed, ...)``."""
        return sitk.AffineTransform(self.rotation, self.translation, self.centre)

    def to_meta(self) -> dict[str, list[float]]:
        """As plain data, for a file."""
        return {"rotation": list(self.rotation), "translation": list(self.translation), "centre": list(self.centre)}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Sequence[float]]) -> RigidTransform:
        """What ``to_meta`` gave."""
        rotation, translation, centre = (np.array(meta[name], float) for name in ("rotation", "translation", "centre"))
        return cls(nine_of(rotation), three_of(translation), three_of(centre))


@dataclass(frozen=True)
class Pose:
    """A point x goes to ``matrix x + shift``, mm."""

    matrix: Floats
    shift: Floats

    def __call__(self, points: Floats) -> Floats:
        """Where points (N, 3) go, mm."""
        return np.asarray(points @ self.matrix.T + self.shift)

    def inverse(self) -> Pose:
        """The pose that undoes this one."""
        return Pose(self.matrix.T, -self.matrix.T @ self.shift)

    def to_itk(self) -> sitk.AffineTransform:
        """The same for SimpleITK."""
        return sitk.AffineTransform(self.matrix.ravel().tolist(), self.shift.tolist())


def pose_distance(one: Pose, other: Pose, points: Floats) -> float:
    """Mean distance in mm between where two poses put points (N, 3)."""
    return float(np.linalg.norm(one(points) - other(points), axis=1).mean())


def mean_pose(one: Pose, other: Pose, centre: Floats) -> Pose:
    """The pose halfway: the rotation nearest to the mean matrix, and the mean place of the centre."""
    # The mean of two rotations is none: it shrinks. Without its singular values it is the nearest one (Procrustes).
    left, _, right = np.linalg.svd(one.matrix + other.matrix)
    # Never a reflection: the sum of two rotations less than half a turn apart has a positive determinant.
    matrix = left @ right
    return Pose(matrix, (one(centre) + other(centre)) / 2 - matrix @ centre)


def turn_of(vector: Floats) -> tuple[Floats, Floats]:
    """Rotation matrix of a rotation vector in radians, and its left Jacobian (Barfoot 2017, 7.14 and 7.77)."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    # sin(a) / a is 0 / 0 without a turn; to first order nothing is lost so near to it.
    if angle < 1e-6:
        return np.eye(3) + cross, np.eye(3) + cross / 2
    a, b = np.sin(angle) / angle, (1 - np.cos(angle)) / angle**2
    square = cross @ cross
    return np.eye(3) + a * cross + b * square, np.eye(3) + b * cross + (1 - a) / angle**2 * square


def frame_of(volume: Volume) -> sitk.Image:
    """An image of that grid, for resampling."""
    # Zeros without memory of their own: of the image only the grid is asked.
    return to_itk(Volume(np.broadcast_to(np.uint8(0), volume.voxels.shape), volume.geometry))


def three_of(values: Floats) -> Vector3:
    """Three numbers of an array as a tuple."""
    return cast(Vector3, tuple(float(value) for value in values))


def nine_of(matrix: Floats) -> Direction:
    """A matrix (3, 3) as a tuple, row by row."""
    return cast(Direction, tuple(float(value) for value in matrix.ravel()))
