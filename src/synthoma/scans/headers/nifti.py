"""Headers of NIfTI-1, NIfTI-2 and Analyze 7.5 files."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from synthoma.core.errors import InputError
from synthoma.scans.case import NiftiFrames
from synthoma.scans.files import suffix_of
from synthoma.scans.headers.header import AGAIN, CONVERT, PAIR, Header, checked_axes, inflated, paired_file
from synthoma.scans.volume_frames import analyze_placement, nifti_placement

_NIFTI_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"
}  # fmt: skip
"""Codes of the types that are one real number."""


def nifti_header(path: Path) -> Header:
    """Header of NIfTI-1 or NIfTI-2, in one file or two, of either byte order (nifti1.h, nifti2.h)."""
    header, data = paired_file(path)
    head, compressed = inflated(header)
    first = head[344:347] in (b"n+1", b"ni1")
    # The length of the header is known, and so it tells the order of its bytes.
    order = next((o for o in "<>" if struct.unpack_from(o + "i", head)[0] == (348 if first else 540)), None)
    if order is None:
        raise InputError("a sound NIfTI header", "one of another length", AGAIN)
    if (head[344:347] if first else head[4:7]) in (b"n+1", b"n+2"):
        data, least = header, 348 if first else 540
    elif data is None:
        came = "a header alone" if suffix_of(path) in PAIR else f"the header of a pair named {suffix_of(path)}"
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
        raise InputError("one real number a voxel", f"the NIfTI data type {code}", CONVERT)
    if not 1 <= count <= 7 or not 0 <= offset <= 2**31:
        raise InputError("a sound NIfTI header", f"{count} axes, data at byte {offset}", AGAIN)
    slope, inter = _scaling(slope, inter)
    declared = tuple(axes[:count])
    shape, channels = checked_axes(declared)
    qform_code, sform_code = struct.unpack_from(order + ("2h" if first else "2i"), head, 252 if first else 344)
    stated = NiftiFrames(
        qform_code if 1 <= qform_code <= 5 else 0,
        sform_code if 1 <= sform_code <= 5 else 0,
        get("8f", 76, 104)[:4],
        get("3f", 256, 352),
        get("3f", 268, 376),
        get("12f", 280, 400),
        # One byte in NIfTI-1, four in NIfTI-2, of which the low one is used.
        get("B", 123, 500)[0] & 0xFF,
    )
    placement = nifti_placement(stated, shape, flat=count == 2, double=not first)
    return Header(
        declared, shape, np.dtype(order + _NIFTI_TYPES[code]), data, placement, channels,
        # Some writers leave the offset at 0 also in single files, where no voxel can lie within the header.
        ahead=max(least, int(offset)), compressed=compressed, slope=slope, inter=inter,
    )  # fmt: skip


def _scaling(slope: float, inter: float) -> tuple[float, float]:
    """As nibabel: without a slope that scales, numbers are as stored, whatever the intercept."""
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise InputError("a sound NIfTI header", f"the scaling {slope} and {inter}", AGAIN)
    return float(slope), float(inter)


def analyze_header(path: Path) -> Header:
    """Header of Analyze 7.5 as SPM extended it, of either byte order."""
    header, data = paired_file(path)
    head, _ = inflated(header)
    order = "<" if head[:4] == struct.pack("<i", 348) else ">"
    if data is None:
        raise InputError("an Analyze header named .hdr and its voxels beside it as .img", "a header alone",
                         "put both into one folder")  # fmt: skip
    count, *axes = struct.unpack_from(order + "8h", head, 40)
    [code] = struct.unpack_from(order + "h", head, 70)
    if code not in (2, 4, 8, 16, 64):
        raise InputError("one real number a voxel", f"the Analyze data type {code}", CONVERT)
    offset, slope, inter = struct.unpack_from(order + "3f", head, 108)
    highest, lowest = struct.unpack_from(order + "2f", head, 124)
    top, bottom = struct.unpack_from(order + "2i", head, 140)
    if not 0 <= offset <= 2**31:
        raise InputError("a sound Analyze header", f"data at byte {offset}", AGAIN)
    declared = tuple(axes[:count])
    shape, channels = checked_axes(declared)
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
