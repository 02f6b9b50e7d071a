"""How far work is: what is told, and to nobody."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""


def silent(text: str, done: int, total: int) -> None:
    """Tell nobody how far the work is."""
