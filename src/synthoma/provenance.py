"""Where an artefact came from: content hashes, and folders that appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthoma._version import __version__
from synthoma.errors import InputError

ARTEFACT_FILES = ("cohort.json", "config.toml", "evaluation.json", "demo.json", "detection.json", "scores.json")
"""A folder that holds one of these was written by Synthoma, and only such a folder may be replaced."""


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_digest(data: bytes | memoryview) -> str:
    """SHA-256 of bytes in memory."""
    return hashlib.sha256(data).hexdigest()


def software() -> dict[str, str]:
    """Versions that an artefact's bytes may depend on. No date: the same command gives the same bytes."""
    import numpy as np

    return {"synthoma": __version__, "python": platform.python_version(), "numpy": np.__version__}


@contextmanager
def new_folder(target: Path, *, force: bool = False) -> Iterator[Path]:
    """A folder to fill that becomes ``target`` only if the block ends without an error.

    Args:
        target: the final place. Its parent is made if needed.
        force: replace ``target`` if it is an artefact of Synthoma or empty; anything else is never deleted.

    Raises:
        InputError: ``target`` exists and may not be replaced, or its parent cannot be written.
    """
    target = target.absolute()
    refuse_to_overwrite(target, force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
    except OSError as error:
        raise InputError(
            "an output place that can be written", f"{target}: {error.strerror}", "choose another"
        ) from None
    try:
        partial.chmod(0o755)
        yield partial
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    except BaseException:  # an interrupt leaves no half artefact either
        shutil.rmtree(partial, ignore_errors=True)
        raise


def refuse_to_overwrite(target: Path, force: bool) -> None:
    """Raise InputError where ``new_folder`` would."""
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError("a new output folder", f"{target}, which is a file", "choose another name")
    if not any(target.iterdir()):
        return
    if not any((target / name).is_file() for name in ARTEFACT_FILES):
        todo = "choose another name (it is not something Synthoma wrote, so --force does not replace it)"
        raise InputError("a new output folder", f"{target}, which holds other files", todo)
    if not force:
        raise InputError("a new output folder", f"{target}, which exists", "choose another name, or add --force")


def write_json(path: Path, content: Any) -> None:
    """Write JSON so that the file appears whole or not at all; keys keep their order."""
    text = json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that the file appears whole or not at all. Undecodable names are escaped."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
