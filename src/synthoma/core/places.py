"""Where an output really goes, and whether that lies apart from what is read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.words import Place


def resolved(target: Path) -> Path:
    """Where an output really goes: absolute, links followed.

    Raises:
        InputError: a name that no file can have, or a link that leads to itself.
    """
    try:
        place = Path(os.path.realpath(target))
        if place.is_symlink():
            raise InputError("an output place", f"{target}, a link that leads nowhere", "choose another name")
        place.exists()  # refuses a name that is too long
    except (OSError, ValueError) as error:
        came = f"{str(target)[:80]!r}: {getattr(error, 'strerror', None) or error}"
        raise InputError("a name that a folder can have", came, "choose another name") from None
    return place


def check_apart(target: Path, inputs: Iterable[Place | None], *, around: Iterable[Place] = ()) -> None:
    """Raise InputError where an output is an input, lies in one, or holds one: replacing it would delete what is read.

    Files are compared as the file system knows them, whatever their spelling, so links and letter case do not matter.

    Args:
        target: the output.
        inputs: files and folders that are read, or will be written beside it; None is passed over.
        around: folders of scans that are read, in which the output may lie: a walk through them passes over what is
            hidden, and so over what is being written, and over whatever Synthoma wrote.
    """
    place = resolved(target)
    above, here = _lineage(place), identity(place)
    for given, may_hold in [*((one, False) for one in inputs if one is not None), *((one, True) for one in around)]:
        source = Path(os.path.realpath(given))
        known, todo = identity(source), "choose another name for the output"
        if source == place or (known is not None and known == here):
            came = f"{target}, which is what is read" if str(target) == str(given) else f"{target}, which is {given}"
        elif source in place.parents or (known is not None and known in above):
            if may_hold:
                continue
            came, todo = f"{target}, which lies in {given}", "write it elsewhere, for example beside that folder"
        elif place in source.parents or (here is not None and here in _lineage(source)):
            came = f"{target}, in which {given} lies"
        else:
            continue
        raise InputError("an output apart from what is read", came, todo)


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode: the same however a path is spelt. None where nothing is there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _lineage(path: Path) -> set[tuple[int, int] | None]:
    """Identities of a path and of all folders above it that exist."""
    return {identity(one) for one in (path, *path.parents)} - {None}
