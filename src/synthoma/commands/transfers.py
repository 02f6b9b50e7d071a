"""What is fetched from an object store and sent to it: whole, by one writer at a time.

A store renames nothing, and a folder there is no more than names that begin alike. So who writes one says so in an
object beside it, ``.NAME.writing``: its *claim*. Nobody else writes there meanwhile, and nobody reads what is being
sent, or was cut off while it was. What makes a folder an artefact (``cohort.json`` and the like) is sent last all the
same, for programs that know nothing of claims.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from synthoma.commands.claims import CLAIM, Claim, claim_at, claim_in, claim_of, tell_claim
from synthoma.commands.printing import say
from synthoma.core.artefacts import FILE
from synthoma.core.errors import ConfigError, InputError, OutputError
from synthoma.core.own_files import ARTEFACTS, foreign
from synthoma.core.untrusted import visible

EXTRA = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""Schemes of stores that have buckets, and the package of each."""

_LAST = (
    "index.csv",
    "model.safetensors",
    "cohort.json",
    "evaluation.json",
    "findings.json",
    "export.json",
    "report.html",
)
MARKS = (*sorted({name for names in ARTEFACTS for name in names if "." in name} - {*_LAST}), *_LAST)
"""Files that are sent last, in this order: without them a folder is no artefact. Checksums are there before them."""

_WAY_IN = "check the address, the network and the credentials (of s3: AWS_PROFILE, AWS_ENDPOINT_URL and the like)"


@dataclass
class Stored:
    """A place in a store and the folder that stands for it meanwhile.

    Attributes:
        address: as it was typed.
        local: the folder or file.
        read: it is fetched before the command, where it is there.
        needed: it must be there.
        written: it is sent after the command.
        kept: it is sent also where the command failed: what was finished is not done again.
        shared: several commands add to it at a time, and none replaces what another has sent.
        claims: this command alone may write it meanwhile.
        claim: of this command, while it has one.
        before: what was there at first: name below the place -> what tells one content from another.
        fetched: size and date of what was fetched, which is sent again only where it has changed.
    """

    address: str
    local: Path
    read: bool
    needed: bool
    written: bool
    kept: bool = False
    shared: bool = False
    claims: bool = True
    claim: Claim | None = None
    before: Mapping[str, str] = field(default_factory=dict)
    fetched: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def _system(address: str) -> tuple[Any, str]:
    """The store of an address, and the place in it.

    Raises:
        ConfigError: its package is not installed.
    """
    import fsspec

    try:
        system, place = fsspec.core.url_to_fs(address)
    except ImportError:
        package = EXTRA.get(address.partition(":")[0], "the package of this store")
        todo = f"install it (pip install {package}; of s3 also pip install 'synthoma[s3]')"
        raise ConfigError(f"the Python package {package} for {address}", "an installation without it", todo) from None
    system.invalidate_cache()  # others write there too
    return system, place.rstrip("/")


# Fetching ------------------------------------------------------------------------------------------------------------


def fetch(place: Stored, *, forced: bool) -> None:
    """Bring what is read to this computer, and see that what will be written may be.

    Raises:
        ConfigError: a store whose package is not installed.
        InputError: nothing there, or nothing whole, or no way in.
        OutputError: an output that is there already or is being written, or a store that takes none.
    """
    system, there = _system(place.address)
    try:
        place.before = _listed(system, there)
        if place.needed and not place.before:
            raise InputError(f"a file or folder at {place.address}", "nothing", "check the address")
        if place.read and place.before and not place.shared:
            _check_whole(system, there, place)
        if place.written and not place.shared:
            _check_free(system, there, place, forced=forced)
        if place.read and place.before:
            _get(system, there, place)
        if place.written and place.claims:
            _claim(system, there, place)
    except (InputError, OutputError):
        raise
    except Exception as error:  # each store has errors of its own
        raise InputError(f"a store that answers for {place.address}", _words(error), _WAY_IN) from None


def _listed(system: Any, there: str) -> dict[str, str]:
    """Files below a place, by their names there ("" is the place itself), and what tells one content from another."""
    system.invalidate_cache()
    found = dict[str, str]()
    for path, about in system.find(there, detail=True).items():
        if path.endswith("/") or CLAIM.search(path) or (path != there and not path.startswith(f"{there}/")):
            continue  # consoles leave "NAME/" for a folder
        content = (about.get(key) for key in ("ETag", "etag", "md5Hash", "LastModified", "updated", "created", "mtime"))
        found[path.removeprefix(there).removeprefix("/")] = f"{about.get('size')} {next(filter(None, content), '')}"
    return found


def _get(system: Any, there: str, place: Stored) -> None:
    """Fetch all files of a place, as they were at one time."""
    say(f"fetching {place.address}", to=sys.stderr)
    to = {name: place.local / name if name else place.local for name in place.before}
    for name in to:  # a store takes any name, and "../" in one would lead out of the folder
        if "\0" in name or "\\" in name or {"..", "."} & {*PurePosixPath(name).parts, *name.split("/")}:
            came = f"one that is called {visible(name)!r}"
            raise InputError(f"files below {place.address}", came, "rename it there, or leave it out")
    for path in to.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    system.get([f"{there}/{name}" if name else there for name in to], [str(path) for path in to.values()])
    if _listed(system, there) != place.before:
        raise InputError(f"one state of {place.address}", "files that changed while they were fetched", "try again")
    place.fetched = {name: _signature(path) for name, path in to.items()}


def _signature(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


# Claims --------------------------------------------------------------------------------------------------------------


def _check_whole(system: Any, there: str, place: Stored) -> None:
    """Raise where what is read, or something above or below it, was sent in part."""
    above = [there, *(str(one) for one in PurePosixPath(there).parents if one.name)]
    inside = [path for path in system.find(there) if CLAIM.search(path)]
    for path in (*map(claim_at, above), *inside):
        if (claim := claim_in(system, path)) is not None and claim.files:
            todo = "wait until it is sent; where that was cut off, send it again or make it again with --force"
            raise InputError(f"a complete artefact at {place.address}", f"one {claim.words}", todo)


def _check_free(system: Any, there: str, place: Stored, *, forced: bool) -> None:
    """Raise where a place that will be written is another's."""
    other = claim_of(system, there)
    if other is not None and not forced and not (other.ended and not other.files):
        todo = "wait for it, or choose another place; where it has ended, add --force"
        raise OutputError("a free place for the output", f"{place.address}, {other.words}", todo)
    if place.read or not place.before:
        return
    if not forced:
        todo = "choose another place, or add --force to replace it"
        raise OutputError("a free place for the output", f"{place.address}, which exists", todo)
    if others := _others(system, there, place.before, other.files if other else ()):
        todo = "choose a place of its own: --force replaces nothing else"
        came = f"other files at {place.address}, such as {visible(others[0])}"
        raise OutputError("an artefact of Synthoma to replace", came, todo)


def _claim(system: Any, there: str, place: Stored) -> None:
    """Say that this command writes a place; where it cannot be said, hours of work could not be sent either.

    Raises:
        OutputError: another one was quicker, or the store takes nothing.
    """
    other = claim_of(system, there)
    mine = Claim(files=other.files if other else ())  # what another one left there can still be told from other files
    if place.address.partition(":")[0] not in EXTRA:  # a bucket is never made unasked, a folder is
        system.makedirs(claim_at(there).rpartition("/")[0], exist_ok=True)
    try:
        tell_claim(system, there, mine, new=other is None)
    except Exception as error:
        # Who was quicker may have ended since.
        quicker = claim_of(system, there) if isinstance(error, FileExistsError) else None
        if quicker is not None:
            came = f"{place.address}, {quicker.words}"
            raise OutputError("a free place for the output", came, "wait for it, or choose another place") from None
        raise OutputError(f"a store that takes files at {place.address}", _words(error), _WAY_IN) from None
    place.claim = mine


def release(place: Stored) -> None:
    """Take the claim of this command away, where it has one."""
    if place.claim is None:
        return
    with suppress(Exception):  # the work is done, or another error is on its way
        system, there = _system(place.address)
        if _owned(system, there, place):
            system.rm_file(claim_at(there))
    place.claim = None


def _owned(system: Any, there: str, place: Stored) -> bool:
    found = claim_of(system, there)
    return place.claim is not None and found is not None and found.token == place.claim.token


# Sending -------------------------------------------------------------------------------------------------------------


def send(place: Stored) -> None:
    """Send what was made: marks last, and what was there before and is no more is removed.

    Raises:
        OutputError: the store does not take it, or another command has taken the place.
    """
    system, there = _system(place.address)
    try:
        _send(system, there, place)
    except Exception as error:  # each store has errors of its own
        beside = "" if place.claim is None else f", then delete {claim_at(place.address.rstrip('/'))}"
        todo = f"{_WAY_IN}; what was made is kept in {place.local}: send it from there{beside}"
        raise OutputError(f"a store that takes files at {place.address}", _words(error), todo) from None
    except BaseException:
        say(f"what was made is kept in {place.local}, and {place.address} is not complete", to=sys.stderr)
        raise


def _send(system: Any, there: str, place: Stored) -> None:
    single = place.local.is_file()
    paths = [place.local] if single else [path for path in place.local.rglob("*") if path.is_file()]
    files = {path.relative_to(place.local).as_posix() if not single else "": path for path in sorted(paths)}
    changed = {name: path for name, path in files.items() if place.fetched.get(name) != _signature(path)}
    say(f"sending {len(changed):,} files to {place.address}", to=sys.stderr)
    if place.claim is not None:
        _check_owned(system, there, place)
        # What somebody laid into a run that goes on is not ours to replace, even after a transfer that was cut off.
        others = set(foreign(place.local)) if place.read and not single else set[str]()
        place.claim = replace(place.claim, files=tuple(sorted({*place.claim.files, *files, *place.before} - others)))
        tell_claim(system, there, place.claim, new=False)
    # An old mark beside new arrays would be an artefact that never was.
    for name in (name for name in place.before if PurePosixPath(name).name in MARKS and not place.shared):
        system.rm_file(_below(there, name))
    # Those were taken away, so they are sent whether they changed or not.
    marks = {
        name: path for name, path in files.items() if path.name in MARKS and not (place.shared and name not in changed)
    }
    rest = {name: path for name, path in changed.items() if name not in marks}
    _put(system, there, place, rest)
    _check_arrived(system, there, rest)
    if place.claim is not None:
        _check_owned(system, there, place)
    for name in sorted(marks, key=lambda name: MARKS.index(marks[name].name)):
        _put(system, there, place, {name: marks[name]})
    _check_arrived(system, there, marks)
    for name in sorted(set(place.before) - set(files)):
        with suppress(FileNotFoundError):
            system.rm_file(_below(there, name))


def _below(there: str, name: str) -> str:
    return f"{there}/{name}" if name else there


def _put(system: Any, there: str, place: Stored, files: Mapping[str, Path]) -> None:
    """Send some files."""
    to = {_below(there, name): path for name, path in files.items()}
    if place.address.partition(":")[0] not in EXTRA:
        for path in to:
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
    if to:
        system.put([str(path) for path in to.values()], list(to))


def _check_arrived(system: Any, there: str, files: Mapping[str, Path]) -> None:
    system.invalidate_cache()
    sizes = {path: about.get("size") for path, about in system.find(there, detail=True).items()}
    for name, path in files.items():
        if sizes.get(_below(there, name)) != path.stat().st_size:
            raise OSError(f"{_below(there, name)} arrived with another size")


def _check_owned(system: Any, there: str, place: Stored) -> None:
    if not _owned(system, there, place):
        raise OSError("another command has taken the place with --force")


def _others(system: Any, there: str, found: Collection[str], sent: Collection[str]) -> list[str]:
    """Files at a place that ``--force`` may not replace, by the rule for folders of this computer.

    An empty file stands for each that is there, and checksums for themselves: the rule asks for names, and for what
    checksums list. Where a folder is no artefact, all of it is somebody's, but what a transfer that was cut off had
    begun to ``sent``.
    """
    if "" in found:  # a single file
        return [] if "" in sent or there.rpartition("/")[2] in MARKS else [there]
    with TemporaryDirectory(prefix="synthoma-") as place:
        copy = Path(place) / (there.rpartition("/")[2] or "place")
        copy.mkdir()
        for name in found:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(system.cat_file(_below(there, name)) if name.rpartition("/")[2] == FILE else b"")
        known = any(all((copy / name).exists() for name in names) for names in ARTEFACTS)
        return sorted(set(foreign(copy) if known else found) - set(sent))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
