"""DICOM segmentations (SEG, PS3.3 A.51) and structure sets (RTSTRUCT, A.19) as masks on the grid of a series.

What a segment is called decides what it is here, and goes no further: names may be anybody's own words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydicom.dataset import Dataset

from synthoma.core.errors import InputError
from synthoma.core.types import Bytes
from synthoma.scans.dicom.files import AGAIN, PER_FRAME, SHARED, parsing, read_file, text
from synthoma.scans.dicom.pseudonyms import frame_name, plane_name, series_name
from synthoma.scans.dicom.segmentations import read_segmentation
from synthoma.scans.dicom.segments import DicomMask, Part, combined, part_of
from synthoma.scans.dicom.stack import Series, grid_of
from synthoma.scans.dicom.structure_sets import read_structure_set
from synthoma.scans.headers.header import MAX_VOXELS

_OF_TUMOUR: frozenset[Part] = frozenset(("whole", "gross", "core", "oedema", "enhancing"))
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
        regions, drawn = (read_segmentation if mask.kind == "seg" else read_structure_set)(mask, series, grid)
    if drawn and not any(region.any() for region in regions.values()):
        raise InputError("a mask over its series", "one that lies beside it", "remove the mask from the folder")
    return combined(regions)


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
        # Labels are what people wrote; codes are often the default of a program.
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
    # Structure sets are full of organs under private names; a segmentation rarely holds any.
    if len(unknown) > 1 and kind == "rtstruct":
        raise InputError("a structure set that says what is tumour", f"{len(unknown)} names that do not", todo)
    return unknown


# References ----------------------------------------------------------------------------------------------------------
_HEADER = (
    "SpecificCharacterSet", "Modality", "SegmentSequence", "StructureSetROISequence", "RTROIObservationsSequence",
    "ROIContourSequence", "FrameOfReferenceUID", "ReferencedSeriesSequence", "ReferencedFrameOfReferenceSequence",
    "SourceImageSequence", SHARED, PER_FRAME,
)  # fmt: skip
# Sequences inside sequences that are followed; a hostile file may nest them without end.
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
            # DICOM counts frames from 1.
            planes |= {plane_name(instance, int(index) - 1, key) for index in indices}
    # The most frequent: registered masks name the frames of other series too.
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
