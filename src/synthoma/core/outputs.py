"""Output that appears whole or not at all, by one writer at a time, and never in the place of what is read.

A folder is filled aside, as ``.NAME.partial-XXXXXXXX``, and renamed when it is complete. What it replaces is renamed
to ``.NAME.replaced-XXXXXXXX`` first and deleted last, so a process that is killed at any moment leaves the old folder
or the new one whole; where it died between both renamings, the next command that writes this output puts the old one
back. ``.NAME.lock`` is locked while an output is written: the operating system takes the lock back with its process, so
it is never stale. Whatever a killed process left is swept by the next one that writes the same output.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from synthoma.core.artefacts import FILE, checksums_text, renewed_text
from synthoma.core.disk import CURE, disk_refused, no_place, output_error
from synthoma.core.errors import InputError, OutputError
from synthoma.core.fanned import fan
from synthoma.core.own_files import ARTEFACTS, TOKEN, foreign
from synthoma.core.places import check_apart, identity, resolved
from synthoma.core.provenance import bytes_digest
from synthoma.core.whole_files import LONGEST, locked_at_once, write_text
from synthoma.core.words import Place


# Folders -------------------------------------------------------------------------------------------------------------
@contextmanager
def new_folder(
    target: Path,
    *,
    force: bool = False,
    inputs: Iterable[Place | None] = (),
    around: Iterable[Place] = (),
) -> Iterator[Path]:
    """A folder to fill that becomes ``target`` only if the block ends without an error.

    Args:
        target: the final place; a link is followed. Its parent is made if needed.
        force: replace ``target`` if it is an artefact of Synthoma, without files of others, or empty.
        inputs: what the block reads; see ``check_apart``.
        around: folders of scans that the block reads, in which ``target`` may lie.

    Raises:
        InputError: ``target`` exists and may not be replaced, holds an input, is being written by another process, or
            cannot be written.
        OutputError: the disk is full, or the like; ``target`` is what it was.
    """
    inputs, around, parts = tuple(inputs), tuple(around), fan().config.parts
    check_output(target, force=force, inputs=(*inputs, parts), around=around)
    if parts is not None:  # or finished jobs would be taken for scans
        check_apart(parts, around)
    if (aside := fan().aside) is not None:  # a share has no output: shares of one command do not wait for each other
        target = aside / target.name
    with claimed(target), filled(target, force=force) as partial:
        yield partial
        write_checksums(partial)


def write_checksums(folder: Path) -> None:
    """Write down what every file of a folder that is complete holds, see ``artefacts``."""
    write_text(folder / FILE, checksums_text(folder))


def renew_checksums(folder: Path, *names: str) -> None:
    """Write down what files hold that were written anew into a folder which has checksums."""
    if (text := renewed_text(folder, names)) is not None:
        write_text(folder / FILE, text)


def check_output(
    target: Path, *, force: bool, inputs: Iterable[Place | None] = (), around: Iterable[Place] = ()
) -> None:
    """Raise InputError where ``new_folder`` would, as far as that can be said without touching anything."""
    check_apart(target, inputs, around=around)
    _check_free(resolved(target), force)


@contextmanager
def claimed(target: Path) -> Iterator[None]:
    """Keep an output for this process, and clear away what a killed one left of it.

    Raises:
        InputError: another process is writing it, or its folder cannot be written.
    """
    place = resolved(target)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, alone = _lock(_aside(place, "lock"), target)
    except OSError as error:
        raise no_place(target, error) from None
    try:
        if alone:
            _recover(place)
        yield
    finally:
        # Removed while it is still locked: once it is free, this could remove the lock of the next writer.
        _aside(place, "lock").unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def filled(target: Path, *, force: bool = False) -> Iterator[Path]:
    """``new_folder`` for an output that this process has claimed already.

    Raises:
        InputError, OutputError: see ``new_folder``.
    """
    place = resolved(target)
    _check_free(place, force)  # another process may have been there, or a killed one's was put back
    # Beside its place and not among temporary files: a rename is one step only within one file system.
    partial = _aside(place, "partial")
    existed = place.exists() and any(place.iterdir())
    try:
        try:
            partial.mkdir()
        except OSError as error:
            raise no_place(target, error) from None
        try:
            yield partial
            _put_in_place(partial, place)
        except OSError as error:
            if not disk_refused(error):
                raise
            raise output_error(place, error) from error
    except OutputError as error:
        kept = f"{target} is still what it was" if existed else "nothing was left behind"
        came = error.came
        raise OutputError(error.expected.replace(str(partial), str(target)), came, f"{CURE}: {kept}") from error
    finally:  # an interrupt leaves no half artefact either
        shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, place: Path) -> None:
    """Rename ``partial`` to ``place``, and what was there aside and away."""
    if not place.exists():
        partial.rename(place)
        return
    old = _aside(place, "replaced")
    place.rename(old)
    try:
        partial.rename(place)
    # An interrupt too must put the old one back.
    except BaseException:
        old.rename(place)
        raise
    # Half of a folder must never be taken for what can be put back.
    rubbish = _aside(place, "partial")
    old.rename(rubbish)
    shutil.rmtree(rubbish, ignore_errors=True)


def _recover(place: Path) -> None:
    """Put back what was replaced by a process that died before it was done, and remove what it left."""
    stem = re.escape(_stem(place))
    replaced, partial = re.compile(rf"\.{stem}\.replaced-{TOKEN}"), re.compile(rf"\.{stem}\.partial-{TOKEN}")
    for left_over in list(place.parent.iterdir()):
        if replaced.fullmatch(left_over.name) and not place.exists():
            left_over.rename(place)
        elif replaced.fullmatch(left_over.name) or partial.fullmatch(left_over.name):
            shutil.rmtree(left_over, ignore_errors=True)


def _check_free(place: Path, force: bool) -> None:
    """Raise InputError where a folder may not be put."""
    try:
        if not place.exists():
            return
        if not place.is_dir():
            raise InputError("a new output folder", f"{place}, which is a file", "choose another name")
        if os.path.ismount(place):
            todo = "choose a folder inside it"
            raise InputError("a new output folder", f"{place}, where a disk is mounted, which cannot be renamed", todo)
        if not any(place.iterdir()):
            return
        known = any(all((place / name).exists() for name in names) for names in ARTEFACTS)
    except OSError as error:
        raise InputError("a new output folder", f"{place}: {error.strerror or error}", "choose another") from None
    if not known:
        todo = "choose another name (it is not something Synthoma wrote, so --force does not replace it)"
        raise InputError("a new output folder", f"{place}, which holds other files", todo)
    if not force:
        raise InputError("a new output folder", f"{place}, which exists", "choose another name, or add --force")
    try:
        others = foreign(place)
    except OSError as error:
        raise InputError("a new output folder", f"{place}: {error.strerror or error}", "choose another") from None
    if others:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        came = f"{place}, which also holds {others[0]}{more}, not written by Synthoma"
        todo = "move that elsewhere or choose another name (--force deletes only what Synthoma wrote)"
        raise InputError("a new output folder", came, todo)


def _stem(place: Path) -> str:
    """The name of an output as part of the names of what lies aside."""
    raw = os.fsencode(place.name)
    if len(raw) <= LONGEST:
        return place.name
    return f"{raw[: LONGEST - 20].decode('utf-8', 'ignore')}~{bytes_digest(raw)[:12]}"


def _aside(place: Path, kind: str) -> Path:
    """A hidden name beside an output; but for the lock, nobody else has it."""
    ending = kind if kind == "lock" else f"{kind}-{secrets.token_hex(4)}"
    return place.with_name(f".{_stem(place)}.{ending}")


def _lock(path: Path, target: Path) -> tuple[int, bool]:
    """An open file that this process alone has locked, and whether the file system knows locks at all."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        locked = locked_at_once(descriptor)
        if locked is None:  # then nobody is refused, and nothing is swept
            return descriptor, False
        if not locked:
            os.close(descriptor)
            came = f"{target}, which another process is writing at this moment"
            raise InputError("an output that nobody else writes", came, "wait for it, or choose another name")
        if identity(path) == (os.fstat(descriptor).st_dev, os.fstat(descriptor).st_ino):
            return descriptor, True
        os.close(descriptor)  # its holder removed it between our opening and locking
