"""What is sent: streamed to disk under names of our own, and unpacked with care.

The name that a file came with is a label. On disk it has one that is made from it: letters, digits, ``_`` and ``-``
alone, with a suffix of letters and digits, so that what the name says of patient and sequence can still be read, and it
leads nowhere. Content is judged by the readers of `prepare` and `detect`.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from synthoma.core.disk import disk_refused
from synthoma.core.untrusted import file_name, visible
from synthoma.studio.limits import Limits
from synthoma.studio.places import UPLOADS, Places
from synthoma.studio.refusal import RefusedError

LABELS = "labels.json"
_CHUNK = 1 << 20
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,8})?(\.[A-Za-z0-9]{1,8})\Z")
_LITTER = re.compile(r"__MACOSX|\..*|Thumbs\.db|desktop\.ini", re.IGNORECASE)
_UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError)
_SMALL = 1 << 20
"""Bytes of an unpacked file below which its ratio does not matter."""


class Sent(Protocol):
    """A file as it arrives."""

    @property
    def filename(self) -> str | None:
        """The name that it came with."""

    @property
    def file(self) -> IO[bytes]:
        """Its content."""


@dataclass
class _Taking:
    """An upload while it is taken in."""

    folder: Path
    limits: Limits
    size: int = 0
    files: int = 0
    labels: dict[str, str] = field(default_factory=dict)

    def place(self, name: str) -> Path:
        """Where a file of this name goes: a path that is free, made of safe names."""
        self.files += 1
        if self.files > self.limits.files:
            raise RefusedError(413, f"at most {self.limits.files:,} files at once", "more", "send them in parts")
        parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", ".", "..")]
        if len(parts) > self.limits.depth:
            raise RefusedError(
                413, f"at most {self.limits.depth} folders in one another", "more", "send the inner folder"
            )
        *above, last = parts or ["file"]
        folder = self.folder.joinpath(*(file_name(part, 60) for part in above))
        stem, suffix = split_name(last)
        number, path = 1, folder / f"{stem}{suffix}"
        while path.exists():
            number += 1
            path = folder / f"{stem}-{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.labels[path.relative_to(self.folder).as_posix()] = visible(name)[:500]
        return path

    def copy(self, source: IO[bytes], target: Path, most: int | None = None) -> None:
        """Write a file piece by piece.

        Args:
            source: what is read.
            target: a path of ``place``.
            most: bytes that it may have, by what its archive says.
        """
        size = 0
        with target.open("xb") as out:
            while piece := source.read(_CHUNK):
                size += len(piece)
                self.size += len(piece)
                if self.size > self.limits.upload_bytes or (most is not None and size > most):
                    raise RefusedError(
                        413, f"at most {self.limits.upload_bytes:,} bytes", "more", "send less at a time"
                    )
                out.write(piece)


def split_name(name: str) -> tuple[str, str]:
    """A file's name as a safe stem and suffix: "p 1.t1.nii.gz" becomes "p 1_t1", ".nii.gz"."""
    found = _SUFFIX.search(name)
    suffix = ""
    if found is not None and found.start() > 0:
        inner, outer = found.group(1) or "", found.group(2)
        suffix = (inner if outer.lower() in (".gz", ".bz2") else "") + outer
    return file_name(name[: len(name) - len(suffix)], 80), suffix.lower()


def take(places: Places, limits: Limits, sent: Iterable[Sent]) -> Path:
    """Take files in; all of them, or none.

    Args:
        places: where uploads lie.
        limits: how much.
        sent: the files; ZIP files among them are unpacked.

    Returns:
        The new folder that holds them.

    Raises:
        RefusedError: too much, none, or an archive that is damaged or hostile.
    """
    number = secrets.token_hex(6)
    aside = places.own / f"upload-{number}"
    aside.mkdir()
    try:
        taking = _Taking(aside, limits)
        for one in sent:
            name = one.filename or ""
            if name.lower().endswith(".zip"):
                _unpack(one.file, PurePosixPath(name.replace("\\", "/")).stem, taking)
            elif name:
                taking.copy(one.file, taking.place(name))
        if not taking.labels:
            raise RefusedError(400, "files", "none", "choose some first")
        target = places.workspace / UPLOADS / number
        (places.own / f"labels-{number}.json").write_text(json.dumps(taking.labels, indent=1), encoding="utf-8")
        aside.rename(target)
        return target
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unpack(packed: IO[bytes], name: str, taking: _Taking) -> None:
    """Unpack a ZIP file, each entry under a name of our own."""
    todo = "pack the folder again, or send its files"
    try:
        with zipfile.ZipFile(packed) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir() and not _litter(one.filename)]
            if taking.files + len(entries) > taking.limits.files:
                raise RefusedError(413, f"at most {taking.limits.files:,} files at once", "more in a ZIP", "send parts")
            if taking.size + sum(one.file_size for one in entries) > taking.limits.upload_bytes:
                raise RefusedError(413, f"at most {taking.limits.upload_bytes:,} bytes", "a ZIP of more", "send parts")
            for entry in entries:
                _check_entry(entry, taking.limits)
                with archive.open(entry) as source:
                    taking.copy(source, taking.place(f"{name}/{entry.filename}"), most=entry.file_size)
    except (*_UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and disk_refused(error):
            raise
        raise RefusedError(400, "a ZIP file that can be read", type(error).__name__, todo) from None


def _check_entry(entry: zipfile.ZipInfo, limits: Limits) -> None:
    """Raise RefusedError for an entry that leads elsewhere, is no file, is encrypted, or unpacks to far too much."""
    parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if ".." in parts or entry.filename.startswith(("/", "\\")) or (parts and ":" in parts[0]):
        raise RefusedError(
            400, "a ZIP whose files stay in its folder", "one that leads elsewhere", "pack the folder again"
        )
    if kind not in (0, stat.S_IFREG):
        raise RefusedError(400, "a ZIP of files", "a link or a device in it", "pack the folder again, without links")
    if entry.flag_bits & 1:
        raise RefusedError(400, "a ZIP without password", "an encrypted one", "pack the folder again, without password")
    if entry.file_size > _SMALL and entry.file_size > limits.ratio * max(entry.compress_size, 1):
        came = f"one of more than {limits.ratio} times its packed size"
        raise RefusedError(413, "a ZIP of ordinary files", came, "send the files themselves")


def _litter(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(_LITTER.fullmatch(part) for part in parts if part not in ("..", "."))
