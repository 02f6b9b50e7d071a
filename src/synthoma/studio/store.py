"""Jobs, changes and answers in SQLite: what a killed server knows again."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

State = Literal["queued", "running", "done", "failed", "cancelled", "stopped"]
"""stopped: the studio ended while it ran; it can go on."""
Kind = Literal["look", "prepare", "train", "generate", "evaluate", "detect", "export", "turing", "paint"]
KINDS: tuple[Kind, ...] = get_args(Kind)

OVER: tuple[State, ...] = ("done", "failed", "cancelled", "stopped")

MIGRATIONS = (
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, title TEXT NOT NULL,
        words TEXT NOT NULL, output TEXT NOT NULL, state TEXT NOT NULL, made REAL NOT NULL, began REAL, ended REAL,
        process INTEGER, born TEXT NOT NULL DEFAULT '', phase TEXT NOT NULL DEFAULT '', done REAL NOT NULL DEFAULT 0,
        total REAL NOT NULL DEFAULT 0, seconds_left REAL, error TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX jobs_by_state ON jobs (state);
    """,
    """
    CREATE TABLE edits (
        number INTEGER PRIMARY KEY AUTOINCREMENT, cohort TEXT NOT NULL, state TEXT NOT NULL, what TEXT NOT NULL,
        made REAL NOT NULL
    );
    CREATE INDEX edits_by_cohort ON edits (cohort, state);
    CREATE TABLE answers (
        seal TEXT NOT NULL, reader TEXT NOT NULL, item TEXT NOT NULL, answer TEXT NOT NULL, confidence TEXT NOT NULL,
        quality TEXT NOT NULL, remark TEXT NOT NULL, seconds REAL, made REAL NOT NULL,
        PRIMARY KEY (seal, reader, item)
    );
    CREATE TABLE closed (seal TEXT PRIMARY KEY, made REAL NOT NULL);
    """,
    """
    CREATE TABLE reviews (
        number INTEGER PRIMARY KEY AUTOINCREMENT, finding TEXT NOT NULL, state TEXT NOT NULL, verdict TEXT NOT NULL,
        mask TEXT NOT NULL, made REAL NOT NULL
    );
    CREATE INDEX reviews_by_finding ON reviews (finding, state);
    """,
)
"""Each is run once, in order; ``user_version`` of the file counts them."""

_COLUMNS = (
    "id, kind, title, words, output, state, made, began, ended, process, born, phase, done, total, seconds_left, error"
)


@dataclass(frozen=True)
class Job:
    """A command that is to run, runs, or ran.

    Attributes:
        id: part of its address.
        kind: the command; ``look`` is `info`.
        title: what it is for, in plain words.
        words: of the command line, after `synthoma`.
        output: what it writes; of a look, what is looked at.
        state: see ``State``.
        made, began, ended: seconds since 1970.
        process, born: its process, and when the system says that one began: numbers of processes are used again.
        phase, done, total, seconds_left: how far it is.
        error: why it failed.
    """

    id: str
    kind: Kind
    title: str
    words: tuple[str, ...]
    output: str = ""
    state: State = "queued"
    made: float = field(default_factory=time.time)
    began: float | None = None
    ended: float | None = None
    process: int | None = None
    born: str = ""
    phase: str = ""
    done: float = 0.0
    total: float = 0.0
    seconds_left: float | None = None
    error: str = ""

    @property
    def over(self) -> bool:
        """Whether it does not run and will not by itself."""
        return self.state in OVER

    @property
    def share(self) -> int:
        """How much of its phase is done, in percent."""
        return round(100 * min(self.done / self.total, 1.0)) if self.total > 0 else 0


class Store:
    """The file of jobs; each call opens it for itself, so threads and processes need not know of one another.

    Args:
        path: of the file; it is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.opened() as data:
            # Pages read while a job says how far it is: with the usual journal one would wait for the other.
            data.execute("PRAGMA journal_mode=WAL")
            (version,) = data.execute("PRAGMA user_version").fetchone()
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                data.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """The file, for one change or question."""
        data = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            yield data
        finally:
            data.close()

    def add(self, kind: Kind, title: str, words: tuple[str, ...], output: str = "") -> Job:
        """Put a new job at the end of the queue."""
        job = Job(secrets.token_hex(6), kind, title, words, output)
        with self.opened() as data:
            data.execute(
                "INSERT INTO jobs (id, kind, title, words, output, state, made) VALUES (?, ?, ?, ?, ?, 'queued', ?)",
                (job.id, kind, title, json.dumps(words), output, job.made),
            )
        return job

    def job(self, name: str) -> Job | None:
        """One job; None where there is none of that id."""
        return next(iter(self._jobs("WHERE id = ?", name)), None)

    def jobs(self, *states: State, most: int = 500) -> list[Job]:
        """Jobs in these states, or all, the newest first."""
        where = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        return self._jobs(f"{where} ORDER BY number DESC LIMIT {int(most)}", *states)

    def last(self, output: str, *, look: bool = False) -> Job | None:
        """The newest job that writes, or wrote, a place; or the newest look at it."""
        which = "=" if look else "!="
        return next(
            iter(self._jobs(f"WHERE output = ? AND kind {which} 'look' ORDER BY number DESC LIMIT 1", output)), None
        )

    def _jobs(self, rest: str, *values: str) -> list[Job]:
        with self.opened() as data:
            rows = data.execute(f"SELECT {_COLUMNS} FROM jobs {rest}", values).fetchall()
        return [_job(row) for row in rows]

    def taken(self) -> set[str]:
        """Places that jobs will write."""
        return {job.output for job in self.jobs("queued", "running") if job.output}

    def next(self, kinds: tuple[Kind, ...]) -> Job | None:
        """Take the oldest queued job of some kinds: it is running from now on, for this caller alone."""
        marks = ", ".join("?" * len(kinds))
        with self.opened() as data:
            row = data.execute(
                # One statement: between a question and a change another lane could take the same job.
                f"UPDATE jobs SET state = 'running', began = ?, ended = NULL, error = '', phase = '', done = 0, "
                f"total = 0, seconds_left = NULL, process = NULL, born = '' WHERE number = (SELECT number FROM jobs "
                f"WHERE state = 'queued' AND kind IN ({marks}) ORDER BY number LIMIT 1) RETURNING id",
                (time.time(), *kinds),
            ).fetchone()
        return None if row is None else self.job(row[0])

    def runs_as(self, job: str, process: int, born: str) -> None:
        """Write down which process a job is."""
        self._set("process = ?, born = ? WHERE id = ?", process, born, job)

    def reached(self, job: str, phase: str, done: float, total: float, seconds_left: float | None) -> None:
        """Write down how far a job is."""
        self._set(
            "phase = ?, done = ?, total = ?, seconds_left = ? WHERE id = ?", phase, done, total, seconds_left, job
        )

    def end(self, job: str, state: State, error: str = "") -> None:
        """Write down how a job ended."""
        self._set("state = ?, ended = ?, error = ?, process = NULL WHERE id = ?", state, time.time(), error, job)

    def cancel_queued(self, job: str) -> bool:
        """Take a job out of the queue; whether it was still there."""
        change = "state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'"
        return self._set(change, time.time(), job) == 1

    def queue_again(self, job: str, words: tuple[str, ...]) -> bool:
        """Put a job that is over into the queue again; whether it was over."""
        marks = ", ".join("?" * len(OVER))
        change = f"state = 'queued', words = ?, ended = NULL, error = '' WHERE id = ? AND state IN ({marks})"
        return self._set(change, json.dumps(words), job, *OVER) == 1

    def _set(self, change: str, *values: str | float | None) -> int:
        with self.opened() as data:
            return data.execute(f"UPDATE jobs SET {change}", values).rowcount


def _job(row: sqlite3.Row) -> Job:
    """A line of the table."""
    name, kind, title, words, *rest = row
    return Job(name, kind, title, tuple(json.loads(words)), *rest)
