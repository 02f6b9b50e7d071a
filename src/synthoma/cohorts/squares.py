"""A study as square slices on a cohort's scale, and maps over such squares back on the study's own grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypedDict, get_args

import numpy as np

from synthoma.cohorts.framing import (
    Box,
    Fit,
    centred,
    fit_square,
    head_box,
    part_of,
    resize,
    resize_back,
    whole,
    widened,
)
from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bytes, Float32, Plane
from synthoma.core.words import Fitting, Resampling
from synthoma.scans.case import Geometry, Study
from synthoma.scans.intensity import Normalisation, intensity_window, known_method, with_dark_background
from synthoma.scans.orientation import PLANE_AXES, from_lps, from_plane, to_lps, to_plane, turning

LEAST_SIDE = 4
"""Fewest pixels on each side of a slice: a few sagittal slices would give axial ones of a few columns."""

LARGEST = float(np.finfo(np.float16).max)
"""Largest value on the normalised scale, either way: a cohort holds its images in half precision."""


@dataclass(frozen=True)
class FramingRule:
    """How slices are to become squares, as ``PrepareConfig`` says it.

    Attributes:
        crop: cut to the head before resizing.
        normalise: method of ``intensity_window``; "kept" where grey values are on a cohort's scale already.
        fitting: whether the aspect is kept.
        resampling: how slices are resized.
        pad: side of the square that each slice is centred in first, in its own pixels; None for none.
        window: (start, stop): the rows and columns of it that are kept; None for all.
        strip: whether what lies outside the brain is air. Who loads a scan sees to it (``segmenters.tissues``): where
            the brain is must be known before a slice is framed.
    """

    crop: bool = True
    normalise: Normalisation | Literal["kept"] = "robust"
    fitting: Fitting = "keep"
    resampling: Resampling = "area"
    pad: int | None = None
    window: tuple[int, int] | None = None
    strip: bool = False

    @classmethod
    def of(cls, prepared: Mapping[str, Any]) -> Self:
        """The rule among settings of ``prepare`` that a model or a cohort states; the usual one where it states none.

        Raises:
            InputError: a normalisation that there is not.
            ValueError: something else that no rule can be.
        """
        window = prepared.get("window")
        rule = cls(
            crop=bool(prepared.get("crop", True)),
            normalise=known_method(prepared.get("normalise")),
            fitting=prepared.get("fitting") or "keep",
            resampling=prepared.get("resampling") or "area",
            pad=prepared.get("pad"),
            window=None if window is None else (int(window[0]), int(window[1])),
            strip=bool(prepared.get("strip", False)),
        )
        if rule.fitting not in get_args(Fitting) or rule.resampling not in get_args(Resampling):
            raise ValueError("a fitting and a resampling that exist")
        return rule

    def box(self, images: Mapping[str, Array]) -> Box:
        """The part of the slices (slices, rows, columns) that is shown, before it holds any mask."""
        box = head_box(dict(images)) if self.crop else whole(next(iter(images.values())))
        if self.pad is not None:
            box = centred(box, self.pad)
        return box if self.window is None else part_of(box, *self.window)


FRAMED = ("normalise", "crop", "fitting", "resampling", "pad", "window", "strip")
"""The settings of ``prepare`` that make it."""

USUAL = FramingRule()
"""Cropped to the head, aspect kept, on the robust scale."""


@dataclass(frozen=True)
class Framing:
    """How the slices of one study become squares; the same for all of them, so that they stay comparable.

    Attributes:
        modalities: the channels of a square, in order.
        images: the modalities that the study has, in the order of the channels: (slices, rows, columns) in the plane.
        mask: likewise, or None.
        plane: which way the slices lie.
        rule: how it was done.
        fit: where the head lies in a slice, and in its square.
        windows: offset and scale of each modality's intensities.
        floors: each modality's darkest value on the normalised scale, which fills what lies outside of the box.
        pixel_mm: (height, width) of a pixel of the slices; (1, 1) where unknown.
        side_mm: side of a pixel of the squares; in pixels of the slices where their size is unknown. None where
            stretching made their height and width differ.
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
    rule: FramingRule
    fit: Fit
    windows: Mapping[str, tuple[float, float]]
    floors: Mapping[str, float]
    pixel_mm: tuple[float, float]
    side_mm: float | None
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

    @property
    def pixel_ml(self) -> float | None:
        """Volume of a pixel of the squares, in ml; None where the study does not state it."""
        if self.source is None or not self.source.thick or self.side_mm is None or self.step_mm is None:
            return None
        return self.side_mm**2 * self.step_mm / 1000

    def normalised(self, name: str, z: int) -> Float32:
        """One modality of slice ``z`` on the normalised scale, (rows, columns)."""
        offset, scale = self.windows[name]
        values: Float32 = (self.images[name][z].astype(np.float32) - offset) / scale
        if name in self.clipped:  # before resizing: an infinite value would make its neighbours meaningless too
            values = np.clip(values, -LARGEST, LARGEST)
        return values

    def channel(self, name: str, z: int) -> Float32:
        """The same in its square, (S, S)."""
        return resize(self.normalised(name, z), self.fit, self.floors[name], self.rule.resampling)

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
    rule: FramingRule = USUAL,
    hold_mask: bool = False,
) -> Framing:
    """Find out how the slices of a study become squares.

    Args:
        study: as its case loads it.
        modalities: the channels, in order; at least one of them is there.
        size: side of the squares.
        plane: which way to cut.
        rule: how.
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
    if rule.normalise != "kept":
        images = {name: with_dark_background(image) for name, image in images.items()}
    sides = images[present[0]].shape[1:]
    if study.geometry is not None and min(sides) < LEAST_SIDE:
        came = f"a scan whose {plane} slices have {sides[0]}x{sides[1]} pixels: it was taken in another plane"
        raise InputError(f"{plane} slices", came, f"give a volume, or {plane} slices")
    return Framing(
        modalities=tuple(modalities),
        images=images,
        mask=mask,
        plane=plane,
        rule=rule,
        pixel_mm=pixel_mm,
        step_mm=step_mm,
        lps=turned.geometry,
        source=study.geometry,
        **_fitted(images, pixel_mm, size, rule, mask if hold_mask else None),
    )


def picture(framing: Framing, z: int, *, hold_mask: bool = False) -> Framing:
    """Slice ``z`` of a study framed by itself, as the only one: a picture of which nobody knows the neighbours.

    ``hold_mask`` is that of ``frame``.
    """
    images = {name: image[z : z + 1] for name, image in framing.images.items()}
    mask = None if framing.mask is None else framing.mask[z : z + 1]
    fitted = _fitted(images, framing.pixel_mm, framing.fit.size, framing.rule, mask if hold_mask else None)
    return replace(framing, images=images, mask=mask, step_mm=None, **fitted)


def tiles(framing: Framing, side: int) -> dict[str, Framing]:
    """The shown part of a study's slices cut into tiles, each framed by itself on the same scale of grey.

    Tiles cover all of it. Where its sides are no multiple of ``side``, they overlap evenly.

    Args:
        framing: of the study.
        side: of a tile, in pixels of the slices. What is smaller than a tile is one.

    Returns:
        "row-column" of a tile, from 0 -> its framing.
    """
    box, found = framing.fit.box, {}
    for row, top in enumerate(_starts(box.height, side)):
        for column, left in enumerate(_starts(box.width, side)):
            part = Box(box.top + top, box.left + left, min(side, box.height), min(side, box.width))
            fit, pixel = fit_square(part, framing.pixel_mm, framing.fit.size, framing.rule.fitting)
            found[f"{row}-{column}"] = replace(framing, fit=fit, side_mm=_one_side(pixel))
    return found


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin that cover a length, evenly spread."""
    # Rounded up: tiles overlap, and leave nothing out.
    count = -(-length // side)
    return [round(number * (length - side) / max(count - 1, 1)) for number in range(count)] if count > 1 else [0]


def _one_side(pixel_mm: tuple[float, float]) -> float | None:
    """The side of a pixel; None where its height and width differ."""
    return pixel_mm[0] if math.isclose(*pixel_mm) else None


class _Fitted(TypedDict):
    """What ``Framing`` calls so: where the head lies, and the scales of grey."""

    fit: Fit
    side_mm: float | None
    windows: Mapping[str, tuple[float, float]]
    floors: Mapping[str, float]
    widened: bool
    clipped: tuple[str, ...]


def _fitted(
    images: Mapping[str, Array],
    pixel_mm: tuple[float, float],
    size: int,
    rule: FramingRule,
    held: Bytes | None,
) -> _Fitted:
    """Where the head lies in these slices, and their scales of grey.

    ``held`` is the mask that the box must not cut.
    """
    head = rule.box(images)
    box = head if held is None else widened(head, held)
    fit, pixel = fit_square(box, pixel_mm, size, rule.fitting)
    windows = {
        name: (0.0, 1.0) if rule.normalise == "kept" else intensity_window(image, rule.normalise)
        for name, image in images.items()
    }
    floors, clipped = {}, []
    for name, image in images.items():
        offset, scale = windows[name]
        low, high = ((float(value) - offset) / scale for value in (image.min(), image.max()))
        # Half precision would make it minus infinity, and padding with that spoils what it touches.
        floors[name] = max(low, -LARGEST)
        if max(-low, high) > LARGEST:
            clipped.append(name)
    return {
        "fit": fit,
        "side_mm": _one_side(pixel),
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
            # Most maps are empty: they stay 0 without being resized.
            if layer.any():
                cut[target, z] = resize_back(layer, framing.fit, (rows, columns))
    return np.ascontiguousarray(from_lps(from_plane(cut, framing.plane), framing.source))
