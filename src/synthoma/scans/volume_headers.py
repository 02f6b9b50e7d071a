"""Headers of volumes, read by hand: NIfTI, Analyze, MetaImage, NRRD and MGH.

A header is the part of a file that lies: 400 bytes can ask for gigabytes, or for another file. So each is read here,
without a library that would trust it, and says where exactly the voxels are that it describes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.scans.files import kind_of, open_file, regular_size, suffix_of
from synthoma.scans.headers.header import AGAIN, Header, paired_file
from synthoma.scans.headers.metaimage import metaimage_fields, metaimage_header
from synthoma.scans.headers.mgh import mgh_header
from synthoma.scans.headers.nifti import analyze_header, nifti_header
from synthoma.scans.headers.nrrd import nrrd_fields, nrrd_header
from synthoma.scans.headers.text_fields import voxel_file


def read_header(path: Path) -> Header:
    """Read the header of a volume in the format that the content says.

    Args:
        path: the file, or either file of a NIfTI or Analyze pair.

    Raises:
        InputError: another format, a damaged header, impossible axes, or more than any scan has.
    """
    parsers: dict[str, Callable[[Path], Header]] = {
        "nifti": nifti_header,
        "analyze": analyze_header,
        "metaimage": metaimage_header,
        "nrrd": nrrd_header,
        "mgh": mgh_header,
    }
    regular_size(path)
    # By content: suffixes are changed by hand, and a parser of the wrong format sees nonsense that may pass.
    kind = kind_of(paired_file(path)[0])
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
            return paired_file(path)[1]
        match kind_of(path):
            case "metaimage":
                name = metaimage_fields(path)[0]["ElementDataFile"]
            case "nrrd":
                name = nrrd_fields(path)[0].get("data file", "LOCAL")
            case _:
                name = "LOCAL"
        return None if name == "LOCAL" else voxel_file(path, name)
    except (InputError, ValueError):
        return None


def _other_content(path: Path) -> str:
    if suffix_of(path) in (".img", ".img.gz"):
        return "voxels without their header: there is no sound .hdr beside the .img"
    return "a file with other or damaged content"


def _head(path: Path) -> bytes:
    with open_file(path) as stream:
        return stream.read(1024)
