"""Real clusters for tests, started and stopped by them; and workers that are killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from synthoma.core.fanned import FanoutConfig

BACKENDS = ("local", "dask", "ray")


@contextmanager
def running(backend: str) -> Iterator[FanoutConfig]:
    """The settings that lead to two workers; the test is skipped where a package for them is not installed."""
    if backend == "dask":
        distributed = pytest.importorskip("distributed", reason="Dask: pip install 'synthoma[dask]'")
        options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with distributed.LocalCluster(**options) as local:
            yield FanoutConfig(backend="dask", scheduler=local.scheduler_address)
    elif backend == "ray":
        ray = pytest.importorskip("ray", reason="Ray: pip install 'synthoma[ray]'")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        try:
            yield FanoutConfig(backend="ray")
        finally:
            ray.shutdown()
    else:
        yield FanoutConfig()


@contextmanager
def a_worker_is_killed(when: Callable[[], bool]) -> Iterator[list[int]]:
    """Kill (-9) one of this process's workers as soon as something is so; gives the killed ones' numbers."""
    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            if when() and (workers := list(_workers())):
                os.kill(workers[0], signal.SIGKILL)
                killed.append(workers[0])
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def _workers() -> Iterator[int]:
    """Python processes below this one that do the work of a fan-out, by the command lines that their makers give."""
    for process in _below(os.getpid()):
        try:
            words = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        ours = (b"popen_loky_posix" in words, words.startswith(b"ray::_led"), b"spawn_main" in words)
        if any(ours):
            yield process


def _below(process: int) -> Iterator[int]:
    try:
        children = [
            int(word)
            for task in Path(f"/proc/{process}/task").iterdir()
            for word in (task / "children").read_text().split()
        ]
    except OSError:
        return
    for child in children:
        yield child
        yield from _below(child)


def files(folder: Path) -> dict[str, bytes]:
    """All files of an output but its page and checksums, in which its name stands."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and str(path.relative_to(folder)) not in ("report.html", "checksums.json")
    }


def until(so: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end, "it never was so"
        time.sleep(0.02)
