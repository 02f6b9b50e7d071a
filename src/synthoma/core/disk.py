"""What to say where the disk refuses: it is full, its quota used up, or it cannot be written."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthoma.core.errors import InputError, OutputError

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "a file grew beyond the limit on the size of files",
    errno.EROFS: "the disk cannot be written",
}


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
    return OutputError(f"room to write {path}", reason, f"{CURE}: nothing that was there before has changed")


CURE = "make room there, then run the same command again"


def no_place(target: Path, error: OSError) -> InputError | OutputError:
    """What to say where an output cannot even be begun."""
    if disk_refused(error):
        return output_error(target, error)
    return InputError("an output place that can be written", f"{target}: {error.strerror or error}", "choose another")
