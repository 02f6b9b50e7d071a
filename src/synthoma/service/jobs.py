"""What is to be looked at and was: a folder for each request, read again when the service starts."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from synthoma.core.errors import OutputError
from synthoma.core.whole_files import write_json
from synthoma.detection.settings import DetectConfig

FILE, FOUND = "job.json", "found"
State = Literal["waiting", "looking", "found", "failed"]
_NUMBER = re.compile(r"[0-9a-f]{32}")


class Job(BaseModel):
    """A request.

    Attributes:
        number: its name, that nobody can guess.
        state: waiting, looking, found or failed.
        scans: where they lie.
        sent: whether they came with the request: then they are removed once looked at.
        options: how they are looked at.
        why: what went wrong.
        made, ended: seconds since 1970.
    """

    number: str
    state: State = "waiting"
    scans: Path
    sent: bool
    options: DetectConfig
    why: str = ""
    made: float
    ended: float | None = None


class Jobs:
    """The requests of a folder; several threads may use it.

    Args:
        folder: where they lie.
        waiting: how many may wait.
        keep_s: seconds after which results are removed.
    """

    def __init__(self, folder: Path, waiting: int, keep_s: float, clock: Callable[[], float] = time.time) -> None:
        self.folder, self._most, self._keep, self._clock = folder / "jobs", waiting, keep_s, clock
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Condition()
        self._jobs: dict[str, Job] = {}
        for place in sorted(self.folder.iterdir()):
            try:
                job = Job.model_validate_json((place / FILE).read_bytes())
            except (OSError, ValidationError):
                shutil.rmtree(place, ignore_errors=True)  # it was never answered: its sender knows no number
                continue
            if job.state == "looking":  # the service was killed: once more
                job.state = "waiting"
            self._jobs[job.number] = job

    def full(self) -> bool:
        """Whether no more may wait."""
        with self._lock:
            return sum(job.state == "waiting" for job in self._jobs.values()) >= self._most

    def add(self, scans: Path, options: DetectConfig, *, sent: bool) -> Job:
        """A request to look at scans; on the disk when this returns."""
        job = Job(number=secrets.token_hex(16), scans=scans, sent=sent, options=options, made=self._clock())
        (self.folder / job.number).mkdir()
        self._write(job)
        with self._lock:
            self._jobs[job.number] = job
            self._lock.notify()
        return job

    def take(self, wait_s: float) -> Job | None:
        """The request that waits longest; None where none comes for so long."""
        with self._lock:
            if not self._waiting():
                self._lock.wait(wait_s)
            waiting = self._waiting()
            if not waiting:
                return None
            job = waiting[0]
            job.state = "looking"
            self._told(job)
        return job

    def settle(self, job: Job, why: str) -> None:
        """Say how it ended: well, where nothing went wrong."""
        if job.sent:
            shutil.rmtree(job.scans, ignore_errors=True)
        with self._lock:
            if job.number not in self._jobs:  # removed while it was looked at
                shutil.rmtree(self.place(job), ignore_errors=True)
                return
            job.state, job.why, job.ended = ("failed" if why else "found"), why, self._clock()
            self._told(job)

    def get(self, number: str) -> Job | None:
        """A request by its number."""
        with self._lock:
            return self._jobs.get(number) if _NUMBER.fullmatch(number) else None

    def remove(self, job: Job) -> None:
        """Forget a request and what was found; what waits is not looked at any more."""
        with self._lock:
            self._jobs.pop(job.number, None)
        if job.sent:
            shutil.rmtree(job.scans, ignore_errors=True)
        shutil.rmtree(self.place(job), ignore_errors=True)

    def sweep(self) -> None:
        """Remove what ended too long ago."""
        with self._lock:
            old = [job for job in self._jobs.values() if job.ended and self._clock() - job.ended > self._keep]
        for job in old:
            self.remove(job)

    def counts(self) -> dict[State, int]:
        """How many requests are in each state."""
        with self._lock:
            states = [job.state for job in self._jobs.values()]
        known: tuple[State, ...] = ("waiting", "looking", "found", "failed")
        return {state: states.count(state) for state in known}

    def place(self, job: Job) -> Path:
        """The folder of a request."""
        return self.folder / job.number

    def _waiting(self) -> list[Job]:
        return sorted((job for job in self._jobs.values() if job.state == "waiting"), key=lambda job: job.made)

    def _told(self, job: Job) -> None:
        """Write down a new state, with the lock held: nobody removes the folder meanwhile.

        Where the disk has no room it is known here alone, and the next start looks again. An error would end the
        thread that looks at requests, and the service would take them and never look.
        """
        with suppress(OutputError):
            self._write(job)

    def _write(self, job: Job) -> None:
        write_json(self.place(job) / FILE, job.model_dump(mode="json"))
