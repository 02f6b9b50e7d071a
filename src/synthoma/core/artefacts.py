"""What an artefact holds is what was written: JSON that is read with care, versions that are known, checksums.

``checksums.json`` stands beside the files of a folder that is complete, with the size and SHA-256 of each. A folder in
it that has its own stands by that one. What grows, or is changed in place, carries its checksum inside: see ``sealed``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from synthoma.core.errors import InputError
from synthoma.core.provenance import bytes_digest, file_digest

Value = TypeVar("Value")

FILE = "checksums.json"
SCHEMA = "synthoma.checksums/1"
SMALL = 64 * 2**20
"""Bytes up to which a file is read and compared whenever it is opened; of larger ones the size is, until asked for."""

CHANGED = f"restore it from a copy or make it again; where you changed it on purpose, delete {FILE} beside it"
_SEAL = re.compile(r"# sha256 ([0-9a-f]{64})\n\Z")


# JSON ----------------------------------------------------------------------------------------------------------------


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        InputError: nothing readable there, no JSON, or JSON that is no object.
    """
    try:
        # Python's reader takes NaN and Infinity, which are no JSON; what is nested too deep raises RecursionError.
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error) or type(error).__name__
        raise InputError(f"a readable {path.name}", f"{path}: {reason}", "restore it, or make it again") from None
    if not isinstance(content, dict):
        raise InputError(f"an object in {path.name}", f"{type(content).__name__} in {path}", "make it again")
    return content


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def read_artefact(path: Path, schema: str, keys: Iterable[str] = ()) -> dict[str, Any]:
    """The JSON file that an artefact is known by, verified.

    Args:
        path: the file.
        schema: name and version that it must state.
        keys: what it must have.

    Raises:
        InputError: damaged, of another version, or incomplete.
    """
    verify(path)
    content = read_json(path)
    check_schema(content, schema, path)
    # Said here, by name: a KeyError in the middle of a run would not tell which file is incomplete.
    if absent := [key for key in keys if key not in content]:
        raise InputError(f"a complete {path.name}", f"no {', '.join(absent)} in {path}", "make it again")
    return content


def check_schema(content: Mapping[str, object], schema: str, path: Path) -> None:
    """Raise InputError where a file does not state the version that is read here."""
    found = content.get("schema")
    if found == schema:
        return
    name, _, version = schema.partition("/")
    # At most 9 digits: `int` raises ValueError beyond 4,300 of them.
    stated = re.fullmatch(rf"{re.escape(name)}/(\d{{1,9}})", found) if isinstance(found, str) else None
    newer = stated is not None and int(stated.group(1)) > int(version)
    todo = "update Synthoma: a newer version wrote it" if newer else "make it again with this version"
    raise InputError(f"schema {schema!r}", f"{str(found)[:80]!r} in {path}", todo)


# Checksums inside ----------------------------------------------------------------------------------------------------


def sealed(content: Mapping[str, object]) -> dict[str, object]:
    """A JSON object with the checksum of all that it holds."""
    return {**content, "sha256": _object_digest(content)}


def unsealed(content: Mapping[str, Value], path: Path) -> dict[str, Value]:
    """The object without its checksum, which is compared; one that has none is taken as it is.

    Raises:
        InputError: it is not what was written.
    """
    bare = {key: value for key, value in content.items() if key != "sha256"}
    # One without a checksum was written by an earlier version, or by hand.
    if "sha256" in content and content["sha256"] != _object_digest(bare):
        raise InputError(f"{path.name} as it was written", f"{path} with another checksum", "restore it from a copy")
    return bare


def _object_digest(content: Mapping[str, object]) -> str:
    # Sorted: the order of keys is no part of the content, and other tools that rewrite JSON change it.
    return bytes_digest(json.dumps(content, sort_keys=True).encode())


def sealed_text(text: str) -> str:
    """Text of lines with its checksum as a last comment."""
    return f"{text}# sha256 {bytes_digest(text.encode())}\n"


def verify_text(path: Path) -> None:
    """Compare a text with the checksum in its last line, where there is one.

    Raises:
        InputError: it is not what was written, or cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"a readable {path.name}", f"{path}: {error}", "restore it from a copy") from None
    seal = _SEAL.search(text)
    # A seal that is there but does not parse was damaged: it must not pass for a text without one.
    if seal is None and "# sha256" not in text:
        return
    if seal is None or bytes_digest(text[: seal.start()].encode()) != seal.group(1):
        raise InputError(f"{path.name} as it was written", f"{path} with another checksum", "restore it from a copy")


# Checksums beside ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checksum:
    """What a file was when it was written: bytes and SHA-256."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Checksum:
        """That of a file as it is now."""
        return cls(path.stat().st_size, file_digest(path))


def checksums_text(folder: Path) -> str:
    """Content of ``checksums.json`` for a folder: every file below it, but those of folders that have their own."""
    known = {str(path.relative_to(folder)): Checksum.of(path) for path in _files(folder)}
    return _text(known)


def _text(known: Mapping[str, Checksum]) -> str:
    files = {name: {"bytes": one.size, "sha256": one.sha256} for name, one in sorted(known.items())}
    return json.dumps({"schema": SCHEMA, "files": files}, indent=1, ensure_ascii=True) + "\n"


def renewed_text(folder: Path, names: Iterable[str]) -> str | None:
    """``checksums.json`` of a folder after some of its files were written anew; None where there is none."""
    known = _read(folder)
    return None if known is None else _text({**known, **{name: Checksum.of(folder / name) for name in names}})


def _files(folder: Path) -> Iterator[Path]:
    """Files of an artefact in order, without those that are being written."""
    for path in sorted(folder.iterdir()):
        # A part that has checksums of its own is covered by theirs: a part that is renewed then leaves ours true.
        if path.is_dir() and (path / FILE).is_file():
            yield path / FILE
        elif path.is_dir():
            yield from _files(path)
        elif path.name != FILE and not path.name.startswith(".partial-"):
            yield path


def _read(folder: Path) -> dict[str, Checksum] | None:
    """The checksums beside the files of a folder; None where there are none.

    Raises:
        InputError: they are damaged.
    """
    path = folder / FILE
    try:
        status = path.lstat()
    except OSError:
        return None
    return _parsed(path, status.st_mtime_ns, status.st_size, status.st_ino)


def listed(folder: Path) -> Collection[str] | None:
    """Names below a folder that its checksums know; None where it has none that can be read."""
    try:
        return _read(folder)
    except InputError:
        return None


# Time, size and inode are here for the cache's key alone: a file that was written anew is parsed anew. Checksums of the
# same files are equally long, and what is renewed within one tick of the clock has the same time.
@lru_cache(maxsize=64)
def _parsed(path: Path, _written: int, _size: int, _number: int) -> dict[str, Checksum]:
    content = read_json(path)
    check_schema(content, SCHEMA, path)
    try:
        found = {str(name): Checksum(one["bytes"], one["sha256"]) for name, one in content["files"].items()}
    except (KeyError, TypeError, AttributeError):
        todo = f"restore it from a copy, or delete it to go on without checksums ({path})"
        raise InputError(f"size and SHA-256 of each file in {FILE}", "something else", todo) from None
    return found


def verify(*paths: Path) -> None:
    """Compare files of one folder with the checksums beside them, if there are any: sizes, and content of small ones.

    Raises:
        InputError: a file is not what was written, or is gone.
    """
    for path in paths:
        known = (_read(path.parent) or {}).get(path.name)
        if known is not None and (fault := _fault(path, known, thorough=known.size <= SMALL)):
            raise InputError(f"{path.name} as it was written", f"{path}, which {fault}", CHANGED)


def verified_digest(path: Path) -> str:
    """SHA-256 of a file of any size, compared with the checksum beside it.

    Raises:
        InputError: it is not what was written.
    """
    known, found = (_read(path.parent) or {}).get(path.name), _digest(path)
    if known is not None and known.sha256 != found:
        raise InputError(f"{path.name} as it was written", f"{path}, which has another checksum", CHANGED)
    return found


def faults(folder: Path) -> list[str] | None:
    """All that is not what was written in an artefact, file by file; None where nothing there has checksums.

    Raises:
        InputError: damaged checksums.
    """
    known = _read(folder)
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and (path / FILE).is_file()]
    if known is None and not inner:
        return None
    checked = {folder / name: _fault(folder / name, one, thorough=True) for name, one in (known or {}).items()}
    found = [f"{path} {fault}" for path, fault in sorted(checked.items()) if fault]
    for path in inner:
        found += faults(path) or []
    return found


def _fault(path: Path, known: Checksum, *, thorough: bool) -> str:
    """What is wrong with a file; empty where nothing is."""
    try:
        if not path.is_file():
            return "is gone"
        size = path.stat().st_size
        # The size first: it finds most damage without reading gigabytes.
        if size != known.size:
            return f"has {size:,} bytes, not {known.size}"
        if thorough and _digest(path) != known.sha256:
            return "has another checksum"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""


def _digest(path: Path) -> str:
    """SHA-256 of a file, read once for each of its states."""
    status = path.stat()
    # The inode too: a file renamed into its place within one tick of the clock may have the same time and size.
    return _digest_once(path.resolve(), status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=1024)
def _digest_once(path: Path, _written: int, _size: int, _number: int) -> str:
    return file_digest(path)
