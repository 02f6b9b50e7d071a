"""DICOM: the slices of a folder sorted into series, and a series as a volume.

Only pixels and geometry pass. Identifiers become keyed hashes, everything else that is read (description, sequence
timing) serves to guess the modality and is dropped. Burned-in text is in the pixels and cannot be excluded here.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from synthoma.data.case import Direction, Geometry, Skipped, Vector3, Volume
from synthoma.data.files import DEFLATE_RATIO, kind_of, open_file, regular_size, walk
from synthoma.data.volumes import MAX_VOXELS
from synthoma.errors import InputError
from synthoma.provenance import pseudonym
from synthoma.types import PLAIN_MODALITY, Array, Floats

_AGAIN = "export the series again from the archive, or remove it from the folder"
_PIXEL_DATA = Tag("PixelData")
_STACK = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_READ = (
    "SpecificCharacterSet", "Modality", "ImageType", "SOPInstanceUID", "PatientID", "StudyInstanceUID",
    "SeriesInstanceUID", "FrameOfReferenceUID", "SeriesDescription", "ProtocolName", "ScanningSequence",
    "RepetitionTime", "EchoTime", "EchoNumbers", "InversionTime", "ContrastBolusAgent",
    "TemporalPositionIdentifier", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", *_STACK,
)  # fmt: skip

logging.getLogger("pydicom").setLevel(logging.CRITICAL)


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

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, each once."""
        return tuple(dict.fromkeys(plane.file for plane in self.planes))


def find_series(folder: Path, *, key: bytes = b"") -> list[Series]:
    """All MR and CT series below a folder, whatever the files are called."""
    files = walk(folder)[0]
    return sort_into_series((path for path in files if kind_of(path) == "dicom"), key)[0]


def sort_into_series(files: Iterable[Path], key: bytes) -> tuple[list[Series], list[Skipped]]:
    """Sort slices into series, and list the files that are no slice.

    Within one SeriesInstanceUID, slices of another orientation, size, echo, image type or time point are kept apart.
    """
    groups: dict[tuple[object, ...], list[list[_Member]]] = defaultdict(list)
    skipped: list[Skipped] = []
    for path in files:
        try:
            for group, member in _slices(path, key):
                _join(groups[group], member)
        except InputError as error:
            skipped.append(Skipped(path, str(error)))
    return [_series(members) for orientations in groups.values() for members in orientations], skipped


def read_series(series: Series) -> Volume:
    """Read the pixels of a series.

    Args:
        series: as `find_series` gives it.

    Returns:
        Voxels (z, y, x) after rescale (the stored type where there is none, int32 where slope and intercept are whole
        numbers, else float32), MONOCHROME1 inverted; and LPS geometry.

    Raises:
        InputError: slices missing, twice, unevenly spaced or sheared; pixels damaged or of an unknown compression.
    """
    geometry = _geometry(series)
    if len(series.planes) * math.prod(series.shape) > MAX_VOXELS:
        came = f"{len(series.planes)} slices of {series.shape[0]}x{series.shape[1]}"
        raise InputError(f"a series of at most {MAX_VOXELS} voxels", came, _AGAIN)
    wanted: dict[Path, list[int]] = defaultdict(list)
    for plane in series.planes:
        wanted[plane.file].append(plane.frame)
    frames: dict[tuple[Path, int], Array] = {}
    for path, indices in wanted.items():
        frames |= {(path, index): frame for index, frame in zip(indices, _pixels(path, indices), strict=True)}
    return Volume(np.stack([frames[plane.file, plane.frame] for plane in series.planes]), geometry)


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


_Member = tuple[_Slice, Plane]


@contextmanager
def _parsing() -> Iterator[None]:
    """Turn whatever pydicom raises into one InputError, without its text: it may quote what stays private."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # pydicom lets escape what damaged elements trip over
        raise InputError("a sound DICOM file", f"a damaged one ({type(error).__name__})", _AGAIN) from None


def _read(path: Path, *tags: str) -> tuple[Dataset, UID]:
    """The wanted elements of a file, and its transfer syntax.

    The file's preamble and meta part are read apart from the rest, since pydicom inflates a deflated data set without
    bound before anybody can look.
    """
    with open_file(path) as source:
        if source.read(132)[128:] != b"DICM":
            raise InputError("a DICOM file", "a file without DICM at byte 128", _AGAIN)
        meta = read_dataset(source, False, True, stop_when=_after_meta)
        syntax = UID(str(meta.TransferSyntaxUID))
        if syntax == DeflatedExplicitVRLittleEndian or not syntax.is_transfer_syntax:
            raise InputError("a transfer syntax for images", syntax.name[:64], "save it as Explicit VR Little Endian")
        stop = None if "PixelData" in tags else _at_pixels
        dataset = read_dataset(
            source,
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            stop_when=stop,
            specific_tags=[Tag(tag) for tag in tags],
        )
    return dataset, syntax


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return bool(tag >= _PIXEL_DATA)


def _slices(path: Path, key: bytes) -> list[tuple[tuple[object, ...], _Member]]:
    """Each slice of a file, and what it has to share with the others of its series."""
    with _parsing():
        header, _ = _read(path, *_READ)
        _check_is_slice(header)
        instance = str(header.get("SOPInstanceUID", path))
        found = []
        for index, frame in enumerate(_frames(header)):
            shared = _shared(header, frame, key)
            name = pseudonym(f"{instance}/{index}", key)
            position = cast(Vector3, _numbers(frame, "ImagePositionPatient", 3))
            found.append((_group(header, shared), (shared, Plane(path, index, position, name))))
    return found


def _check_is_slice(header: Dataset) -> None:
    """Refuse what is no grey MR or CT slice."""
    modality = str(header.get("Modality", "none"))
    if modality not in ("MR", "CT"):
        raise InputError("an MR or CT slice", f"the modality {modality[:16]!r}", "leave it out")
    if "LOCALIZER" in _words(header, "ImageType"):
        raise InputError("a diagnostic slice", "a localiser", "leave it out")
    photometric = str(header.get("PhotometricInterpretation", "none"))
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or int(header.get("SamplesPerPixel", 1)) != 1:
        raise InputError("a grey slice", f"the photometric interpretation {photometric[:16]!r}", "leave it out")


def _frames(header: Dataset) -> list[Dataset]:
    """Position, orientation, spacing and rescale of each frame, in one flat data set a frame."""
    if _STACK[1] not in header:
        if int(header.get("NumberOfFrames") or 1) != 1:
            raise InputError("a position for each frame", "several frames without", _AGAIN)
        return [header]
    shared = header.get(_STACK[0]) or [Dataset()]
    frames = []
    for own in header[_STACK[1]].value:
        flat = Dataset()
        for groups in (shared[0], own):
            for element in groups:
                for inner in (element.value or [])[:1] if element.VR == "SQ" else ():
                    flat.update(inner)
        frames.append(flat)
    if len(frames) != int(header.get("NumberOfFrames") or 1):
        raise InputError("a position for each frame", f"{len(frames)} positions", _AGAIN)
    return frames


def _shared(header: Dataset, frame: Dataset, key: bytes) -> _Slice:
    """What the slices of one series have in common."""
    axes = _numbers(frame, "ImageOrientationPatient", 6)
    columns, rows = np.array(axes[:3]), np.array(axes[3:])
    if abs(np.linalg.norm(columns) - 1) > 0.01 or abs(np.linalg.norm(rows) - 1) > 0.01 or abs(columns @ rows) > 0.01:
        raise InputError("orthogonal image axes of length 1", f"{axes}", _AGAIN)
    between_rows, between_columns = _numbers(frame, "PixelSpacing", 2)
    if not (between_rows > 0 and between_columns > 0):
        raise InputError("a positive pixel spacing", f"{between_rows} and {between_columns} mm", _AGAIN)
    thickness = float(frame.get("SliceThickness") or 0)
    patient, place = (str(header.get(tag) or "").strip() for tag in ("PatientID", "FrameOfReferenceUID"))
    return _Slice(
        axes=axes,
        spacing=(between_columns, between_rows),
        thickness=thickness if math.isfinite(thickness) and thickness > 0 else None,
        shape=(int(header.Rows), int(header.Columns)),
        modality=guess_modality(header),
        patient=pseudonym(f"patient/{patient}", key) if patient else None,
        study=pseudonym(f"study/{header.get('StudyInstanceUID', '')}", key),
        series=pseudonym(f"series/{header.get('SeriesInstanceUID', '')}", key),
        frame_of_reference=pseudonym(f"frame/{place}", key) if place else None,
    )


def _group(header: Dataset, shared: _Slice) -> tuple[object, ...]:
    """What tells series apart within one SeriesInstanceUID, but for the orientation. Echo times to a tenth of a ms."""
    echo = round(float(header.get("EchoTime") or 0), 1)
    numbers = [str(header.get(tag, "")) for tag in ("EchoNumbers", "TemporalPositionIdentifier")]
    kind = _words(header, "ImageType")
    return (shared.study, shared.series, shared.shape, shared.spacing, echo, *numbers, kind)


def _join(orientations: list[list[_Member]], member: _Member) -> None:
    """Put a slice beside those of its orientation, whose digits may vary a little from slice to slice."""
    axes = np.array(member[0].axes)
    for members in orientations:
        if np.abs(axes - members[0][0].axes).max() < 0.005:
            members.append(member)
            return
    orientations.append([member])


def _series(members: Sequence[_Member]) -> Series:
    """Series of slices, sorted by their position along the normal; a guess that not all share is none."""
    first = members[0][0]
    normal = _normal(first.axes)
    planes = sorted((plane for _, plane in members), key=lambda plane: (float(normal @ plane.position), plane.name))
    modalities = {slice_.modality for slice_, _ in members}
    modality = first.modality if len(modalities) == 1 else PLAIN_MODALITY
    return Series(tuple(planes), **{**vars(first), "modality": modality})


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """A multi-valued decimal element."""
    stored = dataset.get(keyword)
    values = () if stored is None or isinstance(stored, str) else tuple(float(value) for value in stored)
    if len(values) != count or not all(map(math.isfinite, values)):
        raise InputError(f"a slice with {keyword}", "one without", "export the original series, not a screenshot of it")
    return values


def _words(header: Dataset, keyword: str) -> tuple[str, ...]:
    """A multi-valued text element in capitals."""
    stored = header.get(keyword) or ()
    return tuple(str(word).upper() for word in ([stored] if isinstance(stored, str) else stored))


# Which sequence it is ------------------------------------------------------------------------------------------------

_OTHER = re.compile(
    r"DWI|DIFF|ADC|TRACE|SWI|SWAN|T2 ?\*|T2STAR|PERF|DSC|DCE|ASL|BOLD|TOF|MRA|ANGIO|DTI|LOC|SCOUT|SPECTRO|MIP"
)
_ENHANCED = re.compile(r"\+ ?C\b|\bT1 ?(C|CE|GD)\b|\b(GD|GAD\w*|POST\w*|CONTRAST|CE|KM|C\+)(?![A-Z])|\bPOST")
_PLAIN = re.compile(r"\b(PRE|NATIVE?|WITHOUT|W/O|NON)\b")


def guess_modality(header: Dataset) -> str:
    """Which of t1, t1c, t2, flair a slice shows, by its description, else by its timing; "image" where unsure."""
    text = (
        " ".join(str(header.get(tag) or "") for tag in ("SeriesDescription", "ProtocolName")).upper().replace("_", " ")
    )
    if header.get("Modality") != "MR" or _OTHER.search(text):
        return PLAIN_MODALITY
    t1 = "T1" in text or "MPRAGE" in text or "SPGR" in text
    if ("FLAIR" in text and not t1) or re.search("DARK[ -]?FLUID", text):
        return "flair"
    if "T2" in text and not t1:
        return "t2"
    weighting = "t1" if t1 else _by_timing(header)
    agent = str(header.get("ContrastBolusAgent") or "").strip().upper() not in ("", "NO", "NONE", "N")
    enhanced = (agent or _ENHANCED.search(text)) and not _PLAIN.search(text)
    return "t1c" if weighting == "t1" and enhanced else weighting


def _by_timing(header: Dataset) -> str:
    """Textbook limits, wide apart so that what lies between stays unnamed; times in ms."""
    repetition, echo, inversion = (
        float(header.get(tag) or 0) for tag in ("RepetitionTime", "EchoTime", "InversionTime")
    )
    sequence = _words(header, "ScanningSequence")
    if inversion >= 1500 and echo >= 60:
        return "flair"
    if "SE" in sequence and repetition >= 2000 and echo >= 60 and not inversion:
        return "t2"
    if ("SE" in sequence and 0 < repetition <= 1000 and 0 < echo <= 30) or (
        300 <= inversion <= 1300 and 0 < echo <= 10
    ):
        return "t1"
    return PLAIN_MODALITY


# Geometry and pixels -------------------------------------------------------------------------------------------------


def _normal(axes: Sequence[float]) -> Floats:
    """Unit vector along which slices are stacked."""
    normal = np.cross(axes[:3], axes[3:])
    return cast(Floats, normal / np.linalg.norm(normal))


def _geometry(series: Series) -> Geometry:
    """Grid of a series whose slices are evenly stacked along their normal.

    Raises:
        InputError: they are not.
    """
    normal = _normal(series.axes)
    positions = np.array([plane.position for plane in series.planes])
    thick = len(positions) > 1 or series.thickness is not None
    step = _even_step(positions @ normal) if len(positions) > 1 else series.thickness or 1.0
    straight = positions[0] + np.outer(np.arange(len(positions)) * step, normal)
    if (shift := float(np.abs(positions - straight).max())) > max(0.1 * step, 0.1):
        raise InputError("slices stacked along their normal", f"some shifted by {shift:.1f} mm (tilted gantry)", _AGAIN)
    columns, rows = (np.array(series.axes[i : i + 3]) for i in (0, 3))
    matrix = np.stack([columns / np.linalg.norm(columns), rows / np.linalg.norm(rows), normal], axis=1)
    x, y = series.spacing
    direction = cast(Direction, tuple(float(value) + 0.0 for value in matrix.ravel()))
    return Geometry((x, y, float(step)), series.planes[0].position, direction, thick)


def _even_step(places: Floats) -> float:
    """Distance between slices, mm, where it is the same everywhere."""
    steps = np.diff(places)
    step = float(np.median(steps))
    if (twice := int(np.count_nonzero(steps < 0.01))) > 0:
        came = f"{twice} of {len(places)} positions taken twice"
        raise InputError("one slice a position", came, "separate the echoes or time points that share the series")
    if np.any(np.abs(steps - step) > max(0.02 * step, 0.02)):
        gaps = int(np.rint(steps[steps > 1.5 * step] / step - 1).sum())
        came = (
            f"{gaps} missing of {len(places) + gaps}"
            if gaps
            else f"steps from {steps.min():.2f} to {steps.max():.2f} mm"
        )
        raise InputError("evenly spaced slices", came, _AGAIN)
    return float(places[-1] - places[0]) / (len(places) - 1)


def _pixels(path: Path, wanted: Sequence[int]) -> list[Array]:
    """The wanted frames of a file, each (rows, columns), rescaled."""
    with _parsing():
        tags = (*_READ, "PixelData")
        dataset, syntax = _read(path, *tags)
        _check_pixels(dataset, syntax, regular_size(path))
        stored, _ = get_decoder(syntax).as_array(dataset, raw=True)
        stored = stored.reshape(-1, int(dataset.Rows), int(dataset.Columns))
        frames = _frames(dataset)
        return [_rescaled(stored[index], dataset, frames[index]) for index in wanted]


def _check_pixels(dataset: Dataset, syntax: UID, file_bytes: int) -> None:
    """Compare what is declared with what is there, and see whether anybody can decode it."""
    count = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
    need = count * int(dataset.BitsAllocated) // 8
    if "PixelData" not in dataset:
        raise InputError("a slice with pixels", "none", _AGAIN)
    if count > MAX_VOXELS or need > file_bytes * (DEFLATE_RATIO if syntax.is_compressed else 1):
        raise InputError("a header that fits the file", f"{need} bytes declared in a file of {file_bytes}", _AGAIN)
    try:
        known = get_decoder(syntax).is_available
    except NotImplementedError:
        known = False
    if not known:
        raise InputError("a compression that can be decoded", syntax.name[:64], "save it as Explicit VR Little Endian")


def _rescaled(stored: Array, dataset: Dataset, frame: Dataset) -> Array:
    """Stored values as real ones, low to high from dark to bright."""
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        stored = (-1 if int(dataset.PixelRepresentation) else 2 ** int(dataset.BitsStored) - 1) - stored
    slope, intercept = (
        float(default if frame.get(tag) is None else frame.get(tag))
        for tag, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    if not (math.isfinite(slope) and math.isfinite(intercept) and slope != 0):
        raise InputError("a finite rescale", f"slope {slope}, intercept {intercept}", _AGAIN)
    if (slope, intercept) == (1, 0):
        return stored
    values = stored.astype(np.int64)
    if slope.is_integer() and intercept.is_integer() and max(abs(slope), abs(intercept)) < 2**14:
        return np.asarray((values * int(slope) + int(intercept)).astype(np.int32))
    return (values * slope + intercept).astype(np.float32)
