"""Headers of MetaImage files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans.headers.header import AGAIN, CONVERT, Header, checked_axes
from synthoma.scans.headers.text_fields import padded_to_three, text_fields, voxel_file
from synthoma.scans.volume_frames import Placement

_META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
}  # fmt: skip


def metaimage_header(path: Path) -> Header:
    """Header of a MetaImage: ``key = value`` lines, the last of which says where the data is."""
    fields, end = metaimage_fields(path)
    count = int(fields["NDims"])
    space = tuple(int(length) for length in fields["DimSize"].split())
    if len(space) != count:
        raise InputError(f"{count} axis lengths", f"{len(space)}", AGAIN)
    if not _true(fields.get("BinaryData", "True")):
        raise InputError("binary data", "numbers as text", CONVERT)
    if fields["ElementType"] not in _META_TYPES:
        raise InputError("one real number a voxel", f"the type {fields['ElementType']!r}", CONVERT)
    many = int(fields.get("ElementNumberOfChannels", "1"))
    declared = space if many == 1 else (many, *space)
    shape, channels = checked_axes(declared, None if many == 1 else 0)
    local = fields["ElementDataFile"] == "LOCAL"
    data = path if local else voxel_file(path, fields["ElementDataFile"])
    ahead = int(fields.get("HeaderSize", "0"))
    compressed = _true(fields.get("CompressedData", "False"))
    # Whether such bytes stand before the stream or inside of it the format does not say.
    if ahead < -1 or (ahead and (local or compressed)):
        raise InputError("data without a header of its own", f"HeaderSize = {ahead}", CONVERT)
    high_first = _true(_one_of(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB") or "False")
    return Header(
        declared, shape, np.dtype((">" if high_first else "<") + _META_TYPES[fields["ElementType"]]), data,
        _meta_placement(fields, count), channels, interleaved=many > 1,
        # -1 says that the voxels are the file's last bytes, whatever stands before them.
        start=None if ahead == -1 else end if local else 0, ahead=max(ahead, 0), compressed=compressed,
    )  # fmt: skip


def metaimage_fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields of a header, and how many bytes it takes: voxels may follow in the same file."""
    return text_fields(path, b"=", last="ElementDataFile")


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
    return padded_to_three(rows.reshape(count, count).T * spacing, origin)
