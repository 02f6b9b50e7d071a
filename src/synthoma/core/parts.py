"""Finished jobs of a fan-out, kept in a folder: a command that was stopped, or cut into shares, goes on from there.

    PARTS/prepare/3f/3f09.../    one finished job: its files, with checksums
    PARTS/detect/...

A job is named by a digest of all that it is a function of. So nothing that changed is taken for what it was, shares can
be cut anew in the middle, and a job that two workers finish is finished twice with the same bytes: the later one loses.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from synthoma.core.artefacts import FILE, checksums_text, faults
from synthoma.core.disk import writing
from synthoma.core.fanned import ShareDone, fan, ours
from synthoma.core.fanout import spread
from synthoma.core.whole_files import write_text

Result = TypeVar("Result")
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Kept(Generic[Result]):
    """How the results of one kind of job are kept. All are functions of a module, so that workers find them.

    Attributes:
        name: of the kind: a folder below that of the parts.
        key: a digest of all that a call's result depends on, from the call's arguments.
        write: fills an empty folder with a result, given the call's arguments too; False where it is not to be kept,
            as a failure is not that may have gone by.
        read: the result from that folder, given the call's arguments too.
    """

    name: str
    key: Callable[..., str]
    write: Callable[..., bool]
    read: Callable[..., Result]


@contextmanager
def spread_kept(
    function: Callable[..., Result], calls: Iterable[tuple[object, ...]], jobs: int | None, kept: Kept[Result],
    told: Told = lambda done, total: None,
) -> Iterator[Iterator[Result]]:  # fmt: skip
    """As ``fanout.spread``, in the order of the calls; what is finished is kept where the command says, and taken.

    Args:
        function: what is called.
        calls: the arguments, by position.
        jobs: calls at once on this computer, see ``fanout.spread``.
        kept: how results are kept.
        told: told how many are done, where only a share of them is wanted and nothing comes out of here.

    Raises:
        ShareDone: only a share was wanted, and is done.
        OutputError: the folder of the parts cannot be written.
    """
    parts = fan().config.parts
    # Without a folder nothing is listed before it is done: calls may be endless or large.
    if parts is None:
        with spread(function, calls, jobs) as results:
            yield results
        return
    root = parts.absolute() / kept.name
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
    everything = list(calls)
    # All keys first: which share a job is in depends on its place among all, not on what is missing.
    keys = [kept.key(*call) for call in everything]
    # By the first two digits: file systems are slow with a hundred thousand folders in one.
    places = [root / key[:2] / key for key in keys]
    wanted = ours(range(len(everything)))
    missing = [number for number in wanted if not _whole(places[number])]
    work = [(function, kept, places[number], everything[number]) for number in missing]
    if fan().share is not None:
        # In any order, since nothing comes out: one slow job holds up no other.
        with spread(_make, work, jobs, ordered=False) as made:
            for done, _ in enumerate(made, start=1 + len(wanted) - len(missing)):
                told(done, len(wanted))
        raise ShareDone(len(wanted), len(wanted) - len(missing), len(everything))
    with (
        spread(_make, work, jobs) as made,
        closing(_in_turn(kept, everything, places, missing, made)) as all_,
    ):
        yield all_


def _in_turn(
    kept: Kept[Result], calls: Sequence[tuple[object, ...]], places: Sequence[Path], missing: Sequence[int],
    made: Iterator[tuple[Result, ...]],
) -> Any:  # fmt: skip
    """Results of all calls in order, each as soon as it and those before it are finished."""
    unfinished = set(missing)
    for number, (call, place) in enumerate(zip(calls, places, strict=True)):
        refused = next(made) if number in unfinished else ()
        yield refused[0] if refused else kept.read(place, *call)
    next(made, None)  # its end: workers are given back in order


def _make(
    function: Callable[..., Result], kept: Kept[Result], place: Path, call: tuple[object, ...]
) -> tuple[Result, ...]:
    """Do a job and keep its result, which appears whole or not at all; one that is not to be kept is returned."""
    # Another worker may have been here since the work was dealt out.
    if place.is_dir():
        return ()
    result = function(*call)
    # A name by chance: two workers at one job must not write into one folder.
    partial = place.with_name(f".{place.name}.partial-{secrets.token_hex(4)}")
    try:
        with writing(place):
            partial.mkdir(parents=True)
            if not kept.write(partial, result, *call):
                return (result,)
            write_text(partial / FILE, checksums_text(partial))
            partial.rename(place)
    except OSError:
        if not place.is_dir():  # else another worker was quicker, with the same bytes
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for left_over in place.parent.glob(f".{place.name}.partial-*") if place.is_dir() else ():
            shutil.rmtree(left_over, ignore_errors=True)  # of a worker that was killed
    return ()


def _whole(place: Path) -> bool:
    """Whether a finished job is there as it was written; what is damaged is taken away, to be made again."""
    if not place.is_dir():
        return False
    if faults(place) == []:
        return True
    shutil.rmtree(place, ignore_errors=True)
    return False
