"""What people did to cohorts and did not save yet: kept in the studio's file, which a killed server reads again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from synthoma.cohorts.changed import Change
from synthoma.core.provenance import bytes_digest
from synthoma.studio.store import Store


@dataclass(frozen=True)
class Edit:
    """A change with its number, by which it is taken back."""

    number: int
    change: Change


class Edits:
    """Changes of one cohort, in the order in which they were made.

    They belong to one state of its table: where somebody wrote the cohort anew, rows mean other slices.

    Args:
        store: where they lie.
        cohort: its folder.
    """

    def __init__(self, store: Store, cohort: Path) -> None:
        self.store, self.cohort = store, str(cohort)
        table = cohort / "slices.csv"
        self.state = _digest(table, table.stat().st_mtime_ns)

    def all(self) -> list[Edit]:
        """Every change, the oldest first."""
        with self.store.opened() as data:
            rows = data.execute(
                "SELECT number, what FROM edits WHERE cohort = ? AND state = ? ORDER BY number",
                (self.cohort, self.state),
            ).fetchall()
        return [Edit(number, _change(json.loads(what))) for number, what in rows]

    def add(self, change: Change) -> None:
        """Write down a change."""
        what = json.dumps({"act": change.act, "rows": change.rows, "value": change.value})
        with self.store.opened() as data:
            data.execute(
                "INSERT INTO edits (cohort, state, what, made) VALUES (?, ?, ?, ?)",
                (self.cohort, self.state, what, time.time()),
            )

    def undo(self, number: int) -> bool:
        """Take back the last change; whether ``number`` was the last, so that nobody takes back another's."""
        with self.store.opened() as data:
            return (
                data.execute(
                    "DELETE FROM edits WHERE number = ? AND number = (SELECT MAX(number) FROM edits WHERE cohort = ? "
                    "AND state = ?)",
                    (number, self.cohort, self.state),
                ).rowcount
                == 1
            )

    def clear(self, last: int) -> None:
        """Forget changes up to a number: they were saved as a cohort."""
        with self.store.opened() as data:
            data.execute(
                "DELETE FROM edits WHERE cohort = ? AND state = ? AND number <= ?", (self.cohort, self.state, last)
            )


@lru_cache(maxsize=64)
def _digest(table: Path, _written: int) -> str:
    return bytes_digest(table.read_bytes())


def _change(what: Mapping[str, object]) -> Change:
    """A change as it was written."""
    rows = what["rows"]
    return Change(what["act"], tuple(rows) if isinstance(rows, list) else (), str(what["value"]))  # type: ignore[arg-type]
