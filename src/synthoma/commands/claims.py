"""Who writes a place in a store says so in an object beside it, ``.NAME.writing``: its claim."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from synthoma.core.untrusted import visible

CLAIM = re.compile(r"(^|/)\.([^/]+\.)?writing$")
"""How an object is called that is a claim."""


@dataclass(frozen=True)
class Claim:
    """Who writes a place.

    Attributes:
        token: of this command alone.
        host: its computer.
        system: what tells this computer, since it was started, from any other of its name; empty where nothing does.
        process: its number there.
        since: when it began, ISO 8601.
        files: what it began to send, by their names below the place; none before it does.
    """

    token: str = field(default_factory=lambda: secrets.token_hex(8))
    host: str = field(default_factory=socket.gethostname)
    system: str = field(default_factory=lambda: _this_system())
    process: int = field(default_factory=os.getpid)
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    files: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether it was made on this computer by a process that is no more: killed, or it would have taken it away."""
        here = bool(self.system) and (self.host, self.system) == (socket.gethostname(), _this_system())
        # A container that is started again gives its processes the same numbers.
        return here and (self.process == os.getpid() or not Path(f"/proc/{self.process}").exists())

    @property
    def words(self) -> str:
        """Who writes, for a message."""
        doing = "was being sent" if self.files else "is being written"
        return f"which {doing} by process {self.process} of {visible(self.host)} since {visible(self.since)}"


def _this_system() -> str:
    """This computer as Linux numbers it at each start, and the processes that are seen from here."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def claim_at(there: str) -> str:
    """Where the claim of a place lies: beside it; in it where it is a whole bucket, which has no side."""
    parent, _, name = there.rpartition("/")
    return f"{parent}/.{name}.writing" if parent else f"{there}/.writing"


def claim_of(system: Any, there: str) -> Claim | None:
    """Who writes a place; None where nobody does."""
    return claim_in(system, claim_at(there))


def claim_in(system: Any, path: str) -> Claim | None:
    """The claim that an object is; None where there is none."""
    try:
        told = json.loads(system.cat_file(path))
        return Claim(**{**told, "process": int(told["process"]), "files": tuple(map(str, told["files"]))})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return Claim("", "an unknown computer", "", 0, "an unknown time", ("?",))  # not ours, or torn


def tell_claim(system: Any, there: str, claim: Claim, *, new: bool) -> None:
    """Leave a claim; where it is to be ``new``, raises FileExistsError if another one is there."""
    content = json.dumps(asdict(claim)).encode()
    system.pipe_file(claim_at(there), content, **({"mode": "create"} if new else {}))
