"""Pixels of DICOM files, after a check of the header: decoded by pydicom, or by GDCM where pydicom cannot."""

from __future__ import annotations

import hashlib
import math
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filewriter import dcmwrite
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from synthoma.core.disk import writing
from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans.dicom.files import AGAIN, CONVERT, PER_FRAME, SHARED, frames_of, parsing, read_file, syntax_name
from synthoma.scans.files import DEFLATE_RATIO, regular_size
from synthoma.scans.headers.header import MAX_VOXELS

STORED = (
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PixelData",
)  # fmt: skip
"""What decoding needs."""

_PADDING = ("PixelPaddingValue", "PixelPaddingRangeLimit")
_TAGS = (*STORED, *_PADDING, "RescaleSlope", "RescaleIntercept", SHARED, PER_FRAME)
_BY_GDCM = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
_END_OF_IMAGE = b"\xff\xd9"
_SHAPE_OF = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")


def pixels(path: Path, wanted: Sequence[int]) -> list[Array]:
    """The wanted frames of a file, each (rows, columns), rescaled."""
    with parsing():
        dataset, syntax = read_file(path, _TAGS)
        stored = stored_frames(dataset, syntax, regular_size(path))
        frames = frames_of(dataset)
        found = [_rescaled(stored[index], dataset, frames[index]) for index in wanted]
        return [_unpadded(one, stored[index], dataset) for one, index in zip(found, wanted, strict=True)]


def same_pixels(one: Path, other: Path) -> bool:
    """Whether two files hold the same pixels, be they compressed in different ways."""
    with parsing():
        read = [read_file(path, _TAGS) for path in (one, other)]
        digests = {hashlib.sha256(dataset.get("PixelData") or b"").digest() for dataset, _ in read}
    # The stored bytes first: most copies are plain ones, and need not be decoded.
    if len(digests) == 1 and read[0][1] == read[1][1]:
        return True
    counts = [range(int(dataset.get("NumberOfFrames") or 1)) for dataset, _ in read]
    try:
        arrays = [np.stack(pixels(path, count)) for path, count in zip((one, other), counts, strict=True)]
    except InputError:
        return False
    return np.array_equal(arrays[0], arrays[1])


def stored_frames(dataset: Dataset, syntax: UID, file_bytes: int) -> Array:
    """Stored values (frames, rows, columns) of a data set with the elements of `STORED`.

    Raises:
        InputError: no pixels, fewer than declared, or a compression that nobody here decodes.
    """
    _check(dataset, syntax, file_bytes)
    stored = _by_gdcm(dataset, syntax) if syntax in _BY_GDCM else _decoded(dataset, syntax)
    return stored.reshape(-1, int(dataset.Rows), int(dataset.Columns))


def _check(dataset: Dataset, syntax: UID, file_bytes: int) -> None:
    """Compare what is declared with what is there, and see whether anybody can decode it."""
    count = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
    need = count * int(dataset.BitsAllocated) // 8
    if "PixelData" not in dataset:
        raise InputError("a slice with pixels", "none", AGAIN)
    # Before a decoder sees it: it would allot what the header declares.
    if count > MAX_VOXELS or need > file_bytes * (DEFLATE_RATIO if syntax.is_compressed else 1):
        raise InputError("a header that fits the file", f"{need} bytes declared in a file of {file_bytes}", AGAIN)
    try:
        known = syntax in _BY_GDCM or get_decoder(syntax).is_available
    except NotImplementedError:
        known = False
    if not known:
        raise InputError("a compression that can be decoded", syntax_name(syntax), CONVERT)


def _decoded(dataset: Dataset, syntax: UID) -> Array:
    """Stored values as pydicom decodes them."""
    bits = int(dataset.BitsStored)
    aside = 0 if syntax.is_compressed else int(dataset.get("HighBit") or bits - 1) + 1 - bits
    if aside > 0:
        # As old scanners wrote: 12 bits from the top of 16. pydicom counts bits from the bottom, and would cut the top.
        dataset.BitsStored = bits + aside
    try:
        stored, _ = get_decoder(syntax).as_array(dataset, raw=True)
    finally:
        dataset.BitsStored = bits
    return np.asarray(stored >> aside if aside > 0 else stored)


def _by_gdcm(dataset: Dataset, syntax: UID) -> Array:
    """Stored values as GDCM decodes them, from a file of their own that holds nothing but these pixels."""
    count = int(dataset.get("NumberOfFrames") or 1)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=count))
    for frame in frames:
        if _jpeg_shape(frame) != (int(dataset.Rows), int(dataset.Columns), 1):
            raise InputError("pixels as the header declares them", "a JPEG stream of another size", AGAIN)
        if not frame.rstrip(b"\0").endswith(_END_OF_IMAGE):  # GDCM fills up what is missing and says nothing
            raise InputError("a whole JPEG stream", "one that is cut off", AGAIN)
    bare = Dataset()
    bare.SOPClassUID, bare.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    for keyword in _SHAPE_OF:
        # What decoding needs goes into that file, and nothing of the patient.
        setattr(bare, keyword, dataset[keyword].value)
    bare.SamplesPerPixel, bare.PhotometricInterpretation, bare.NumberOfFrames = 1, "MONOCHROME2", count
    bare.PixelData = encapsulate(frames)
    bare["PixelData"].VR = "OB"
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = syntax
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pixels.dcm"
        with writing(path):
            dcmwrite(path, bare, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        try:
            decoded: Array = sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError:
            raise InputError("pixels that can be decoded", f"damaged {syntax_name(syntax)}", CONVERT) from None
    if decoded.size != count * int(dataset.Rows) * int(dataset.Columns):
        raise InputError("pixels as the header declares them", f"{decoded.size} of them", AGAIN)
    return decoded


def _jpeg_shape(stream: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components by the frame header of a JPEG stream (ITU-T T.81 B.2.2); None without one.

    The decoder allots what this header asks for, whatever the DICOM header says.
    """
    place = 2
    while place + 10 <= len(stream) and stream[place] == 0xFF:
        marker, length = struct.unpack_from(">BH", stream, place + 1)
        # Markers of frames are C0 to CF, but for C4, C8 and CC: tables, an extension, and arithmetic conditioning.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            _, rows, columns, components = struct.unpack_from(">B2HB", stream, place + 4)
            return rows, columns, components
        place += 2 + length
    return None


def _unpadded(values: Array, stored: Array, dataset: Dataset) -> Array:
    """Real values; what the header calls padding becomes as dark as the darkest other one, or 0 if that is less.

    Padding lies outside of what was measured (-2000, 63536): kept, it would pass for air or for the brightest tissue.
    """
    ends = [_in_stored(dataset, tag) for tag in _PADDING if dataset.get(tag) is not None]
    if not ends:
        return values
    padded = (stored >= min(ends)) & (stored <= max(ends))
    others = values[~padded]
    if not others.size:
        return np.zeros_like(values)
    # A padding of 0 among values around 0 is one of them, as of most MR.
    if others.size == values.size or others.min() <= values[padded].min() <= others.max():
        return values
    return np.where(padded, min(others.min(), others.dtype.type(0)), values)


def _in_stored(dataset: Dataset, tag: str) -> int:
    """A padding value as pixels are stored; its own type may be the other one, or not be told."""
    value = dataset.get(tag)
    number = int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)
    words = 1 << int(dataset.BitsAllocated)
    below = words // 2 if int(dataset.PixelRepresentation) else 0
    return (number + below) % words - below


def _rescaled(stored: Array, dataset: Dataset, frame: Dataset) -> Array:
    """Stored values as real ones, low to high from dark to bright."""
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        # Turned round within the range of what may be stored: signed numbers about -1/2, unsigned from the top.
        stored = (-1 if int(dataset.PixelRepresentation) else 2 ** int(dataset.BitsStored) - 1) - stored
    slope, intercept = (
        float(default if frame.get(tag) is None else frame.get(tag))
        for tag, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    if not (math.isfinite(slope) and math.isfinite(intercept) and slope != 0):
        raise InputError("a finite rescale", f"slope {slope}, intercept {intercept}", AGAIN)
    if (slope, intercept) == (1, 0):
        return stored
    # Products in the stored type would wrap round.
    values = stored.astype(np.int64)
    # Below 2^14 products of 16-bit pixels fit into 32 bits, which hold whole numbers exactly where float32 does not.
    if slope.is_integer() and intercept.is_integer() and max(abs(slope), abs(intercept)) < 2**14:
        values = values * int(slope) + int(intercept)
        held = np.iinfo(np.int32)  # 32-bit pixels may reach beyond it, and would wrap round
        fits = values.size == 0 or (values.min() >= held.min and values.max() <= held.max)
        return np.asarray(values.astype(np.int32) if fits else values)
    return (values * slope + intercept).astype(np.float32)
