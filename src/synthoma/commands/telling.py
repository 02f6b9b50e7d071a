"""Options of every command that works for a while: ``--quiet`` and ``--json``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from synthoma.commands.options import AsJson, Quiet
from synthoma.commands.printing import KEPT, tell
from synthoma.commands.progress import HOW
from synthoma.core.errors import InputError, SynthomaError

_OPTIONS = {"quiet": Quiet, "as_json": AsJson}


def telling(name: str, command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options by which it shows no progress, or speaks to a program.

    With ``--json`` progress is an object a line on standard error, and the result one object on standard output: what
    was written, what it is (as `synthoma info --json` has it), and the lines that a person would have read.
    A command that has an option ``--json`` of its own keeps it.
    """
    own = inspect.signature(command, eval_str=True)
    if "as_json" in own.parameters:
        return command
    more = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for option, kind in _OPTIONS.items()
    ]
    everything = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own.parameters.values()]

    def run(*, quiet: bool, as_json: bool, **values: object) -> None:
        HOW.set("json" if as_json else "quiet" if quiet else "auto")
        if not as_json:
            command(**values)
            return
        KEPT.set([])
        try:
            command(**values)
            said = KEPT.get() or []
        finally:
            KEPT.set(None)
        place = next((value for value in map(values.get, ("output", "path")) if isinstance(value, Path)), None)
        tell(_result(name, place, said), sys.stdout, indent=2)

    run.__signature__ = own.replace(parameters=[*everything, *more])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*everything, *more)}
    return run


def told_error(error: SynthomaError) -> bool:
    """Tell a program what is wrong, where one reads; whether one does."""
    if HOW.get() != "json":
        return False
    tell({"error": str(error), "kind": type(error).__name__}, sys.stderr)
    return True


def _result(name: str, place: Path | None, said: list[str]) -> dict[str, object]:
    """What a program is told at the end."""
    from synthoma import pipeline

    found: dict[str, object] = {"command": name, "output": None, "artefact": None, "said": said}
    if place is not None and place.exists():
        found["output"] = str(place)
        with suppress(InputError):  # a table, or the folder of a whole chain
            found["artefact"] = pipeline.describe(place)
    return found
