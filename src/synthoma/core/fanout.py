"""Work spread over processes by joblib, whose backend the user chooses: local processes, or a Ray or Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

LOOK_EVERY = 0.5
"""Seconds after which a worker looks again whether its command still lives."""


@contextmanager
def spread(
    function: Callable[..., Result], calls: Iterable[tuple[object, ...]], jobs: int | None, *, ordered: bool = True
) -> Iterator[Iterator[Result]]:
    """Results of ``function`` for the arguments of each call, as they come.

    No worker outlives its work: the block's end stops them, and where the command is killed they notice.

    Args:
        function: what is called; a function of a module, so that other processes find it.
        calls: the arguments, by position.
        jobs: calls at once; 1 is this process, None what ``joblib.parallel_config`` says.
        ordered: results come in the order of the calls, else as they are finished.
    """
    from joblib import Parallel, delayed

    work = (delayed(_led)(os.getpid(), Path.cwd(), function, *call) for call in calls)
    results = Parallel(n_jobs=jobs, return_as="generator" if ordered else "generator_unordered")(work)
    with closing(results):
        yield results


def _led(parent: int, folder: Path, function: Callable[..., Result], *arguments: object) -> Result:
    """Call it in a worker that ends with ``parent`` and stands in its folder."""
    # Only loky's workers are children of their command: one of a cluster has another master, and work that is not
    # spread is done by the command itself, which may be a worker of somebody's own program.
    if os.getpid() != parent and multiprocessing.current_process().name.startswith("LokyProcess"):
        _follow(parent)
        # Workers are kept from one call to the next, and a notebook may have gone to another folder in between.
        if Path.cwd() != folder:
            os.chdir(folder)
    return function(*arguments)


@cache
def _follow(parent: int) -> None:
    """End this process when its parent has gone: a killed command cannot say so, and loky waits for 300 seconds."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
