"""Answers beside the truth as arrays, and the figures of any part of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synthoma.core.types import Array, Bools, Floats
from synthoma.core.untrusted import csv_text
from synthoma.evaluation.readers.answers import Answers
from synthoma.evaluation.readers.blinded import ANSWERS, KeyItem
from synthoma.evaluation.readers.settings import Design
from synthoma.metrics.signal_detection import leaning, separation

SIGNALS = frozenset(first for first, _ in ANSWERS.values())
"""Answers that say "signal", of both designs."""


@dataclass(frozen=True)
class Tally:
    """What all readers said to the items that are no repeats.

    Attributes:
        items: the items (N).
        signal: which of them (N,) are signals: real pictures, or pairs with the real one at the left.
        called: (N, R) 1 where a reader called it a signal, 0 where not, nan where nothing was answered.
        readers: names (R).
        side_by_side: whether these are pairs.
    """

    items: tuple[KeyItem, ...]
    signal: Bools
    called: Floats
    readers: tuple[str, ...]
    side_by_side: bool

    @property
    def right(self) -> Floats:
        """(N, R) 1 where an answer is right, 0 where wrong, nan where missing."""
        # nan equals nothing: without `where`, a missing answer would count as a wrong one.
        return np.where(np.isnan(self.called), np.nan, self.called == self.signal[:, None])

    def counts(self, reader: int, keep: Bools | None = None) -> tuple[int, int, int, int]:
        """Hits, answered signals, alarms and answered noises of one reader among the items that are kept."""
        said = self.called[:, reader]
        known = ~np.isnan(said) & (True if keep is None else keep)
        signals, noises = known & self.signal, known & ~self.signal
        return int(said[signals].sum()), int(signals.sum()), int(said[noises].sum()), int(noises.sum())

    def d(self, reader: int, keep: Bools | None = None) -> float:
        """D' of one reader; nan where one kind was not answered."""
        return separation(*self.counts(reader, keep), side_by_side=self.side_by_side)

    def c(self, reader: int, keep: Bools | None = None) -> float:
        """Bias of one reader."""
        return leaning(*self.counts(reader, keep))

    def shares(self, reader: int, keep: Bools | None = None) -> tuple[float, float, float]:
        """Share of right answers, of signals called signals, of noises called noises; nan where there are none."""
        hits, signals, alarms, noises = self.counts(reader, keep)
        right, count = hits + noises - alarms, signals + noises
        return (
            right / count if count else float("nan"),
            hits / signals if signals else float("nan"),
            (noises - alarms) / noises if noises else float("nan"),
        )


def tally(items: Sequence[KeyItem], answers: Mapping[str, Answers], design: Design) -> Tally:
    """Answers of all readers to the items that are no repeats."""
    # The second showing of a picture is no further evidence: it tells how steady a reader is (`answered_twice`).
    firsts = tuple(item for item in items if item.repeats is None)
    hit = ANSWERS[design][0]
    called = np.full((len(firsts), len(answers)), np.nan)
    for column, given in enumerate(answers.values()):
        for row, item in enumerate(firsts):
            answer = given.get(item.item)
            if answer is not None and answer.choice is not None:
                called[row, column] = answer.choice == hit
    signal = np.array([item.truth == hit for item in firsts], dtype=np.bool_)
    return Tally(firsts, signal, called, tuple(answers), side_by_side=design == "pairs")


def marks(items: Sequence[KeyItem], given: Answers) -> tuple[dict[str, int], dict[str, int]]:
    """Marks of quality of real and of synthetic pictures by item, of one reader; repeats are left out."""
    real: dict[str, int] = {}
    synthetic: dict[str, int] = {}
    for item in items:
        answer = given.get(item.item)
        if answer is None or item.repeats is not None:
            continue
        if len(answer.quality) == 1:
            sides = (((real if item.truth == "real" else synthetic), answer.quality[0]),)
        else:
            left, right = (real, synthetic) if item.truth == "left" else (synthetic, real)
            sides = (left, answer.quality[0]), (right, answer.quality[1])  # type: ignore[assignment]
        for side, mark in sides:
            if mark is not None:
                side[item.item] = mark
    return real, synthetic


def answered_twice(items: Sequence[KeyItem], given: Answers) -> tuple[Array, Array]:
    """Answers to pictures shown twice, at the one and at the other showing (M,) each: 1 for a signal.

    A repeated pair has changed sides: its second answer is told on the sides of the first.
    """
    truth = {item.item: item.truth for item in items}
    found = []
    for item in items:
        one = given.get(item.repeats) if item.repeats is not None else None
        other = given.get(item.item)
        if item.repeats is None or one is None or other is None or one.choice is None or other.choice is None:
            continue
        # What was said, not whether it was right: who says "real" to everything agrees by habit, and half of that would
        # be right and half wrong alike at both showings, a kappa of 1.
        signal, right = truth[item.repeats] in SIGNALS, other.choice == item.truth
        found.append((one.choice in SIGNALS, right == signal))
    # Of no pairs the array is (0,), which has no columns: `reshape` makes it (0, 2).
    both = np.array(found, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def answers_table(items: Sequence[KeyItem], answers: Mapping[str, Answers]) -> str:
    """Truth and answers of all readers as a CSV file, a line for each item and reader, for other statistics."""
    columns = (
        "item",
        "repeats",
        "truth",
        "label",
        "case",
        "reader",
        "answer",
        "confidence",
        "quality",
        "seconds",
        "remark",
    )
    rows = []
    for reader, given in answers.items():
        for item in items:
            answer = given.get(item.item)
            if answer is None:
                continue
            marked = "/".join("" if mark is None else str(mark) for mark in answer.quality)
            rows.append(
                {
                    "item": item.item,
                    "repeats": item.repeats or "",
                    "truth": item.truth,
                    "label": item.label,
                    "case": item.case,
                    "reader": reader,
                    "answer": answer.choice or "",
                    "confidence": "" if answer.confidence is None else answer.confidence,
                    "quality": marked,
                    "seconds": "" if answer.seconds is None else answer.seconds,
                    "remark": answer.remark,
                }
            )
    return csv_text(columns, rows)
