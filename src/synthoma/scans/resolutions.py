"""One series at the resolutions of a registration: 8, 4 and 2 mm, with its head and its slice thickness."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Float32, Floats
from synthoma.scans.case import Volume
from synthoma.scans.grids import to_itk
from synthoma.scans.intensity import intensity_window

_LEAST_VOXELS = 4  # along every axis: fewer slices do not say how they are tilted
_HEAD = 0.1  # of the intensity window: brighter is head
COARSE, MIDDLE, FINE = 8.0, 4.0, 2.0  # mm


def axes_of(image: sitk.Image) -> Floats:
    """The grid's axes as columns, without unit."""
    return np.array(image.GetDirection()).reshape(3, 3)


class Resolutions:
    """A series with intensities from 0 to 1, and smaller versions of it."""

    def __init__(self, volume: Volume, role: str) -> None:
        if volume.geometry is None:
            raise InputError(f"a {role} series with geometry", "one without", "use a format that states it, as NIfTI")
        if min(volume.voxels.shape) < _LEAST_VOXELS:
            came = "x".join(map(str, volume.voxels.shape[::-1]))
            todo = "leave this series out"
            raise InputError(f"a {role} series of at least {_LEAST_VOXELS} voxels along each axis", came, todo)
        # One NaN would spread over its whole neighbourhood with each blur, and make every cost NaN.
        if not np.isfinite(volume.voxels).all():
            raise InputError(f"a {role} series of finite voxels", "NaN or infinite ones", "repair or leave it out")
        offset, scale = intensity_window(volume.voxels, "robust")
        # Cut to 0..1, over which the bins of the joint histogram are spread.
        voxels = np.clip((volume.voxels.astype(np.float32) - np.float32(offset)) / np.float32(scale), 0, 1)
        self._whole = to_itk(Volume(voxels, volume.geometry))
        self._levels: dict[float, sitk.Image] = {}

    def at(self, mm: float) -> sitk.Image:
        """The series with voxels of about so many mm, means of what they cover; thicker slices stay as they are."""
        if mm not in self._levels:
            # From the next finer one, which is there already or is needed next.
            source = self.at(mm / 2) if mm > FINE else self._whole
            sides = zip(source.GetSpacing(), source.GetSize(), strict=True)
            # At least four voxels are left along every axis.
            factors = [int(np.clip(round(mm / step), 1, size // _LEAST_VOXELS)) for step, size in sides]
            # Means and not every k-th voxel: noise goes down with the size, and nothing aliases.
            self._levels[mm] = sitk.BinShrink(source, factors)
        return self._levels[mm]

    @cached_property
    def some_head(self) -> Floats:
        """Places (N, 3) in mm of some 500 voxels of the head; of the whole grid where no head is seen."""
        image = self.at(MIDDLE)
        head = head_of(sitk.GetArrayFromImage(image), np.array(image.GetSpacing()), 0.0)
        places = np.argwhere(head if head.any() else np.ones_like(head))
        places = places[:: max(1, len(places) // 500)]
        steps = axes_of(image) * np.array(image.GetSpacing())
        # From (z, y, x) of arrays to (x, y, z).
        return np.asarray(places[:, ::-1] @ steps.T + np.array(image.GetOrigin()))


def head_of(voxels: Float32, spacing: Floats, rim: float) -> Bools:
    """Where the head is, bool (z, y, x), with so many mm around it."""
    # Opened: single bright voxels of noise in the air are no head.
    head = ndimage.binary_opening(voxels > _HEAD)
    sides = [2 * round(rim / step) + 1 for step in spacing[::-1]]
    return np.asarray(ndimage.maximum_filter(head.astype(np.uint8), sides) > 0)


def slice_thickness(image: sitk.Image, axes: Floats, matrix: Floats) -> Floats:
    """Square of what a voxel of an image measures along other axes that a rotation carries to it, (3,) in mm2."""
    along = (axes.T @ matrix.T @ axes_of(image)) ** 2
    return np.asarray(along @ np.array(image.GetSpacing()) ** 2)


def blurred(voxels: Float32, known: Bools, sigma: Floats) -> Float32:
    """Gaussian blur (sigma in voxels, x first) of what is known (z, y, x); what is not known does not leak in."""
    if not sigma.any():
        return np.where(known, voxels, np.float32(0))
    # Normalised convolution (Knutsson and Westin 1993): what was blurred, over how much of it was known.
    weight = ndimage.gaussian_filter(known.astype(np.float32), sigma[::-1], truncate=3)
    total = ndimage.gaussian_filter(np.where(known, voxels, np.float32(0)), sigma[::-1], truncate=3)
    # Where nothing known is near there is nothing to divide by.
    return np.asarray(total / np.maximum(weight, 1e-3), dtype=np.float32)


def matching_blur(own: Floats, other: Floats) -> Floats:
    """Gaussian in mm, (3,), that makes slices of one squared thickness as thick as the other's; 0 where they are."""
    # A slice is a box, whose variance is a twelfth of its squared thickness.
    return np.asarray(np.sqrt(np.maximum(other - own, 0) / 12))
