"""Headers of NRRD files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans.headers.header import AGAIN, CONVERT, Header, checked_axes
from synthoma.scans.headers.text_fields import padded_to_three, text_fields, voxel_file
from synthoma.scans.volume_frames import TO_LPS, Placement

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


def nrrd_header(path: Path) -> Header:
    """Header of an NRRD: ``key: value`` lines up to an empty one (teem.sourceforge.net/nrrd/format.html)."""
    fields, end = nrrd_fields(path)
    declared = tuple(int(length) for length in fields["sizes"].split())
    if len(declared) != int(fields["dimension"]):
        raise InputError(f"{fields['dimension']} axis lengths", f"{len(declared)}", AGAIN)
    types = {name: code for code, names in _NRRD_TYPES.items() for name in names.split("|")}
    if fields["type"] not in types:
        raise InputError("one real number a voxel", f"the type {fields['type']!r}", CONVERT)
    encoding = fields["encoding"].lower()
    if encoding not in ("raw", "gz", "gzip"):
        raise InputError("the encoding raw or gzip", f"{encoding!r}", CONVERT)
    if any(int(fields.get(key, "0")) for key in ("line skip", "byte skip")):
        raise InputError("data without a header of its own", "a skip before the data", CONVERT)
    code = types[fields["type"]]
    # Numbers of one byte have no order, and their headers need not state any.
    order = "<" if code[1] == "1" else {"little": "<", "big": ">"}[fields["endian"].lower()]
    axis = _nrrd_channels(fields, declared)
    shape, channels = checked_axes(declared, axis)
    external = fields.get("data file")
    return Header(
        declared, shape, np.dtype(order + code), path if external is None else voxel_file(path, external),
        _nrrd_placement(fields, [i for i in range(len(declared)) if i != axis]), channels,
        interleaved=axis == 0, start=end if external is None else 0, compressed=encoding != "raw",
    )  # fmt: skip


def nrrd_fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields under small letters and one name each."""
    return text_fields(path, b":", last="", name_of=lambda name: _NRRD_NAMES.get(name.lower(), name.lower()))


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
        raise InputError("channels as the first or the last axis", f"the kinds {' '.join(kinds)[:60]!r}", CONVERT)
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
        # Of cells "axis mins" is the outer edge; voxels are counted by their middles.
        if (fields.get("centers", "").split() or ["cell"])[-1] != "node":
            first = first + sides / 2
        return padded_to_three(np.diag(sides), first if np.isfinite(first).all() else np.zeros(len(axes)))
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
