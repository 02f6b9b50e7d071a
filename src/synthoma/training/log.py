"""log.jsonl, the log of a training: one JSON object a line, written as it learns; read and written here alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from synthoma.core.artefacts import verify
from synthoma.core.disk import writing
from synthoma.core.errors import InputError
from synthoma.core.records import Number, Record
from synthoma.core.whole_files import write_text

FILE = "log.jsonl"
DIGITS = 6
"""Decimal places that figures are written with."""


def _finite(value: object) -> object:
    """JSON knows neither nan nor infinity; for both null is written, and None read."""
    if not isinstance(value, float):
        return value
    return round(value, DIGITS) if math.isfinite(value) else None


Figure = Annotated[int | float | None, BeforeValidator(_finite)]
"""A figure of the log; None for one that is not finite."""


class LogEntry(Record, extra="allow"):
    """One line of log.jsonl: losses, a snapshot, or a warning. Further keys are figures of the model."""

    __pydantic_extra__: dict[str, Figure] = Field(init=False)
    step: int = Field(0, description="steps done")
    images: int | None = Field(None, description="images shown until then; missing from warnings")
    epochs: Figure = Field(None, description="generators: how often each training slice was shown until then")
    seconds: Figure = Field(None, description="snapshots: time spent, with that before the run was resumed")
    score: Figure = Field(None, description="snapshots: to be made small; null where there is nothing to score on")
    warning: str | None = Field(None, description="what was said to the user")
    d_accuracy_held_out: Figure = Field(
        None, description="GANs, snapshots: mean share of held-out slices called real and of generated ones called so"
    )
    d_accuracy_training: Figure = Field(None, description="GANs, snapshots: the same with training slices")
    d_auc_held_out: Figure = Field(
        None, description="GANs, snapshots: chance that D scores a held-out slice above a generated one"
    )
    d_held_out: Figure = Field(None, description="GANs, snapshots: mean D(x) on held-out slices; null where none are")
    d_training: Figure = Field(None, description="GANs, snapshots: mean D(x) on training slices")
    d_generated: Figure = Field(None, description="GANs, snapshots: mean D(x) on fresh generated slices")

    @property
    def is_snapshot(self) -> bool:
        """Whether it tells a snapshot, with a score or without."""
        return "score" in self.model_fields_set

    @property
    def figures(self) -> dict[str, Number]:
        """Losses, speed and scores that have no field of their own, by name, whatever the model calls them."""
        return dict(self.__pydantic_extra__)

    def figure(self, name: str) -> float | None:
        """One of the figures, or of the fields that hold one; None where the entry lacks it, or it was not finite."""
        if name not in type(self).model_fields:
            return self.figures.get(name)
        value = getattr(self, name)
        return value if isinstance(value, int | float) else None


def read_log(path: Path) -> list[LogEntry]:
    """The entries of a training's log, in the order in which they were written.

    Args:
        path: the file. A last line without an end was being written when the training was killed, and is left out.

    Raises:
        InputError: it is not there or damaged.
    """
    verify(path)
    try:
        # What stands behind the last line's end was being written when the training was killed.
        whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
        entries = [json.loads(line) for line in whole.splitlines() if line]
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("a readable log of the training", f"{path}: {error}", "restore it from a copy") from None
    if not all(isinstance(entry, dict) for entry in entries):
        raise InputError("an object in each line of the log", f"something else in {path}", "restore it from a copy")
    return [LogEntry.parse(entry, path) for entry in entries]


class Log:
    """The log of a training under way. Each entry is on the disk before the next step is taken."""

    def __init__(self, path: Path, step: int) -> None:
        """Open the log of a run.

        Args:
            path: the file.
            step: the training goes on from here: entries of later steps, which will be taken again, are dropped.
        """
        write_text(path, "".join(line + "\n" for line in _lines_until(path, step)) if step else "")
        self.path, self.file = path, path.open("a", encoding="utf-8")

    def write(self, entry: LogEntry) -> None:
        """Add an entry.

        Raises:
            OutputError: the disk is full, or the like.
        """
        with writing(self.path):
            self.file.write(json.dumps(entry.content()) + "\n")
            self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _lines_until(path: Path, step: int) -> list[str]:
    """Lines of the log up to this step, as they stand there."""
    kept = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                if int(json.loads(line).get("step", 0)) <= step:
                    kept.append(line)
            except (ValueError, TypeError, AttributeError, RecursionError):
                continue  # the line that was being written when the run was killed, or a damaged one
    return kept
