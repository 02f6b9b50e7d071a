"""The node with its work: each complete study is looked at, and what was found is sent on.

A study is looked at by ``synthoma detect`` in a process of its own: one that hangs, crashes or needs too much memory
takes nothing with it. Everything is on the disk before it counts, so a node that was killed goes on where it was.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from synthoma.core.errors import ConfigError, InputError, OutputError, SynthomaError
from synthoma.core.whole_files import locked_at_once
from synthoma.hospital.audit import FILE as AUDIT
from synthoma.hospital.audit import Audit
from synthoma.hospital.inbox import FOUND, RECEIVED, Inbox, Study
from synthoma.hospital.node import Node, client_tls, server_tls
from synthoma.hospital.peers import receiver, send
from synthoma.hospital.settings import ListenConfig

Look = Callable[[Path, Path, float], str]
"""Images, place for what is found, most seconds -> what went wrong, or nothing."""
_TICK_S = 0.2
_TRIES = 12


def retry_s(tries: int) -> float:
    """How long to wait until results are sent again: half a minute, then twice as long each time, at most an hour."""
    return min(3600.0, 30.0 * 2 ** max(0, tries - 1)) if tries < _TRIES else float("inf")


class Listener:
    """A DICOM node that looks at what it is sent.

    Args:
        folder: where studies and the audit log lie; made if it is not there.
        options: how it listens and where results go.
        words: more options of ``synthoma detect``.
        look: what looks at a study; ``synthoma detect`` in a process of its own.

    Raises:
        ConfigError: a receiver or certificate that cannot be used, or an open door that nobody guards.
        InputError: another process has the folder.
    """

    def __init__(
        self, folder: Path, options: ListenConfig, words: Sequence[str] = (), look: Look | None = None
    ) -> None:
        if options.host not in ("127.0.0.1", "localhost", "::1") and not options.allow:
            todo = "name the AE titles that may send: --allow PACS,MR1"
            raise ConfigError("who may send, where other computers can", "no --allow", todo)
        self._to = None if options.send_to is None else receiver(options.send_to)
        server_tls(options)
        self._tls, self._options = client_tls(options), options
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        if locked_at_once(self._descriptor) is False:
            os.close(self._descriptor)
            raise InputError("a folder of its own", f"{folder}, where another node listens", "choose another --output")
        self._audit = Audit(folder / AUDIT)
        self.inbox = Inbox(folder, options.quiet_s)
        self._node = Node(self.inbox, self._audit, options, folder)
        self._look = look or (lambda images, found, most: looked(images, found, most, words))
        self._ended = threading.Event()

    def run(
        self, ready: Callable[[int], None] = lambda port: None, told: Callable[[Study], None] | None = None
    ) -> None:
        """Listen and look until ``end`` is called.

        Args:
            ready: told the port.
            told: told of each study that was looked at.

        Raises:
            ConfigError: nobody can listen there.
        """
        port = self._node.start()
        self._audit.write("listening", title=self._options.aet, port=port)
        ready(port)
        try:
            while not self._ended.wait(_TICK_S):
                study = self.inbox.next_complete()
                if study is not None:
                    self._attend(study)
                elif (study := self.inbox.next_unsent(retry_s)) is not None:
                    self._send(study)
                if study is not None and told is not None:
                    told(study)
        finally:
            self._node.stop()
            self._audit.write("ended")
            os.close(self._descriptor)

    def end(self) -> None:
        """Let ``run`` come to its end."""
        self._ended.set()

    def _attend(self, study: Study) -> None:
        """Look at a study and send what was found."""
        place = self.inbox.place(study)
        try:
            why = self._look(place / RECEIVED, place / FOUND, self._options.longest_s)
        except OutputError as error:  # too little memory for a process: the node goes on, and says so of this study
            why = f"{error.expected}: {error.came}"
        except OSError as error:
            why = type(error).__name__
        if not self.inbox.settle(study, "failed" if why else "found", why):
            self._audit.write("more came", study=study.name)
            return
        self._audit.write("failed" if why else "looked at", study=study.name, images=study.images, why=why)
        if not why:
            if not self._options.keep_images:
                self.inbox.remove_images(study)
            if self._to is not None:
                self._send(study)

    def _send(self, study: Study) -> None:
        assert self._to is not None or study.state == "unsent"
        if self._to is None:  # the receiver of an earlier process is not named any more
            self.inbox.settle(study, "found")
            return
        files = sorted((self.inbox.place(study) / FOUND).rglob("*_seg.dcm"))
        files += sorted((self.inbox.place(study) / FOUND).rglob("*_sr.dcm"))
        try:
            if files:
                send(files, self._to, calling=self._options.aet, tls=self._tls)
            self.inbox.settle(study, "sent", "" if files else "nothing was outlined, so there was nothing to send")
            self._audit.write("sent", study=study.name, files=len(files))
        except (SynthomaError, OSError) as error:
            self.inbox.settle(study, "unsent", type(error).__name__)
            why = error.came if isinstance(error, SynthomaError) else type(error).__name__
            self._audit.write("not sent", study=study.name, tries=study.tries, why=why)


def looked(images: Path, found: Path, most_s: float, words: Sequence[str] = ()) -> str:
    """Run ``synthoma detect`` on a folder, in a process of its own that ends with this one.

    Args:
        images: what to look at.
        found: where to write; replaced where it is there.
        most_s: seconds after which it is given up.
        words: more options.

    Returns:
        What went wrong, in words without names; nothing where it went well.

    Raises:
        OutputError: the process could not be started.
    """
    command = [sys.executable, "-m", "synthoma", "detect", str(images), "--output", str(found), "--force"]
    command += ["--dicom-sr", "--quiet", *words]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise OutputError("a process for `synthoma detect`", str(error.strerror), "make room or memory") from None
    try:
        _, said = process.communicate(timeout=most_s)
    except subprocess.TimeoutExpired:
        return f"given up after {most_s:g} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
            process.communicate()
    if process.returncode == 0:
        return ""
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return f"exit {process.returncode}: {lines[-1][:300] if lines else 'nothing was said'}"
