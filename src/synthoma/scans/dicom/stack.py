"""A series as a volume: its slices in order, and the even grid that they lie on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Float32, Floats
from synthoma.scans.case import Direction, Geometry, Vector3, Volume
from synthoma.scans.dicom.files import AGAIN
from synthoma.scans.dicom.pixels import pixels
from synthoma.scans.headers.header import MAX_BYTES

JITTER_SHARE, JITTER_MM = 0.05, 0.1
"""A slice may lie so far from its place in the even stack: a share of the step, or mm if that is more."""

_JITTER_MOST = 0.25
"""But never further than this share of the step, however thin the slices are."""


@dataclass(frozen=True)
class Plane:
    """One slice: where its pixels are, where it lies (mm, LPS), and a name that says nothing of the patient."""

    file: Path = field(repr=False)
    frame: int
    position: Vector3
    name: str


@dataclass(frozen=True)
class Series:
    """Slices of one orientation, size and echo of one series, in order along their normal.

    Attributes:
        planes: the slices.
        axes: direction of the columns' index, then of the rows' index (ImageOrientationPatient).
        spacing: between columns (x) and between rows (y), mm.
        thickness: of one slice, mm; stands in for the spacing where there is only one slice. None where not stated.
        shape: rows and columns.
        modality: the guess.
        patient: pseudonym; None where the file names nobody.
        study: pseudonym.
        series: pseudonym.
        frame_of_reference: pseudonym; equal where two series were taken in one position.
        by: what the guess rests on, as `sequence_names.Judgement`.
        agent: whether the header says that a contrast agent was given.
        derived: whether it was computed from another series, as a reformat is.
        number: SeriesNumber, which rises with time; 0 where not stated.
        clashing: how many of its files hold different images under one identifier.
    """

    planes: tuple[Plane, ...]
    axes: tuple[float, ...]
    spacing: tuple[float, float]
    thickness: float | None
    shape: tuple[int, int]
    modality: str
    patient: str | None
    study: str
    series: str
    frame_of_reference: str | None
    by: Literal["words", "weighting", "timing", "nothing"] = "nothing"
    agent: bool | None = None
    derived: bool = False
    number: int = 0
    clashing: int = 0

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, each once."""
        return tuple(dict.fromkeys(plane.file for plane in self.planes))


def read_series(series: Series) -> Volume:
    """Read the pixels of a series.

    Args:
        series: as `find_series` gives it.

    Returns:
        Voxels (z, y, x) after rescale (the stored type where there is none, int32 where slope and intercept are whole
        numbers, else float32), MONOCHROME1 inverted; and LPS geometry. Where slices lie a little off the even stack,
        they are resampled linearly onto it (float32), and a remark says so.

    Raises:
        InputError: slices missing, twice, unevenly spaced or sheared; pixels damaged or of an unknown compression.
    """
    geometry, jitter = _geometry(series)
    # Said before anything is decoded.
    most = MAX_BYTES // 8  # float32, slice by slice and stacked
    if len(series.planes) * math.prod(series.shape) > most:
        came = f"{len(series.planes)} slices of {series.shape[0]}x{series.shape[1]}"
        raise InputError(f"a series of at most {most} voxels", came, AGAIN)
    # By file: an enhanced one holds all slices, and would be decoded anew for each of them.
    wanted: dict[Path, list[int]] = defaultdict(list)
    for plane in series.planes:
        wanted[plane.file].append(plane.frame)
    frames: dict[tuple[Path, int], Array] = {}
    for path, indices in wanted.items():
        frames |= {(path, index): frame for index, frame in zip(indices, pixels(path, indices), strict=True)}
    voxels = np.stack([frames[plane.file, plane.frame] for plane in series.planes])
    if jitter is None:
        return Volume(voxels, geometry)
    remark = (
        f"its slices lie up to {np.abs(jitter).max() * geometry.spacing[2]:.2f} mm off an even stack of "
        f"{geometry.spacing[2]:.2f} mm: resampled onto it"
    )
    return Volume(_evened(voxels, jitter), geometry, (remark,))


def grid_of(series: Series) -> Geometry:
    """The grid on which `read_series` gives a series; reads no pixels.

    Raises:
        InputError: slices missing, twice, unevenly spaced or sheared.
    """
    return _geometry(series)[0]


def normal_of(axes: Sequence[float]) -> Floats:
    """Unit vector along which slices are stacked."""
    normal = np.cross(axes[:3], axes[3:])
    return cast(Floats, normal / np.linalg.norm(normal))


def _geometry(series: Series) -> tuple[Geometry, Floats | None]:
    """Even grid of a series whose slices are stacked along their normal, and how far each lies from its place.

    Returns:
        The grid; and the distances (z,) in steps, None where they are too small to matter.

    Raises:
        InputError: they are not so stacked.
    """
    if series.clashing:
        came = f"{series.clashing} files that share one with a file of other content"
        raise InputError("an identifier (SOPInstanceUID) of its own for each image", came, AGAIN)
    normal = normal_of(series.axes)
    positions = np.array([plane.position for plane in series.planes])
    places = positions @ normal
    thick = len(positions) > 1 or series.thickness is not None
    start, step, jitter = _even_stack(places) if len(places) > 1 else (places[0], series.thickness or 1.0, None)
    aside = positions - np.outer(places, normal)
    shift = float(np.abs(aside - aside[0]).max())
    # A tilted gantry: the axes would not be at right angles, and no rounding of positions goes so far.
    if shift > max(0.1 * step, 0.1):
        raise InputError("slices stacked along their normal", f"some shifted by {shift:.1f} mm (tilted gantry)", AGAIN)
    columns, rows = (np.array(series.axes[i : i + 3]) for i in (0, 3))
    matrix = np.stack([columns / np.linalg.norm(columns), rows / np.linalg.norm(rows), normal], axis=1)
    x, y = series.spacing
    direction = cast(Direction, tuple(float(value) + 0.0 for value in matrix.ravel()))
    # The first place of the even stack, not of the first slice.
    moved = positions[0] + (start - places[0]) * normal
    origin = series.planes[0].position if jitter is None else cast(Vector3, tuple(float(value) for value in moved))
    return Geometry((x, y, float(step)), origin, direction, thick), jitter


def _even_stack(places: Floats) -> tuple[float, float, Floats | None]:
    """The even stack that slices form, as start and step in mm, and how far each lies from its place in steps.

    Steps that vary by up to 2 % (rounded positions) count as even; else the stack is the line of least squares.
    """
    steps = np.diff(places)
    # The median: one missing slice must not widen the step of all others.
    step = float(np.median(steps))
    if (twice := int(np.count_nonzero(steps < 0.01))) > 0:
        came = f"{twice} of {len(places)} positions taken twice"
        raise InputError("one slice a position", came, "separate the echoes or time points that share the series")
    if not np.any(np.abs(steps - step) > max(0.02 * step, 0.02)):
        # From end to end, so that the rounding of single positions cancels.
        return float(places[0]), float(places[-1] - places[0]) / (len(places) - 1), None
    slope, start = np.polyfit(np.arange(len(places)), places, 1)
    off = places - (start + slope * np.arange(len(places)))
    # Nearer than half a slice in any case, or slices would change their order.
    if np.abs(off).max() <= min(max(JITTER_SHARE * slope, JITTER_MM), _JITTER_MOST * slope):
        return float(start), float(slope), off / slope
    gaps = int(np.rint(steps[steps > 1.5 * step] / step - 1).sum())
    came = (
        f"{gaps} missing of {len(places) + gaps}" if gaps else f"steps from {steps.min():.2f} to {steps.max():.2f} mm"
    )
    raise InputError("evenly spaced slices", came, AGAIN)


def _evened(voxels: Array, jitter: Floats) -> Float32:
    """Slices resampled linearly from where they lie onto the even stack; at its ends, the outermost slice."""
    places = np.arange(len(voxels)) + jitter
    even = np.empty(voxels.shape, dtype=np.float32)
    for index in range(len(voxels)):
        # At the ends the outermost pair is used; the share is cut, so that nothing is extrapolated.
        after = int(np.clip(np.searchsorted(places, index), 1, len(voxels) - 1))
        share = np.clip((index - places[after - 1]) / (places[after] - places[after - 1]), 0, 1)
        even[index] = (1 - share) * voxels[after - 1] + share * voxels[after]
    return even
