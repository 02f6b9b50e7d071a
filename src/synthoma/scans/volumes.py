"""Volumes: NIfTI, Analyze, MetaImage, NRRD and MGH files with their geometry.

The libraries for these formats trust a header: 400 bytes can ask for gigabytes, a compressed stream that ends early
may come back as noise, and ``scan.nii.gz`` may give the voxels of the ``scan.nii`` beside it. So headers and voxels are
read here, by hand and from the very file that was named: what a header declares must fit in it, a compressed stream is
inflated against a counter to its checksum. SimpleITK resamples, and writes the formats other than NIfTI.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.core.whole_files import whole_file
from synthoma.scans.case import Geometry, NiftiFrames, Volume
from synthoma.scans.files import DEFLATE_RATIO, open_file, regular_size, suffix_of
from synthoma.scans.grids import storable, to_itk
from synthoma.scans.headers.header import AGAIN, MAX_BYTES, Header
from synthoma.scans.volume_frames import Shape3, frames_of, geometry_of
from synthoma.scans.volume_headers import read_header

_CHUNK = 2**20
_ONE_OF_MANY = (
    "name the channels in a dataset.json, as nnU-Net and the Medical Segmentation Decathlon do, "
    "or save the volume you mean as a file of its own"
)
_WRITABLE = (".nii", ".nii.gz", ".mha", ".nrrd")
_NIFTI_CODES = {
    "u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280
}  # fmt: skip
# Lengths of axes are 16-bit numbers in NIfTI-1.
_LONGEST_IN_NIFTI = 2**15 - 1

sitk.ProcessObject.SetGlobalWarningDisplay(False)


def read_volume(path: Path, channel: int | None = None) -> Volume:
    """Read one scalar volume.

    Args:
        path: ``.nii``, ``.nii.gz``, ``.mha``, ``.mhd``, ``.nrrd``, ``.nhdr``, ``.mgh``, ``.mgz``, or either file of a
            NIfTI or Analyze pair (``.hdr`` and ``.img``).
        channel: which volume of a file that holds several, from 0.

    Returns:
        Voxels (z, y, x) with the stored type (or float64 where NIfTI or Analyze declare a slope), and LPS geometry in
        mm. A two-dimensional file gives z = 1; a fourth axis of length 1 is dropped.

    Raises:
        InputError: damaged, truncated, declaring more than it holds, sheared, or NaN inside; several volumes or colours
            and no channel named, or one that is not there.
    """
    header = read_header(path)
    # Not the first one in silence: it may be the diffusion image or the wrong sequence.
    if channel is None and header.channels > 1:
        stored = "x".join(map(str, header.declared))
        if header.interleaved:
            raise InputError("one number a voxel", f"{header.channels} numbers a voxel ({stored})", _ONE_OF_MANY)
        raise InputError("one volume a file", f"{header.channels} volumes in one file ({stored})", _ONE_OF_MANY)
    if channel is not None and not 0 <= channel < header.channels:
        came = f"channel {channel} of a file that holds {header.channels}"
        raise InputError("a channel that the file holds, counted from 0", came, "check the dataset.json")
    geometry, remarks = geometry_of(header.placement, header.shape)
    voxels = _decoded(header, channel or 0)
    slabs = (voxels[at : at + _CHUNK] for at in range(0, voxels.size, _CHUNK))
    if voxels.dtype.kind == "f" and (bad := sum(int(np.count_nonzero(~np.isfinite(slab))) for slab in slabs)):
        came = f"{bad} of {voxels.size} that are NaN or infinite"
        raise InputError("finite voxels", came, "repair or remove the file")
    return Volume(voxels.reshape(header.shape[::-1]), geometry, remarks)


def write_volume(volume: Volume, path: Path, *, description: str = "") -> None:
    """Write a volume, with its geometry; the file appears whole or not at all.

    On the grid of a scan that came as NIfTI, a NIfTI file carries the scan's own qform, sform, codes and units:
    programs that look at one of them only then put both into the same place.

    Args:
        volume: voxels (z, y, x) of any real type (bool becomes uint8, float16 float32).
        path: ends in ``.nii``, ``.nii.gz``, ``.mha`` or ``.nrrd``; all but ``.nii`` are compressed.
        description: what a NIfTI file says of itself in ``descrip``, ASCII; cut to 79 characters.

    Raises:
        InputError: another suffix, or an axis too long for NIfTI.
        OutputError: the disk is full, or the like.
    """
    suffix = suffix_of(path)
    if suffix not in _WRITABLE:
        raise InputError(f"a file name ending in {', '.join(_WRITABLE)}", f"{path.name!r}", "choose one of these")
    with whole_file(path) as partial:
        if suffix in (".nii", ".nii.gz"):
            _write_nifti(volume, partial, compress=suffix == ".nii.gz", description=description)
            return
        try:
            sitk.WriteImage(to_itk(volume), str(partial), useCompression=True)
        except RuntimeError as error:  # so it speaks of a disk that refuses
            raise OSError(str(error)) from error


# Reading -------------------------------------------------------------------------------------------------------------
def _decoded(header: Header, channel: int) -> Array:
    """All numbers of one channel in a row, scaled, in the machine's byte order."""
    start = _checked_start(header)
    count = math.prod(header.shape)
    item = header.dtype.itemsize
    scaled = (header.slope, header.inter) != (1.0, 0.0)
    first, last, step = header.ahead, header.need, header.channels
    if not header.interleaved:
        first, step = header.ahead + channel * count * item, 1
        last = first + count * item
    wide = 8 if scaled else header.dtype.itemsize
    # Asked before anything is allotted: a few bytes of zeros can be inflated to any size.
    if count * wide > MAX_BYTES:
        came = f"{'x'.join(map(str, header.shape))} voxels of {wide} bytes"
        raise InputError(f"a volume of at most {MAX_BYTES // 2**20} MiB in memory", came, "crop or resample it")
    # Doubles hold every 32-bit number exactly, before it is scaled.
    voxels = np.empty(count, np.float64 if scaled else header.dtype.newbyteorder("="))
    place, rest = 0, b""
    for chunk in _payload(header, start, first, last):
        # A chunk may end inside a number, or between the channels of a voxel: the rest waits for the next one.
        rest += chunk
        whole = len(rest) // (step * item)
        numbers = np.frombuffer(rest, header.dtype, whole * step)[channel if step > 1 else 0 :: step]
        with np.errstate(all="ignore"):
            voxels[place : place + whole] = (
                numbers.astype(np.float64) * header.slope + header.inter if scaled else numbers
            )
        place, rest = place + whole, rest[whole * step * item :]
    return voxels


def _checked_start(header: Header) -> int:
    """Where the payload starts, provided that what is declared fits in the file."""
    size = regular_size(header.data)
    start = size - header.need if header.start is None else header.start
    there = size - max(start, 0)
    most = there * DEFLATE_RATIO if header.compressed else there
    # The header is compared with the file before its voxels are read: a damaged one may declare anything.
    if header.need > most:
        came = f"a header that declares {header.need} bytes over {max(there, 0)} bytes of data"
        raise InputError("a header that fits the file", came, AGAIN)
    return start


def _payload(header: Header, start: int, first: int, last: int) -> Iterator[bytes]:
    """Chunks of the payload from one byte up to another, inflated; a compressed stream is read to its checksum.

    Raises:
        InputError: damaged, or longer or shorter than declared.
    """
    with open_file(header.data) as stream:
        if not header.compressed:
            stream.seek(start + first)
            while first < last:
                if not (chunk := stream.read(min(_CHUNK, last - first))):
                    raise InputError("a file that stays as it is", "one that became shorter", AGAIN)
                first += len(chunk)
                yield chunk
            return
        stream.seek(start)
        place = 0
        try:
            # To the end of the stream, also behind the channel that is wanted: only there is the checksum.
            for chunk in _inflated(stream):
                if place + len(chunk) > header.need + _CHUNK:
                    raise InputError("a compressed stream as long as declared", "a longer one", AGAIN)
                yield chunk[max(0, first - place) : max(0, last - place)]
                place += len(chunk)
        except (zlib.error, EOFError) as error:
            came = f"{place} of {header.need} bytes, then damage"
            raise InputError("a complete compressed stream", came, AGAIN) from error
        if place < header.need:
            raise InputError("a complete compressed stream", f"{place} of {header.need} bytes", AGAIN)


def _inflated(stream: BinaryIO) -> Iterator[bytes]:
    """Chunks of a zlib or gzip stream.

    Raises:
        zlib.error: damaged.
        EOFError: the stream ends before its checksum.
    """
    inflate, rest = zlib.decompressobj(wbits=47), b""  # 47: zlib or gzip, whichever it is
    while data := rest or stream.read(_CHUNK):
        yield inflate.decompress(data, _CHUNK)
        rest = inflate.unconsumed_tail
        if inflate.eof:  # a gzip file may hold several members, one after the other
            rest = inflate.unused_data or stream.read(_CHUNK)
            if not rest.startswith(b"\x1f\x8b"):
                return
            inflate = zlib.decompressobj(wbits=47)
    # Reached only where the stream stops in the middle: zlib itself says nothing of it.
    raise EOFError


# Writing -------------------------------------------------------------------------------------------------------------
def _write_nifti(volume: Volume, path: Path, *, compress: bool, description: str) -> None:
    """Write NIfTI-1: header, four bytes that say that no extension follows, voxels."""
    voxels = storable(volume.voxels)
    x, y, z = voxels.shape[::-1]
    if max(x, y, z) > _LONGEST_IN_NIFTI:
        came = f"{x}x{y}x{z}"
        raise InputError(f"axes of at most {_LONGEST_IN_NIFTI} voxels for NIfTI", came, "choose the suffix .nrrd")
    header = _nifti_header((x, y, z), voxels.dtype, frames_of(volume.geometry or Geometry((1.0, 1.0, 1.0)), (x, y, z)))
    # `descrip` has 80 bytes, the last of which ends the text.
    text = description.encode("ascii", "replace")[:79]
    header[148 : 148 + len(text)] = text
    with path.open("wb") as file:
        # No time in the stream: the same volume gives the same bytes.
        stream = gzip.GzipFile("", "wb", 4, file, 0) if compress else file
        stream.write(header + bytes(4))
        for layer in voxels:
            stream.write(np.ascontiguousarray(layer, layer.dtype.newbyteorder("<")).tobytes())
        if compress:
            stream.close()


def _nifti_header(shape: Shape3, dtype: np.dtype[np.generic], frames: NiftiFrames) -> bytearray:
    """The 348 bytes of nifti1.h, little-endian."""
    header = bytearray(348)
    struct.pack_into("<i", header, 0, 348)
    # Three axes; the others have length 1, as readers expect of a single volume.
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, _NIFTI_CODES[dtype.str[1:]], 8 * dtype.itemsize)
    _put(header, 76, (*frames.pixdim, 0.0, 0.0, 0.0, 0.0))
    # Voxels begin after the 348 bytes of the header and the four that say that no extension follows.
    _put(header, 108, (352.0, 1.0, 0.0))
    header[123] = frames.units
    struct.pack_into("<2h", header, 252, frames.qform_code, frames.sform_code)
    _put(header, 256, (*frames.quaternion, *frames.offset, *frames.sform))
    header[344:348] = b"n+1\0"
    return header


def _put(header: bytearray, place: int, numbers: tuple[float, ...]) -> None:
    """Single-precision numbers; what NIfTI-2 stated beyond their range becomes infinite."""
    with np.errstate(over="ignore"):
        content = np.array(numbers, dtype="<f4").tobytes()
    header[place : place + len(content)] = content
