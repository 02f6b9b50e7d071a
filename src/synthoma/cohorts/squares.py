"""A study as square slices on a cohort's scale, and maps over such squares back on the study's own grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from synthoma.cohorts.framing import Fit, fit_square, head_box, resize, resize_back, whole, widened
from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bytes, Float32, Plane
from synthoma.scans.case import Geometry, Study
from synthoma.scans.intensity import Normalisation, intensity_window
from synthoma.scans.orientation import PLANE_AXES, from_lps, from_plane, to_lps, to_plane, turning

LEAST_SIDE = 4
"""Fewest pixels on each side of a slice: a few sagittal slices would give axial ones of a few columns."""

LARGEST = float(np.finfo(np.float16).max)
"""Largest value on the normalised scale, either way: a cohort holds its images in half precision."""


@dataclass(frozen=True)
class Framing:
    """How the slices of one study become squares; the same for all of them, so that they stay comparable.

    Attributes:
        modalities: the channels of a square, in order.
        images: the modalities that the study has, in the order of the channels: (slices, rows, columns) in the plane.
        mask: likewise, or None.
        plane: which way the slices lie.
        fit: where the head lies in a slice, and in its square.
        windows: offset and scale of each modality's intensities.
        floors: each modality's darkest value on the normalised scale, which fills what lies outside of the box.
        pixel_mm: (height, width) of a pixel of the slices; (1, 1) where unknown.
        side_mm: side of a pixel of the squares; in pixels of the slices where their size is unknown.
        step_mm: distance between slices; None where unknown.
        lps: geometry of the grid after ``to_lps``; None where unknown.
        source: geometry of the study's own grid; None where unknown.
        widened: whether the box around the head had to grow to hold the mask.
        clipped: modalities with values beyond ``LARGEST``, which are brought down to it.
    """

    modalities: tuple[str, ...]
    images: Mapping[str, Array]
    mask: Bytes | None
    plane: Plane
    fit: Fit
    windows: Mapping[str, tuple[float, float]]
    floors: Mapping[str, float]
    pixel_mm: tuple[float, float]
    side_mm: float
    step_mm: float | None
    lps: Geometry | None
    source: Geometry | None
    widened: bool
    clipped: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Channels that the study lacks; they stay 0."""
        return tuple(name for name in self.modalities if name not in self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        slices, rows, columns = next(iter(self.images.values())).shape
        return slices, rows, columns

    def normalised(self, name: str, z: int) -> Float32:
        """One modality of slice ``z`` on the normalised scale, (rows, columns)."""
        offset, scale = self.windows[name]
        values: Float32 = (self.images[name][z].astype(np.float32) - offset) / scale
        if name in self.clipped:  # before resizing: an infinite value would make its neighbours meaningless too
            values = np.clip(values, -LARGEST, LARGEST)
        return values

    def channel(self, name: str, z: int) -> Float32:
        """The same in its square, (S, S)."""
        return resize(self.normalised(name, z), self.fit, self.floors[name])

    def source_slice(self, z: int) -> tuple[int, int]:
        """Where slice ``z`` lies in the study's own array (z, y, x): the axis, and the index along it."""
        order, back = turning(self.source)
        axis = PLANE_AXES[self.plane][0]
        return order[axis], self.shape[0] - 1 - z if back[axis] else z


def frame(
    study: Study,
    modalities: Sequence[str],
    *,
    size: int,
    plane: Plane = "axial",
    crop: bool = True,
    normalise: Normalisation = "robust",
    hold_mask: bool = False,
) -> Framing:
    """Find out how the slices of a study become squares.

    Args:
        study: as its case loads it.
        modalities: the channels, in order; at least one of them is there.
        size: side of the squares.
        plane: which way to cut.
        crop: cut to the head before resizing.
        normalise: method of ``intensity_window``.
        hold_mask: widen the crop where it would cut the mask. Never where a model is to find what the mask shows: the
            box would tell it.

    Raises:
        InputError: none of the modalities, a plane that the study cannot be cut in, or a few slices of another plane.
    """
    present = [name for name in modalities if name in study.images]
    if not present:
        came = ", ".join(study.images) or "none"
        raise InputError(f"one of the modalities {', '.join(modalities)}", came, "choose others with --modalities")
    turned = to_lps(study)
    images, mask, pixel_mm, step_mm = to_plane(turned, plane)
    images = {name: images[name] for name in present}
    sides = images[present[0]].shape[1:]
    if study.geometry is not None and min(sides) < LEAST_SIDE:
        came = f"a scan whose {plane} slices have {sides[0]}x{sides[1]} pixels: it was taken in another plane"
        raise InputError(f"{plane} slices", came, f"give a volume, or {plane} slices")
    return Framing(
        modalities=tuple(modalities),
        images=images,
        mask=mask,
        plane=plane,
        pixel_mm=pixel_mm,
        step_mm=step_mm,
        lps=turned.geometry,
        source=study.geometry,
        **_fitted(images, pixel_mm, size, crop, normalise, mask if hold_mask else None),
    )


def picture(
    framing: Framing, z: int, *, crop: bool = True, normalise: Normalisation = "robust", hold_mask: bool = False
) -> Framing:
    """Slice ``z`` of a study framed by itself, as the only one: a picture of which nobody knows the neighbours.

    The other arguments are those of ``frame``.
    """
    images = {name: image[z : z + 1] for name, image in framing.images.items()}
    mask = None if framing.mask is None else framing.mask[z : z + 1]
    held = mask if hold_mask else None
    fitted = _fitted(images, framing.pixel_mm, framing.fit.size, crop, normalise, held)
    return replace(framing, images=images, mask=mask, step_mm=None, **fitted)


class _Fitted(TypedDict):
    """What ``Framing`` calls so: where the head lies, and the scales of grey."""

    fit: Fit
    side_mm: float
    windows: Mapping[str, tuple[float, float]]
    floors: Mapping[str, float]
    widened: bool
    clipped: tuple[str, ...]


def _fitted(
    images: Mapping[str, Array],
    pixel_mm: tuple[float, float],
    size: int,
    crop: bool,
    normalise: Normalisation,
    held: Bytes | None,
) -> _Fitted:
    """Where the head lies in these slices, and their scales of grey.

    ``held`` is the mask that the box must not cut.
    """
    head = head_box(dict(images)) if crop else whole(next(iter(images.values())))
    box = head if held is None else widened(head, held)
    fit, side_mm = fit_square(box, pixel_mm, size)
    windows = {name: intensity_window(image, normalise) for name, image in images.items()}
    floors, clipped = {}, []
    for name, image in images.items():
        offset, scale = windows[name]
        low, high = ((float(value) - offset) / scale for value in (image.min(), image.max()))
        floors[name] = max(low, -LARGEST)
        if max(-low, high) > LARGEST:
            clipped.append(name)
    return {
        "fit": fit,
        "side_mm": side_mm,
        "windows": windows,
        "floors": floors,
        "widened": box != head,
        "clipped": tuple(clipped),
    }


def to_squares(framing: Framing, slices: Sequence[int] | None = None) -> Float32:
    """Slices as squares (n, C, S, S), float32: 0 background, 1 bright tissue; missing modalities are 0.

    Args:
        framing: of the study.
        slices: which; all of them by default.
    """
    chosen = range(framing.shape[0]) if slices is None else slices
    size = framing.fit.size
    squares = np.zeros((len(chosen), len(framing.modalities), size, size), dtype=np.float32)
    for channel, name in enumerate(framing.modalities):
        if name in framing.images:
            for row, z in enumerate(chosen):
                squares[row, channel] = framing.channel(name, z)
    return squares


def from_squares(maps: Float32, framing: Framing) -> Float32:
    """Maps over all squares of a study, brought back onto the study's own grid and orientation.

    Args:
        maps: (n, T, S, S), one for each slice, in order.
        framing: as the squares were made.

    Returns:
        (T, z, y, x): bilinear where the head was looked at, 0 elsewhere.
    """
    slices, rows, columns = framing.shape
    cut = np.zeros((maps.shape[1], slices, rows, columns), dtype=np.float32)
    for z, layers in enumerate(maps):
        for target, layer in enumerate(layers):
            if layer.any():
                cut[target, z] = resize_back(layer, framing.fit, (rows, columns))
    return np.ascontiguousarray(from_lps(from_plane(cut, framing.plane), framing.source))
