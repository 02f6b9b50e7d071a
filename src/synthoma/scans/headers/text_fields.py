"""Headers that are lines of text: their fields, and the file of voxels that they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans.files import open_file, regular_size
from synthoma.scans.headers.header import AGAIN
from synthoma.scans.volume_frames import Placement

_HEADER_BYTES = 2**15


def padded_to_three(matrix: Array, origin: Array) -> Placement:
    """Placement by the first three axes; a picture lies flat at z = 0, and nobody knows how thick it is."""
    keep = min(3, matrix.shape[1])
    whole, first = np.eye(3), np.zeros(3)
    whole[:keep, :keep], first[:keep] = matrix[:keep, :keep], origin[:keep]
    return Placement(whole, first, thick=keep == 3)


def text_fields(
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


def voxel_file(path: Path, name: str) -> Path:
    """The data file that a header names: a plain file in the header's own folder, nowhere else."""
    name = name.removeprefix("./")
    data = path.parent / name
    plain = Path(name).name == name and not set(name) & set("%*?") and name.split()[:1] != ["LIST"]
    if not plain or data.resolve().parent != path.parent.resolve():
        came = f"{name[:80]!r}"
        raise InputError("a data file in the folder of its header", came, "put header and data into one folder")
    regular_size(data)
    return data
