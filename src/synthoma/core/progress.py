"""How far work is: what is told, and to nobody."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""


def silent(text: str, done: int, total: int) -> None:
    """Tell nobody how far the work is."""


def named(progress: Progress, text: str, other: str = "") -> Progress:
    """The same, with another name for what is being done.

    Args:
        progress: told of the work.
        text: the name that it is told.
        other: replace this name alone; empty for every one.
    """

    def told(name: str, done: int, total: int) -> None:
        progress(text if other in ("", name) else name, done, total)

    return told
