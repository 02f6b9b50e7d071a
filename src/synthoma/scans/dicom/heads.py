"""DICOM files without their 132-byte head: whether the first bytes are a DICOM data set, element by element.

This module loads no DICOM library: every file of a folder is looked at.
"""

from __future__ import annotations

import struct
from typing import Literal

Bare = Literal["meta", "explicit", "implicit"]
"""What a file without head begins with: the meta part, or the data set with or without types, little endian."""

LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
"""Types whose length takes four bytes (PS3.5 table 7.1-1)."""

VRS = LONG_VRS | frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL"),
        *(b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
_ENOUGH = 3
_FIRST_MOST = 0x0018
"""The first element of a data set is one of those up to the SOP Instance UID (0008,0018)."""
# "Undefined length" (PS3.5, 7.1.1): a delimiter ends such a value.
_UNDEFINED = 0xFFFFFFFF


def bare_kind(head: bytes, size: int) -> Bare | None:
    """What a file without head begins with; None where it is no DICOM.

    Args:
        head: its first bytes, a few hundred.
        size: of the whole file.
    """
    if len(head) < 8:
        return None
    group, element = struct.unpack_from("<2H", head)
    # Cheap and rarely true of other files: the chain is followed only where this holds.
    if element > _FIRST_MOST or group not in (2, 8):
        return None
    explicit = head[4:6] in VRS
    if (group == 2 and not explicit) or not _is_chain(head, size, explicit=explicit):
        return None
    if group == 2:
        return "meta"
    return "explicit" if explicit else "implicit"


def _is_chain(head: bytes, size: int, *, explicit: bool) -> bool:
    """Whether elements follow one another: rising tags of the first group, even lengths that the file has room for."""
    place, last, count = 0, -1, 0
    first = head[:2]
    # 12 bytes: the longest header of an element.
    while count < 2 * _ENOUGH and place + 12 <= len(head):
        if head[place : place + 2] != first:
            return count >= _ENOUGH
        (element,) = struct.unpack_from("<H", head, place + 2)
        header, length = _length(head, place, explicit=explicit)
        if element <= last or header == 0:
            return False
        count += 1
        if length == _UNDEFINED:
            return count >= _ENOUGH
        # Values have even lengths (PS3.5, 7.1.1).
        if length % 2 or place + header + length > size:
            return False
        place, last = place + header + length, element
    return count >= _ENOUGH


def _length(head: bytes, place: int, *, explicit: bool) -> tuple[int, int]:
    """Bytes before an element's value, and of the value; 0 and 0 for a type that does not exist."""
    if not explicit:
        return 8, int(struct.unpack_from("<I", head, place + 4)[0])
    kind = head[place + 4 : place + 6]
    if kind in LONG_VRS:
        return 12, int(struct.unpack_from("<I", head, place + 8)[0])
    return (8, int(struct.unpack_from("<H", head, place + 6)[0])) if kind in VRS else (0, 0)
