"""What every reader needs before it opens a file: a walk that ends, a look at the content, a name that prints."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

from synthoma.core.errors import InputError
from synthoma.core.own_files import wrote
from synthoma.scans.case import Skipped
from synthoma.scans.dicom.heads import bare_kind

Kind = Literal[
    "png", "jpeg", "tiff", "nifti", "analyze", "metaimage", "nrrd", "mgh", "dicom", "parquet",
    "bmp", "gif", "webp", "jp2", "netpbm", "npy", "unknown",
]  # fmt: skip

PICTURES: frozenset[Kind] = frozenset({"png", "jpeg", "tiff"})
VOLUMES: frozenset[Kind] = frozenset({"nifti", "analyze", "metaimage", "nrrd", "mgh"})
UNREAD: dict[Kind, str] = {
    "bmp": "BMP", "gif": "GIF", "webp": "WebP", "jp2": "JPEG 2000", "netpbm": "PBM, PGM or PPM", "npy": "NumPy",
}  # fmt: skip
"""Formats that are recognised, so that a message can name them, and not read."""

SUFFIXES: dict[str, str] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"} | {
    ".nii": "NIfTI", ".nii.gz": "NIfTI", ".mha": "MetaImage", ".mhd": "MetaImage", ".nrrd": "NRRD", ".nhdr": "NRRD",
    ".hdr": "Analyze", ".hdr.gz": "Analyze", ".mgh": "MGH", ".mgz": "MGH",
}  # fmt: skip
"""What a suffix promises. Content decides; a promise not kept is worth a line in the list of skipped files.

The header of a NIfTI pair is named as that of an Analyze file; ``.img`` alone promises nothing.
"""

DEFLATE_RATIO = 1100
"""No deflate stream (PNG, gzip, zlib) grows by more than 1032:1; whoever declares more is lying."""

_OURS = (
    "expected scans from elsewhere; came a folder that Synthoma wrote inside the one that is read; "
    "name that folder itself where it is meant"
)
_UNSEEN = {"__macosx", "thumbs.db", "desktop.ini", "@eadir"}
# The longest head that is looked at: 540 bytes of NIfTI-2, and four that announce extensions.
_LOOK_BYTES = 544
_PACKED = (".nii.gz", ".hdr.gz", ".img.gz", ".mha.gz", ".nrrd.gz")


def natural(name: str | Path) -> tuple[tuple[int, int, str], ...]:
    """Sorting key that puts ``slice_2`` before ``slice_10``."""
    # A number's rank stands before its value, so that numbers and texts are never compared with one another.
    parts = re.split(r"(\d+)", str(name))
    return tuple((0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts)


def suffix_of(path: Path) -> str:
    """Suffix in lower case, ``.nii.gz`` and its like in one piece; "" where there is none."""
    name = path.name.lower()
    return next((packed for packed in _PACKED if name.endswith(packed)), Path(name).suffix)


def stem_of(path: Path) -> str:
    """File name without the suffix that `suffix_of` gives, also where it was given twice (``a.nii.gz.nii.gz``)."""
    suffix, name = suffix_of(path), path.name
    while suffix and name.lower().endswith(suffix):
        name = name[: -len(suffix)]
    return name


def walk(root: Path, *, outputs: bool = False) -> tuple[list[Path], list[Skipped]]:
    """All visible, non-empty, regular files below a folder in natural order, and what could not be listed.

    Every real directory is entered once: links to directories wait until all plain ones have been seen, so a loop ends
    and a file is named by its plain path. Hidden files and those that operating systems leave behind are not mentioned.

    Args:
        root: the folder.
        outputs: enter folders further down that Synthoma wrote, too. They are skipped otherwise, so that neither
            synthetic scans nor masks that were found come among scans by accident.
    """
    files: list[Path] = []
    skipped: list[Skipped] = []
    plain, linked, seen = [root], list[Path](), set[tuple[int, int]]()
    while plain or linked:
        folder = (plain or linked).pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            # By device and number, not by name: a folder can be reached by many names, and a link by endless ones.
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                entries = list(listing)
            if not outputs and folder != root and wrote([entry.name for entry in entries]):
                skipped.append(Skipped(folder, _OURS))
                continue
            for entry in entries:
                _sort_in(entry, files, skipped, plain, linked)
        except OSError as error:
            skipped.append(Skipped(folder, str(_unreadable("a folder that may be listed", error))))
    return sorted(files, key=natural), sorted(skipped, key=lambda item: natural(item.path))


def _sort_in(
    entry: os.DirEntry[str], files: list[Path], skipped: list[Skipped], plain: list[Path], linked: list[Path]
) -> None:
    """Put one directory entry where it belongs."""
    if entry.name.startswith(".") or entry.name.lower() in _UNSEEN:
        return
    path = Path(entry.path)
    try:
        if entry.is_dir(follow_symlinks=False):
            plain.append(path)
        elif entry.is_dir():
            linked.append(path)
        else:
            regular_size(path)
            files.append(path)
    except InputError as error:
        skipped.append(Skipped(path, str(error)))
    except OSError as error:  # a link to itself
        skipped.append(Skipped(path, str(_unreadable("a readable file", error))))


def regular_size(path: Path) -> int:
    """Size of a regular, non-empty file in bytes.

    Raises:
        InputError: nothing there, a pipe or device (which could block the reader for ever), or an empty file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable("a readable file", error) from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError("a regular file", "a folder, pipe or device", "give the file itself")
    # A copy that broke off: each decoder would say something else of it.
    if status.st_size == 0:
        raise InputError("a file with content", "an empty file (0 bytes)", "copy it again from its source")
    return status.st_size


class BoundedReader(io.BufferedReader):
    """A file whose reads end with the file.

    Python allots the whole length that is asked for before it looks what is there. Decoders ask for the length that a
    damaged header declares: four bytes cost four gigabytes.
    """

    def __init__(self, raw: io.RawIOBase, size: int) -> None:
        super().__init__(raw)
        self._size = size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes, or all that is left."""
        left = max(0, self._size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def open_file(path: Path) -> BoundedReader:
    """Open a regular, non-empty file for reading.

    Raises:
        InputError: as `regular_size`, or no permission.
    """
    size = regular_size(path)
    try:
        return BoundedReader(path.open("rb", buffering=0), size)
    except OSError as error:
        raise _unreadable("a readable file", error) from error


def _unreadable(expected: str, error: Exception) -> InputError:
    """The operating system's refusal, without the path that its own message repeats."""
    came = error.strerror if isinstance(error, OSError) and error.strerror else "a name that cannot be a path"
    return InputError(expected, came.lower(), "check that it exists and that you may read it")


def kind_of(path: Path) -> Kind:
    """What the first bytes of a file say it is; "unknown" also where it cannot be opened."""
    try:
        with open_file(path) as stream:
            return _kind_of_bytes(stream.read(_LOOK_BYTES), stream)
    except (InputError, OSError):
        return "unknown"


def _kind_of_bytes(head: bytes, stream: BinaryIO) -> Kind:
    """Compare with the formats' signatures. DICOM comes first: its 128-byte preamble may imitate another format."""
    if head[128:132] == b"DICM" or bare_kind(head, stream.seek(0, os.SEEK_END)):
        return "dicom"
    signatures: tuple[tuple[bytes, Kind], ...] = (
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff", "jpeg"),
        (b"II*\x00", "tiff"),
        (b"MM\x00*", "tiff"),
        (b"II+\x00", "tiff"),
        (b"MM\x00+", "tiff"),
        (b"PAR1", "parquet"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
        (b"\xffO\xffQ", "jp2"),
        (b"\x93NUMPY", "npy"),
    )
    for signature, kind in signatures:
        if head.startswith(signature):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    # Many a text begins with BM: the length of the second header must be one of those that exist.
    if head.startswith(b"BM") and head[14:18] in {
        size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)
    }:
        return "bmp"
    if re.match(rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s+(#[^\n]*\n\s*)*\d+\s", head):
        return "netpbm"
    return _volume_kind(inflated_head(stream) if head.startswith(b"\x1f\x8b") else head)


def _volume_kind(head: bytes) -> Kind:
    """Which volume format begins like this, be it that a gzip stream was unpacked for it."""
    if head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2"):
        return "nifti"
    if head.startswith(b"NRRD000"):
        return "nrrd"
    if re.match(rb"\s*(ObjectType|Comment|NDims|ObjectSubType|TransformType|Name|ID)\s*[=:]", head):
        return "metaimage"
    if _is_analyze(head):
        return "analyze"
    return "mgh" if _is_mgh(head) else "unknown"


def _is_analyze(head: bytes) -> bool:
    """Analyze 7.5 has no signature: the header's length, axes, and a data type that fits the bits of a voxel."""
    order = next((order for order in "<>" if head[:4] == struct.pack(order + "i", 348)), None)
    if order is None or len(head) < 348:
        return False
    # In the header dim[8] begins at byte 40, datatype at 70, and bitpix right behind it.
    count, *axes = struct.unpack_from(order + "8h", head, 40)
    code, bits = struct.unpack_from(order + "2h", head, 70)
    widths = {1: (1,), 2: (8,), 4: (16,), 8: (32,), 16: (32,), 32: (64,), 64: (64,), 128: (24,)}
    return 1 <= count <= 7 and min(axes[:count]) > 0 and bits in (0, *widths.get(code, (-1,))) and code in widths


def _is_mgh(head: bytes) -> bool:
    """MGH has no signature but its version, 1: what follows must be four axes, a data type and a flag."""
    if len(head) < 30:
        return False
    version, *axes, code, _, placed = struct.unpack_from(">7ih", head)
    return version == 1 and all(0 < length < 2**16 for length in axes) and 0 <= code <= 10 and placed in (0, 1)


def inflated_head(stream: BinaryIO) -> bytes:
    """The first bytes inside a gzip stream, enough for a volume header; b"" where it is no sound gzip stream."""
    stream.seek(0)
    try:
        with gzip.GzipFile(fileobj=stream) as inflated:
            return inflated.read(_LOOK_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""
