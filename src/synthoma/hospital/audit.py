"""The audit log: what happened to which study, without a word that says whose it is.

One line of JSON an event. Studies and senders' images have no names here, only keyed pseudonyms (`core.pseudonyms`).
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

from synthoma.core.pseudonyms import pseudonym, secret_key

FILE = "audit.jsonl"


class Audit:
    """A log that only grows; several threads may write.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock, self._key = path, threading.Lock(), secret_key()

    def name(self, uid: str) -> str:
        """The pseudonym of a study."""
        return pseudonym(f"study {uid}", self._key)

    def write(self, event: str, **facts: str | int | float | bool | None) -> None:
        """Add an event, on the disk when this returns.

        A log that cannot be written (a full disk) must not stop the node: the event is lost, work goes on.
        """
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = json.dumps({"time": stamp, "event": event, **facts}, ensure_ascii=True) + "\n"
        try:
            with self._lock:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(line)
        except OSError:
            pass
