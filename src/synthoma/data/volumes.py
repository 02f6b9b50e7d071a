"""Volumes: NIfTI, MetaImage and NRRD files with their geometry, read through SimpleITK after their header was checked.

The libraries under SimpleITK trust a header: 400 bytes can ask for gigabytes, and a compressed stream that ends early
may come back as noise. So each header is read here first, by hand: what it declares must fit in the file, a compressed
stream is inflated once against a counter, and what SimpleITK then understands must be what was checked.
"""

from __future__ import annotations

import math
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from synthoma.data.case import Direction, Geometry, Vector3, Volume
from synthoma.data.files import DEFLATE_RATIO, inflated_head, kind_of, open_file, regular_size, suffix_of
from synthoma.errors import InputError
from synthoma.types import Array

MAX_VOXELS = 2**28
"""Largest volume that is read: 645 voxels cubed, at most 2 GiB as stored."""

_CHUNK = 2**20
_HEADER_BYTES = 2**15
_AGAIN = "export it again from its source, or remove it from the folder"
_CONVERT = "convert it, for example with SimpleITK or dcm2niix"
_WRITABLE = (".nii", ".nii.gz", ".mha", ".nrrd")

sitk.ProcessObject.SetGlobalWarningDisplay(False)


@dataclass(frozen=True)
class _Header:
    """What a header declares, as far as it matters for safety.

    Attributes:
        image_io: SimpleITK's name of the reader.
        shape: axis lengths, x first.
        voxel_bytes: bytes of one voxel.
        data: the file that holds the voxels.
        start: where the (possibly compressed) payload starts in that file.
        ahead: bytes before the first voxel in the payload.
        compressed: whether the payload is a zlib or gzip stream.
        floats: type of the stored numbers where they have to be looked at here, since the NIfTI library under SimpleITK
            silently puts 0 for NaN.
    """

    image_io: str
    shape: tuple[int, ...]
    voxel_bytes: int
    data: Path
    start: int = 0
    ahead: int = 0
    compressed: bool = False
    floats: np.dtype[Any] | None = None


def read_volume(path: Path) -> Volume:
    """Read one scalar volume.

    Args:
        path: ``.nii``, ``.nii.gz``, ``.mha``, ``.mhd``, ``.nrrd`` or ``.nhdr``.

    Returns:
        Voxels (z, y, x) with the stored type (or the scaled one where NIfTI declares a slope), and LPS geometry in mm.
        A two-dimensional file gives z = 1; a fourth axis of length 1 is dropped.

    Raises:
        InputError: damaged, truncated, declaring more than it holds, four-dimensional, in colour, or NaN inside.
    """
    header = _checked_header(path)
    _check_shape(header)
    _check_payload(header)
    try:
        with _presented(path, header) as presented:
            image = _read_with_itk(presented, header)
    except (struct.error, OverflowError) as error:
        raise InputError("a NIfTI-2 header that NIfTI-1 can hold", "larger numbers", _CONVERT) from error
    voxels = sitk.GetArrayFromImage(image)
    voxels = voxels.reshape(((1, *voxels.shape) if voxels.ndim == 2 else voxels.shape)[-3:])
    if voxels.dtype.kind == "f" and (bad := int(np.count_nonzero(~np.isfinite(voxels)))):
        raise _not_finite(bad, voxels.size)
    return Volume(voxels, _geometry(image))


def write_volume(volume: Volume, path: Path) -> None:
    """Write a volume, compressed, with its geometry; the file appears whole or not at all.

    Args:
        volume: voxels (z, y, x) of any real type (bool becomes uint8, float16 float32).
        path: ends in ``.nii``, ``.nii.gz``, ``.mha`` or ``.nrrd``.

    Raises:
        InputError: another suffix.
    """
    suffix = suffix_of(path)
    if suffix not in _WRITABLE:
        raise InputError(f"a file name ending in {', '.join(_WRITABLE)}", f"{path.name!r}", "choose one of these")
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        sitk.WriteImage(to_itk(volume), str(partial), useCompression=suffix != ".nii")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def to_itk(volume: Volume) -> sitk.Image:
    """The volume as a SimpleITK image."""
    voxels = volume.voxels
    narrow = {"b": np.dtype(np.uint8), "f": np.promote_types(voxels.dtype, np.float32)}.get(voxels.dtype.kind)
    image = sitk.GetImageFromArray(voxels if narrow is None else voxels.astype(narrow, copy=False))
    if volume.geometry is not None:
        image.SetSpacing(volume.geometry.spacing)
        image.SetOrigin(volume.geometry.origin)
        image.SetDirection(volume.geometry.direction)
    return image


def same_grid(one: Geometry, other: Geometry) -> bool:
    """Whether two grids of one shape coincide, to a hundredth of a voxel and a thousandth of the axes."""
    spacing = np.array(one.spacing)
    return bool(
        np.allclose(spacing, other.spacing, rtol=1e-3)
        and np.all(np.abs(np.subtract(one.origin, other.origin)) <= 0.01 * spacing.max())
        and np.allclose(one.direction, other.direction, atol=1e-3)
    )


def onto_grid(volume: Volume, reference: Volume) -> Volume:
    """Resample linearly onto the grid of another volume of the same patient position; unchanged where they coincide.

    Args:
        volume: what is resampled, with geometry.
        reference: whose grid is taken, with geometry.

    Returns:
        The volume on that grid, 0 outside its own field of view, float32 where it had to be resampled.

    Raises:
        InputError: a geometry is missing, or less than half of the smaller volume lies inside the other.
    """
    if volume.geometry is None or reference.geometry is None:
        raise InputError(
            "modalities on one grid", "different sizes and no geometry", "resample them onto one grid first"
        )
    if volume.voxels.shape == reference.voxels.shape and same_grid(volume.geometry, reference.geometry):
        return volume
    if (share := _overlap(volume, reference)) < 0.5:
        came = f"two that share {100 * share:.0f} % of their space"
        raise InputError("modalities of one patient position", came, "register them onto one grid first")
    moving = sitk.Cast(to_itk(volume), sitk.sitkFloat32)
    fixed = to_itk(Volume(np.broadcast_to(np.uint8(0), reference.voxels.shape), reference.geometry))
    resampled = sitk.Resample(moving, fixed, sitk.Transform(), sitk.sitkLinear, 0.0)
    return Volume(sitk.GetArrayFromImage(resampled), reference.geometry)


def _overlap(one: Volume, other: Volume) -> float:
    """Shared part of the bounding boxes in patient space, as a share of the smaller box."""
    (low1, high1), (low2, high2) = _box(one), _box(other)
    shared = np.prod(np.clip(np.minimum(high1, high2) - np.maximum(low1, low2), 0, None))
    return float(shared / min(np.prod(high1 - low1), np.prod(high2 - low2)))


def _box(volume: Volume) -> tuple[Array, Array]:
    """Lowest and highest corner of a grid in patient space, mm."""
    geometry = volume.geometry
    assert geometry is not None
    size = np.array(volume.voxels.shape[::-1])
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * size - 0.5
    axes = np.array(geometry.direction).reshape(3, 3) * np.array(geometry.spacing)
    points = corners @ axes.T + np.array(geometry.origin)
    return points.min(axis=0), points.max(axis=0)


# What SimpleITK does -------------------------------------------------------------------------------------------------


@contextmanager
def _presented(path: Path, header: _Header) -> Iterator[Path]:
    """The file itself; for NIfTI-2, which SimpleITK does not know, a NIfTI-1 file of the same content for a moment."""
    with open_file(path) as stream:
        head = inflated_head(stream) if header.compressed else stream.read(540)
    if header.image_io != "NiftiImageIO" or head[4:7] != b"n+2" or head[344:347] == b"n+1":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "volume.nii"
        with copy.open("wb") as target:
            target.write(_nifti1_header(head))
            start = 0
            for chunk in _payload(header):
                target.write(chunk[max(0, header.ahead - start) :])
                start += len(chunk)
        yield copy


def _nifti1_header(head: bytes) -> bytes:
    """NIfTI-1 header (352 bytes with the extension flag) of a NIfTI-2 header (nifti1.h, nifti2.h)."""
    order = "<" if struct.unpack_from("<i", head)[0] == 540 else ">"
    new = bytearray(352)
    struct.pack_into(order + "i", new, 0, 348)
    struct.pack_into(order + "f", new, 108, 352.0)
    moves = (  # type and place in NIfTI-2, type and place in NIfTI-1
        ("8q", 16, "8h", 40), ("2h", 12, "2h", 70), ("8d", 104, "8f", 76), ("2d", 176, "2f", 112), ("i", 500, "B", 123),
        ("2i", 344, "2h", 252), ("6d", 352, "6f", 256), ("12d", 400, "12f", 280),
    )  # fmt: skip
    for old_type, old, new_type, place in moves:
        struct.pack_into(order + new_type, new, place, *struct.unpack_from(order + old_type, head, old))
    new[344:348] = b"n+1\0"
    return bytes(new)


def _read_with_itk(path: Path, header: _Header) -> sitk.Image:
    """Read the file, provided that SimpleITK understands it as the check did."""
    reader = sitk.ImageFileReader()
    try:
        reader.SetImageIO(header.image_io)
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        came = math.prod(reader.GetSize()) * reader.GetNumberOfComponents()
        if came != math.prod(header.shape) or reader.GetNumberOfComponents() != 1:
            raise InputError("one number a voxel", f"{reader.GetNumberOfComponents()} numbers, {came} in all", _CONVERT)
        return reader.Execute()
    except (RuntimeError, ValueError, TypeError, NotImplementedError, OverflowError) as error:
        raise InputError("a volume that SimpleITK can read", f"its refusal ({_brief(error)})", _AGAIN) from error


def _brief(error: Exception) -> str:
    """The last line of ITK's message, which is the telling one; earlier lines name source files and paths."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[-1] if lines else type(error).__name__
    return line.split("): ")[-1][:160] if "/" not in line.split("): ")[-1] else "its header or data is damaged"


def _geometry(image: sitk.Image) -> Geometry:
    """Geometry of the first three axes; a two-dimensional image lies flat at z = 0, nobody knows how thick."""
    dimension = image.GetDimension()
    spacing, origin, direction = np.ones(3), np.zeros(3), np.eye(3)
    keep = min(dimension, 3)
    spacing[:keep], origin[:keep] = image.GetSpacing()[:keep], image.GetOrigin()[:keep]
    direction[:keep, :keep] = np.array(image.GetDirection()).reshape(dimension, dimension)[:keep, :keep]
    numbers = np.concatenate([spacing, origin, direction.ravel()])
    if not np.all(np.isfinite(numbers)) or not np.all(spacing > 0) or abs(np.linalg.det(direction)) < 0.5:
        raise InputError("a geometry with positive spacing and orthogonal axes", f"spacing {spacing.tolist()}", _AGAIN)
    return Geometry(_vector(spacing), _vector(origin), _matrix(direction), thick=dimension > 2)


def _vector(values: Array) -> Vector3:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def _matrix(values: Array) -> Direction:
    a, b, c, d, e, f, g, h, i = (float(value) + 0.0 for value in values.ravel())  # + 0.0 turns -0.0 into 0.0
    return (a, b, c, d, e, f, g, h, i)


# What is checked before ----------------------------------------------------------------------------------------------


def _checked_header(path: Path) -> _Header:
    """Read the header by hand, in the format that the content says."""
    parsers: dict[str, Callable[[Path], _Header]] = {"nifti": _nifti, "metaimage": _metaimage, "nrrd": _nrrd}
    regular_size(path)
    parser = parsers.get(kind_of(path))
    if parser is None:
        raise InputError("a NIfTI, MetaImage or NRRD volume", "a file with other or damaged content", _AGAIN)
    try:
        return parser(path)
    except (ValueError, struct.error, KeyError) as error:
        raise InputError(
            "a sound volume header", f"a damaged one ({' '.join(str(error).split())[:80]})", _AGAIN
        ) from error


def _check_shape(header: _Header) -> None:
    """Refuse impossible axes, time series, and what is larger than any scan."""
    shape = "x".join(map(str, header.shape))
    if not 2 <= len(header.shape) <= 7 or min(header.shape) < 1:
        raise InputError("two or three axes of positive length", f"a header that declares {shape}", _AGAIN)
    if math.prod(header.shape[3:]) > 1:
        came = f"{math.prod(header.shape[3:])} volumes in one file ({shape})"
        raise InputError("one volume a file", came, "save the volume you mean as a file of its own")
    if math.prod(header.shape) > MAX_VOXELS:
        raise InputError(f"a volume of at most {MAX_VOXELS} voxels", f"a header that declares {shape}", _AGAIN)


def _check_payload(header: _Header) -> None:
    """Compare the bytes that are declared with those that are there."""
    need = header.ahead + math.prod(header.shape) * header.voxel_bytes
    there = regular_size(header.data) - header.start
    most = there * DEFLATE_RATIO if header.compressed else there
    if need > most:
        came = f"a header that declares {need} bytes over {max(there, 0)} bytes of data"
        raise InputError("a header that fits the file", came, _AGAIN)
    if header.compressed or header.floats is not None:
        _check_stream(header, need)


def _check_stream(header: _Header, need: int) -> None:
    """Go through the payload once, never holding more than a chunk, to its checksum; count what is not finite."""
    start = bad = 0
    rest = b""
    try:
        for chunk in _payload(header):
            if start + len(chunk) > need + _CHUNK:
                raise InputError("a compressed stream as long as declared", "a longer one", _AGAIN)
            if header.floats is not None:
                rest += chunk[max(0, header.ahead - start) : max(0, need - start)]
                whole = len(rest) - len(rest) % header.voxel_bytes
                bad += int(np.count_nonzero(~np.isfinite(np.frombuffer(rest[:whole], header.floats))))
                rest = rest[whole:]
            start += len(chunk)
    except (zlib.error, EOFError) as error:
        raise InputError("a complete compressed stream", f"{start} of {need} bytes, then damage", _AGAIN) from error
    if start < need:
        raise InputError("a complete compressed stream", f"{start} of {need} bytes", _AGAIN)
    if bad:
        raise _not_finite(bad, math.prod(header.shape))


def _not_finite(bad: int, size: int) -> InputError:
    return InputError("finite voxels", f"{bad} of {size} that are NaN or infinite", "repair or remove the file")


def _payload(header: _Header) -> Iterator[bytes]:
    """Chunks of the payload, inflated.

    Raises:
        zlib.error: damaged.
        EOFError: the compressed stream ends before its checksum.
    """
    with open_file(header.data) as stream:
        stream.seek(header.start)
        if not header.compressed:
            yield from iter(lambda: stream.read(_CHUNK), b"")
            return
        inflate, rest = zlib.decompressobj(wbits=47), b""  # 47: zlib or gzip, whichever it is
        while data := rest or stream.read(_CHUNK):
            yield inflate.decompress(data, _CHUNK)
            rest = inflate.unconsumed_tail
            if inflate.eof:  # a gzip file may hold several members, one after the other
                rest = inflate.unused_data or stream.read(_CHUNK)
                if not rest.startswith(b"\x1f\x8b"):
                    return
                inflate = zlib.decompressobj(wbits=47)
        raise EOFError


# NIfTI type code -> bytes, for the types that are one real number.
_NIFTI_TYPES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}


def _nifti(path: Path) -> _Header:
    """Header of a NIfTI-1 or NIfTI-2 file, plain or gzip, of either byte order (nifti1.h, nifti2.h)."""
    with open_file(path) as stream:
        head = stream.read(540)
        compressed = head.startswith(b"\x1f\x8b")
        head = inflated_head(stream) if compressed else head
    suffixes = (".nii.gz",) if compressed else (".nii", ".nii.gz")
    if suffix_of(path) not in suffixes:
        raise InputError(f"a NIfTI file named {suffixes[0]}", f"the suffix {suffix_of(path)!r}", "rename the file")
    first = head[344:347] in (b"n+1", b"ni1")
    order = next((o for o in "<>" if struct.unpack_from(o + "i", head)[0] == (348 if first else 540)), None)
    if order is None or (head[344:347] if first else head[4:7]) not in (b"n+1", b"n+2"):
        raise InputError("a NIfTI file with header and data in one", "a separate or damaged header", _CONVERT)
    places = ("8h", 40, "h", 70, "f", 108, "2f", 112) if first else ("8q", 16, "h", 12, "q", 168, "2d", 176)
    fields = [struct.unpack_from(order + str(places[i]), head, int(places[i + 1])) for i in range(0, 8, 2)]
    (count, *axes), (code,), (offset,), scaling = fields
    if code not in _NIFTI_TYPES:
        raise InputError("one real number a voxel", f"the NIfTI data type {code}", _CONVERT)
    if not 1 <= count <= 7 or not 0 <= offset <= 2**31 or not all(map(math.isfinite, scaling)):
        raise InputError("a sound NIfTI header", f"{count} axes, data at byte {offset}, scaling {scaling}", _AGAIN)
    floats = np.dtype(f"{order}f{_NIFTI_TYPES[code]}") if code in (16, 64) else None
    return _Header("NiftiImageIO", tuple(axes[:count]), _NIFTI_TYPES[code], path, 0, int(offset), compressed, floats)


_META_TYPES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_FLOAT": 4,
    "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_DOUBLE": 8,
}  # fmt: skip


def _metaimage(path: Path) -> _Header:
    """Header of a MetaImage: ``key = value`` lines, the last of which says where the data is."""
    fields, end = _fields(path, b"=", last="ElementDataFile")
    count = int(fields["NDims"])
    shape = tuple(int(length) for length in fields["DimSize"].split())
    if len(shape) != count:
        raise InputError(f"{count} axis lengths", f"{len(shape)}", _AGAIN)
    if (
        fields.get("BinaryData", "True") not in ("True", "true", "1")
        or int(fields.get("ElementNumberOfChannels", "1")) != 1
    ):
        raise InputError("binary data with one number a voxel", "text or several numbers", _CONVERT)
    if fields["ElementType"] not in _META_TYPES:
        raise InputError("one real number a voxel", f"the type {fields['ElementType']!r}", _CONVERT)
    local = fields["ElementDataFile"] == "LOCAL"
    data = path if local else _beside(path, fields["ElementDataFile"])
    ahead = int(fields.get("HeaderSize", "0"))
    compressed = fields.get("CompressedData", "False") in ("True", "true", "1")
    if ahead < -1 or (ahead > 0 and (local or compressed)):
        raise InputError("data without a header of its own", f"HeaderSize = {ahead}", _CONVERT)
    bytes_each = _META_TYPES[fields["ElementType"]]
    return _Header("MetaImageIO", shape, bytes_each, data, end if local else 0, max(ahead, 0), compressed)


_NRRD_TYPES = {
    1: "signed char|int8|int8_t|uchar|unsigned char|uint8|uint8_t",
    2: "short|short int|signed short|signed short int|int16|int16_t"
    "|ushort|unsigned short|unsigned short int|uint16|uint16_t",
    4: "int|signed int|int32|int32_t|uint|unsigned int|uint32|uint32_t|float",
    8: "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t"
    "|ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t|double",
}


def _nrrd(path: Path) -> _Header:
    """Header of an NRRD: ``key: value`` lines up to an empty one (teem.sourceforge.net/nrrd/format.html)."""
    fields, end = _fields(path, b":", last="")
    shape = tuple(int(length) for length in fields["sizes"].split())
    if len(shape) != int(fields["dimension"]):
        raise InputError(f"{fields['dimension']} axis lengths", f"{len(shape)}", _AGAIN)
    widths = {name: width for width, names in _NRRD_TYPES.items() for name in names.split("|")}
    if fields["type"] not in widths:
        raise InputError("one real number a voxel", f"the type {fields['type']!r}", _CONVERT)
    encoding = fields["encoding"].lower()
    if encoding not in ("raw", "gz", "gzip"):
        raise InputError("the encoding raw or gzip", f"{encoding!r}", _CONVERT)
    if any(int(fields.get(key, "0")) for key in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise InputError("data without a header of its own", "a skip before the data", _CONVERT)
    external = fields.get("data file", fields.get("datafile"))
    data = path if external is None else _beside(path, external)
    return _Header("NrrdImageIO", shape, widths[fields["type"]], data, 0 if external else end, 0, encoding != "raw")


def _fields(path: Path, separator: bytes, last: str) -> tuple[dict[str, str], int]:
    """Fields of a text header, and the byte after its last line.

    A key that comes twice is refused, since another reader might take the other one.
    """
    with open_file(path) as stream:
        head = stream.read(_HEADER_BYTES)
    if not last and len(head) < _HEADER_BYTES:
        head += b"\n\n"  # a header whose data lies in another file may end with the file
    fields: dict[str, str] = {}
    place = 0
    while (line_end := head.find(b"\n", place)) >= 0:
        line, place = head[place:line_end].rstrip(b"\r"), line_end + 1
        if not line.strip() and not last:
            return fields, place
        key, found, value = line.partition(separator)
        name = key.decode("ascii").strip()
        if not found or line.startswith(b"#") or (not last and value.startswith(b"=")):
            continue  # the format's first line, a comment, or a free key:=value pair
        if name in fields:
            raise InputError("each header field once", f"{name!r} twice", _AGAIN)
        fields[name] = value.decode("utf-8", "replace").strip()
        if name == last:
            return fields, place
    raise InputError("a header with an end", f"none within {_HEADER_BYTES} bytes", _AGAIN)


def _beside(path: Path, name: str) -> Path:
    """The data file that a header names: a plain file in the header's own folder, nowhere else."""
    data = path.parent / name
    plain = Path(name).name == name and not set(name) & set("%*?") and name.split()[:1] != ["LIST"]
    if not plain or data.resolve().parent != path.parent.resolve():
        came = f"{name[:80]!r}"
        raise InputError("a data file in the folder of its header", came, "put header and data into one folder")
    regular_size(data)
    return data
