"""Memory and disk of this machine, held against what a piece of work needs before it begins."""

from __future__ import annotations

import math
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from synthoma.core.errors import InputError, OutputError

GB = 1e9
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""What a container may use, by both generations of control groups."""

MARGIN = 1.1
"""Room that is asked for, over what is estimated."""


@dataclass(frozen=True)
class Needs:
    """What a piece of work takes, estimated.

    Attributes:
        memory: bytes of main memory, or of the GPU's where it computes there.
        disk: bytes that it writes.
        seconds: how long it runs; None where nobody can say.
    """

    memory: float
    disk: float
    seconds: float | None = None

    def text(self) -> str:
        """In words: "about 1.2 GB of memory, 0.3 GB of disk, 10 minutes"."""
        parts = [f"{in_words(self.memory)} of memory", f"{in_words(self.disk)} of disk"]
        if self.seconds is not None:
            parts.append(_time(self.seconds))
        return f"about {', '.join(parts)}"


def in_words(size: float) -> str:
    """Bytes as MB or GB."""
    return f"{size / GB:.1f} GB" if size >= 0.95 * GB else f"{max(size / 1e6, 1):.0f} MB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def total_memory() -> float:
    """Bytes of memory that this process can ever have: of the machine, or of the container that it runs in.

    Infinite where the operating system does not say.
    """
    total = math.inf
    with suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for file in _LIMITS:
        with suppress(OSError, ValueError):  # "max" is no number, and means none
            total = min(total, float(file.read_text()))
    return total


def check_memory(needed: float, what: str, todo: str, *, total: float | None = None) -> None:
    """Raise InputError where work needs more memory than there is at all.

    Args:
        needed: bytes, estimated.
        what: the work, for the message.
        todo: what to change.
        total: bytes there are; this machine's where None.
    """
    there = total_memory() if total is None else total
    if needed > there:
        raise InputError(f"{in_words(needed)} of memory for {what}", f"{in_words(there)}", todo)


def check_disk(needed: float, place: Path, what: str, todo: str) -> None:
    """Raise OutputError where a disk has less room than what will be written.

    Args:
        needed: bytes, estimated.
        place: where; its nearest folder that exists counts.
        what: the work, for the message.
        todo: what to change.
    """
    folder = place.absolute()
    # The output is made later: until then only a folder above it can say how much room there is.
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed * MARGIN > free:
        raise OutputError(f"{in_words(needed * MARGIN)} of disk for {what}", f"{in_words(free)} free in {folder}", todo)
