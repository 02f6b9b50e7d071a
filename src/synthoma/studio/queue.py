"""Runs jobs: the same commands as on the command line, in processes of their own, one after another.

A command tells how far it is on standard error, a JSON object a line; that goes into a file, which is read as it grows.
So a job is not hurt where nobody reads.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import synthoma
from synthoma.core.display import TRAINING
from synthoma.studio.places import Places
from synthoma.studio.store import KINDS, Job, Kind, State, Store

LOOKS: tuple[Kind, ...] = ("look",)
"""These take seconds, and do not wait behind a training."""
WORK: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in LOOKS)

PATIENCE = 20.0
"""Seconds that a cancelled command gets to leave in order."""
_TICK = 0.2
_LONGEST_LINE = 1 << 20

Words = Callable[[tuple[str, ...]], list[str]]


def command_words(words: tuple[str, ...]) -> list[str]:
    """The process of a command: this Python, arguments one by one, never a shell."""
    return [sys.executable, "-P", "-m", "synthoma", *words, "--json"]


class Queue:
    """Takes jobs from the store and runs them.

    Args:
        store: of jobs.
        places: where logs lie.
        at_once: how many commands work at a time.
        process: what is started for the words of a command; tests start something shorter.
    """

    def __init__(self, store: Store, places: Places, at_once: int = 1, process: Words = command_words) -> None:
        self.store, self.places, self.process = store, places, process
        self.logs = places.own / "jobs"
        self.logs.mkdir(exist_ok=True)
        self._news = threading.Condition()
        self._ending = False
        self._cancelled: set[str] = set()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        lanes = [*([WORK] * at_once), LOOKS]
        self._threads = [threading.Thread(target=self._lane, args=(kinds,), daemon=True) for kinds in lanes]

    def start(self) -> None:
        """Find what a killed studio left, and begin to work."""
        for job in self.store.jobs("running"):
            if job.process is not None and job.born and born(job.process) == job.born:
                _send(job.process, signal.SIGTERM)
            self.store.end(job.id, "stopped", "the studio ended while it ran")
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End what runs, in order; it can go on when the studio is started again."""
        with self._news:
            self._ending = True
            self._news.notify_all()
            running = list(self._running.values())
        for process in running:
            _send(process.pid, signal.SIGTERM)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(PATIENCE + 5)

    def add(self, kind: Kind, title: str, words: tuple[str, ...], output: str = "") -> Job:
        """Put a job at the end of the queue."""
        job = self.store.add(kind, title, words, output)
        self._wake()
        return job

    def cancel(self, job: Job) -> None:
        """Take a job out of the queue, or end it: what is whole stays."""
        if self.store.cancel_queued(job.id):
            return
        with self._news:
            self._cancelled.add(job.id)
            process = self._running.get(job.id)
        if process is not None:
            _send(process.pid, signal.SIGTERM)

    def go_on(self, job: Job) -> bool:
        """Let a job that is over run again: a training from where it was saved; whether it was over."""
        words = tuple(word for word in job.words if word != "--resume")
        if job.kind == "train" and (Path(job.output) / "run.json").is_file():
            words = (*words, "--resume")
        with self._news:
            self._cancelled.discard(job.id)
        queued = self.store.queue_again(job.id, words)
        self._wake()
        return queued

    def log(self, job: Job, most: int = 64 * 2**10) -> str:
        """The end of what a job said."""
        try:
            with (self.logs / f"{job.id}.log").open("rb") as stream:
                stream.seek(0, os.SEEK_END)
                stream.seek(max(0, stream.tell() - most))
                return stream.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def result(self, job: Job) -> dict[str, object]:
        """The object that a command left on standard output; empty where there is none."""
        try:
            found = json.loads((self.logs / f"{job.id}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()

    def _lane(self, kinds: tuple[Kind, ...]) -> None:
        while True:
            with self._news:
                job = None if self._ending else self._next(kinds)
                if job is None and not self._ending:
                    self._news.wait(2)
                if self._ending and job is None:
                    return
            if job is not None:
                self._run(job)

    def _next(self, kinds: tuple[Kind, ...]) -> Job | None:
        """The oldest queued job; None too where the store cannot be written now: it is asked again soon."""
        try:
            return self.store.next(kinds)
        except sqlite3.Error:
            return None

    def _end(self, job: Job, state: State, error: str = "") -> None:
        """Write down how a job ended, as soon as that can be written: else it would seem to run for ever."""
        while True:
            try:
                return self.store.end(job.id, state, error)
            except sqlite3.Error:
                if self._ending:  # the next start finds that it is over
                    return
                time.sleep(_TICK)

    def _run(self, job: Job) -> None:
        try:
            code, error = self._ran(job)
        except OSError as problem:
            code, error = 1, f"it could not be started: {problem.strerror or problem}"
        with self._news:
            cancelled = job.id in self._cancelled
            self._cancelled.discard(job.id)
            self._running.pop(job.id, None)
        if code == 0:
            self._end(job, "done")
        elif cancelled:
            self._end(job, "cancelled")
        elif self._ending:
            self._end(job, "stopped", "the studio ended while it ran")
        else:
            self._end(job, "failed", error or f"it ended with code {code}, see what it said")

    def _ran(self, job: Job) -> tuple[int, str]:
        """Run a job to its end; its exit code, and what it says is wrong."""
        # The workspace is no place for modules, whatever is uploaded; a checkout is found wherever we are.
        path = os.pathsep.join(filter(None, (str(Path(synthoma.__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        log, result = self.logs / f"{job.id}.log", self.logs / f"{job.id}.json"
        with log.open("wb") as said, result.open("wb") as left:
            process = subprocess.Popen(
                self.process(job.words),
                stdin=subprocess.DEVNULL,
                stdout=left,
                stderr=said,
                cwd=self.places.workspace,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        with self._news:
            self._running[job.id] = process
            if self._ending or job.id in self._cancelled:  # asked for between the store and here
                _send(process.pid, signal.SIGTERM)
        with suppress(sqlite3.Error):  # what runs is followed to its end, whether or not the disk has room for words
            self.store.runs_as(job.id, process.pid, born(process.pid))
        with log.open("rb") as stream:
            error = self._follow(job, process, stream)
        return process.returncode, error

    def _follow(self, job: Job, process: subprocess.Popen[bytes], stream: BinaryIO) -> str:
        """Read what a process says until it has ended; the last error that it named."""
        rest, error, asked = b"", "", 0.0
        while True:
            ended = process.poll() is not None
            *lines, rest = (rest + stream.read()).split(b"\n")
            rest = rest[-_LONGEST_LINE:]
            told = None
            for line in lines:
                found = _object(line)
                if isinstance(problem := found.get("error"), str):
                    error = problem
                told = found if "phase" in found else told
            if told is not None:
                self._reached(job, told)
            if ended:
                return error
            asked = self._hurry(job, process, asked)
            time.sleep(_TICK)

    def _reached(self, job: Job, told: dict[str, object]) -> None:
        figures = [told.get(name) for name in ("done", "total", "seconds_left")]
        done, total, left = (float(one) if isinstance(one, int | float) else None for one in figures)
        with suppress(sqlite3.Error):
            self.store.reached(job.id, str(told["phase"])[:200], done or 0.0, total or 0.0, left)

    def _hurry(self, job: Job, process: subprocess.Popen[bytes], asked: float) -> float:
        """Kill what was asked to end and does not; when it was asked, 0 for never."""
        if not self._ending and job.id not in self._cancelled:
            return 0.0
        asked = asked or time.monotonic()
        if time.monotonic() - asked > PATIENCE:
            _send(process.pid, signal.SIGKILL)
        return asked


def amount(job: Job) -> str:
    """How much is done, in words: "12 of 80", of a training "40 %"."""
    if job.phase == TRAINING:
        return f"{job.share} %"
    return f"{job.done:,.0f} of {job.total:,.0f}" if job.total else ""


def born(process: int) -> str:
    """When a process began, as the system tells it; empty where there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    try:
        words = ["ps", "-o", "lstart=", "-p", str(process)]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _send(process: int, number: signal.Signals) -> None:
    """Send a signal to a command and all that it started."""
    try:
        os.killpg(process, number)
    except (ProcessLookupError, PermissionError):
        return


def _object(line: bytes) -> dict[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
