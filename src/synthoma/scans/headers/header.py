"""What the header of a volume says, whatever its format, and what no header may ask for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.scans.files import inflated_head, open_file, suffix_of
from synthoma.scans.volume_frames import Placement, Shape3

MAX_VOXELS = 2**28
"""Numbers in the largest file that is read, all channels together: 645 cubed."""

MAX_BYTES = 900 * 2**20
"""Largest volume in memory: 486 voxels cubed of 64 bits, 618 of 32. A file of zeros may be a thousand times smaller."""

AGAIN = "export it again from its source, or remove it from the folder"
CONVERT = "convert it, for example with SimpleITK or dcm2niix"
PAIR = (".hdr", ".hdr.gz", ".img", ".img.gz")


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
    dtype: np.dtype[np.generic]
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


def inflated(path: Path) -> tuple[bytes, bool]:
    """The first bytes of a file, and whether a gzip stream was inflated for them."""
    with open_file(path) as stream:
        head = stream.read(544)
        compressed = head.startswith(b"\x1f\x8b")
        return (inflated_head(stream) if compressed else head), compressed


def paired_file(path: Path) -> tuple[Path, Path | None]:
    """Header and voxels of a NIfTI or Analyze pair, whichever of the two is named; else the file itself and None.

    The named file is always one of the two: beside ``a.img`` may lie ``a.img.gz``.
    """
    suffix = suffix_of(path)
    if suffix not in PAIR:
        return path, None
    stem = path.name[: len(path.name) - len(suffix)]
    other = ".img" if suffix.startswith(".hdr") else ".hdr"
    # The partner packed as the named file is comes first: the other may be of another scan.
    endings = [other + ".gz", other] if suffix.endswith(".gz") else [other, other + ".gz"]
    if path.name[len(stem) :].isupper():
        endings = [ending.upper() for ending in endings]
    beside = next(
        (path.with_name(stem + ending) for ending in endings if path.with_name(stem + ending).is_file()), None
    )
    if other == ".hdr":
        return (path, None) if beside is None else (beside, path)
    return path, beside


def checked_axes(declared: tuple[int, ...], channel_axis: int | None = None) -> tuple[Shape3, int]:
    """Lengths of x, y and z, and the number of channels, of axes that may be.

    Args:
        declared: axis lengths, fastest first.
        channel_axis: the axis of the channels where it is not among the last ones.
    """
    stored = "x".join(map(str, declared))
    space = tuple(length for axis, length in enumerate(declared) if axis != channel_axis)
    if not 2 <= len(space) <= 7 or len(declared) > 7 or min(declared) < 1:
        raise InputError("two or three axes of positive length", f"a header that declares {stored}", AGAIN)
    # Python's integers have no end: a product of NumPy's could wrap round to one that passes.
    if math.prod(declared) > MAX_VOXELS:
        raise InputError(f"a volume of at most {MAX_VOXELS} voxels", f"a header that declares {stored}", AGAIN)
    many = [
        length for length in (*space[3:], *([] if channel_axis is None else [declared[channel_axis]])) if length > 1
    ]
    if len(many) > 1:
        raise InputError("at most one axis beside x, y and z", f"a header that declares {stored}", CONVERT)
    x, y, z = (*space, 1)[:3]
    return (x, y, z), math.prod(many)
