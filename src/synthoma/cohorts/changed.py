"""A cohort as a person changed it: slices left out, classes and parts of the split corrected; a cohort of its own.

The one that was changed stays as it is. What was done stands in ``changes.csv`` of the new one, and in its remarks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.cohorts.splits import SPLITS, check_disjoint, write_nnunet_splits
from synthoma.core.errors import CohortError, InputError
from synthoma.core.untrusted import check_names, csv_text
from synthoma.core.whole_files import write_text

FILE = "changes.csv"
COLUMNS = ("case", "slice", "source", "change")
_COPIED = 512

Act = Literal["leave out", "leave out group", "take back", "class", "split"]


@dataclass(frozen=True)
class Change:
    """One thing that a person did.

    Attributes:
        act: ``leave out`` or ``take back`` slices; ``leave out group`` and ``split`` are about all slices of their
            patients or groups, which no split separates.
        rows: the slices that were chosen.
        value: the class, or the part of the split.
    """

    act: Act
    rows: tuple[int, ...]
    value: str = ""


@dataclass
class Changed:
    """What has become of a cohort's slices, row by row.

    Attributes:
        out: rows that are left out.
        labels, splits: row -> class or part, where it is another one.
    """

    out: set[int] = field(default_factory=set)
    labels: dict[int, str] = field(default_factory=dict)
    splits: dict[int, str] = field(default_factory=dict)

    def __contains__(self, row: object) -> bool:
        """Whether anything was done to a row."""
        return row in self.out or row in self.labels or row in self.splits


def changed(cohort: Cohort, changes: Iterable[Change]) -> Changed:
    """What comes of changes, made one after the other.

    Raises:
        InputError: a row that there is not, or a class or part of no use.
    """
    table, found = cohort.slices, Changed()
    groups, labels, splits = (table[name].tolist() for name in ("group", "label", "split"))
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    for one in changes:
        if not one.rows or not all(0 <= row < len(cohort) for row in one.rows):
            raise InputError("slices of the cohort", f"{one.rows[:5] or 'none'}", "choose some on its page")
        # Of the group as it was read: a change that parted a patient would make a leak.
        whole = sorted({row for chosen in one.rows for row in members[groups[chosen]]})
        if one.act == "leave out":
            found.out |= set(one.rows)
        elif one.act == "leave out group":
            found.out |= set(whole)
        elif one.act == "take back":
            found.out -= set(one.rows)
        elif one.act == "class":
            check_names([one.value], "classes", "the form")
            _note(found.labels, one.rows, one.value, labels)
        else:
            if one.value not in SPLITS:
                raise InputError(f"one of {', '.join(SPLITS)}", repr(one.value)[:40], "choose one of them")
            _note(found.splits, whole, one.value, splits)
    return found


def _note(noted: dict[int, str], rows: Collection[int], value: str, first: Sequence[str]) -> None:
    """Write down a value for rows, and nothing where it is what they had at first."""
    for row in rows:
        if first[row] == value:
            noted.pop(row, None)
        else:
            noted[row] = value


def write_changed(cohort: Cohort, folder: Path, changes: Iterable[Change]) -> None:
    """Write what comes of changes as a cohort of its own into an existing, empty folder, without its page.

    Raises:
        CohortError: no slice is left.
        InputError: see ``changed``.
        LeakError: a patient would stand on two sides of the split.
    """
    done = changed(cohort, changes)
    rows = np.array([row for row in range(len(cohort)) if row not in done.out], dtype=np.int64)
    if not len(rows):
        raise CohortError("slices that are left", f"none of {len(cohort)}", "leave out fewer")
    table = cohort.slices.copy()
    for column, values in (("label", done.labels), ("split", done.splits)):
        table[column] = [values.get(row, old) for row, old in enumerate(table[column].tolist())]
    table = table.iloc[rows]
    # One that was made by hand may have had a patient on two sides before anything was changed.
    check_disjoint(table)
    with CohortWriter(folder, channels=len(cohort.modalities), size=cohort.size) as writer:
        for start in range(0, len(rows), _COPIED):
            part = rows[start : start + _COPIED]
            writer.add(cohort.images[part], cohort.masks[part], [{}] * len(part))
        there = set(table["label"])
        # Old classes keep their order, by which models of this cohort have numbered them.
        known = [name for name in cohort.meta.classes if name in there]
        counts = {
            "classes": [*known, *sorted(there - set(known))],
            "cases": int(table["case"].nunique()),
            "groups": int(table["group"].nunique()),
            "remarks": [*cohort.meta.remarks, _said(done)],
            "left_out": len(done.out),
        }
        if "patient" in table:
            counts["patients"] = int(table["patient"][table["patient"] != ""].nunique())
        writer.finish(table, cohort.meta.changed(counts))
    write_text(folder / FILE, _listed(cohort, done))
    if (cohort.path / "splits_final.json").is_file():
        write_nnunet_splits(folder / "splits_final.json", table)


def _said(done: Changed) -> str:
    parts = (
        (len(done.out), "left out"),
        (len(done.labels.keys() - done.out), "of another class"),
        (len(done.splits.keys() - done.out), "moved to another part of the split"),
    )
    said = ", ".join(f"{count:,} {what}" for count, what in parts if count)
    return f"changed by hand, slices: {said or 'none'}; see {FILE}"


def _listed(cohort: Cohort, done: Changed) -> str:
    """What was done to each slice, as a CSV file."""
    table, lines = cohort.slices, []
    for row in range(len(cohort)):
        what = ["left out"] if row in done.out else []
        what += [f"class {done.labels[row]}"] if row in done.labels else []
        what += [f"split {done.splits[row]}"] if row in done.splits else []
        if what:
            record = table.iloc[row]
            given = {name: str(record[name]) for name in COLUMNS[:3] if name in table}
            lines.append({**given, "change": "; ".join(what)})
    return csv_text(COLUMNS, lines)
