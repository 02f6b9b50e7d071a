"""Files that say of themselves that they are synthetic: marks by which nobody takes them for a patient's."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.scans.files import open_file

NOT_A_PATIENT = "SYNTHETIC IMAGE - NOT A PATIENT"
PAINTED = "SYNTHETIC: tumour"
NOBODY = "SYNTHETIC^NO PATIENT"

_MARKS = tuple(text.encode() for text in (NOT_A_PATIENT, PAINTED, NOBODY))
_HEAD = 8192
"""Bytes in which a mark stands: ``descrip`` of NIfTI, the text before a PNG's pixels, the first elements of DICOM."""


def says_synthetic(sources: Iterable[Path]) -> bool:
    """Whether any of these files carries the mark of synthetic ones; what cannot be read carries none."""
    # One marked file is enough: a set of scans and synthetic ones mixed must not pass for patients.
    return any(any(mark in head for mark in _MARKS) for head in map(_head_of, sources))


def _head_of(path: Path) -> bytes:
    """The first bytes of a file, those of a gzip stream inflated."""
    try:
        with open_file(path) as stream:
            head: bytes = stream.read(_HEAD)
        if head[:2] == b"\x1f\x8b":
            return zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    except (InputError, OSError, ValueError, zlib.error):
        return b""
    return head
