"""Work spread over processes: the one way in which every list of independent jobs is done.

``spread`` calls a function for each of many arguments, on this computer or on a cluster, as ``core.fanned`` says;
``ahead`` for arguments without an end, before anybody asks for the results.

Results do not depend on where they were made: every job is a function of its arguments. A worker that dies or hangs
costs its jobs nothing but time: they are begun again, and finished ones never are.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from synthoma.core.engines import Engine
from synthoma.core.errors import InputError
from synthoma.core.fanned import fan, whole_work

Result = TypeVar("Result")

ATTEMPTS = 3
"""How often a job may be begun whose worker dies or that takes too long."""

LOOK_S = 5.0
"""Seconds between two looks whether anybody still waits for the workers' results."""

AHEAD = 4
"""For each worker, so many results may wait for an earlier one: they are held in memory."""


@contextmanager
def spread(
    function: Callable[..., Result], calls: Iterable[tuple[object, ...]], jobs: int | None, *, ordered: bool = True
) -> Iterator[Iterator[Result]]:
    """Results of ``function`` for the arguments of each call, as they come.

    No worker works on after the block's end, and where the command is killed they notice.

    Args:
        function: what is called; a function of a module, so that other processes find it.
        calls: the arguments, by position.
        jobs: calls at once on this computer; 1 is this process, None what ``joblib.parallel_config`` says. A cluster
            has as many as it has cores.
        ordered: results come in the order of the calls, else as they are finished.

    Raises:
        InputError: a job whose workers die, or that takes too long, three times. What the function raises.
    """
    here = fan()
    wanted, backend = _joblib()
    jobs = jobs or wanted
    alone = not here.elsewhere and jobs == 1 and here.config.job_seconds is None
    if not here.elsewhere and (alone or backend != "LokyBackend" or _is_worker()):
        results = _by_joblib(function, calls, jobs, ordered)
    else:
        results = _watched(here.engine(jobs), function, calls, ordered, here.config.job_seconds)
    with closing(results):
        yield results


@contextmanager
def ahead(
    function: Callable[..., Result], calls: Iterable[tuple[object, ...]], workers: int
) -> Iterator[Iterator[Result]]:
    """Results of ``function`` for calls without an end, in their order, made in other processes before they are taken.

    At most a few for each worker are made ahead, so that whoever takes none has nothing piled up. No worker works on
    after the block's end, and where the command is killed they notice. In a process that is itself a worker each result
    is made when it is taken.

    Args:
        function: what is called; a function of a module, so that other processes find it.
        calls: the arguments, by position; they may have no end.
        workers: processes on this computer, 1 or more; a cluster has as many as it has cores.

    Raises:
        InputError: a job whose workers die three times. What the function raises.
    """
    here = fan()
    if _is_worker():
        results: Any = (function(*call) for call in calls)
    else:
        results = _watched(here.engine(workers), function, calls, ordered=True, limit=here.config.job_seconds)
    with closing(results):
        yield results


def _joblib() -> tuple[int, str]:
    """Calls at once and kind of workers that ``joblib.parallel_config`` chose around us, or joblib's own."""
    from joblib import effective_n_jobs
    from joblib.parallel import get_active_backend

    backend, jobs = get_active_backend()
    return effective_n_jobs(jobs or 1), type(backend).__name__


def _by_joblib(function: Callable[..., Result], calls: Iterable[tuple[object, ...]], jobs: int, ordered: bool) -> Any:
    """In this process, or with whatever workers the caller gave to joblib."""
    from joblib import Parallel, delayed

    work = (delayed(_led)(_here(), function, *call) for call in calls)
    return Parallel(n_jobs=jobs, return_as="generator" if ordered else "generator_unordered")(work)


@dataclass
class _Job:
    """A call on its way.

    Attributes:
        number: of the call.
        arguments: of the function.
        begun: how often.
        since: when it began the last time, by ``time.monotonic``.
    """

    number: int
    arguments: tuple[object, ...]
    begun: int = 0
    since: float = 0.0


def _watched(
    engine: Engine, function: Callable[..., Result], calls: Iterable[tuple[object, ...]], ordered: bool,
    limit: float | None,
) -> Iterator[Result]:  # fmt: skip
    """Results of all calls; jobs that are lost, or hang, are begun again."""
    waiting: deque[_Job] = deque()
    source = (_Job(number, call) for number, call in enumerate(calls))
    running: dict[Future[Any], _Job] = {}
    early: dict[int, Result] = {}
    following, whole = 0, False
    # One that waits behind each that runs keeps workers busy; under a limit nobody knows then when a job began.
    width = engine.workers * (1 if limit is not None else 2)
    try:
        while True:
            while len(running) < width and not (ordered and len(early) >= AHEAD * engine.workers and running):
                again = bool(waiting) or any(job.begun > 1 for job in running.values())
                if engine.shared and again and running:
                    break  # what was lost runs alone: so it is known which one ends workers, and it has all the memory
                job = waiting.popleft() if waiting else next(source, None)
                if job is None:
                    break
                job.begun, job.since = job.begun + 1, time.monotonic()
                running[engine.submit(_led, _here(), function, *job.arguments)] = job
            if not running and following not in early:
                whole = True
                return
            if following in early:  # one at a time: before the next one, workers are given new work
                yield early.pop(following)
                following += 1
                continue
            for job, result in _finished(engine, running, waiting, limit):
                if ordered:
                    early[job.number] = result
                else:
                    yield result
    finally:
        if not whole:  # somebody stopped, or a job failed: what still runs has no reader
            engine.close(kill=True)


def _finished(
    engine: Engine, running: dict[Future[Any], _Job], waiting: deque[_Job], limit: float | None
) -> list[tuple[_Job, Any]]:
    """Wait for jobs and take those that are done out of ``running``; put those that were lost back among the waiting.

    Raises:
        InputError: a job that was lost too often.
    """
    done = _awaited(engine, running, limit)
    results: list[tuple[_Job, Any]] = []
    lost: list[_Job] = []
    if not engine.answers() and not done:
        engine.close(kill=True)
        lost += running.values()
        running.clear()
    for future in done:
        job = running.pop(future)
        if (error := future.exception()) is None:
            results.append((job, future.result()))
        elif engine.lost(error):
            lost.append(job)
        else:
            raise error
    if limit is not None and not done and not lost:
        late = time.monotonic() - limit
        for future in [future for future, job in running.items() if job.since <= late]:
            job = running.pop(future)
            engine.abandon(future)
            _check(job, f"took longer than {limit:g} seconds")
            waiting.append(job)
    for job in sorted(lost, key=lambda job: job.number):
        _check(job, "ended its worker (without a word, which the system does where memory is short)")
        waiting.append(job)
    return results


def _awaited(engine: Engine, running: dict[Future[Any], _Job], limit: float | None) -> set[Future[Any]]:
    """Jobs that are done; none when the oldest one has reached its limit, or nobody waits for workers any more."""
    end = None if limit is None else min(job.since for job in running.values()) + limit
    while True:
        rest = LOOK_S if end is None else min(LOOK_S, max(0.0, end - time.monotonic()))
        done, _ = wait(running, rest, FIRST_COMPLETED)
        if done or (end is not None and time.monotonic() >= end) or not engine.answers():
            return done


def _check(job: _Job, how: str) -> None:
    """Raise InputError where a job has failed so often that it will again."""
    if job.begun >= ATTEMPTS:
        todo = "give workers more memory or fewer jobs at once (--jobs), or more time (--job-seconds)"
        raise InputError("jobs that end", f"job {job.number + 1}, which {how} {job.begun} times", todo)


# In the worker -------------------------------------------------------------------------------------------------------


def _here() -> tuple[str, int, Path]:
    """This process, for a worker: computer, number and folder."""
    return socket.gethostname(), os.getpid(), Path.cwd()


def _is_worker() -> bool:
    """Whether this process is itself a worker, which spreads no further."""
    return multiprocessing.current_process().daemon or multiprocessing.current_process().name.startswith("LokyProcess")


def _led(command: tuple[str, int, Path], function: Callable[..., Result], *arguments: object) -> Result:
    """Call it in a worker that stands in the command's folder."""
    host, parent, folder = command
    if (host, parent) == _here()[:2]:
        with whole_work():
            return function(*arguments)
    # Workers are kept from one call to the next, and a notebook may have gone to another folder in between.
    if Path.cwd() != folder and folder.is_dir():
        os.chdir(folder)
    return function(*arguments)
