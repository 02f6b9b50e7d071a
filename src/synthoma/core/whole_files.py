"""Files that appear whole or not at all, and survive a power cut then."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from synthoma.core.disk import no_place, writing
from synthoma.core.errors import InputError
from synthoma.core.own_files import TOKEN
from synthoma.core.places import check_apart, identity, resolved

LONGEST = 180
"""Bytes of a name that are kept in the names of what lies aside: file systems take 255, and these are longer."""


def write_json(path: Path, content: object) -> None:
    """Write JSON so that the file appears whole or not at all; keys keep their order."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that the file appears whole or not at all. Undecodable names are escaped."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write that becomes ``path`` if the block ends without an error, and survives a power cut then.

    It ends as ``path`` does, for writers that choose a format by the name. Several processes may write one path: each
    has its own partial file, and the last one to end wins. What killed ones left is swept.

    Raises:
        OutputError: it cannot be written; what was there before is untouched.
    """
    name = os.fsdecode(os.fsencode(path.name)[-LONGEST:])
    with writing(path):
        # Before writing: on a full disk, what a killed process left may be the room that is needed.
        _sweep_files(path.parent, re.compile(rf"\.partial-{TOKEN}-{re.escape(name)}"))
        partial, descriptor = _held(path, name)
        try:
            yield partial
            # The content reaches the disk before the name does, or a power cut could leave a whole name on half a file.
            os.fsync(descriptor)
            partial.replace(path)
            # A rename is a change of the folder: without this the new name may be lost, and the old file be back.
            _flush_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)
            os.close(descriptor)


def _held(path: Path, name: str) -> tuple[Path, int]:
    """A new partial file beside a path, and its descriptor, whose lock says that somebody is at work on it."""
    while True:
        partial = path.with_name(f".partial-{secrets.token_hex(4)}-{name}")
        # O_EXCL: never a file that somebody put there under this name.
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        locked = locked_at_once(descriptor)
        status = os.fstat(descriptor)
        # Between opening and locking another writer may have taken it for a killed one's. What is written then would
        # be a second file of that name, which nobody holds and `fsync` does not see.
        if locked is None or (locked and identity(partial) == (status.st_dev, status.st_ino)):
            return partial, descriptor
        os.close(descriptor)


def new_file(target: Path, *, force: bool, inputs: Iterable[Path | str | None] = ()) -> Path:
    """Where a file really goes, links followed; its folder is made. Said before the work, not after it.

    Raises:
        InputError: it exists and may not be replaced, is an input, or cannot be written.
    """
    place = resolved(target)
    check_apart(target, inputs)
    if place.exists() and not (force and place.is_file()):
        todo = "choose another name" + (", or add --force" if place.is_file() else "")
        raise InputError("a new file", f"{target}, which exists", todo)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise no_place(target, error) from None
    if not os.access(place.parent, os.W_OK):
        raise InputError("an output place that can be written", f"{target}: no permission", "choose another")
    return place


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep_files(folder: Path, pattern: re.Pattern[str]) -> None:
    """Remove partial files that no living process holds."""
    for left_over in [path for path in folder.iterdir() if pattern.fullmatch(path.name)]:
        try:
            descriptor = os.open(left_over, os.O_RDWR)
        except OSError:  # it has just been renamed
            continue
        try:
            # Locked here, so nobody is at work on it: the system frees the locks of dead processes.
            if locked_at_once(descriptor):
                left_over.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the partial files that killed processes left directly in a folder which several commands write."""
    if folder.is_dir():
        _sweep_files(folder, re.compile(rf"\.partial-{TOKEN}-.+"))


def locked_at_once(descriptor: int) -> bool | None:
    """Lock an open file without waiting; False where another one holds it, None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
