"""DICOM files, opened: the wanted elements, frame by frame, and errors that quote nothing of what is inside."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from synthoma.core.errors import InputError
from synthoma.scans.dicom.heads import VRS, bare_kind
from synthoma.scans.files import open_file, regular_size

AGAIN = "export the series again from the archive, or remove it from the folder"
CONVERT = "save it uncompressed, for example with dcmdjpeg (DCMTK) or gdcmconv --raw, or convert it with dcm2niix"
SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"

_PIXEL_DATA = Tag("PixelData")
_LOOK_BYTES = 544

# Its warnings quote what stands in elements, which may be a patient's name.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


@contextmanager
def parsing() -> Iterator[None]:
    """Turn whatever pydicom raises into one InputError, without its text: it may quote what stays private."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # pydicom lets escape what damaged elements trip over
        raise InputError("a sound DICOM file", f"a damaged one ({type(error).__name__})", AGAIN) from None


def read_file(path: Path, tags: Sequence[str]) -> tuple[Dataset, UID]:
    """The wanted elements of a file, and its transfer syntax.

    The file's preamble and meta part are read apart from the rest, since pydicom inflates a deflated data set without
    bound before anybody can look. Either may be missing.
    """
    with open_file(path) as source:
        head = source.read(_LOOK_BYTES)
        if head[128:132] == b"DICM":
            source.seek(132)
        elif bare_kind(head, regular_size(path)):
            source.seek(0)
        else:
            raise InputError("a DICOM file", "a file without DICM at byte 128", AGAIN)
        meta = read_dataset(source, False, True, stop_when=_after_meta)
        syntax = UID(str(meta.get("TransferSyntaxUID") or _syntax_by_look(source)))
        if syntax == DeflatedExplicitVRLittleEndian or not syntax.is_transfer_syntax:
            raise InputError("a transfer syntax for images", syntax_name(syntax), CONVERT)
        dataset = read_dataset(
            source,
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            # Sorting asks every file of a folder: the pixels are most of each.
            stop_when=None if "PixelData" in tags else _at_pixels,
            specific_tags=[Tag(tag) for tag in tags],
        )
    return dataset, syntax


def syntax_name(syntax: UID) -> str:
    """Name of a standard transfer syntax; others are not quoted, since anybody may have put anything there."""
    return "an unknown one" if syntax.is_private or syntax.name == str(syntax) else syntax.name


def _syntax_by_look(source: BinaryIO) -> UID:
    """Where no meta part names the transfer syntax: types are letters, and lengths are not."""
    place = source.tell()
    start = source.read(6)
    source.seek(place)
    return ExplicitVRLittleEndian if start[4:6] in VRS else ImplicitVRLittleEndian


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return bool(tag >= _PIXEL_DATA)


def frames_of(header: Dataset) -> list[Dataset]:
    """What the functional groups say of each frame, in one flat data set a frame; of a classic file, its header."""
    if PER_FRAME not in header:
        if int(header.get("NumberOfFrames") or 1) != 1:
            raise InputError("a position for each frame", "several frames without", AGAIN)
        return [header]
    shared = header.get(SHARED) or [Dataset()]
    frames = []
    for own in header[PER_FRAME].value:
        flat = Dataset()
        # The frame's own groups come last, so that they win.
        for groups in (shared[0], own):
            for element in groups:
                for inner in (element.value or [])[:1] if element.VR == "SQ" else ():
                    flat.update(inner)
        frames.append(flat)
    if len(frames) != int(header.get("NumberOfFrames") or 1):
        raise InputError("a position for each frame", f"{len(frames)} positions", AGAIN)
    return frames


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """A multi-valued decimal element."""
    stored = dataset.get(keyword)
    values = () if stored is None or isinstance(stored, str) else tuple(float(value) for value in stored)
    if len(values) != count or not all(map(math.isfinite, values)):
        raise InputError(f"a slice with {keyword}", "one without", "export the original series, not a screenshot of it")
    return values


def words(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """A multi-valued text element in capitals."""
    stored = dataset.get(keyword) or ()
    return tuple(str(word).strip().upper() for word in ([stored] if isinstance(stored, str) else stored))


def text(dataset: Dataset, keyword: str) -> str:
    """A single-valued text element, "" where there is none."""
    return str(dataset.get(keyword) or "").strip()
