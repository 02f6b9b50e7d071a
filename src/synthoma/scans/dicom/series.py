"""DICOM: the slices of a folder sorted into series, and a series as a volume.

Only pixels and geometry pass. Identifiers become keyed hashes, everything else that is read (description, sequence
timing) serves to guess the modality and is dropped. Burned-in text is in the pixels and cannot be excluded here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
from pydicom.dataset import Dataset

from synthoma.core.errors import InputError
from synthoma.core.provenance import file_digest
from synthoma.core.pseudonyms import pseudonym
from synthoma.core.types import PLAIN_MODALITY
from synthoma.scans.case import Skipped, Vector3
from synthoma.scans.dicom.files import AGAIN, PER_FRAME, SHARED, frames_of, numbers, parsing, read_file, text, words
from synthoma.scans.dicom.pixels import same_pixels
from synthoma.scans.dicom.pseudonyms import frame_name, is_nobody, plane_name, series_name
from synthoma.scans.dicom.sequence import agent_of, echo_time, image_kinds, judge, stated_element, stated_number
from synthoma.scans.dicom.stack import Plane, Series, normal_of
from synthoma.scans.files import kind_of, walk

_READ = (
    "SpecificCharacterSet", "Modality", "ImageType", "SOPInstanceUID", "PatientID", "StudyInstanceUID",
    "SeriesInstanceUID", "SeriesNumber", "FrameOfReferenceUID", "SeriesDescription", "ProtocolName",
    "ScanningSequence", "SequenceVariant", "SequenceName", "PulseSequenceName", "EchoPulseSequence",
    "EchoPlanarPulseSequence", "AcquisitionContrast", "ComplexImageComponent", "RepetitionTime", "EchoTime",
    "EchoNumbers", "InversionTime", "DiffusionBValue", "DiffusionGradientOrientation", "ContrastBolusAgent",
    "ContrastBolusAgentSequence", "TemporalPositionIdentifier", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel",
    "PhotometricInterpretation", SHARED, PER_FRAME,
)  # fmt: skip

MASK_MODALITIES = ("SEG", "RTSTRUCT")

_OTHER_MODALITIES = frozenset(
    (
        "PT",
        "NM",
        "US",
        "CR",
        "DX",
        "MG",
        "XA",
        "RF",
        "SC",
        "OT",
        "SR",
        "PR",
        "KO",
        "REG",
        "RTDOSE",
        "RTPLAN",
        "RTIMAGE",
        "DOC",
    )
)
"""Others that are named in a message; a text that is none of them may be anything."""


@dataclass(frozen=True)
class Sorted:
    """What a folder's DICOM files are.

    Attributes:
        series: of slices.
        segmentations: files that outline something in the slices (DICOM SEG, RTSTRUCT).
        skipped: what is neither, and why.
        copies: files that are there a second time, and are not used.
    """

    series: tuple[Series, ...]
    segmentations: tuple[Path, ...]
    skipped: tuple[Skipped, ...]
    copies: tuple[Path, ...]


def find_series(folder: Path, *, key: bytes = b"") -> list[Series]:
    """All MR and CT series below a folder, whatever the files are called."""
    files = walk(folder)[0]
    return list(sort_into_series((path for path in files if kind_of(path) == "dicom"), key).series)


def sort_into_series(files: Iterable[Path], key: bytes) -> Sorted:
    """Sort slices into series, and list the files that are no slice.

    Within one SeriesInstanceUID, slices of another orientation, size, echo, image type, diffusion weighting or time
    point are kept apart. A file that is there twice is used once.
    """
    groups: dict[_Group, list[list[_Member]]] = defaultdict(list)
    known: dict[tuple[str, str], list[tuple[Path, list[_Found]]]] = defaultdict(list)
    segmentations: list[Path] = []
    skipped: list[Skipped] = []
    copies: list[Path] = []
    clashing: set[Path] = set()
    for path in files:
        try:
            found, instance, mask = _slices(path, key)
            # By its own identifier and not by its name: exports copy slices under new names.
            others = known[instance]
            if any(_same(other, (path, found)) for other in others):
                copies.append(path)
                continue
        except InputError as error:
            skipped.append(Skipped(path, str(error)))
            continue
        others.append((path, found))
        if mask:
            segmentations.append(path)
            continue
        # Which of the two is meant nobody knows: the series is refused when it is read.
        if len(others) > 1:
            clashing |= {other for other, _ in others}
        for group, member in found:
            _join(groups[group], member)
    series = tuple(_series(members, clashing) for orientations in groups.values() for members in orientations)
    return Sorted(series, tuple(segmentations), tuple(skipped), tuple(copies))


@dataclass(frozen=True)
class _Slice:
    """What one slice shares with the others of its series."""

    axes: tuple[float, ...]
    spacing: tuple[float, float]
    thickness: float | None
    shape: tuple[int, int]
    modality: str
    patient: str | None
    study: str
    series: str
    frame_of_reference: str | None
    by: Literal["words", "weighting", "timing", "nothing"]
    agent: bool | None
    derived: bool
    number: int


_Group = tuple[object, ...]
_Member = tuple[_Slice, Plane]
_Found = tuple[_Group, _Member]


def _slices(path: Path, key: bytes) -> tuple[list[_Found], tuple[str, str], bool]:
    """Each slice of a file with what it has to share with its series, the file's identity, and whether it is a mask."""
    with parsing():
        header, _ = read_file(path, _READ)
        # Without an identifier, files are copies only where all their bytes agree.
        instance = text(header, "SOPInstanceUID") or file_digest(path)
        if text(header, "Modality") in MASK_MODALITIES:
            return [], ("mask", instance), True
        _check_is_slice(header)
        found: list[_Found] = []
        for index, frame in enumerate(frames_of(header)):
            shared = _shared(header, frame, path, key)
            position = cast(Vector3, numbers(frame, "ImagePositionPatient", 3))
            plane = Plane(path, index, position, plane_name(instance, index, key))
            found.append((_group(header, frame, shared), (shared, plane)))
        return found, (found[0][1][0].series, instance), False


def _same(one: tuple[Path, list[_Found]], other: tuple[Path, list[_Found]]) -> bool:
    """Whether two files of one identity are one and the same image, be they compressed in different ways."""
    places = [[(group, member[1].position) for group, member in found] for _, found in (one, other)]
    if places[0] != places[1]:
        return False
    if not places[0]:  # a segmentation: compared byte by byte
        return file_digest(one[0]) == file_digest(other[0])
    return same_pixels(one[0], other[0])


def _check_is_slice(header: Dataset) -> None:
    """Refuse what is no grey MR or CT slice."""
    modality = text(header, "Modality")
    if modality not in ("MR", "CT"):
        came = f"the modality {modality}" if modality in _OTHER_MODALITIES else "another or no modality"
        raise InputError("an MR or CT slice", came, "leave it out")
    # Three crossing slices in one series, which would pass for a coarse volume.
    if "LOCALIZER" in words(header, "ImageType"):
        raise InputError("a diagnostic slice", "a localiser", "leave it out")
    # Its slices lie beside one another in one picture, at one position: it would pass for a single large slice.
    if "MOSAIC" in words(header, "ImageType"):
        raise InputError(
            "one slice a picture", "a mosaic of many", "convert it, for example with dcm2niix, or leave it out"
        )
    photometric = text(header, "PhotometricInterpretation")
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or int(header.get("SamplesPerPixel") or 1) != 1:
        raise InputError("a grey slice", "one in colour, or without a photometric interpretation", "leave it out")


def _shared(header: Dataset, frame: Dataset, path: Path, key: bytes) -> _Slice:
    """What the slices of one series have in common."""
    axes = numbers(frame, "ImageOrientationPatient", 6)
    columns, rows = np.array(axes[:3]), np.array(axes[3:])
    # To a hundredth: cosines are written with few digits.
    if abs(np.linalg.norm(columns) - 1) > 0.01 or abs(np.linalg.norm(rows) - 1) > 0.01 or abs(columns @ rows) > 0.01:
        raise InputError("orthogonal image axes of length 1", f"{axes}", AGAIN)
    between_rows, between_columns = numbers(frame, "PixelSpacing", 2)
    if not (between_rows > 0 and between_columns > 0):
        raise InputError("a positive pixel spacing", f"{between_rows} and {between_columns} mm", AGAIN)
    thickness = float(frame.get("SliceThickness") or 0)
    patient = text(header, "PatientID")
    # Where the identifiers are lost, the folder still keeps apart what was kept apart.
    study = text(header, "StudyInstanceUID") or f"{patient}/{path.parent}"
    kinds = image_kinds(header, frame)
    judgement = judge(header, frame)
    return _Slice(
        axes=axes,
        spacing=(between_columns, between_rows),
        thickness=thickness if math.isfinite(thickness) and thickness > 0 else None,
        shape=(int(header.Rows), int(header.Columns)),
        modality=judgement.sequence or PLAIN_MODALITY,
        patient=None if is_nobody(patient) else pseudonym(f"patient/{patient}", key),
        study=pseudonym(f"study/{study}", key),
        series=series_name(text(header, "SeriesInstanceUID") or f"{study}/{path.parent}", key),
        frame_of_reference=frame_name(text(header, "FrameOfReferenceUID"), key),
        by=judgement.by,
        agent=agent_of(header, frame),
        derived="DERIVED" in kinds[:1] or "SECONDARY" in kinds[1:2] or bool({"MPR", "REFORMATTED"} & set(kinds)),
        number=int(header.get("SeriesNumber") or 0),
    )


def _group(header: Dataset, frame: Dataset, shared: _Slice) -> _Group:
    """What tells series apart within one SeriesInstanceUID, but for the orientation. Echo times to a tenth of a ms."""
    texts = ("EchoNumbers", "TemporalPositionIdentifier", "TemporalPositionIndex", "StackID", "AcquisitionContrast")
    numbered = [str(stated_element(header, frame, tag) or "") for tag in (*texts, "ComplexImageComponent")]
    if stated_element(header, frame, "TemporalPositionIndex") is None:
        numbered.append(str(frame.get("TemporalPositionTimeOffset") or ""))
    spacing = tuple(round(side, 4) for side in shared.spacing)
    diffusion = (round(stated_number(header, frame, "DiffusionBValue")), _direction(header, frame))
    echo = round(echo_time(header, frame), 1)
    return (shared.study, shared.series, shared.shape, spacing, echo, *numbered, *diffusion, image_kinds(header, frame))


def _direction(header: Dataset, frame: Dataset) -> tuple[float, ...]:
    """Direction of the diffusion gradient, to two digits; () where there is none."""
    inner = frame.get("DiffusionGradientDirectionSequence") or [header]
    stored = inner[0].get("DiffusionGradientOrientation")
    return tuple(round(float(value), 2) for value in stored or ())


def _join(orientations: list[list[_Member]], member: _Member) -> None:
    """Put a slice beside those of its orientation, whose digits may vary a little from slice to slice."""
    axes = np.array(member[0].axes)
    for members in orientations:
        # Direction cosines are written with few digits, and vary a little within one series.
        if np.abs(axes - members[0][0].axes).max() < 0.005:
            members.append(member)
            return
    orientations.append([member])


def _series(members: Sequence[_Member], clashing: set[Path]) -> Series:
    """Series of slices, sorted by their position along the normal; a guess that not all share is none."""
    first = members[0][0]
    normal = normal_of(first.axes)
    # Along the normal: file names and instance numbers may run either way, or say nothing.
    planes = sorted((plane for _, plane in members), key=lambda plane: (float(normal @ plane.position), plane.name))
    # Its own slices contradict one another: the first of them must not speak for all.
    if len({slice_.modality for slice_, _ in members}) > 1:
        first = replace(first, modality=PLAIN_MODALITY, by="words")
    return Series(tuple(planes), **vars(first), clashing=len({plane.file for plane in planes} & clashing))
