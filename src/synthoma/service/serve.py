"""Starts the service, and ends it in order."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.whole_files import locked_at_once
from synthoma.service.app import Metrics, application, cleared
from synthoma.service.jobs import FOUND, Jobs
from synthoma.service.settings import ServeConfig
from synthoma.service.worker import Look, Worker, look
from synthoma.studio.places import Places
from synthoma.studio.server import listening

SHORTEST = 16
_SWEEP_S = 60.0


def token_of(file: Path | None) -> str:
    """The token that requests must bring: the first line of a file, or a random one.

    Raises:
        ConfigError: it cannot be read, or is short.
    """
    if file is None:
        return secrets.token_urlsafe(24)
    try:
        token = (file.read_text(encoding="utf-8").splitlines() or [""])[0].strip()
    except (OSError, ValueError) as error:
        raise ConfigError("a file with a token", f"{file}: {error}", "write one line of text into it") from None
    if len(token) < SHORTEST or not token.isascii():
        came = f"{len(token)} in {file}"
        raise ConfigError(
            f"a token of {SHORTEST} plain characters or more", came, "write a longer one into its first line"
        )
    return token


class Service:
    """A service that does not answer yet.

    Args:
        folder: where requests and results lie.
        model: what looks at scans.
        options: how.
        function: what looks at one request, in a process of its own.

    Raises:
        ConfigError: a token that cannot be used.
        InputError: another service has the folder, or the folder of scans is not there.
    """

    def __init__(self, folder: Path, model: Path, options: ServeConfig, function: Look = look) -> None:
        if options.folder is not None and not options.folder.is_dir():
            raise InputError("a folder of scans", str(options.folder), "name one that is there")
        self.token = token_of(options.token_file)
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        if locked_at_once(self._descriptor) is False:
            os.close(self._descriptor)
            raise InputError("a folder of its own", f"{folder}, which another service has", "choose another --output")
        places = Places(folder, [options.folder] if options.folder else [])
        cleared(places.own)
        self.jobs = Jobs(folder, options.waiting, options.keep_hours * 3600)
        self._metrics, self._options = Metrics(self.jobs), options
        self.app = application(self.jobs, places, options, self.token, self._metrics)
        self._workers = [Worker(model, function) for _ in range(options.at_once)]
        self._ended = threading.Event()

    def run(self, ready: Callable[[str], None]) -> None:
        """Answer until a signal comes.

        Args:
            ready: told the address when it is answered.

        Raises:
            ConfigError: nobody can listen there.
        """
        with listening(self._options.host, self._options.port) as listener:
            threads = [threading.Thread(target=self.work, args=(worker,), daemon=True) for worker in self._workers]
            for thread in threads:
                thread.start()
            name = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
            ready(f"http://{name}:{listener.getsockname()[1]}")
            config = uvicorn.Config(
                self.app, log_config=None, access_log=False, server_header=False, lifespan="off",
                timeout_graceful_shutdown=2, ws="none",
            )  # fmt: skip
            try:
                uvicorn.Server(config).run(sockets=[listener])
            finally:
                self.end()

    def work(self, worker: Worker) -> None:
        """Look at requests, one after the other, until the end."""
        swept = time.monotonic()
        while not self._ended.is_set():
            if time.monotonic() - swept > _SWEEP_S:
                self.jobs.sweep()
                swept = time.monotonic()
            job = self.jobs.take(0.5)
            if job is None:
                continue
            began = time.monotonic()
            why = worker.look(job.scans, self.jobs.place(job) / FOUND, job.options, self._options.longest_s)
            if self._ended.is_set() and why:  # it was ended, and will be looked at after the next start
                return
            self._metrics.seconds.observe(time.monotonic() - began)
            self._metrics.ended.labels("failed" if why else "found").inc()
            self.jobs.settle(job, why)

    def end(self) -> None:
        """Look at nothing more; what waits or is looked at is so again after the next start."""
        self._ended.set()
        for worker in self._workers:
            worker.end()
        os.close(self._descriptor)
