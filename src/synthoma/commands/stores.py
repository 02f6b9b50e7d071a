"""Object stores: ``s3://BUCKET/COHORT`` where a folder may stand, on any command line.

Arrays are mapped from the disk, and nothing half-written may be taken for whole. So what is read is fetched first, and
what is made is sent when it is complete, see ``transfers``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from synthoma.commands.printing import CALLED
from synthoma.commands.transfers import Stored, fetch, release, send
from synthoma.core.errors import SynthomaError

_ADDRESS = re.compile(r"(?P<scheme>s3|gs|gcs|abfs|az|file|memory)://(?P<place>[^/].*|/.+)")
_OUTPUTS = ("-o", "--output")
_KEPT = ("--parts",)
"""Options whose folder is read and written."""

_GO_ON = ("run", "listen", "serve")
"""Commands that go on in an output that is there."""

_WORTH = (*_GO_ON, "train")
"""Commands whose output is worth sending where they were stopped: they go on from it."""


@contextmanager
def stored_places(words: Sequence[str]) -> Iterator[list[str]]:
    """The words of a command line with folders of this computer in place of addresses of stores.

    What is written is sent when the block ends without an error.

    Raises:
        ConfigError: a store whose package is not installed.
        InputError: nothing there, or nothing whole, or no way in.
        OutputError: an output that is there already or is being written, or a store that does not take it.
    """
    if not any(_ADDRESS.fullmatch(_parts(word)[2]) for word in words):
        yield list(words)
        return
    folder = Path(mkdtemp(prefix="synthoma-"))
    places, unsent = list[Stored](), list[Stored]()
    try:
        told, places = _translated(words, folder)
        for place in places:
            fetch(place, forced="--force" in words)
        before = CALLED.set({str(place.local): place.address for place in places})
        done = False
        try:
            yield told
            done = True
        except SynthomaError as error:
            raise _as_typed(error, places) from None
        finally:
            CALLED.reset(before)
            unsent = [one for one in places if (one.kept or (done and one.written)) and one.local.exists()]
            while unsent:
                send(unsent[0])
                unsent.pop(0)
    finally:
        for place in places:
            if place not in unsent:  # or the place is not whole, and its claim says so
                release(place)
        if not unsent:  # hours of work may lie there that the store did not take
            rmtree(folder, ignore_errors=True)


def _as_typed(error: SynthomaError, places: Sequence[Stored]) -> SynthomaError:
    """The error with addresses where folders of this computer stand for them."""
    parts = [error.expected, error.came, error.todo]
    for place in places:
        parts = [part.replace(str(place.local), place.address) for part in parts]
    error.expected, error.came, error.todo = parts
    return error


def _translated(words: Sequence[str], folder: Path) -> tuple[list[str], list[Stored]]:
    """The words with local places, and what stands for what."""
    again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0) > 0
    goes_on = "--force" not in words and ("--resume" in words or words[0] in _GO_ON or again)
    options = {_parts(word)[0] for word in words} | set(words)
    told, places = [], list[Stored]()
    for at, word in enumerate(words):
        option, sign, value = _parts(word)
        if not _ADDRESS.fullmatch(value):
            told.append(word)
            continue
        glued, option = option, option or (words[at - 1] if at else "")
        output, kept = option in _OUTPUTS, option in _KEPT
        # The last part of an address names an artefact's folder, and titles are made of it.
        local = folder / str(at) / (value.rstrip("/").rpartition("/")[2] or "place")
        local.parent.mkdir()
        place = Stored(value, local, read=not output or goes_on, needed=not (output or kept), written=output or kept)
        place.kept, place.shared = kept or (output and words[0] in _WORTH), kept
        place.claims = output and not {"--parts", "--shard"} <= options  # a share leaves its parts, and no output
        if follows():
            place.written = place.kept = place.claims = False
        places.append(place)
        told.append(f"{glued}{sign}{local}")
    return told, places


def follows() -> bool:
    """Whether torchrun started this process as another than the first one, which alone writes the run."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1 and int(os.environ.get("RANK") or 0) > 0


def _parts(word: str) -> tuple[str, str, str]:
    """Option, what joins it to its value, and value of a word: ``--output=s3://b``, ``-os3://b``, or a value alone."""
    if word.startswith("--"):
        option, sign, value = word.partition("=")
        return option, sign, value
    glued = word.startswith("-o") and len(word) > 2
    return ("-o", "", word[2:].removeprefix("=")) if glued else ("", "", word)
