"""What readers of blinded sets have answered so far: kept one by one, never changed, scored when all is answered."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from synthoma.core.untrusted import csv_text, file_name
from synthoma.core.whole_files import write_text
from synthoma.evaluation.readers.answers import LEVELS, LONGEST_REMARK
from synthoma.evaluation.readers.blinded import ANSWERS, SET, TuringSet, read_set
from synthoma.evaluation.readers.making import COLUMNS
from synthoma.studio.refusal import RefusedError
from synthoma.studio.store import Store

LONGEST = 3600.0
"""Seconds of an answer that count: who stays away longer was not looking."""


@dataclass(frozen=True)
class Progress:
    """How far a reader is.

    Attributes:
        reader: the name.
        answered, of: items.
        next: the item to show; "" where all are answered.
    """

    reader: str
    answered: int
    of: int
    next: str


class Readings:
    """The answers to one blinded set. It is known by the seal of its key, wherever its folder lies.

    Args:
        store: where answers lie.
        shown: the set.
    """

    def __init__(self, store: Store, shown: TuringSet) -> None:
        self.store, self.shown, self.seal = store, shown, shown.key_sha256

    @property
    def closed(self) -> bool:
        """Whether it was scored: nothing is answered after that."""
        with self.store.opened() as data:
            return data.execute("SELECT 1 FROM closed WHERE seal = ?", (self.seal,)).fetchone() is not None

    def progress(self, reader: str) -> Progress:
        """How far a reader is.

        Raises:
            RefusedError: the set has no order for somebody of that name.
        """
        order = self.shown.orders.get(reader)
        if order is None:
            raise RefusedError(404, "a reader of the set", "another name", "choose one on its page")
        done = self._answered(reader)
        rest = [item for item in order if item not in done]
        return Progress(reader, len(order) - len(rest), len(order), rest[0] if rest else "")

    def _answered(self, reader: str) -> set[str]:
        with self.store.opened() as data:
            rows = data.execute(
                "SELECT item FROM answers WHERE seal = ? AND reader = ?", (self.seal, reader)
            ).fetchall()
        return {item for (item,) in rows}

    def answer(self, reader: str, item: str, given: Mapping[str, str]) -> None:
        """Write down an answer. The first one to an item counts.

        Args:
            reader: who answers.
            item: to what.
            given: ``answer``, and where they were given ``confidence``, ``quality`` (of pairs ``quality_left`` and
                ``quality_right``), ``remark`` and ``seconds``.

        Raises:
            RefusedError: an answer that there is not, to an item that was not shown next, or the set was scored.
        """
        shown = self.progress(reader)
        if item not in self.shown.items:
            raise RefusedError(422, "an item of the set", "another one", "answer what is shown")
        if item != shown.next and item not in self._answered(reader):
            raise RefusedError(409, "an answer to what is shown", "one to another picture", "reload the page")
        if given.get("answer", "") not in ANSWERS[self.shown.design]:
            raise RefusedError(422, " or ".join(ANSWERS[self.shown.design]), "something else", "use the buttons")
        marks = [name for name in COLUMNS[self.shown.design] if name.startswith("quality")]
        quality = "/".join(_level(given.get(name, "")) for name in marks)
        values = (
            self.seal, reader, item, given["answer"], _level(given.get("confidence", "")), quality,
            given.get("remark", "").strip()[:LONGEST_REMARK], _seconds(given.get("seconds", "")), time.time(),
            self.seal,
        )  # fmt: skip
        with self.store.opened() as data:
            written = data.execute(
                "INSERT OR IGNORE INTO answers SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? "
                "WHERE NOT EXISTS (SELECT 1 FROM closed WHERE seal = ?)",
                values,
            ).rowcount
        if not written and self.closed:
            raise RefusedError(409, "a test that is not over", "one that was scored", "see its result")

    def close(self, folder: Path) -> list[Path]:
        """End the test, and write the answers as the files that `synthoma turing score` reads.

        Args:
            folder: an own one of the studio; files in it are replaced.

        Returns:
            A file for each reader who has answered anything.
        """
        with self.store.opened() as data:
            data.execute("INSERT OR IGNORE INTO closed VALUES (?, ?)", (self.seal, time.time()))
        place = folder / self.seal[:16]
        place.mkdir(parents=True, exist_ok=True)
        written = []
        for reader, order in self.shown.orders.items():
            rows = self._rows(reader)
            if rows:
                columns = (*COLUMNS[self.shown.design], "seconds")
                path = place / f"answers-{file_name(reader)}.csv"
                write_text(path, csv_text(columns, [rows.get(item, {"item": item}) for item in order]))
                written.append(path)
        return written

    def _rows(self, reader: str) -> dict[str, dict[str, object]]:
        with self.store.opened() as data:
            found = data.execute(
                "SELECT item, answer, confidence, quality, remark, seconds FROM answers WHERE seal = ? AND reader = ?",
                (self.seal, reader),
            ).fetchall()
        marks = [name for name in COLUMNS[self.shown.design] if name.startswith("quality")]
        return {
            item: {
                "item": item, "answer": answer, "confidence": confidence, "remark": remark,
                "seconds": "" if seconds is None else f"{seconds:.1f}",
                **dict(zip(marks, quality.split("/"), strict=False)),
            }
            for item, answer, confidence, quality, remark, seconds in found
        }  # fmt: skip


def set_at(folder: Path) -> TuringSet:
    """The set of a folder, read once for each of its states.

    Raises:
        InputError: it is damaged.
    """
    return _set(folder, (folder / SET).stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _set(folder: Path, _written: int) -> TuringSet:
    return read_set(folder)


def _level(text: str) -> str:
    """A mark from 1 to 5, or nothing."""
    if text and not (text.isascii() and text.isdigit() and int(text) in LEVELS):
        raise RefusedError(422, "a mark from 1 to 5", "something else", "use the form")
    return text


def _seconds(text: str) -> float | None:
    """Seconds that an answer took; None where the browser did not say, or nobody was there."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= LONGEST else None
