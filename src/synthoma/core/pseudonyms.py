"""Names that point at nobody: keyed hashes, the key that they are made with, and what they stand for."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.untrusted import content_of_cell, csv_text

KEY_VARIABLE = "SYNTHOMA_KEY"
LEAST_KEY = 16
"""Bytes of a key below which it could be guessed, and with it all names."""


def pseudonym(value: str, key: bytes) -> str:
    """Twelve hexadecimal digits that stand for an identifier: HMAC-SHA256 (RFC 2104) under ``key``."""
    # 48 bits: two of 10,000 people get the same one with a chance of 2 in 10 million.
    return hmac.new(key, value.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:12]


def secret_key() -> bytes:
    """The key that pseudonyms are made with: ``$SYNTHOMA_KEY``, or 32 random bytes kept in the user's own folder.

    One person's scans get one pseudonym on this computer, so leaks between cohorts can be seen; nobody without the
    key can test a name against a pseudonym. Where no folder can be written, the pseudonyms of this process stand alone.

    Raises:
        InputError: a key of fewer than 16 bytes, as an emptied file has.
    """
    # The variable first: hospitals hand one key to several computers, so that names agree.
    if value := os.environ.get(KEY_VARIABLE):
        return _long_enough(value.encode("utf-8", "surrogateescape"), f"${KEY_VARIABLE}")
    path = _key_file()
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        try:
            return _long_enough(path.read_bytes(), str(path))
        except (PermissionError, IsADirectoryError) as error:  # another key would part one person's scans in silence
            todo = f"make it readable, or set ${KEY_VARIABLE}"
            raise InputError("a readable file with the key of pseudonyms", f"{path}: {error.strerror}", todo) from None
    try:
        _keep(path, secrets.token_bytes(32))
        return _long_enough(path.read_bytes(), str(path))
    except OSError:  # no home to write to
        return _passing_key()


def remember(names: Mapping[str, str]) -> Path | None:
    """Keep what pseudonyms stand for, in a file beside the key that only its owner can read; never in an artefact.

    Args:
        names: pseudonym -> what it stands for, a folder for example. Those that are kept already stay.

    Returns:
        The file; None where the key is not in a file of its own, or the file cannot be written.
    """
    if os.environ.get(KEY_VARIABLE) or not names:
        return None
    path = _key_file().with_name("index.csv")
    try:
        known = set()
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace", newline="") as stream:
                known = {content_of_cell(row[0]) for row in csv.reader(stream) if row}
        rows = [
            {"name": name, "place": os.fsencode(place).decode("utf-8", "backslashreplace")}
            for name, place in names.items()
            if name not in known
        ]
        _, lines = csv_text(("name", "place"), rows).split("\n", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Appended and 0600 from the start: two commands may write at once, and nobody else may read it even for a
        # moment.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(lines)
    except OSError:
        return None
    return path


def _key_file() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "synthoma" / "key"


def _long_enough(key: bytes, where: str) -> bytes:
    if len(key) < LEAST_KEY:
        todo = "put the old key back, or remove it: then a new one is made, and everybody gets another pseudonym"
        raise InputError(f"a key of {LEAST_KEY} bytes or more for pseudonyms", f"{len(key)} in {where}", todo)
    return key


def _keep(path: Path, key: bytes) -> None:
    """Write a new key so that it appears whole or not at all, and never in the place of another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".key-", dir=path.parent)  # readable by its owner alone
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            # A key that is lost in a power cut would give everybody another pseudonym.
            os.fsync(file.fileno())
        try:
            # Unlike a rename, a link fails where something is there already.
            os.link(partial, path)
        except FileExistsError:  # another process was first
            pass
        except OSError:  # a file system without hard links
            if not path.exists():
                partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@cache
def _passing_key() -> bytes:
    """One key for all that this process writes."""
    return secrets.token_bytes(32)
