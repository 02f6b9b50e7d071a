"""Masks read from their files, and put onto one grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.progress import Progress
from synthoma.core.types import Array, Floats, Ints
from synthoma.masks.chances import FINDINGS, Chances, joined
from synthoma.masks.patients import Cases, MaskFiles, PatientMasks, Roots, ScoringNotes, name_in_results
from synthoma.metrics.boundary import Spacing
from synthoma.scans.case import Geometry, Volume, unlike_a_head
from synthoma.scans.conventions import ROUNDING
from synthoma.scans.files import SUFFIXES, VOLUMES, kind_of, suffix_of
from synthoma.scans.grids import paste_onto, same_grid
from synthoma.scans.images import read_image
from synthoma.scans.volumes import read_volume

MOST_LABELS = 32
"""A mask with more values than this is a grey picture or a probability map."""

_VOLUMES = frozenset({"NIfTI", "MetaImage", "NRRD", "Analyze", "MGH"})
_ON_GRID = "resample the prediction onto the grid of the truth (nearest neighbour)"
_Shape = tuple[int, int, int]


def read_all(
    cases: Cases, roots: Roots, spacing: Spacing | None, notes: ScoringNotes, progress: Progress
) -> Iterator[PatientMasks]:
    """Patients one after the other; what cannot be read is written into the notes."""
    for done, (name, trios) in enumerate(cases.items()):
        progress("reading masks", done, len(cases))
        parts: list[PatientMasks] = []
        for trio in trios:
            part = _read_files(trio, roots, spacing, notes)
            if part is None:
                continue
            if parts and part.truth.shape[1:] != parts[0].truth.shape[1:]:
                came = f"{_size_of(part.truth.shape)} among {_size_of(parts[0].truth.shape)}"
                reason = InputError("slices of one size in a patient", came, "export them again in one size")
                notes.skip(part.patient, reason)
                continue
            parts.append(part)
        if parts:
            others = [part.other for part in parts if part.other is not None]
            yield PatientMasks(
                name,
                np.concatenate([part.truth for part in parts]),
                np.concatenate([part.prediction for part in parts]),
                # One spacing for the patient: that of the stack, which slices as files cannot state one by one.
                parts[0].spacing,
                np.concatenate(others) if len(others) == len(parts) else None,
                joined([part.chances for part in parts], [len(part.truth) for part in parts]),
            )
    notes.tell_doubts()
    if notes.laid:
        notes.remarks.append(
            f"{notes.laid} masks were cropped, larger or mirrored on the grid of their truth or prediction: voxels "
            "were put in their place, and what a mask does not cover counts as background"
        )
    progress("reading masks", len(cases), len(cases))


def _read_files(trio: MaskFiles, roots: Roots, spacing: Spacing | None, notes: ScoringNotes) -> PatientMasks | None:
    """Masks of one file each; None where the truth or the prediction cannot be used."""
    place = name_in_results(trio.truth, roots["truth"], "truth")
    try:
        truth, geometry = _read(trio.truth)
    except InputError as error:
        notes.skip(place, error)
        return None
    read: dict[str, tuple[Array, Geometry | None]] = {}
    shape, grid = (truth.shape[0], truth.shape[1], truth.shape[2]), geometry
    for name, path in (("predictions", trio.prediction), ("other", trio.other)):
        try:
            if name in roots and path is not None:
                mask, own = _read(path)
                shape, grid = _covering(shape, grid, mask, own)
                read[name] = mask, own
        except InputError as error:
            assert path is not None
            notes.skip(name_in_results(path, roots[name], name), error)
    # A prediction that cannot be read is no empty one: it is left out and listed, and one that is missing counts as
    # empty.
    if trio.prediction is not None and "predictions" not in read:
        return None
    # Only now: each side may have made the grid larger, and all must lie on the same one.
    whole = _laid(truth, geometry, shape, grid, notes)
    drawn = {name: _laid(mask, own, shape, grid, notes) for name, (mask, own) in read.items()}
    for name, path in (("predictions", trio.prediction), ("other", trio.other)):
        if name in roots and path is None:
            # Left out, a hard case without a prediction would raise the mean scores.
            drawn[name] = np.zeros_like(whole)
    if grid is not None:
        # From (x, y, z) of a grid to (z, y, x) of arrays.
        spacing = (grid.spacing[2], grid.spacing[1], grid.spacing[0])
        if said := unlike_a_head(grid.spacing[:2], shape[:0:-1]):
            notes.doubt(place, said)
    for name, mask in (("truth", whole), *drawn.items()):
        if np.count_nonzero(mask) > mask.size / 2:
            notes.doubt(
                f"{name} of {name_in_results(trio.truth, roots['truth'])}",
                "more than half of it is marked: is its background 0?",
            )
    # Laid onto another grid, slices of the mask are no longer those that the probabilities were given for.
    turned = "predictions" in read and drawn["predictions"] is not read["predictions"][0]
    chances = None if turned else _chances(trio.prediction, whole, roots["predictions"], notes)
    return PatientMasks(place, whole, drawn["predictions"], spacing, drawn.get("other"), chances)


def _chances(path: Path | None, truth: Array, root: Path, notes: ScoringNotes) -> Chances | None:
    """Probabilities of the slices in a mask that `synthoma detect` wrote; None for any other."""
    detection = None if path is None else notes.detection(path, root, "predictions")
    if path is None or detection is None:
        return None
    try:
        return detection.of_file(path.name, truth.shape)
    except InputError as error:
        notes.detections[path.parent] = None  # said once, and not again for each slice
        notes.skip(
            name_in_results(path.parent / FINDINGS, root if root.is_dir() else path.parent, "predictions"), error
        )
        return None


def _covering(
    shape: _Shape, grid: Geometry | None, mask: Array, own: Geometry | None
) -> tuple[_Shape, Geometry | None]:
    """The grid on which a mask lies beside the truth: that of the truth, or a larger one around a truth that was cut.

    Raises:
        InputError: a mask of another grid, or one that shows another part of it.
    """
    large = f"{_size_of(mask.shape)} for a truth of {_size_of(shape)}"
    if grid is None or own is None:
        if mask.shape != shape:
            raise InputError("a prediction as large as its truth", large, _ON_GRID)
        return shape, grid
    if mask.shape == shape and same_grid(grid, own):
        return shape, grid
    low, high = _field(own, mask.shape, grid)
    top = np.array(shape[::-1]) - 1
    # Axis by axis a mask is cropped (inside) or larger (around). What only overlaps shows another part of the head.
    inside, around = (low >= 0) & (high <= top), (low <= 0) & (high >= top)
    first, last = np.minimum(low, 0), np.maximum(high, top)
    if (inside | around).all():
        try:
            if paste_onto(Volume(mask, own), grid, shape) is not None:
                return shape, grid
        except InputError:  # what it marks lies outside a truth that was cut to its tumour
            z, y, x = (last - first + 1)[::-1].tolist()
            origin = np.array(grid.origin) + _steps(grid) @ first
            return (z, y, x), replace(grid, origin=(float(origin[0]), float(origin[1]), float(origin[2])))
    came = large if mask.shape != shape else "another spacing, origin or direction"
    raise InputError("a prediction on the grid of its truth", came, _ON_GRID)


def _laid(mask: Array, own: Geometry | None, shape: _Shape, grid: Geometry | None, notes: ScoringNotes) -> Array:
    """A mask on a grid that covers it; the same array where it is on it already."""
    if grid is None or own is None or (mask.shape == shape and same_grid(grid, own)):
        return mask
    pasted = paste_onto(Volume(mask, own), grid, shape)
    assert pasted is not None
    notes.laid += 1
    return pasted.voxels


def _field(own: Geometry, shape: tuple[int, ...], grid: Geometry) -> tuple[Ints, Ints]:
    """First and last voxel (x, y, z) of a mask, counted on a grid."""
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (np.array(shape[::-1]) - 1)
    # On the steps of that grid, whichever way its axes run.
    places = corners @ _steps(own).T + np.array(own.origin) - np.array(grid.origin)
    # Rounded only to find the field: `paste_onto` refuses a grid whose voxels lie between those of the other.
    counted = np.rint(places @ np.linalg.inv(_steps(grid)).T).astype(np.int64)
    return counted.min(axis=0), counted.max(axis=0)


def _steps(geometry: Geometry) -> Floats:
    """Step from voxel to voxel along each axis of the grid, mm, as columns."""
    steps: Floats = np.array(geometry.direction).reshape(3, 3) * np.array(geometry.spacing)
    return steps


def _size_of(shape: tuple[int, ...]) -> str:
    """Width, height and, of a volume, depth: 240x240x155."""
    return "x".join(map(str, shape[::-1] if shape[0] > 1 else shape[:0:-1]))


def _read(path: Path) -> tuple[Array, Geometry | None]:
    """Labels (z, y, x) of one file, and its geometry where it has one.

    Raises:
        InputError: damaged, another format, or values that are no labels.
    """
    kind = kind_of(path)
    if kind == "jpeg":
        raise InputError("a mask stored without loss", "a JPEG, which changes values", "export it as PNG")
    if kind in VOLUMES or (kind == "unknown" and SUFFIXES.get(suffix_of(path)) in _VOLUMES):
        volume = read_volume(path)
        return _as_labels(volume.voxels), volume.geometry
    picture = read_image(path)
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        picture = picture[..., 0]
    if picture.ndim == 3:  # colours tell tumour from black, but their numbers are no labels
        # One number for each colour, so that too many colours are refused as too many labels are; 24 bits need int32.
        codes = picture.astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
        return (_as_labels(codes) > 0).astype(np.uint8)[None], None
    return _as_labels(picture)[None], None


def _as_labels(values: Array) -> Array:
    """Stored numbers as whole labels, in the narrowest type.

    Raises:
        InputError: fractions, numbers below 0, or too many different ones.
    """
    present = np.unique(values)
    todo = "save the thresholded mask, with background 0"
    # nan is near no number, so it is refused too; `unique` sorts it to the end.
    if not (present[0] > -ROUNDING and (np.abs(present - np.rint(present)) <= ROUNDING).all()):
        raise InputError("whole labels from 0 up", f"values from {present[0]:g} to {present[-1]:g}", todo)
    if values.dtype.kind == "f":  # some tools write 0.9999
        values, present = np.rint(values), np.unique(np.rint(present))
    if len(present) > MOST_LABELS:
        raise InputError(f"a mask of at most {MOST_LABELS} values", f"{len(present)} different ones", todo)
    # Not narrower where values are larger: 256 in 8 bits would be background.
    return values.astype(np.uint8 if present[-1] < 256 else np.int64)
