"""DICOM segmentations (SEG, PS3.3 A.51) and structure sets (RTSTRUCT, A.19) as masks on the grid of a series.

What a segment is called decides what it is here, and goes no further: names may be anybody's own words.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset
from scipy.ndimage import affine_transform

from synthoma.core.errors import InputError
from synthoma.core.types import REGIONS, WHOLE_TUMOUR, Array, Bools, Bytes, Floats
from synthoma.scans.case import Geometry
from synthoma.scans.dicom.files import AGAIN, PER_FRAME, SHARED, frames_of, numbers, parsing, read_file, text
from synthoma.scans.dicom.pixels import STORED, stored_frames
from synthoma.scans.dicom.series import Series, frame_name, grid_of, plane_name, series_name
from synthoma.scans.files import regular_size
from synthoma.scans.volumes import MAX_VOXELS, same_grid

Part = Literal["whole", "gross", "core", "oedema", "enhancing", "other", "unknown"]
"""What a segment outlines.

``whole``: the tumour with all around it. ``gross``: without oedema (GTV). ``other``: no tumour. ``unknown``: its name
says nothing.
"""

_OF_TUMOUR: frozenset[Part] = frozenset(("whole", "gross", "core", "oedema", "enhancing"))
_ORGANS = re.compile(
    r"\b[CPI]TV|\bBRAIN|\bSTEM\b|\bEYES?\b|\bGLOBE|\bORBIT|\bLENS|\bOPTIC|CHIASM|COCHLEA|PITUITARY|HYPOPHYS|HIPPOCAMP"
    r"|THALAM|\bEXTERNAL|\bBODY\b|\bSKIN\b|\bSKULL|VENTRIC|CORTEX|CEREB|SPINAL|\bCORD\b|MEDULLA|LACRIMAL|PAROTID|MANDIB"
    r"|\bDOSE|ISODOSE|COUCH|\bTABLE\b|\bBOLUS\b|AVOID|\bRING\b|ARTI?FACT|\bNORMAL|HEALTHY|WHITE MATTER|GR[EA]Y MATTER"
    r"|\bCSF\b|\bAIR\b|\bBONE|\bHEAD\b|\bORGAN|BACKGROUND|VESSEL|ARTER|\bVEIN|\bNERVE|\bEAR\b|\bPRV\b|HIRNSTAMM|\bGEHIRN|\bAUGE"
    r"|\bLINSE|TRONC|CERVEAU|CERVELLO|\bOEIL|\bYEUX|MIDLINE|FALX"
    r"|\bLIVER|\bLUNG|\bKIDNEY|\bHEART|\bSPLEEN|PROSTATE|BLADDER|RECTUM|THYROID|OESOPHAG|ESOPHAG|TRACHEA|LARYNX|TONGUE"
)
_CAVITY = re.compile(r"CAVIT|RESECTION|SURGICAL|POSTOP|\bRC\b")
_PLANNED = re.compile(r"\b[CPI]TV|\bGTV.*\b(?:RING|PRV|MARGIN)|\bPRV\b|\bAVOID")
_TUMOUR = re.compile(
    r"TUMO|TUMEUR|WHOLE|\bWT\b|LESION|LAESION|LESAO|NEOPLAS|GLIO|ASTROCYT|OLIGO|MENINGEOM|MENINGIOM|METAST|\bMETS?\b|\bMASS|CANCER"
    r"|MALIGN|LYMPHOM|SCHWANNOM|ADENOM|EPENDYMOM|CRANIOPHAR"
)
_OEDEMA = re.compile(r"O?EDEM|\bODEM|\bED\b|HYPERINTENS|PERITUM|SNFH|\bFLAIR|ABNORMALITY T2|T2 ABNORMAL")
_PLAIN_CORE = re.compile(
    r"\bNON? ?ENHANC|NONENHANC|\bNET\b|\bNCR\b|NECRO|NEKRO|NECROT|NECROSE|\bCORE\b|\bTC\b|UNENHANC|NICHT ANREICH"
)
_ENHANCING = re.compile(r"ENHANC|\bET\b|ACTIVE TUM|REHAUSS|REALCE|ANREICHER|CAPTANT")
_NOT_TUMOUR_TYPES = frozenset(
    (
        *(
            "EXTERNAL",
            "PTV",
            "CTV",
            "TREATED_VOLUME",
            "IRRAD_VOLUME",
            "BOLUS",
            "AVOIDANCE",
            "ORGAN",
            "MARKER",
            "SUPPORT",
        ),
        *(
            "REGISTRATION",
            "ISOCENTER",
            "CONTRAST_AGENT",
            "CAVITY",
            "BRACHY_CHANNEL",
            "FIXATION",
            "DOSE_REGION",
            "CONTROL",
        ),
    )
)
"""RTROIInterpretedType of what is no tumour."""

_NEAR = 0.1
"""Grids count as one where they differ by less than this share of a pixel."""
_EDGE = 0.01
"""A pixel whose centre is so near to a contour, in pixels, belongs to it: contours of masks run through the centres."""


@dataclass(frozen=True)
class DicomMask:
    """A file that outlines tumour, not yet read.

    Attributes:
        file: the file.
        kind: DICOM SEG or RTSTRUCT.
        parts: number of each segment that is tumour, and which part of it.
        aside: how many segments are not.
        series: pseudonyms of the series that it refers to.
        planes: pseudonyms of the slices that it refers to.
        frame_of_reference: pseudonym.
    """

    file: Path = field(repr=False)
    kind: Literal["seg", "rtstruct"]
    parts: tuple[tuple[int, Part], ...]
    aside: int
    series: frozenset[str]
    planes: frozenset[str]
    frame_of_reference: str | None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What its reader should know."""
        kinds = {part for _, part in self.parts}
        remarks = []
        if self.aside:
            remarks.append(f"{self.aside} of the {self.aside + len(self.parts)} segments of its mask are left aside")
        if "whole" in kinds and kinds & {"core", "enhancing"} and "oedema" not in kinds:
            remarks.append("what its mask of the whole tumour holds beyond the regions inside is taken for oedema")
        return tuple(remarks)


def mask_of(path: Path, key: bytes) -> DicomMask:
    """What a DICOM SEG or RTSTRUCT outlines, by its header.

    Raises:
        InputError: damaged, or it outlines no tumour or does not say what.
    """
    with parsing():
        header, _ = read_file(path, _HEADER)
        kind: Literal["seg", "rtstruct"] = "seg" if text(header, "Modality") == "SEG" else "rtstruct"
        named = _segments(header) if kind == "seg" else _structures(header)
        series, planes, place = _references(header, key)
    return DicomMask(
        path, kind, tuple(parts := _tumour_parts(named, kind)), len(named) - len(parts), series, planes, place
    )


def read_dicom_mask(mask: DicomMask, series: Series) -> tuple[Bytes, Mapping[int, str]]:
    """Read a mask on the grid of a series.

    Args:
        mask: as `mask_of` gives it.
        series: one that the mask refers to, or of the same frame of reference.

    Returns:
        uint8 labels (z, y, x) on the grid that `read_series` gives, and what each means: `types.REGIONS`, or
        `types.WHOLE_TUMOUR` where no regions are told apart. Where segments overlap, the inner one holds.

    Raises:
        InputError: damaged, on a grid that cannot be followed, or beside the series.
    """
    grid = grid_of(series)
    if len(series.planes) * math.prod(series.shape) > MAX_VOXELS:
        raise InputError(f"a series of at most {MAX_VOXELS} voxels", "a larger one", AGAIN)
    with parsing():
        regions, drawn = (_read_seg if mask.kind == "seg" else _read_structures)(mask, series, grid)
    if drawn and not any(region.any() for region in regions.values()):
        raise InputError("a mask over its series", "one that lies beside it", "remove the mask from the folder")
    return combined(regions)


def onto(labels: Bytes, series: Series, grid: Geometry, shape: tuple[int, ...]) -> Bytes:
    """Labels of a series (z, y, x) on another grid of the same position, by the nearest voxel.

    Raises:
        InputError: none of the labels lies on that grid.
    """
    own = grid_of(series)
    if labels.shape == shape and same_grid(own, grid):
        return labels
    moved = _nearest(labels, _axes(own), np.array(own.origin), grid, shape)
    if labels.any() and not moved.any():
        raise InputError("a mask over its scan", "one that lies beside it", "remove the mask from the folder")
    return moved


def combined(regions: Mapping[Part, Bools]) -> tuple[Bytes, Mapping[int, str]]:
    """Labels of regions (z, y, x) that may overlap: the enhancing tumour before the core, the core before the oedema.

    What the whole tumour holds beyond its regions is oedema; where the oedema has a segment of its own, it is core.
    """
    labels = np.zeros(next(iter(regions.values())).shape, dtype=np.uint8)
    if not {"core", "oedema", "enhancing"} & set(regions):
        for region in regions.values():
            labels[region] = 1
        return labels, WHOLE_TUMOUR
    order: tuple[tuple[Part, int], ...] = (
        ("whole", 1 if "oedema" in regions else 2), ("oedema", 2), ("gross", 1), ("core", 1), ("enhancing", 3)
    )  # fmt: skip
    for part, value in order:
        if part in regions:
            labels[regions[part]] = value
    return labels, REGIONS


# Names ---------------------------------------------------------------------------------------------------------------


def part_of(name: str) -> Part:
    """Which part of a tumour a segment's name means, in whatever spelling; "unknown" where it says nothing."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("œ", "oe").replace("Œ", "OE"))
    spaced = spaced.replace("+", " plus ")
    plain = "".join(c for c in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(c)).upper()
    line = " ".join(re.findall(r"[A-Z0-9]+", plain))
    tumour, gross = bool(_TUMOUR.search(line)), bool(re.search(r"GTV|\bGROSS", line))
    if _PLANNED.search(line) or _CAVITY.search(line) or re.search(r"\b(?:NORMAL|HEALTHY)\b", line):
        return "other"
    if _OEDEMA.search(line):
        return "whole" if tumour and re.search(r"\b(?:AND|PLUS|WITH)\b", line) else "oedema"
    if _ORGANS.search(line) and not tumour and not line.startswith("GTV"):  # "Brain-GTV" is the brain without it
        return "other"
    if _PLAIN_CORE.search(line):
        return "core"
    if _ENHANCING.search(line):
        return "enhancing"
    if gross:
        return "gross"
    return "whole" if tumour else "unknown"


def _segments(header: Dataset) -> list[tuple[int, Part]]:
    """Number and part of each segment of a SEG: by its label, else by its coded type, else by its category."""
    found: list[tuple[int, Part]] = []
    for segment in header.get("SegmentSequence") or ():
        codes = [
            text(item, "CodeMeaning")
            for keyword in ("SegmentedPropertyTypeCodeSequence", "SegmentedPropertyCategoryCodeSequence")
            for item in segment.get(keyword) or ()
        ]
        parts = [part_of(name) for name in (text(segment, "SegmentLabel"), *codes)]
        part = next((part for part in parts if part != "unknown"), parts[0])
        if part == "unknown" and any("ANATOMICAL" in code.upper() for code in codes):
            part = "other"
        found.append((int(segment.SegmentNumber), part))
    return found


def _structures(header: Dataset) -> list[tuple[int, Part]]:
    """Number and part of each structure of an RTSTRUCT: by its name, else by its type."""
    types = {
        int(item.ReferencedROINumber): text(item, "RTROIInterpretedType").upper()
        for item in header.get("RTROIObservationsSequence") or ()
    }
    found: list[tuple[int, Part]] = []
    for item in header.get("StructureSetROISequence") or ():
        number, part = int(item.ROINumber), part_of(text(item, "ROIName"))
        if part == "unknown" and types.get(number) in _NOT_TUMOUR_TYPES:
            part = "other"
        if part == "unknown" and types.get(number) == "GTV":
            part = "gross"
        found.append((number, part))
    return found


def _tumour_parts(named: Sequence[tuple[int, Part]], kind: str) -> list[tuple[int, Part]]:
    """The segments that are tumour. One whose name says nothing is, where no other is."""
    tumour = [(number, part) for number, part in named if part in _OF_TUMOUR]
    whole: Part = "whole"
    unknown = [(number, whole) for number, part in named if part == "unknown"]
    if tumour:
        return tumour
    todo = "call the segments tumour, core, oedema or enhancing, or remove the file"
    if not unknown:
        came = f"{len(named)} segments of something else" if named else "no segment at all"
        raise InputError("a segmentation of a tumour", came, todo)
    if len(unknown) > 1 and kind == "rtstruct":
        raise InputError("a structure set that says what is tumour", f"{len(unknown)} names that do not", todo)
    return unknown


# References ----------------------------------------------------------------------------------------------------------

_HEADER = (
    "SpecificCharacterSet", "Modality", "SegmentSequence", "StructureSetROISequence", "RTROIObservationsSequence",
    "ROIContourSequence", "FrameOfReferenceUID", "ReferencedSeriesSequence", "ReferencedFrameOfReferenceSequence",
    "SourceImageSequence", SHARED, PER_FRAME,
)  # fmt: skip
_DEEPEST = 12


def _references(header: Dataset, key: bytes) -> tuple[frozenset[str], frozenset[str], str | None]:
    """Series, slices and frame of reference that a file names, as pseudonyms."""
    found: dict[str, list[str]] = {"SeriesInstanceUID": [], "FrameOfReferenceUID": []}
    planes: set[str] = set()
    for item in _nested(header, _DEEPEST):
        for keyword, values in found.items():
            values += [text(item, keyword)] if text(item, keyword) else []
        if instance := text(item, "ReferencedSOPInstanceUID"):
            stored = item.get("ReferencedFrameNumber") or 1
            indices = [stored] if isinstance(stored, (int, str)) else list(stored)
            planes |= {plane_name(instance, int(index) - 1, key) for index in indices}
    places = Counter(found["FrameOfReferenceUID"]).most_common(1)
    series = frozenset(series_name(uid, key) for uid in found["SeriesInstanceUID"])
    return series, frozenset(planes), frame_name(places[0][0] if places else "", key)


def _nested(item: Dataset, depth: int) -> Iterable[Dataset]:
    """A data set and all inside."""
    yield item
    for element in item if depth else ():
        if element.VR == "SQ":
            for inner in element.value or ():
                yield from _nested(inner, depth - 1)


# SEG -----------------------------------------------------------------------------------------------------------------

_SEG = (*STORED, "SegmentationType", "MaximumFractionalValue", SHARED, PER_FRAME)


@dataclass(frozen=True)
class _Frame:
    """One frame of a segmentation: what it marks, and where its first pixel lies (mm, LPS)."""

    marked: Bools
    position: Floats


def _read_seg(mask: DicomMask, series: Series, grid: Geometry) -> tuple[dict[Part, Bools], bool]:
    """Regions on the grid, and whether the file marks anything at all."""
    dataset, syntax = read_file(mask.file, _SEG)
    regions = {part: np.zeros((len(series.planes), *series.shape), dtype=np.bool_) for _, part in mask.parts}
    if not int(dataset.get("NumberOfFrames") or 0) or "PixelData" not in dataset:
        return regions, False
    stored = stored_frames(dataset, syntax, regular_size(mask.file))
    groups = frames_of(dataset)
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
    least = float(dataset.get("MaximumFractionalValue") or 255) / 2 if kind == "FRACTIONAL" else 1
    return np.asarray(pixels >= least)


def _on_grid(
    frames: Sequence[_Frame], own: tuple[tuple[float, ...], tuple[float, ...], float], series: Series, grid: Geometry
) -> Bools:
    """Frames on the grid of a series: pasted where they lie on its slices and pixels, else the nearest voxel."""
    axes, spacing, apart = own
    target = np.zeros((len(series.planes), *series.shape), dtype=np.bool_)
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
        seen |= frame.marked[max(0, -row) :, max(0, -column) :][: seen.shape[0], : seen.shape[1]]
    return target


def _offset(frame: _Frame, series: Series, grid: Geometry) -> tuple[int, int, int] | None:
    """Slice, row and column of the series at which a frame starts; None where it lies between."""
    matrix = np.array(grid.direction).reshape(3, 3)
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
    between = np.diff(np.unique(np.round(places, 3)))
    nearest = float(between.min()) if between.size else grid.spacing[2]
    fitting = (step for step in (apart, nearest) if step > 0 and _are_whole((places - places.min()) / step))
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
    return _nearest(volume, source, first.position, grid, shape) > 0


def _axes(grid: Geometry) -> Floats:
    """Columns: from one voxel to the next along x, y and z, mm."""
    axes: Floats = np.array(grid.direction).reshape(3, 3) * np.array(grid.spacing)
    return axes


def _nearest(volume: Bytes, axes: Floats, origin: Floats, grid: Geometry, shape: tuple[int, ...]) -> Bytes:
    """The nearest voxels of a volume of other axes and origin, 0 outside."""
    back = np.linalg.inv(axes)
    matrix, offset = back @ _axes(grid), back @ (np.array(grid.origin) - origin)
    # Both are for (x, y, z); arrays are (z, y, x).
    turned = affine_transform(
        volume, matrix[::-1, ::-1], offset[::-1], shape, order=0, mode="constant", prefilter=False
    )
    return np.asarray(turned, dtype=np.uint8)


def _are_whole(values: Floats) -> bool:
    return bool(np.abs(values - np.rint(values)).max() <= 0.25)


# RTSTRUCT ------------------------------------------------------------------------------------------------------------


def _read_structures(mask: DicomMask, series: Series, grid: Geometry) -> tuple[dict[Part, Bools], bool]:
    """Regions on the grid, and whether the file draws anything at all."""
    dataset, _ = read_file(mask.file, ("ROIContourSequence",))
    contours: dict[int, list[Floats]] = {}
    for item in dataset.get("ROIContourSequence") or ():
        contours.setdefault(int(item.ReferencedROINumber), []).extend(_closed(item))
    regions = {part: np.zeros((len(series.planes), *series.shape), dtype=np.bool_) for _, part in mask.parts}
    drawn = False
    own = series.series in mask.series
    for number, part in mask.parts:
        if points := contours.get(number):
            drawn = True
            _fill(regions[part], points, grid, own=own)
    return regions, drawn


def _closed(item: Dataset) -> list[Floats]:
    """Points (n, 3) in mm of each closed planar contour; single points and open lines outline nothing."""
    found = []
    for contour in item.get("ContourSequence") or ():
        if not text(contour, "ContourGeometricType").upper().startswith("CLOSED"):
            continue
        stored = np.array([float(value) for value in contour.get("ContourData") or ()])
        if stored.size % 3 or not np.isfinite(stored).all():
            raise InputError("contours of points in space", f"{stored.size} numbers", AGAIN)
        if stored.size >= 9:
            found.append(stored.reshape(-1, 3))
    return found


def _fill(region: Bools, contours: Sequence[Floats], grid: Geometry, *, own: bool) -> None:
    """Fill contours into a region, in place. A contour inside another one of its slice is a hole.

    Drawn on another series, contours may be further apart than the slices here: each slice takes the nearest one.
    """
    matrix = np.linalg.inv(_axes(grid))
    levels: dict[float, list[Floats]] = {}
    for points in contours:
        indices = (points - np.array(grid.origin)) @ matrix.T  # columns, rows, slices
        if np.ptp(indices[:, 2]) > 0.5:
            raise InputError("contours in the planes of their series", "some across them", AGAIN)
        levels.setdefault(round(float(indices[:, 2].mean()), 2), []).append(indices[:, :2])
    places = np.array(sorted(levels))
    apart = float(np.diff(places).min()) if len(places) > 1 and not own else 1.0
    for index in range(len(region)):
        nearest = float(places[np.abs(places - index).argmin()])
        if abs(nearest - index) <= max(apart, 1.0) / 2:
            region[index] |= filled(levels[nearest], region.shape[1:])


def filled(contours: Sequence[Floats], shape: tuple[int, ...]) -> Bools:
    """Pixels (rows, columns) inside an odd number of contours, each (n, 2) of columns and rows, or on one of them."""
    inside, edge = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    for points in contours:
        for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
            _cross(inside, start, end)
            _touch(edge, start, end)
    return inside | edge


def _cross(inside: Bools, start: Floats, end: Floats) -> None:
    """Turn the pixels to the left of an edge inside out, row by row (even-odd rule)."""
    (x0, y0), (x1, y1) = (start, end) if start[1] <= end[1] else (end, start)
    first, last = max(0, math.ceil(y0)), min(len(inside), math.ceil(y1))
    if first < last:
        rows = np.arange(first, last)
        crossing = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
        inside[first:last] ^= np.arange(inside.shape[1]) < crossing[:, None]


def _touch(edge: Bools, start: Floats, end: Floats) -> None:
    """Mark the pixels whose centre lies on an edge."""
    low, high = np.minimum(start, end) - _EDGE, np.maximum(start, end) + _EDGE
    left, top = (max(0, math.ceil(value)) for value in low)
    right, bottom = (min(size, math.floor(value) + 1) for size, value in zip(edge.shape[::-1], high, strict=True))
    if left >= right or top >= bottom:
        return
    y, x = np.mgrid[top:bottom, left:right].astype(float)
    along = np.array(end) - start
    length = float(along @ along)
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length if length else np.zeros_like(x)
    share = np.clip(share, 0, 1)
    away = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
    edge[top:bottom, left:right] |= away <= _EDGE
