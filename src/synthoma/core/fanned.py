"""How the work of a command is spread: where its jobs run, which share of them, and where finished ones are kept.

Whoever runs a command says it once, for all that happens in a block::

    with fanned(FanoutConfig(backend="dask", scheduler="tcp://head:8786")):
        prepare("scans", "cohort")
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from synthoma.core.config import Config
from synthoma.core.engines import DaskEngine, Engine, LocalEngine, RayEngine
from synthoma.core.errors import ConfigError
from synthoma.core.fields import said

Result = TypeVar("Result")
Item = TypeVar("Item")


class FanoutConfig(Config):
    """Where the jobs of a command run, and which of them."""

    backend: Literal["local", "dask", "ray"] = Field(
        "local",
        description="where jobs run: on this computer, or on a Dask or Ray cluster that sees the same files",
        examples=["dask"],
    )
    scheduler: str | None = Field(
        None,
        description="of Dask: the scheduler's address",
        examples=["tcp://head:8786"],
        json_schema_extra=said(unset="the client that is active in Python", metavar="URL"),
    )
    address: str | None = Field(
        None,
        description="of Ray: the cluster's address",
        examples=["head:6379"],
        json_schema_extra=said(unset="one of this computer, for this command", metavar="HOST:PORT"),
    )
    job_seconds: float | None = Field(
        None,
        gt=0,
        description="a job that takes longer hangs: it is ended and begun again, three times at most",
        examples=[600.0],
        json_schema_extra=said(unit="seconds", unset="no limit", metavar="X"),
    )
    parts: Path | None = Field(
        None,
        description="keep every finished job in this folder, and take from it what is finished",
        examples=["cohort.parts"],
        json_schema_extra=said(unset="nothing is kept", metavar="FOLDER"),
    )
    shard: str | None = Field(
        None,
        description="with --parts: do only this share of the jobs, i/k the i-th of k, and write no output; when all "
        "shares are done, the same command without it puts them together",
        examples=["3/16"],
        json_schema_extra=said(unset="all jobs", metavar="I/K"),
    )

    def share(self) -> tuple[int, int] | None:
        """``shard`` as numbers.

        Raises:
            ConfigError: it is not i/k, or there is no folder for what it makes.
        """
        if self.shard is None:
            return None
        part = share_of(self.shard)
        if self.parts is None:
            todo = "add for example --parts cohort.parts, the same for all shares"
            raise ConfigError("a folder in which the shares meet", f"--shard {self.shard} alone", todo)
        return part


def share_of(text: str) -> tuple[int, int]:
    """(i, k) of "i/k", the i-th of k parts, from 1.

    Raises:
        ConfigError: it is not that.
    """
    part, _, parts = text.partition("/")
    numbers = all(word.isascii() and word.isdecimal() and len(word) < 10 for word in (part, parts))
    if not numbers or not 1 <= int(part) <= int(parts):
        raise ConfigError("a shard i/k with 1 <= i <= k", repr(text), "write for example --shard 1/4")
    return int(part), int(parts)


class ShareDone(BaseException):
    """One share of the jobs is done and kept, and so the command has no result. No error, and never taken for one.

    Attributes:
        ours: jobs of the share.
        before: of these, the ones that were finished before.
        total: jobs in all.
    """

    def __init__(self, ours: int, before: int, total: int) -> None:
        super().__init__(f"{ours} of {total} jobs, {before} of them finished before")
        self.ours, self.before, self.total = ours, before, total


@dataclass
class Fan:
    """How the commands of a block spread their work.

    Attributes:
        config: as it was asked for.
        share: (i, k): only the i-th of k shares of all jobs; None for all of them.
        done: what was done of the share, where only one was wanted.
    """

    config: FanoutConfig
    share: tuple[int, int] | None = None
    done: ShareDone | None = None
    _engine: Engine | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether jobs run on a cluster."""
        return self.config.backend != "local"

    @property
    def aside(self) -> Path | None:
        """Where a share of a command's jobs writes what it throws away; None where the whole command is done."""
        if self.share is None or self.config.parts is None:
            return None
        return self.config.parts / f".share-{self.share[0]}-of-{self.share[1]}"

    def engine(self, jobs: int) -> Engine:
        """What runs jobs: a cluster is joined once for the whole block."""
        if not self.elsewhere:
            return LocalEngine(jobs)
        # Kept: to join a cluster takes seconds, and a command spreads work many times.
        if self._engine is None:
            dask = self.config.backend == "dask"
            self._engine = DaskEngine(self.config.scheduler) if dask else RayEngine(self.config.address)
        return self._engine

    def close(self) -> None:
        """Leave the cluster."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


_FAN: ContextVar[Fan | None] = ContextVar("fan", default=None)


def fan() -> Fan:
    """How work is spread here: as the nearest ``fanned`` says, and on this computer without one."""
    return _FAN.get() or Fan(FanoutConfig())


@contextmanager
def fanned(config: FanoutConfig) -> Iterator[Fan]:
    """Let everything in the block spread its work as these settings say.

    Where only a share is wanted, the block ends when that is done, without an error, and ``done`` says what was.

    Raises:
        ConfigError: settings that do not fit together.
    """
    chosen = Fan(config, check_fanout(config))
    before = _FAN.set(chosen)
    try:
        yield chosen
    except ShareDone as done:
        chosen.done = done
    finally:
        _FAN.reset(before)
        chosen.close()
        if chosen.aside is not None:
            shutil.rmtree(chosen.aside, ignore_errors=True)


def check_fanout(config: FanoutConfig) -> tuple[int, int] | None:
    """The share that is wanted, where the settings fit together.

    Raises:
        ConfigError: they do not.
    """
    if config.scheduler is not None and config.backend != "dask":
        raise ConfigError("--backend dask beside --scheduler", f"--backend {config.backend}", "give both or none")
    if config.address is not None and config.backend != "ray":
        raise ConfigError("--backend ray beside --address", f"--backend {config.backend}", "give both or none")
    return config.share()


@contextmanager
def whole_work() -> Iterator[None]:
    """Let what happens in the block be done here and whole, though around it only a share is wanted.

    Jobs themselves run so, and what every share needs before it can begin.
    """
    before = _FAN.set(None)
    try:
        yield
    finally:
        _FAN.reset(before)


def ours(items: Sequence[Item]) -> list[Item]:
    """Those items that belong to the share which is wanted: every k-th, so that shares are alike; all without one."""
    if (share := fan().share) is None:
        return list(items)
    part, parts = share
    return list(items[part - 1 :: parts])


def each(works: Iterable[Callable[[], Result]]) -> list[Result]:
    """Results of several works one after the other. Where only a share is wanted, each of them does its share.

    Raises:
        ShareDone: after the last of them, with the jobs of all.
    """
    found: list[Result] = []
    shares: list[ShareDone] = []
    for work in works:
        try:
            found.append(work())
        except ShareDone as done:
            shares.append(done)
    # Only now: each of the works has to do its share before the command ends.
    if shares:
        raise ShareDone(*(sum(getattr(done, name) for done in shares) for name in ("ours", "before", "total")))
    return found
