"""Where an artefact came from: content hashes, and the versions behind it."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

from synthoma._version import __version__


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
