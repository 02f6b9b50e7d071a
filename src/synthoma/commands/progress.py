"""What a command tells while it works: as the options ``--quiet`` and ``--json`` ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from synthoma.core.display import Display, How
from synthoma.core.display import shown as shown_so

HOW: ContextVar[How] = ContextVar("how", default="auto")
"""How the command that runs tells of its progress."""


def as_json() -> bool:
    """Whether a program reads what the command says."""
    return HOW.get() == "json"


@contextmanager
def shown() -> Iterator[Display]:
    """A display for the time of the command's work, on standard error."""
    with shown_so(HOW.get()) as display:
        yield display
