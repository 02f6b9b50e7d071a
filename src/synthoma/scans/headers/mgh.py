"""Headers of MGH and MGZ files, as FreeSurfer writes them."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.scans.headers.header import CONVERT, Header, checked_axes, inflated
from synthoma.scans.volume_frames import LEFT_RIGHT, mgh_placement

_MGH_TYPES = {0: "u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}


def mgh_header(path: Path) -> Header:
    """Header of FreeSurfer's format, plain or gzip; numbers have the high byte first."""
    head, compressed = inflated(path)
    declared, [code], [placed] = (
        struct.unpack_from(">4i", head, 4), struct.unpack_from(">i", head, 20), struct.unpack_from(">h", head, 28)
    )  # fmt: skip
    if code not in _MGH_TYPES:
        raise InputError("one real number a voxel", f"the MGH data type {code}", CONVERT)
    numbers = np.array(struct.unpack_from(">15f", head, 30), dtype=float)
    shape, channels = checked_axes(declared)
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
