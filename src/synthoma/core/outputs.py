"""Output that appears whole or not at all, by one writer at a time, and never in the place of what is read.

A folder is filled aside, as ``.NAME.partial-XXXXXXXX``, and renamed when it is complete. What it replaces is renamed
to ``.NAME.replaced-XXXXXXXX`` first and deleted last, so a process that is killed at any moment leaves the old folder
or the new one whole; where it died between both renamings, the next command that writes this output puts the old one
back. ``.NAME.lock`` is locked while an output is written: the operating system takes the lock back with its process, so
it is never stale. Whatever a killed process left is swept by the next one that writes the same output.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthoma.core.artefacts import FILE, checksums_text, listed, renewed_text
from synthoma.core.errors import InputError, OutputError
from synthoma.core.provenance import bytes_digest

ARTEFACTS = (
    ("cohort.json",), ("run.json",), ("search.csv", "config.toml"), ("evaluation.json",), ("demo.json",),
    ("detection.json",), ("scores.json",),
)  # fmt: skip
"""A folder that holds all files of one of these was written by Synthoma, and only such a folder may be replaced."""

KEPT = ".rows"
"""What the folder holds in which findings are kept that a full disk cut short."""

LONGEST = 180
"""Bytes of a name that are kept in the names of what lies aside: file systems take 255, and these are longer."""

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "a file grew beyond the limit on the size of files",
    errno.EROFS: "the disk cannot be written",
}
_TOKEN = r"[0-9a-z_]{8}"
_LATER = frozenset({"report.html", "duplicates.png"})
"""What is written into a complete artefact, and may be there without a checksum after a kill."""

_LITTER = re.compile(r"\.DS_Store|\._.+|Thumbs\.db|desktop\.ini|\.directory|\.nfs[0-9a-f]+", re.IGNORECASE)
"""What operating systems leave in folders, and nobody misses."""

_FILES = re.compile(
    r"(run|execution|cohort|evaluation|scores|demo|detection|findings|mask_rle|croissant|splits_final|checksums)\.json|"
    r"(slices|skipped|duplicates|index|pictures|search)\.csv|(images|masks)\.npy|config\.toml|log\.jsonl|"
    r"(progress|duplicates|interpolation|nearest|saliency)\.png|report\.(html|md)|(dataset|model)_card\.md|"
    r"(model|checkpoint/step-\d+)\.safetensors|samples/(images|row)-\d+\.png|export_(png|nifti|dicom)/.+"
)
"""Files of artefacts that have no checksums: unfinished runs, and what earlier versions wrote."""

_PARTS = re.compile(r"phantom|run|synthetic|evaluation|trial-\d+")
"""Artefacts inside those."""


def wrote(names: Collection[str]) -> bool:
    """Whether a folder that holds these names was written by Synthoma, or is what was kept of one on a full disk."""
    return KEPT in names or (FILE in names and any(all(name in names for name in known) for known in ARTEFACTS))


def foreign(folder: Path) -> list[str]:
    """Files below an artefact that Synthoma did not write into it, by their names there, in order.

    Checksums list what was written. Where there are none that can be read, names decide. Links are passed over, since
    nothing is lost with them, and so are empty folders.
    """
    return sorted(str(path.relative_to(folder)) for path in _foreign(folder, folder, listed(folder)))


def _foreign(root: Path, folder: Path, known: Collection[str] | None) -> Iterator[Path]:
    """Foreign files below a folder of the artefact ``root``, whose checksums know these names."""
    for path in folder.iterdir():
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or _LITTER.fullmatch(path.name) or re.match(rf"\.partial-{_TOKEN}-", path.name):
            continue
        if path.is_dir():
            # One that has checksums of its own stands by them, as the others do by those of the folder above.
            inner = f"{name}/{FILE}" in known if known is not None else _is_part(path)
            yield from _foreign(path, path, listed(path)) if inner else _foreign(root, path, known)
        elif known is None:
            if not (_FILES.fullmatch(name) or (path.name.startswith(f"{root.name}_") and _is_case(root))):
                yield path
        elif name not in known and name != FILE and name not in _LATER:
            yield path


def _is_part(folder: Path) -> bool:
    """Whether a folder in an artefact without checksums is one that belongs to it."""
    return _PARTS.fullmatch(folder.name) is not None or _is_case(folder)


def _is_case(folder: Path) -> bool:
    return (folder / "findings.json").is_file()


# Failures ------------------------------------------------------------------------------------------------------------


def disk_refused(error: BaseException) -> bool:
    """Whether an error says that the disk takes no more, which nobody's input is to blame for."""
    return isinstance(error, OutputError) or (isinstance(error, OSError) and error.errno in _FULL)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong in a block that only writes ``path`` into an OutputError that names it."""
    try:
        yield
    except OSError as error:
        raise output_error(path, error) from error


def output_error(path: Path, error: OSError) -> OutputError:
    """What to say where ``path`` could not be written."""
    reason = _FULL.get(error.errno or 0, f"the disk refused it ({error.strerror or error})")
    return OutputError(f"room to write {path}", reason, f"{_CURE}: nothing that was there before has changed")


_CURE = "make room there, then run the same command again"


# Files ---------------------------------------------------------------------------------------------------------------


def write_json(path: Path, content: Any) -> None:
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
    partial = path.with_name(f".partial-{secrets.token_hex(4)}-{name}")
    with writing(path):
        _sweep_files(path.parent, re.compile(rf"\.partial-{_TOKEN}-{re.escape(name)}"))
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            _locked(descriptor)  # says that somebody is at work on it
            yield partial
            os.fsync(descriptor)
            partial.replace(path)
            _flush_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)
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
        raise _no_place(target, error) from None
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
            if _locked(descriptor):
                left_over.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the partial files that killed processes left directly in a folder which several commands write."""
    if folder.is_dir():
        _sweep_files(folder, re.compile(rf"\.partial-{_TOKEN}-.+"))


# Folders -------------------------------------------------------------------------------------------------------------


@contextmanager
def new_folder(
    target: Path,
    *,
    force: bool = False,
    inputs: Iterable[Path | str | None] = (),
    around: Iterable[Path | str] = (),
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
    check_output(target, force=force, inputs=inputs, around=around)
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
    target: Path, *, force: bool, inputs: Iterable[Path | str | None] = (), around: Iterable[Path | str] = ()
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
        raise _no_place(target, error) from None
    try:
        if alone:
            _recover(place)
        yield
    finally:
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
    partial = _aside(place, "partial")
    existed = place.exists() and any(place.iterdir())
    try:
        try:
            partial.mkdir()
        except OSError as error:
            raise _no_place(target, error) from None
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
        raise OutputError(error.expected.replace(str(partial), str(target)), came, f"{_CURE}: {kept}") from error
    finally:  # an interrupt leaves no half artefact either
        shutil.rmtree(partial, ignore_errors=True)


def _no_place(target: Path, error: OSError) -> InputError | OutputError:
    """What to say where an output cannot even be begun."""
    if disk_refused(error):
        return output_error(target, error)
    return InputError("an output place that can be written", f"{target}: {error.strerror or error}", "choose another")


def _put_in_place(partial: Path, place: Path) -> None:
    """Rename ``partial`` to ``place``, and what was there aside and away."""
    if not place.exists():
        partial.rename(place)
        return
    old = _aside(place, "replaced")
    place.rename(old)
    try:
        partial.rename(place)
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
    replaced, partial = re.compile(rf"\.{stem}\.replaced-{_TOKEN}"), re.compile(rf"\.{stem}\.partial-{_TOKEN}")
    for left_over in list(place.parent.iterdir()):
        if replaced.fullmatch(left_over.name) and not place.exists():
            left_over.rename(place)
        elif replaced.fullmatch(left_over.name) or partial.fullmatch(left_over.name):
            shutil.rmtree(left_over, ignore_errors=True)


# Places --------------------------------------------------------------------------------------------------------------


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


def check_apart(target: Path, inputs: Iterable[Path | str | None], *, around: Iterable[Path | str] = ()) -> None:
    """Raise InputError where an output is an input, lies in one, or holds one: replacing it would delete what is read.

    Files are compared as the file system knows them, whatever their spelling, so links and letter case do not matter.

    Args:
        target: the output.
        inputs: files and folders that are read, or will be written beside it; None is passed over.
        around: folders of scans that are read, in which the output may lie: a walk through them passes over what is
            hidden, and so over what is being written, and over whatever Synthoma wrote.
    """
    place = resolved(target)
    above, here = _lineage(place), _identity(place)
    for given, may_hold in [*((one, False) for one in inputs if one is not None), *((one, True) for one in around)]:
        source = Path(os.path.realpath(given))
        known, todo = _identity(source), "choose another name for the output"
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


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _lineage(path: Path) -> set[tuple[int, int] | None]:
    """Identities of a path and of all folders above it that exist."""
    return {_identity(one) for one in (path, *path.parents)} - {None}


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
        locked = _locked(descriptor)
        if locked is None:  # then nobody is refused, and nothing is swept
            return descriptor, False
        if not locked:
            os.close(descriptor)
            came = f"{target}, which another process is writing at this moment"
            raise InputError("an output that nobody else writes", came, "wait for it, or choose another name")
        if _identity(path) == (os.fstat(descriptor).st_dev, os.fstat(descriptor).st_ino):
            return descriptor, True
        os.close(descriptor)  # its holder removed it between our opening and locking


def _locked(descriptor: int) -> bool | None:
    """Lock an open file without waiting; False where another one holds it, None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
