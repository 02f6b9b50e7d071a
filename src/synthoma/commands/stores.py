"""Object stores: ``s3://BUCKET/COHORT`` where a folder may stand, on any command line.

Arrays are mapped from the disk, and nothing half-written may be taken for whole. So what is read is fetched first, and
what is made is sent when it is complete: its own marks (``cohort.json`` and the like) last, so that a transfer that was
cut off is no artefact.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from synthoma.commands.printing import CALLED, say
from synthoma.core.artefacts import FILE
from synthoma.core.errors import ConfigError, InputError, OutputError, SynthomaError
from synthoma.core.own_files import ARTEFACTS, foreign
from synthoma.core.untrusted import visible

_ADDRESS = re.compile(r"(?P<scheme>s3|gs|gcs|abfs|az|file|memory)://(?P<place>[^/].*|/.+)")
_EXTRA = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
_OUTPUTS = ("-o", "--output")
_KEPT = ("--parts",)
"""Options whose folder is read and written."""

_GO_ON = ("run", "listen", "serve")
"""Commands that go on in an output that is there."""

_WORTH = (*_GO_ON, "train")
"""Commands whose output is worth sending where they were stopped: they go on from it."""

MARKS = (
    "index.csv", "model.safetensors", "cohort.json", "evaluation.json", "findings.json", "export.json", "report.html",
)  # fmt: skip
"""Files that are sent last, in this order: without them a folder is no artefact."""


@dataclass(frozen=True)
class Stored:
    """A place in a store and the folder that stands for it meanwhile.

    Attributes:
        address: as it was typed.
        local: the folder or file.
        read: it is fetched before the command, where it is there.
        needed: it must be there.
        written: it is sent after the command.
        kept: it is sent also where the command failed: what was finished is not done again.
    """

    address: str
    local: Path
    read: bool
    needed: bool
    written: bool
    kept: bool


@contextmanager
def stored_places(words: Sequence[str]) -> Iterator[list[str]]:
    """The words of a command line with folders of this computer in place of addresses of stores.

    What is written is sent when the block ends without an error.

    Raises:
        ConfigError: a store whose package is not installed, or an output that is there already.
        InputError: nothing there, or no way in.
        OutputError: the store does not take what was made.
    """
    if not any(_ADDRESS.fullmatch(_parts(word)[2]) for word in words):
        yield list(words)
        return
    folder = Path(mkdtemp(prefix="synthoma-"))
    unsent = list[Stored]()
    try:
        told, places = _translated(words, folder)
        for place in places:
            _fetch(place, forced="--force" in words)
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
                _send(unsent[0])
                unsent.pop(0)
    finally:
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
    goes_on = "--force" not in words and ("--resume" in words or words[0] in _GO_ON)
    told, places = [], list[Stored]()
    for at, word in enumerate(words):
        option, sign, value = _parts(word)
        if not _ADDRESS.fullmatch(value):
            told.append(word)
            continue
        glued, option = option, option or (words[at - 1] if at else "")
        written, kept = option in _OUTPUTS, option in _KEPT
        # The last part of an address names an artefact's folder, and titles are made of it.
        local = folder / str(at) / (value.rstrip("/").rpartition("/")[2] or "place")
        local.parent.mkdir()
        read, needed = not written or goes_on, not (written or kept)
        kept = kept or (written and words[0] in _WORTH)
        places.append(Stored(value, local, read, needed=needed, written=not needed, kept=kept))
        told.append(f"{glued}{sign}{local}")
    return told, places


def _parts(word: str) -> tuple[str, str, str]:
    """Option, what joins it to its value, and value of a word: ``--output=s3://b``, ``-os3://b``, or a value alone."""
    if word.startswith("--"):
        option, sign, value = word.partition("=")
        return option, sign, value
    glued = word.startswith("-o") and len(word) > 2
    return ("-o", "", word[2:].removeprefix("=")) if glued else ("", "", word)


def _system(address: str) -> tuple[Any, str]:
    """The store of an address, and the place in it.

    Raises:
        ConfigError: its package is not installed.
    """
    import fsspec

    try:
        system, place = fsspec.core.url_to_fs(address)
    except ImportError:
        package = _EXTRA.get(address.partition(":")[0], "the package of this store")
        todo = f"install it (pip install {package}; of s3 also pip install 'synthoma[s3]')"
        raise ConfigError(f"the Python package {package} for {address}", "an installation without it", todo) from None
    return system, place


def _fetch(place: Stored, *, forced: bool) -> None:
    """Bring what is read to this computer, and see that nothing is overwritten unasked."""
    system, there = _system(place.address)
    try:
        exists = system.exists(there)
        if place.needed and not exists:
            raise InputError(f"a file or folder at {place.address}", "nothing", "check the address")
        if place.written and not place.read and exists and not forced:
            todo = "choose another place, or add --force to replace it"
            raise OutputError("a free place for the output", f"{place.address}, which exists", todo)
        if place.written and not place.read and exists and (others := _others(system, there)):
            todo = "choose a place of its own: --force replaces nothing else"
            came = f"other files at {place.address}, such as {visible(others[0])}"
            raise OutputError("an artefact of Synthoma to replace", came, todo)
        if place.read and exists:
            say(f"fetching {place.address}", to=sys.stderr)
            system.get(there.rstrip("/"), str(place.local), recursive=True)
    except (InputError, OutputError):
        raise
    except Exception as error:  # each store has errors of its own
        raise InputError(f"a store that answers for {place.address}", _words(error), _WAY_IN) from None


_WAY_IN = "check the address, the network and the credentials (of s3: AWS_PROFILE, AWS_ENDPOINT_URL and the like)"


def _send(place: Stored) -> None:
    """Send what was made: marks last, and what was there before and is no more is removed."""
    system, there = _system(place.address)
    there = there.rstrip("/")
    single = place.local.is_file()
    files = [place.local] if single else sorted(path for path in place.local.rglob("*") if path.is_file())
    files.sort(key=lambda path: MARKS.index(path.name) if path.name in MARKS else -1)
    say(f"sending {len(files):,} files to {place.address}", to=sys.stderr)
    try:
        earlier = set(system.find(there)) if system.exists(there) else set[str]()
        # An old mark beside new arrays would be an artefact that never was.
        for path in (path for path in earlier if path.rpartition("/")[2] in MARKS):
            system.rm_file(path)
        sent = set[str]()
        for path in files:
            to = there if single else f"{there}/{path.relative_to(place.local).as_posix()}"
            system.makedirs(to.rpartition("/")[0], exist_ok=True)
            system.put_file(str(path), to)
            if system.size(to) != path.stat().st_size:
                raise OSError(f"{to} arrived with another size")
            sent.add(to)
        for stale in earlier - sent:
            if system.exists(stale):
                system.rm_file(stale)
    except Exception as error:  # each store has errors of its own
        todo = f"{_WAY_IN}; what was made is kept in {place.local}, send it from there"
        raise OutputError(f"a store that takes files at {place.address}", _words(error), todo) from None


def _others(system: Any, there: str) -> list[str]:
    """Files at a place that ``--force`` may not replace, by the rule for folders of this computer.

    An empty file stands for each that is there, and checksums for themselves: the rule asks for names, and for what
    checksums list. Where a folder is no artefact, all of it is somebody's.
    """
    last = there.rstrip("/")
    found = {path: path.removeprefix(last).lstrip("/") for path in system.find(last)}
    if last in found:  # a single file
        return [] if last.rpartition("/")[2] in MARKS else [last]
    with TemporaryDirectory(prefix="synthoma-") as place:
        copy = Path(place) / (last.rpartition("/")[2] or "place")
        copy.mkdir()
        for path, name in found.items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(system.cat_file(path) if path.rpartition("/")[2] == FILE else b"")
        known = any(all((copy / name).exists() for name in names) for names in ARTEFACTS)
        return foreign(copy) if known else list(found.values())


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
