"""Starts the studio, and ends it in order."""

from __future__ import annotations

import logging
import logging.handlers
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.whole_files import locked_at_once
from synthoma.studio.app import application
from synthoma.studio.gate import LOG, Door, password_for
from synthoma.studio.limits import Limits
from synthoma.studio.places import Places
from synthoma.studio.queue import Queue, command_words
from synthoma.studio.store import Store
from synthoma.studio.studio import Studio

JOBS = "jobs.sqlite"
REFUSED = "studio.log"
_LARGEST_LOG = 1_000_000


def made(
    workspace: Path,
    folders: Sequence[Path],
    door: Door,
    *,
    at_once: int = 1,
    limits: Limits | None = None,
    process: Callable[[tuple[str, ...]], list[str]] = command_words,
) -> Studio:
    """A studio that does not work yet.

    Args:
        workspace: where everything is written.
        folders: scans and artefacts that are only read.
        door: who may come in.
        at_once: commands that work at a time.
        limits: how much may be sent.
        process: what is started for the words of a command.

    Raises:
        InputError: a folder is not there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError("folders to open", str(folder), "name a folder that is there")
    places = Places(workspace, folders)
    store = Store(places.own / JOBS)
    return Studio(places, store, Queue(store, places, at_once, process), door, limits or Limits())


def serve(
    workspace: Path,
    folders: Sequence[Path],
    *,
    host: str,
    port: int,
    password_file: Path | None,
    at_once: int,
    ready: Callable[[str], None],
) -> None:
    """Answer until a signal comes.

    Args:
        workspace: where everything is written.
        folders: scans and artefacts that are only read.
        host: where to listen.
        port: likewise; 0 takes a free one.
        password_file: its first line is asked for; needed where other computers can come in.
        at_once: commands that work at a time.
        ready: told the address when it is answered.

    Raises:
        ConfigError: no password where one is needed, or nobody can listen there.
        InputError: a folder is not there, or another studio has the workspace.
    """
    password = password_for(host, password_file)
    with listening(host, port) as listener:
        door = Door(host, listener.getsockname()[1], password)
        studio = made(workspace, folders, door, at_once=at_once)
        with _alone(studio.places.own / "lock", workspace), _logged(studio.places.own / REFUSED):
            studio.queue.start()
            ready(door.address)
            config = uvicorn.Config(
                application(studio), log_config=None, access_log=False, server_header=False, lifespan="off",
                timeout_graceful_shutdown=2, ws="none",
            )  # fmt: skip
            try:
                uvicorn.Server(config).run(sockets=[listener])
            finally:
                studio.queue.stop()


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound; it is listened to before anybody is told the address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
            yield listener
    except OSError as error:
        came = f"{host}:{port}: {error.strerror or error}"
        raise ConfigError("an address to listen at", came, "choose another --port, or end what listens there") from None


@contextmanager
def _alone(lock: Path, workspace: Path) -> Iterator[None]:
    """Keep a workspace for one studio: two would run its jobs twice."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if locked_at_once(descriptor) is False:
            todo = "use that one, or another --workspace"
            raise InputError("a workspace of its own", f"{workspace}, which another studio has open", todo)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Write what is refused into a file of bounded length."""
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LARGEST_LOG, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOG.addHandler(handler)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        handler.close()
