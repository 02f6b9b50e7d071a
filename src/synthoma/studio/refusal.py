"""What is not done, and what the browser is told then."""

from __future__ import annotations

from synthoma.core.errors import SynthomaError


class RefusedError(SynthomaError):
    """A request that is refused; nothing was changed by it.

    Args:
        status: of HTTP.
        expected, came, todo: see ``SynthomaError``; no part may name a patient, since refusals are logged.
    """

    def __init__(self, status: int, expected: str, came: str, todo: str) -> None:
        super().__init__(expected, came, todo)
        self.status = status
