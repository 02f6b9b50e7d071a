"""Processes that look at scans: each keeps the model loaded, and none can hurt the service."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from synthoma.core.errors import SynthomaError
from synthoma.detection.settings import DetectConfig

Look = Callable[[Path, Path, Path, DetectConfig], None]
"""Scans, place for what is found, model, options: looks at them, or raises SynthomaError."""
LOOKS = 200
"""Scans after which a process is replaced: what libraries lose of memory stays small."""
START_S = 120
"""Seconds until a process must have begun."""
DIED = "the process that looked at it ended without a word: too little memory, or a fault"


def look(scans: Path, found: Path, model: Path, options: DetectConfig) -> None:
    """Look at scans as ``synthoma detect`` does.

    Raises:
        SynthomaError: see ``detection.detect.detect``.
    """
    from synthoma.core.outputs import renew_checksums
    from synthoma.core.whole_files import write_text
    from synthoma.detection.detect import detect
    from synthoma.reports.findings_page import findings_page

    detect(scans, model, found, options=options, force=True)
    write_text(found / "report.html", findings_page(found, "found"))
    renew_checksums(found, "report.html")


def _work(pipe: Connection, function: Look, model: Path, parent: int) -> None:
    """Look at what comes through the pipe until nothing comes any more."""
    pipe.send("ready")  # what takes long from now on is the scan's
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        if task is None or os.getppid() != parent:  # the service was killed
            return
        scans, found, options = task
        try:
            function(scans, found, model, options)
            said = ""
        except SynthomaError as error:
            said = str(error)
        except Exception as error:  # its words may quote what a header says of the patient
            said = f"a fault of the program: {type(error).__name__}"
        pipe.send(said)


@dataclass
class Worker:
    """A process that is begun when it is needed, and replaced when it hangs, dies or is old.

    Attributes:
        model: what looks.
        function: how.
    """

    model: Path
    function: Look = look
    _process: BaseProcess | None = None
    _pipe: Connection | None = None
    _looks: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, scans: Path, found: Path, options: DetectConfig, longest_s: float) -> str:
        """Look at scans; what went wrong in words, or nothing."""
        with self._lock:
            try:
                pipe = self._ready()
                pipe.send((scans, found, options))
                if not pipe.poll(longest_s):
                    self._end()
                    return f"given up after {longest_s:g} s"
                said = str(pipe.recv())
            except (EOFError, OSError):
                self._end()
                return DIED
            self._looks += 1
            if self._looks >= LOOKS:
                self._end()
            return said

    def end(self) -> None:
        """End the process."""
        self._end()

    def _ready(self) -> Connection:
        if self._process is None or not self._process.is_alive() or self._pipe is None:
            self._end()
            # Not forked: the service has threads, and a fork copies locks that nobody will open.
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            arguments = (theirs, self.function, self.model, os.getpid())
            self._process = context.Process(target=_work, args=arguments, daemon=True)
            self._process.start()
            theirs.close()
            if not self._pipe.poll(START_S):
                raise EOFError
            self._pipe.recv()
        return self._pipe

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._pipe = None
        self._looks = 0
