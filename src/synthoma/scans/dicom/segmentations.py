"""DICOM segmentations (SEG, PS3.3 A.51): frames of 0 and 1, one for each segment and plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools, Floats
from synthoma.scans.case import Geometry
from synthoma.scans.dicom.files import AGAIN, PER_FRAME, SHARED, frames_of, numbers, read_file, text
from synthoma.scans.dicom.pixels import STORED, stored_frames
from synthoma.scans.dicom.resampling import are_whole, nearest_voxels
from synthoma.scans.dicom.segments import DicomMask, Part
from synthoma.scans.dicom.stack import Series
from synthoma.scans.files import regular_size
from synthoma.scans.headers.header import MAX_VOXELS

_NEAR = 0.1
"""Grids count as one where they differ by less than this share of a pixel."""

_SEG = (*STORED, "SegmentationType", "MaximumFractionalValue", SHARED, PER_FRAME)


@dataclass(frozen=True)
class _Frame:
    """One frame of a segmentation: what it marks, and where its first pixel lies (mm, LPS)."""

    marked: Bools
    position: Floats


def read_segmentation(mask: DicomMask, series: Series, grid: Geometry) -> tuple[dict[Part, Bools], bool]:
    """Regions on the grid, and whether the file marks anything at all."""
    dataset, syntax = read_file(mask.file, _SEG)
    regions = {part: np.zeros((len(series.planes), *series.shape), dtype=np.bool_) for _, part in mask.parts}
    if not int(dataset.get("NumberOfFrames") or 0) or "PixelData" not in dataset:
        return regions, False
    stored = stored_frames(dataset, syntax, regular_size(mask.file))
    groups = frames_of(dataset)
    # PixelSpacing gives the distance of rows (y) first, then that of columns (x).
    axes, spacing = numbers(groups[0], "ImageOrientationPatient", 6), numbers(groups[0], "PixelSpacing", 2)[::-1]
    apart = float(groups[0].get("SpacingBetweenSlices") or 0)
    drawn = False
    for number, part in mask.parts:
        frames = [
            _Frame(marked, np.array(numbers(group, "ImagePositionPatient", 3)))
            for pixels, group in zip(stored, groups, strict=True)
            if (marked := _marked(dataset, group, pixels, number)) is not None and marked.any()
        ]
        if frames:
            drawn = True
            regions[part] |= _on_grid(frames, (axes, spacing, apart), series, grid)
    return regions, drawn


def _marked(dataset: Dataset, group: Dataset, pixels: Array, number: int) -> Bools | None:
    """What a frame marks of a segment; None where it is a frame of another one."""
    kind = text(dataset, "SegmentationType")
    if kind == "LABELMAP":
        return np.asarray(pixels == number)
    if int(group.ReferencedSegmentNumber) != number:
        return None
    # A fraction counts where it is at least half.
    least = float(dataset.get("MaximumFractionalValue") or 255) / 2 if kind == "FRACTIONAL" else 1
    return np.asarray(pixels >= least)


def _on_grid(
    frames: Sequence[_Frame], own: tuple[tuple[float, ...], tuple[float, ...], float], series: Series, grid: Geometry
) -> Bools:
    """Frames on the grid of a series: pasted where they lie on its slices and pixels, else the nearest voxel."""
    axes, spacing, apart = own
    target = np.zeros((len(series.planes), *series.shape), dtype=np.bool_)
    # Pasted wherever it can be: a resampled mask may lose its thinnest slices.
    same = np.abs(np.subtract(axes, series.axes)).max() < 0.005 and np.allclose(spacing, series.spacing, rtol=1e-3)
    offsets = [_offset(frame, series, grid) for frame in frames] if same else []
    if not offsets or any(offset is None for offset in offsets):
        return _resampled(frames, (axes, spacing, apart), target.shape, grid)
    for frame, offset in zip(frames, offsets, strict=True):
        assert offset is not None
        plane, row, column = offset
        height, width = frame.marked.shape
        rows, columns = (slice(max(0, first), max(0, first + size)) for first, size in ((row, height), (column, width)))
        seen = target[plane, rows, columns]
        # `seen` is a view of the target. Frames of one region may share a slice, hence "or".
        seen |= frame.marked[max(0, -row) :, max(0, -column) :][: seen.shape[0], : seen.shape[1]]
    return target


def _offset(frame: _Frame, series: Series, grid: Geometry) -> tuple[int, int, int] | None:
    """Slice, row and column of the series at which a frame starts; None where it lies between."""
    matrix = np.array(grid.direction).reshape(3, 3)
    # Columns of the direction are the unit axes, so the product is the way along each of them.
    away = (frame.position - np.array([plane.position for plane in series.planes])) @ matrix / np.array(grid.spacing)
    nearest = int(np.abs(away[:, 2]).argmin())
    column, row, along = away[nearest]
    if max(abs(along), abs(row - np.rint(row)), abs(column - np.rint(column))) > _NEAR:
        return None
    return nearest, int(np.rint(row)), int(np.rint(column))


def _resampled(
    frames: Sequence[_Frame],
    own: tuple[tuple[float, ...], tuple[float, ...], float],
    shape: tuple[int, ...],
    grid: Geometry,
) -> Bools:
    """Frames of a grid of their own, at the voxels of another grid that are nearest."""
    axes, spacing, apart = own
    normal = np.cross(axes[:3], axes[3:])
    places = np.array([frame.position @ normal for frame in frames])
    # To a micrometre: positions are decimal texts, and the same plane may differ in its last digit.
    between = np.diff(np.unique(np.round(places, 3)))
    nearest = float(between.min()) if between.size else grid.spacing[2]
    # What the header states first: frames without marks are often left out, and their neighbours lie further apart.
    fitting = (step for step in (apart, nearest) if step > 0 and are_whole((places - places.min()) / step))
    step = next(fitting, 0.0)
    if not step:
        raise InputError("a segmentation on even slices", "frames in uneven places", AGAIN)
    numbered = np.rint((places - places.min()) / step).astype(int)
    first = frames[int(places.argmin())]
    depth = int(numbered.max()) + 1
    if depth * first.marked.size > MAX_VOXELS:
        raise InputError(f"a segmentation of at most {MAX_VOXELS} voxels", "a larger one", AGAIN)
    volume = np.zeros((depth, *first.marked.shape), dtype=np.uint8)
    for index, frame in zip(numbered, frames, strict=True):
        volume[index] |= frame.marked
    source = np.stack([np.array(axes[:3]) * spacing[0], np.array(axes[3:]) * spacing[1], normal * step], axis=1)
    return nearest_voxels(volume, source, first.position, grid, shape) > 0
