"""Headers of volumes, read by hand: NIfTI, Analyze, MetaImage, NRRD and MGH.

A header is the part of a file that lies: 400 bytes can ask for gigabytes, or for another file. So each is read here,
without a library that would trust it, and says where exactly the voxels are that it describes.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans.case import NiftiFrames
from synthoma.scans.files import inflated_head, kind_of, open_file, regular_size, suffix_of
from synthoma.scans.volume_frames import (
    LEFT_RIGHT,
    TO_LPS,
    Placement,
    Shape3,
    analyze_placement,
    mgh_placement,
    nifti_placement,
)

MAX_VOXELS = 2**28
"""Numbers in the largest file that is read, all channels together: 645 cubed."""

MAX_BYTES = 900 * 2**20
"""Largest volume in memory: 486 voxels cubed of 64 bits, 618 of 32. A file of zeros may be a thousand times smaller."""

AGAIN = "export it again from its source, or remove it from the folder"
_CONVERT = "convert it, for example with SimpleITK or dcm2niix"
_HEADER_BYTES = 2**15
_PAIR = (".hdr", ".hdr.gz", ".img", ".img.gz")


@dataclass(frozen=True)
class Header:
    """What a header declares.

    Attributes:
        declared: axis lengths as they are stored, fastest first.
        shape: lengths of x, y and z.
        dtype: of one stored number, with its byte order.
        data: the file that holds the voxels.
        placement: where they lie in the patient.
        channels: how many volumes the file holds.
        interleaved: whether their numbers alternate voxel by voxel; otherwise the volumes follow one another.
        start: where the (possibly compressed) payload starts in the data file; None where the voxels are its end.
        ahead: bytes before the first voxel in the payload.
        compressed: whether the payload is a zlib or gzip stream.
        slope: what a stored number is multiplied by.
        inter: what is added then.
    """

    declared: tuple[int, ...]
    shape: Shape3
    dtype: np.dtype[Any]
    data: Path
    placement: Placement
    channels: int = 1
    interleaved: bool = False
    start: int | None = 0
    ahead: int = 0
    compressed: bool = False
    slope: float = 1.0
    inter: float = 0.0

    @property
    def need(self) -> int:
        """Bytes of the payload up to the last voxel."""
        return self.ahead + math.prod(self.declared) * self.dtype.itemsize


def read_header(path: Path) -> Header:
    """Read the header of a volume in the format that the content says.

    Args:
        path: the file, or either file of a NIfTI or Analyze pair.

    Raises:
        InputError: another format, a damaged header, impossible axes, or more than any scan has.
    """
    parsers: dict[str, Callable[[Path], Header]] = {
        "nifti": _nifti, "analyze": _analyze, "metaimage": _metaimage, "nrrd": _nrrd, "mgh": _mgh
    }  # fmt: skip
    regular_size(path)
    kind = kind_of(_pair(path)[0])
    if kind not in parsers:
        raise InputError("a NIfTI, Analyze, MetaImage, NRRD or MGH volume", _other_content(path), AGAIN)
    if kind in ("metaimage", "nrrd") and _head(path).startswith(b"\x1f\x8b"):
        raise InputError(
            "a MetaImage or NRRD file as it is", "one inside a gzip file", "unpack it, for example by gunzip"
        )
    try:
        with np.errstate(all="ignore"):
            return parsers[kind](path)
    except (ValueError, struct.error, KeyError, OverflowError) as error:
        came = f"a damaged one ({' '.join(str(error).split())[:80]})"
        raise InputError("a sound volume header", came, AGAIN) from error


def stored_shape(path: Path) -> tuple[int, ...]:
    """Axis lengths x, y and z, and the number of volumes where the file holds several; only its header is read.

    Raises:
        InputError: no volume, or a damaged header.
    """
    header = read_header(path)
    return header.shape if header.channels == 1 else (*header.shape, header.channels)


def data_of(path: Path) -> Path | None:
    """The second file of a volume in two files, given the one with the header; None where there is none."""
    try:
        if suffix_of(path) in (".hdr", ".hdr.gz"):
            return _pair(path)[1]
        match kind_of(path):
            case "metaimage":
                name = _meta_fields(path)[0]["ElementDataFile"]
            case "nrrd":
                name = _nrrd_fields(path)[0].get("data file", "LOCAL")
            case _:
                name = "LOCAL"
        return None if name == "LOCAL" else _beside(path, name)
    except (InputError, ValueError):
        return None


def _other_content(path: Path) -> str:
    if suffix_of(path) in (".img", ".img.gz"):
        return "voxels without their header: there is no sound .hdr beside the .img"
    return "a file with other or damaged content"


def _head(path: Path) -> bytes:
    with open_file(path) as stream:
        return stream.read(1024)


def _inflated(path: Path) -> tuple[bytes, bool]:
    """The first bytes of a file, and whether a gzip stream was inflated for them."""
    with open_file(path) as stream:
        head = stream.read(544)
        compressed = head.startswith(b"\x1f\x8b")
        return (inflated_head(stream) if compressed else head), compressed


def _pair(path: Path) -> tuple[Path, Path | None]:
    """Header and voxels of a NIfTI or Analyze pair, whichever of the two is named; else the file itself and None.

    The named file is always one of the two: beside ``a.img`` may lie ``a.img.gz``.
    """
    suffix = suffix_of(path)
    if suffix not in _PAIR:
        return path, None
    stem = path.name[: len(path.name) - len(suffix)]
    other = ".img" if suffix.startswith(".hdr") else ".hdr"
    endings = [other + ".gz", other] if suffix.endswith(".gz") else [other, other + ".gz"]
    if path.name[len(stem) :].isupper():
        endings = [ending.upper() for ending in endings]
    beside = next(
        (path.with_name(stem + ending) for ending in endings if path.with_name(stem + ending).is_file()), None
    )
    if other == ".hdr":
        return (path, None) if beside is None else (beside, path)
    return path, beside


def _axes(declared: tuple[int, ...], channel_axis: int | None = None) -> tuple[Shape3, int]:
    """Lengths of x, y and z, and the number of channels, of axes that may be.

    Args:
        declared: axis lengths, fastest first.
        channel_axis: the axis of the channels where it is not among the last ones.
    """
    stored = "x".join(map(str, declared))
    space = tuple(length for axis, length in enumerate(declared) if axis != channel_axis)
    if not 2 <= len(space) <= 7 or len(declared) > 7 or min(declared) < 1:
        raise InputError("two or three axes of positive length", f"a header that declares {stored}", AGAIN)
    if math.prod(declared) > MAX_VOXELS:
        raise InputError(f"a volume of at most {MAX_VOXELS} voxels", f"a header that declares {stored}", AGAIN)
    many = [
        length for length in (*space[3:], *([] if channel_axis is None else [declared[channel_axis]])) if length > 1
    ]
    if len(many) > 1:
        raise InputError("at most one axis beside x, y and z", f"a header that declares {stored}", _CONVERT)
    x, y, z = (*space, 1)[:3]
    return (x, y, z), math.prod(many)


# NIfTI and Analyze ---------------------------------------------------------------------------------------------------

_NIFTI_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"
}  # fmt: skip
"""Codes of the types that are one real number."""


def _nifti(path: Path) -> Header:
    """Header of NIfTI-1 or NIfTI-2, in one file or two, of either byte order (nifti1.h, nifti2.h)."""
    header, data = _pair(path)
    head, compressed = _inflated(header)
    first = head[344:347] in (b"n+1", b"ni1")
    order = next((o for o in "<>" if struct.unpack_from(o + "i", head)[0] == (348 if first else 540)), None)
    if order is None:
        raise InputError("a sound NIfTI header", "one of another length", AGAIN)
    if (head[344:347] if first else head[4:7]) in (b"n+1", b"n+2"):
        data, least = header, 348 if first else 540
    elif data is None:
        came = "a header alone" if suffix_of(path) in _PAIR else f"the header of a pair named {suffix_of(path)}"
        raise InputError("a NIfTI header named .hdr and its voxels beside it as .img", came, "put both into one folder")
    else:
        compressed, least = suffix_of(data).endswith(".gz"), 0

    def get(form: str, one: int, two: int) -> tuple[Any, ...]:
        """Numbers that lie at one place in NIfTI-1 and, wider, at another in NIfTI-2."""
        wide = form.translate(str.maketrans("fhB", "dqi")) if form not in ("h", "hh") else form
        return struct.unpack_from(order + (form if first else wide), head, one if first else two)

    count, *axes = get("8h", 40, 16)
    [code], (slope, inter) = get("h", 70, 12), get("2f", 112, 176)
    [offset] = struct.unpack_from(order + ("f" if first else "q"), head, 108 if first else 168)
    if code not in _NIFTI_TYPES:
        raise InputError("one real number a voxel", f"the NIfTI data type {code}", _CONVERT)
    if not 1 <= count <= 7 or not 0 <= offset <= 2**31:
        raise InputError("a sound NIfTI header", f"{count} axes, data at byte {offset}", AGAIN)
    slope, inter = _scaling(slope, inter)
    declared = tuple(axes[:count])
    shape, channels = _axes(declared)
    qform_code, sform_code = struct.unpack_from(order + ("2h" if first else "2i"), head, 252 if first else 344)
    stated = NiftiFrames(
        qform_code if 1 <= qform_code <= 5 else 0,
        sform_code if 1 <= sform_code <= 5 else 0,
        get("8f", 76, 104)[:4],
        get("3f", 256, 352),
        get("3f", 268, 376),
        get("12f", 280, 400),
        get("B", 123, 500)[0] & 0xFF,
    )
    placement = nifti_placement(stated, shape, flat=count == 2, double=not first)
    return Header(
        declared, shape, np.dtype(order + _NIFTI_TYPES[code]), data, placement, channels,
        ahead=max(least, int(offset)), compressed=compressed, slope=slope, inter=inter,
    )  # fmt: skip


def _scaling(slope: float, inter: float) -> tuple[float, float]:
    """As nibabel: without a slope that scales, numbers are as stored, whatever the intercept."""
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise InputError("a sound NIfTI header", f"the scaling {slope} and {inter}", AGAIN)
    return float(slope), float(inter)


def _analyze(path: Path) -> Header:
    """Header of Analyze 7.5 as SPM extended it, of either byte order."""
    header, data = _pair(path)
    head, _ = _inflated(header)
    order = "<" if head[:4] == struct.pack("<i", 348) else ">"
    if data is None:
        raise InputError("an Analyze header named .hdr and its voxels beside it as .img", "a header alone",
                         "put both into one folder")  # fmt: skip
    count, *axes = struct.unpack_from(order + "8h", head, 40)
    [code] = struct.unpack_from(order + "h", head, 70)
    if code not in (2, 4, 8, 16, 64):
        raise InputError("one real number a voxel", f"the Analyze data type {code}", _CONVERT)
    offset, slope, inter = struct.unpack_from(order + "3f", head, 108)
    highest, lowest = struct.unpack_from(order + "2f", head, 124)
    top, bottom = struct.unpack_from(order + "2i", head, 140)
    if not 0 <= offset <= 2**31:
        raise InputError("a sound Analyze header", f"data at byte {offset}", AGAIN)
    declared = tuple(axes[:count])
    shape, channels = _axes(declared)
    if slope != 0 and math.isfinite(slope):
        slope, inter = slope, inter if math.isfinite(inter) else 0.0
    elif top != bottom and math.isfinite(highest - lowest) and highest != lowest:  # the range then and now
        slope = (highest - lowest) / (top - bottom)
        inter = lowest - slope * bottom
    else:
        slope, inter = 1.0, 0.0
    sides = np.array(struct.unpack_from(order + "8f", head, 76))[1:4]
    if count == 2:
        sides[2] = 0.0  # nobody knows how thick
    placement = analyze_placement(sides, np.array(struct.unpack_from(order + "3h", head, 253)), shape)
    return Header(
        declared, shape, np.dtype(order + _NIFTI_TYPES[code]), data, placement, channels,
        ahead=int(offset), compressed=suffix_of(data).endswith(".gz"), slope=slope, inter=inter,
    )  # fmt: skip


# MGH -----------------------------------------------------------------------------------------------------------------

_MGH_TYPES = {0: "u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}


def _mgh(path: Path) -> Header:
    """Header of FreeSurfer's format, plain or gzip; numbers have the high byte first."""
    head, compressed = _inflated(path)
    declared, [code], [placed] = (
        struct.unpack_from(">4i", head, 4), struct.unpack_from(">i", head, 20), struct.unpack_from(">h", head, 28)
    )  # fmt: skip
    if code not in _MGH_TYPES:
        raise InputError("one real number a voxel", f"the MGH data type {code}", _CONVERT)
    numbers = np.array(struct.unpack_from(">15f", head, 30), dtype=float)
    shape, channels = _axes(declared)
    placement = mgh_placement(numbers[:3], numbers[3:12].reshape(3, 3).T, numbers[12:], shape)
    if not placed:  # what nibabel takes then: coronal slices of cubic voxels around the centre
        axes = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
        placement = replace(
            mgh_placement(np.ones(3), axes, np.zeros(3), shape),
            thick=False, placed=False, remarks=(f"its header does not say how the patient lies: {LEFT_RIGHT}",),
        )  # fmt: skip
    return Header(
        declared, shape, np.dtype(_MGH_TYPES[code]), path, placement, channels, ahead=284, compressed=compressed
    )


# MetaImage and NRRD --------------------------------------------------------------------------------------------------

_META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
}  # fmt: skip


def _metaimage(path: Path) -> Header:
    """Header of a MetaImage: ``key = value`` lines, the last of which says where the data is."""
    fields, end = _meta_fields(path)
    count = int(fields["NDims"])
    space = tuple(int(length) for length in fields["DimSize"].split())
    if len(space) != count:
        raise InputError(f"{count} axis lengths", f"{len(space)}", AGAIN)
    if not _true(fields.get("BinaryData", "True")):
        raise InputError("binary data", "numbers as text", _CONVERT)
    if fields["ElementType"] not in _META_TYPES:
        raise InputError("one real number a voxel", f"the type {fields['ElementType']!r}", _CONVERT)
    many = int(fields.get("ElementNumberOfChannels", "1"))
    declared = space if many == 1 else (many, *space)
    shape, channels = _axes(declared, None if many == 1 else 0)
    local = fields["ElementDataFile"] == "LOCAL"
    data = path if local else _beside(path, fields["ElementDataFile"])
    ahead = int(fields.get("HeaderSize", "0"))
    compressed = _true(fields.get("CompressedData", "False"))
    if ahead < -1 or (ahead and (local or compressed)):
        raise InputError("data without a header of its own", f"HeaderSize = {ahead}", _CONVERT)
    high_first = _true(_one_of(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB") or "False")
    return Header(
        declared, shape, np.dtype((">" if high_first else "<") + _META_TYPES[fields["ElementType"]]), data,
        _meta_placement(fields, count), channels, interleaved=many > 1,
        start=None if ahead == -1 else end if local else 0, ahead=max(ahead, 0), compressed=compressed,
    )  # fmt: skip


def _meta_fields(path: Path) -> tuple[dict[str, str], int]:
    return _fields(path, b"=", last="ElementDataFile")


def _true(value: str) -> bool:
    return value[:1] in ("T", "t", "1")


def _one_of(fields: dict[str, str], *names: str) -> str | None:
    """The value of a field that has several names; two that differ are refused, as a field that comes twice is."""
    values = {fields[name] for name in names if name in fields}
    if len(values) > 1:
        raise InputError("each header field once", f"two values under {' and '.join(names)}", AGAIN)
    return values.pop() if values else None


def _meta_placement(fields: dict[str, str], count: int) -> Placement:
    """Each row of ``TransformMatrix`` is the direction of one axis of the grid."""

    def numbers(text: str | None, default: Array) -> Array:
        values = default if text is None else np.array([float(value) for value in text.split()])
        if values.size != default.size:
            raise InputError(f"{default.size} numbers", f"{values.size} in {str(text)[:40]!r}", AGAIN)
        return values

    spacing = numbers(fields.get("ElementSpacing"), np.ones(count))
    origin = numbers(_one_of(fields, "Offset", "Position", "Origin"), np.zeros(count))
    rows = numbers(_one_of(fields, "TransformMatrix", "Rotation", "Orientation"), np.eye(count).ravel())
    return _padded(rows.reshape(count, count).T * spacing, origin)


def _padded(matrix: Array, origin: Array) -> Placement:
    """Placement by the first three axes; a picture lies flat at z = 0, and nobody knows how thick it is."""
    keep = min(3, matrix.shape[1])
    whole, first = np.eye(3), np.zeros(3)
    whole[:keep, :keep], first[:keep] = matrix[:keep, :keep], origin[:keep]
    return Placement(whole, first, thick=keep == 3)


_NRRD_TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_NRRD_NAMES = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip", "axismins": "axis mins",
               "centerings": "centers"}  # fmt: skip


def _nrrd(path: Path) -> Header:
    """Header of an NRRD: ``key: value`` lines up to an empty one (teem.sourceforge.net/nrrd/format.html)."""
    fields, end = _nrrd_fields(path)
    declared = tuple(int(length) for length in fields["sizes"].split())
    if len(declared) != int(fields["dimension"]):
        raise InputError(f"{fields['dimension']} axis lengths", f"{len(declared)}", AGAIN)
    types = {name: code for code, names in _NRRD_TYPES.items() for name in names.split("|")}
    if fields["type"] not in types:
        raise InputError("one real number a voxel", f"the type {fields['type']!r}", _CONVERT)
    encoding = fields["encoding"].lower()
    if encoding not in ("raw", "gz", "gzip"):
        raise InputError("the encoding raw or gzip", f"{encoding!r}", _CONVERT)
    if any(int(fields.get(key, "0")) for key in ("line skip", "byte skip")):
        raise InputError("data without a header of its own", "a skip before the data", _CONVERT)
    code = types[fields["type"]]
    order = "<" if code[1] == "1" else {"little": "<", "big": ">"}[fields["endian"].lower()]
    axis = _nrrd_channels(fields, declared)
    shape, channels = _axes(declared, axis)
    external = fields.get("data file")
    return Header(
        declared, shape, np.dtype(order + code), path if external is None else _beside(path, external),
        _nrrd_placement(fields, [i for i in range(len(declared)) if i != axis]), channels,
        interleaved=axis == 0, start=end if external is None else 0, compressed=encoding != "raw",
    )  # fmt: skip


def _nrrd_fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields under small letters and one name each."""
    return _fields(path, b":", last="", name_of=lambda name: _NRRD_NAMES.get(name.lower(), name.lower()))


def _directions(fields: dict[str, str]) -> list[str] | None:
    """One vector, or "none", an axis; None where there are no vectors."""
    text = fields.get("space directions")
    return None if text is None else re.findall(r"none|\([^)]*\)", text)


def _nrrd_channels(fields: dict[str, str], declared: tuple[int, ...]) -> int | None:
    """The axis that is no axis of space, where it is the fastest or the slowest."""
    kinds = fields.get("kinds", "").split()
    directions = _directions(fields) or []
    others = [
        axis
        for axis in range(len(declared))
        if directions[axis : axis + 1] == ["none"]
        or kinds[axis : axis + 1] not in ([], ["domain"], ["space"], ["none"], ["???"])
    ]
    if not others:
        return None if len(declared) < 4 else len(declared) - 1
    if len(others) > 1 or others[0] not in (0, len(declared) - 1):
        raise InputError("channels as the first or the last axis", f"the kinds {' '.join(kinds)[:60]!r}", _CONVERT)
    return others[0]


def _nrrd_placement(fields: dict[str, str], axes: list[int]) -> Placement:
    """Placement by vectors, or by spacings where there are none; another patient's axes are turned to LPS."""
    directions = _directions(fields)
    names = fields.get("space", "").lower().removesuffix("-time")
    turned = {
        **dict.fromkeys(("right-anterior-superior", "ras", "rast"), TO_LPS),
        **dict.fromkeys(("left-anterior-superior", "las", "last"), np.diag([1.0, -1.0, 1.0])),
    }.get(names, np.eye(3))
    if directions is None:
        sides = _listed(fields.get("spacings"), axes, 1.0)
        first = _listed(fields.get("axis mins"), axes, np.nan)
        if (fields.get("centers", "").split() or ["cell"])[-1] != "node":
            first = first + sides / 2
        return _padded(np.diag(sides), first if np.isfinite(first).all() else np.zeros(len(axes)))
    matrix, origin = np.eye(3), np.zeros(3)
    for column, axis in enumerate(axes[:3]):
        matrix[:, column] = _nrrd_vector(directions[axis]) if axis < len(directions) else np.nan
    if len(axes) == 2:
        matrix[:, 2] = 0.0 if matrix[2, :2].any() else (0.0, 0.0, 1.0)
    if "space origin" in fields:
        origin = _nrrd_vector(fields["space origin"])
    return Placement(turned @ matrix, turned @ origin, thick=len(axes) > 2)


def _nrrd_vector(text: str) -> Array:
    """Up to three numbers in brackets; of a fourth, the time is left out."""
    numbers = [float(number) for number in text.strip("() ").split(",")]
    return np.array([*numbers, 0.0, 0.0][:3])


def _listed(text: str | None, axes: list[int], default: float) -> Array:
    """One number for each of some axes."""
    numbers = [] if text is None else [float(number) for number in text.split()]
    listed = np.array([numbers[axis] if axis < len(numbers) else default for axis in axes])
    return np.where(np.isnan(listed), default, listed)


def _fields(
    path: Path, separator: bytes, last: str, name_of: Callable[[str], str] = lambda name: name
) -> tuple[dict[str, str], int]:
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
        if not found or line.startswith(b"#") or (not last and value.startswith(b"=")):
            continue  # the format's first line, a comment, or a free key:=value pair
        name = name_of(key.decode("ascii").strip())
        if name in fields:
            raise InputError("each header field once", f"{name!r} twice", AGAIN)
        fields[name] = value.decode("utf-8", "replace").strip()
        if name == last:
            return fields, place
    raise InputError("a header with an end", f"none within {_HEADER_BYTES} bytes", AGAIN)


def _beside(path: Path, name: str) -> Path:
    """The data file that a header names: a plain file in the header's own folder, nowhere else."""
    name = name.removeprefix("./")
    data = path.parent / name
    plain = Path(name).name == name and not set(name) & set("%*?") and name.split()[:1] != ["LIST"]
    if not plain or data.resolve().parent != path.parent.resolve():
        came = f"{name[:80]!r}"
        raise InputError("a data file in the folder of its header", came, "put header and data into one folder")
    regular_size(data)
    return data
