"""Where jobs of a fan-out run: processes of this computer, a Dask cluster or a Ray cluster, all by one interface.

Each engine gives ``concurrent.futures.Future`` objects, so that one loop (``core.fanout``) watches over all of them.
Dask and Ray are spoken to directly and not by their joblib backends: those cannot end a single job that hangs.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from synthoma.core.errors import ConfigError

RETRIES = 3
"""How often a cluster itself begins a job again whose worker was lost, before it says so."""

LOOK_EVERY = 0.5
"""Seconds after which a worker looks again whether its command still lives."""

SETTLED = 1.0
"""Seconds that loky's thread is given at most to take the jobs that it was given, which takes it milliseconds."""

IDLE = 300.0
"""Seconds that local workers without work are kept: loading the networks' libraries takes them several."""


class Engine(Protocol):
    """Something that runs functions elsewhere."""

    workers: int
    """Jobs that run at once."""

    shared: bool
    """Whether the end of one worker ends the jobs of all."""

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Begin a job."""

    def lost(self, error: BaseException) -> bool:
        """Whether an error says that the worker ended, and nothing of the job itself."""

    def abandon(self, future: Future[Any]) -> None:
        """End a job that takes too long, and the process that it hangs in. Other jobs may be lost with it."""

    def answers(self) -> bool:
        """Whether somebody still waits for results of workers: if not, none of what runs will ever end."""

    def close(self, *, kill: bool = False) -> None:
        """Give the workers back; with ``kill``, end those that still work."""


class LocalEngine:
    """Processes of this computer, which are kept for the next fan-out of the same width.

    Args:
        workers: how many.
    """

    shared = True

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: Any = None

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Begin a job."""
        if self._pool is None:
            self._pool = _pool(self.workers)
        try:
            future: Future[Any] = self._pool.submit(function, *arguments)
        except BrokenExecutor as error:  # it broke between two jobs: to whoever waits, as if it had begun
            future = Future()
            future.set_exception(error)
        return future

    def lost(self, error: BaseException) -> bool:
        """Whether a worker ended: all jobs in its pool are lost then, and the next ones get a new pool."""
        if not isinstance(error, BrokenExecutor):
            return False
        self._pool = None
        return True

    def abandon(self, future: Future[Any]) -> None:
        """End all workers: they share pipes, so that one cannot be ended alone."""
        self.close(kill=True)

    def answers(self) -> bool:
        """Whether loky's own thread lives: a warning that is taken for an error ends it, and it tells nobody."""
        thread = getattr(self._pool, "_executor_manager_thread", None)
        return thread is None or bool(thread.is_alive())

    def close(self, *, kill: bool = False) -> None:
        """Let the workers rest, or end them."""
        if kill and self._pool is not None:
            self._settle()
            processes = list((self._pool._processes or {}).values())
            self._pool.shutdown(wait=True, kill_workers=True)
            for process in processes:  # where loky's own thread has ended, nobody else does it
                with suppress(ValueError, OSError):  # it was ended, and is closed
                    if process.is_alive():
                        process.terminate()
        self._pool = None

    def _settle(self) -> None:
        """Let loky take what it was given a moment ago: ended before, its thread dies of that and prints an error."""
        end = time.monotonic() + SETTLED
        while self.answers() and not self._pool._work_ids.empty() and time.monotonic() < end:
            time.sleep(0.001)


def _pool(workers: int) -> Any:
    """Processes that share the cores, as joblib has them: memory-mapped arrays travel as the names of their files."""
    from joblib import cpu_count
    from joblib.executor import get_memmapping_executor

    threads = str(max(1, cpu_count() // workers))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    env = {name: os.environ.get(name, threads) for name in names}
    # From a worker's first moment on: a command may be killed before it has given it anything to do.
    begun = {"initializer": follow, "initargs": (os.getpid(),)}
    return get_memmapping_executor(workers, timeout=IDLE, env=env, max_nbytes=None, **begun)


def follow(parent: int) -> None:
    """End this process when its parent has gone: a killed command cannot say so, and loky waits for 300 seconds."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class DaskEngine:
    """A Dask cluster, which sees the same files at the same paths.

    Args:
        scheduler: its address, "tcp://host:8786"; None for the client that is active in this process.

    Raises:
        ConfigError: Dask is not installed, or no scheduler answers.
    """

    shared = False

    def __init__(self, scheduler: str | None) -> None:
        try:
            import distributed
        except ImportError:
            raise ConfigError("Dask for --backend dask", "none installed", "pip install 'synthoma[dask]'") from None
        failure = ""
        try:
            self._client = distributed.get_client() if scheduler is None else distributed.Client(scheduler, timeout=20)
        except (OSError, ValueError, TypeError) as error:
            failure = type(error).__name__
        if failure:
            # The half-made client goes now, and not while another one begins: its end waits for a lock which that
            # one's beginning holds, and both would wait for ever. An error raised above would still hold it.
            gc.collect()
            came = f"none at {scheduler}" if scheduler else "no address"
            todo = "start one (`dask scheduler`), and give for example --scheduler tcp://host:8786"
            raise ConfigError("a Dask scheduler that answers", f"{came} ({failure})", todo)
        self._own = scheduler is not None
        self._killed: type[BaseException] = distributed.scheduler.KilledWorker
        self.workers = max(1, sum(self._client.nthreads().values()))
        self._remote: dict[Future[Any], Any] = {}

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Begin a job. Dask itself begins it again where its worker is lost."""
        local: Future[Any] = Future()
        # Not pure: two jobs with equal arguments are two jobs, and one that is begun again is not the one that hung.
        remote = self._client.submit(function, *arguments, pure=False)
        self._remote[local] = remote
        remote.add_done_callback(partial(self._arrived, local))
        return local

    def _arrived(self, local: Future[Any], remote: Any) -> None:
        """Pass on what came of a job; nobody waits for one that was abandoned."""
        if self._remote.pop(local, None) is None:
            return
        try:
            local.set_result(remote.result())
        except BaseException as error:
            local.set_exception(error)

    def lost(self, error: BaseException) -> bool:
        """Whether workers ended again and again, or the scheduler forgot the job."""
        return isinstance(error, (self._killed, asyncio.CancelledError, CancelledError))

    def answers(self) -> bool:
        """The cluster watches over its own."""
        return True

    def abandon(self, future: Future[Any]) -> None:
        """Restart the worker that it hangs in; Dask begins its other jobs again."""
        remote = self._remote.pop(future, None)
        if remote is None:
            return
        stuck = [worker for worker, keys in self._client.processing().items() if remote.key in keys]
        remote.cancel(force=True)
        if stuck:
            self._client.restart_workers(stuck, timeout=30, raise_for_error=False)

    def close(self, *, kill: bool = False) -> None:
        """Drop what is still to do; leave the cluster, unless somebody else brought it."""
        for remote in list(self._remote.values()):
            remote.cancel()
        self._remote.clear()
        if self._own:
            self._client.close()


class RayEngine:
    """A Ray cluster, which sees the same files at the same paths.

    Args:
        address: "auto", or "host:6379"; None starts one on this computer, for the time of the command.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers.
    """

    shared = False

    def __init__(self, address: str | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers of every start
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError:
            raise ConfigError("Ray for --backend ray", "none installed", "pip install 'synthoma[ray]'") from None
        self._ray = ray
        self._own = not ray.is_initialized()
        if self._own:
            try:
                ray.init(address=address, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
            except (ConnectionError, ValueError, RuntimeError) as error:
                todo = "start one (`ray start --head`), and give for example --address host:6379"
                raise ConfigError("a Ray cluster that answers", f"none at {address} ({error})"[:200], todo) from None
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._refs: dict[Future[Any], Any] = {}

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Begin a job on one core. Ray itself begins it again where its worker is lost."""
        ref = self._ray.remote(max_retries=RETRIES)(function).remote(*arguments)
        local: Future[Any] = Future()
        self._refs[local] = ref
        ref.future().add_done_callback(partial(self._arrived, local))
        return local

    def _arrived(self, local: Future[Any], remote: Future[Any]) -> None:
        """Pass on what came of a job, with the job's own error in place of Ray's."""
        if self._refs.pop(local, None) is None:
            return
        error = remote.exception()
        if error is None:
            local.set_result(remote.result())
            return
        cause = getattr(error, "cause", None)
        local.set_exception(cause if isinstance(cause, BaseException) else error)

    def lost(self, error: BaseException) -> bool:
        """Whether the worker or its machine ended, or was ended for want of memory."""
        known = self._ray.exceptions
        return isinstance(error, (known.WorkerCrashedError, known.NodeDiedError, known.OutOfMemoryError))

    def answers(self) -> bool:
        """The cluster watches over its own."""
        return True

    def abandon(self, future: Future[Any]) -> None:
        """End the process that it hangs in."""
        if (ref := self._refs.pop(future, None)) is not None:
            self._ray.cancel(ref, force=True)

    def close(self, *, kill: bool = False) -> None:
        """Drop what is still to do; end the cluster, or leave it, unless somebody else brought it."""
        for ref in list(self._refs.values()):
            self._ray.cancel(ref, force=True)
        self._refs.clear()
        if self._own:
            self._ray.shutdown()
