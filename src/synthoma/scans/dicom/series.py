"""DICOM: the slices of a folder sorted into series, and a series as a volume.

Only pixels and geometry pass. Identifiers become keyed hashes, everything else that is read (description, sequence
timing) serves to guess the modality and is dropped. Burned-in text is in the pixels and cannot be excluded here.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
from pydicom.dataset import Dataset

from synthoma.core.errors import InputError
from synthoma.core.provenance import file_digest
from synthoma.core.pseudonyms import pseudonym
from synthoma.core.types import PLAIN_MODALITY, Array, Float32, Floats
from synthoma.scans.case import Direction, Geometry, Skipped, Vector3, Volume
from synthoma.scans.dicom.files import AGAIN, PER_FRAME, SHARED, frames_of, numbers, parsing, read_file, text, words
from synthoma.scans.dicom.pixels import pixels, same_pixels
from synthoma.scans.files import kind_of, walk
from synthoma.scans.sequence_names import Judgement, Timing, agent_given, judged
from synthoma.scans.volumes import MAX_BYTES

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

_NOBODY = frozenset(
    (
        *(
            "",
            "NA",
            "NONE",
            "NULL",
            "NIL",
            "ANON",
            "ANONYM",
            "ANONYMOUS",
            "ANONYME",
            "ANONYMIZED",
            "ANONYMISED",
            "ANONIMO",
        ),
        *(
            "ANONYMOUSPATIENT",
            "DEID",
            "DEIDENTIFIED",
            "UNKNOWN",
            "UNNAMED",
            "NOID",
            "NONAME",
            "NAME",
            "REMOVED",
            "REDACTED",
        ),
        *(
            "DELETED",
            "HIDDEN",
            "PATIENT",
            "PATIENTID",
            "ID",
            "TEST",
            "DEFAULT",
            "1234",
            "12345",
            "123456",
            "0",
            "00",
            "000",
        ),
    )
)
"""What stands in PatientID, in capitals and without signs, where it names nobody."""

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
        if len(others) > 1:
            clashing |= {other for other, _ in others}
        for group, member in found:
            _join(groups[group], member)
    series = tuple(_series(members, clashing) for orientations in groups.values() for members in orientations)
    return Sorted(series, tuple(segmentations), tuple(skipped), tuple(copies))


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
    most = MAX_BYTES // 8  # float32, slice by slice and stacked
    if len(series.planes) * math.prod(series.shape) > most:
        came = f"{len(series.planes)} slices of {series.shape[0]}x{series.shape[1]}"
        raise InputError(f"a series of at most {most} voxels", came, AGAIN)
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


# Headers -------------------------------------------------------------------------------------------------------------


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


def plane_name(instance: str, index: int, key: bytes) -> str:
    """Pseudonym of one frame of a file."""
    return pseudonym(f"{instance}/{index}", key)


def series_name(uid: str, key: bytes) -> str:
    """Pseudonym of a series."""
    return pseudonym(f"series/{uid}", key)


def frame_name(uid: str, key: bytes) -> str | None:
    """Pseudonym of a frame of reference; None where none is named."""
    return pseudonym(f"frame/{uid}", key) if uid else None


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
    if "LOCALIZER" in words(header, "ImageType"):
        raise InputError("a diagnostic slice", "a localiser", "leave it out")
    photometric = text(header, "PhotometricInterpretation")
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or int(header.get("SamplesPerPixel") or 1) != 1:
        raise InputError("a grey slice", "one in colour, or without a photometric interpretation", "leave it out")


def _shared(header: Dataset, frame: Dataset, path: Path, key: bytes) -> _Slice:
    """What the slices of one series have in common."""
    axes = numbers(frame, "ImageOrientationPatient", 6)
    columns, rows = np.array(axes[:3]), np.array(axes[3:])
    if abs(np.linalg.norm(columns) - 1) > 0.01 or abs(np.linalg.norm(rows) - 1) > 0.01 or abs(columns @ rows) > 0.01:
        raise InputError("orthogonal image axes of length 1", f"{axes}", AGAIN)
    between_rows, between_columns = numbers(frame, "PixelSpacing", 2)
    if not (between_rows > 0 and between_columns > 0):
        raise InputError("a positive pixel spacing", f"{between_rows} and {between_columns} mm", AGAIN)
    thickness = float(frame.get("SliceThickness") or 0)
    patient = text(header, "PatientID")
    # Where the identifiers are lost, the folder still keeps apart what was kept apart.
    study = text(header, "StudyInstanceUID") or f"{patient}/{path.parent}"
    kinds = _kinds(header, frame)
    judgement = judge(header, frame)
    return _Slice(
        axes=axes,
        spacing=(between_columns, between_rows),
        thickness=thickness if math.isfinite(thickness) and thickness > 0 else None,
        shape=(int(header.Rows), int(header.Columns)),
        modality=judgement.sequence or PLAIN_MODALITY,
        patient=None if _is_nobody(patient) else pseudonym(f"patient/{patient}", key),
        study=pseudonym(f"study/{study}", key),
        series=series_name(text(header, "SeriesInstanceUID") or f"{study}/{path.parent}", key),
        frame_of_reference=frame_name(text(header, "FrameOfReferenceUID"), key),
        by=judgement.by,
        agent=_agent(header, frame),
        derived="DERIVED" in kinds[:1] or "SECONDARY" in kinds[1:2] or bool({"MPR", "REFORMATTED"} & set(kinds)),
        number=int(header.get("SeriesNumber") or 0),
    )


def _is_nobody(patient: str) -> bool:
    bare = "".join(re.findall(r"\w", patient.upper().replace("_", "")))
    return bare in _NOBODY or set(bare) == {"X"}


def _group(header: Dataset, frame: Dataset, shared: _Slice) -> _Group:
    """What tells series apart within one SeriesInstanceUID, but for the orientation. Echo times to a tenth of a ms."""
    texts = ("EchoNumbers", "TemporalPositionIdentifier", "TemporalPositionIndex", "StackID", "AcquisitionContrast")
    numbered = [str(_stated(header, frame, tag) or "") for tag in (*texts, "ComplexImageComponent")]
    if _stated(header, frame, "TemporalPositionIndex") is None:
        numbered.append(str(frame.get("TemporalPositionTimeOffset") or ""))
    spacing = tuple(round(side, 4) for side in shared.spacing)
    diffusion = (round(_number(header, frame, "DiffusionBValue")), _direction(header, frame))
    echo = round(_echo(header, frame), 1)
    return (shared.study, shared.series, shared.shape, spacing, echo, *numbered, *diffusion, _kinds(header, frame))


def _direction(header: Dataset, frame: Dataset) -> tuple[float, ...]:
    """Direction of the diffusion gradient, to two digits; () where there is none."""
    inner = frame.get("DiffusionGradientDirectionSequence") or [header]
    stored = inner[0].get("DiffusionGradientOrientation")
    return tuple(round(float(value), 2) for value in stored or ())


def _kinds(header: Dataset, frame: Dataset) -> tuple[str, ...]:
    """What kind of image a frame is: FrameType of an enhanced file, else ImageType."""
    return words(frame, "FrameType") or words(header, "ImageType")


def _stated(header: Dataset, frame: Dataset, keyword: str) -> object:
    """An element of a frame, or of the file as a whole."""
    own: object = frame.get(keyword)
    return header.get(keyword) if own is None else own


def _number(header: Dataset, frame: Dataset, *keywords: str) -> float:
    """The first of these elements that is stated as a number; 0 where none is."""
    for keyword in keywords:
        stored = _stated(header, frame, keyword)
        value = stored if isinstance(stored, (int, float, str)) else next(iter(stored or ()), None)  # type: ignore[call-overload]
        if value not in (None, "") and math.isfinite(number := float(value)):
            return number
    return 0.0


def _echo(header: Dataset, frame: Dataset) -> float:
    return _number(header, frame, "EffectiveEchoTime", "EchoTime")


def _agent(header: Dataset, frame: Dataset) -> bool | None:
    """Whether a contrast agent was given: by its name, or by a list of agents (enhanced files)."""
    usage = frame.get("ContrastBolusUsageSequence") or ()
    if usage and text(usage[0], "ContrastBolusAgentAdministered").upper() == "NO":
        return False
    said = agent_given(text(header, "ContrastBolusAgent"))
    return True if said is None and (usage or header.get("ContrastBolusAgentSequence")) else said


def _join(orientations: list[list[_Member]], member: _Member) -> None:
    """Put a slice beside those of its orientation, whose digits may vary a little from slice to slice."""
    axes = np.array(member[0].axes)
    for members in orientations:
        if np.abs(axes - members[0][0].axes).max() < 0.005:
            members.append(member)
            return
    orientations.append([member])


def _series(members: Sequence[_Member], clashing: set[Path]) -> Series:
    """Series of slices, sorted by their position along the normal; a guess that not all share is none."""
    first = members[0][0]
    normal = _normal(first.axes)
    planes = sorted((plane for _, plane in members), key=lambda plane: (float(normal @ plane.position), plane.name))
    if len({slice_.modality for slice_, _ in members}) > 1:
        first = replace(first, modality=PLAIN_MODALITY, by="words")
    return Series(tuple(planes), **vars(first), clashing=len({plane.file for plane in planes} & clashing))


# Which sequence it is ------------------------------------------------------------------------------------------------


def judge(header: Dataset, frame: Dataset) -> Judgement:
    """Which sequence a slice shows, by the file's header and what its functional groups say of the frame."""
    if text(header, "Modality") != "MR":
        return Judgement(PLAIN_MODALITY, "words")
    component = text(frame, "ComplexImageComponent") or text(header, "ComplexImageComponent")
    pulses = {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(text(header, "EchoPulseSequence"), set())
    planar = {"EP"} if text(header, "EchoPlanarPulseSequence") == "YES" else set()
    timing = Timing(
        repetition=_number(header, frame, "RepetitionTime"),
        echo=_echo(header, frame),
        inversion=_number(header, frame, "InversionTimes", "InversionTime"),
        pulse=frozenset({*words(header, "ScanningSequence"), *pulses, *planar}),
        variant=frozenset(words(header, "SequenceVariant")),
        name=f"{text(header, 'SequenceName')} {text(header, 'PulseSequenceName')}".upper(),
        weighting=str(_stated(header, frame, "AcquisitionContrast") or "").upper(),
        kinds=frozenset((*_kinds(header, frame), component.upper())),
    )
    description, protocol = text(header, "SeriesDescription"), text(header, "ProtocolName")
    return judged(description, agent=_agent(header, frame), timing=timing, otherwise=protocol)


def guess_modality(header: Dataset) -> str:
    """Which of t1, t1c, t2, flair a slice of a classic file shows; "image" where unsure."""
    return judge(header, header).sequence or PLAIN_MODALITY


# Geometry ------------------------------------------------------------------------------------------------------------


def _normal(axes: Sequence[float]) -> Floats:
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
    normal = _normal(series.axes)
    positions = np.array([plane.position for plane in series.planes])
    places = positions @ normal
    thick = len(positions) > 1 or series.thickness is not None
    start, step, jitter = _even_stack(places) if len(places) > 1 else (places[0], series.thickness or 1.0, None)
    aside = positions - np.outer(places, normal)
    shift = float(np.abs(aside - aside[0]).max())
    if shift > max(0.1 * step, 0.1):
        raise InputError("slices stacked along their normal", f"some shifted by {shift:.1f} mm (tilted gantry)", AGAIN)
    columns, rows = (np.array(series.axes[i : i + 3]) for i in (0, 3))
    matrix = np.stack([columns / np.linalg.norm(columns), rows / np.linalg.norm(rows), normal], axis=1)
    x, y = series.spacing
    direction = cast(Direction, tuple(float(value) + 0.0 for value in matrix.ravel()))
    moved = positions[0] + (start - places[0]) * normal
    origin = series.planes[0].position if jitter is None else cast(Vector3, tuple(float(value) for value in moved))
    return Geometry((x, y, float(step)), origin, direction, thick), jitter


def _even_stack(places: Floats) -> tuple[float, float, Floats | None]:
    """The even stack that slices form, as start and step in mm, and how far each lies from its place in steps.

    Steps that vary by up to 2 % (rounded positions) count as even; else the stack is the line of least squares.
    """
    steps = np.diff(places)
    step = float(np.median(steps))
    if (twice := int(np.count_nonzero(steps < 0.01))) > 0:
        came = f"{twice} of {len(places)} positions taken twice"
        raise InputError("one slice a position", came, "separate the echoes or time points that share the series")
    if not np.any(np.abs(steps - step) > max(0.02 * step, 0.02)):
        return float(places[0]), float(places[-1] - places[0]) / (len(places) - 1), None
    slope, start = np.polyfit(np.arange(len(places)), places, 1)
    off = places - (start + slope * np.arange(len(places)))
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
        after = int(np.clip(np.searchsorted(places, index), 1, len(voxels) - 1))
        share = np.clip((index - places[after - 1]) / (places[after] - places[after - 1]), 0, 1)
        even[index] = (1 - share) * voxels[after - 1] + share * voxels[after]
    return even
