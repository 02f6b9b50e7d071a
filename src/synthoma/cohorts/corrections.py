"""What a person corrects of what was understood: these two are one patient, this T1 is a T1c, that is left out.

A CSV file, one row a case, by the names that `synthoma info FOLDER` and a first `prepare` give to cases:

    case,patient,class,split,leave_out,sequences
    *,,,,,t1=t1c flair=-
    p07_visit2,p07,,test,,
    p09,,,,yes,

A row whose case is ``*`` is about all cases; an empty cell corrects nothing. ``t1=t1c`` says that what was taken for T1
is a T1c, and ``flair=-`` that this sequence is not to be used.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from synthoma.cohorts.splits import SPLITS
from synthoma.core.errors import InputError, LeakError
from synthoma.core.types import MODALITIES, PLAIN_MODALITY
from synthoma.core.untrusted import content_of_cell, csv_text, printable
from synthoma.scans.case import Case, Inventory, Study
from synthoma.scans.layouts.loading import MaskError, load_files

ALL = "*"
"""The case that stands for all."""
UNUSED = "-"
"""What a sequence is that is not to be used."""
COLUMNS = ("case", "patient", "class", "split", "leave_out", "sequences")
BY_HAND = "split_by_hand"
"""Column of slices.csv: the part into which a person put the case."""

LARGEST = 16 * 2**20
"""Bytes of a file of corrections."""
_LONGEST = 200
_YES = frozenset(("yes", "true", "1", "x"))
_NO = frozenset(("", "no", "false", "0"))
_NAMES = (*MODALITIES, PLAIN_MODALITY)


@dataclass(frozen=True)
class Correction:
    """What is corrected of one case.

    Attributes:
        case: its name, or ``*`` for all.
        patient: who it is of; "" where that was understood.
        label: its class; "" likewise.
        split: train, validation or test, whatever is drawn; "" where it is drawn.
        leave_out: whether it is not to be used.
        sequences: sequence as it was understood -> what it is, ``-`` for not to be used.
    """

    case: str
    patient: str = ""
    label: str = ""
    split: str = ""
    leave_out: bool = False
    sequences: Mapping[str, str] = field(default_factory=dict)


def corrections_text(corrections: Iterable[Correction]) -> str:
    """The CSV file of corrections, which ``read_corrections`` reads."""
    rows = [
        {
            "case": one.case,
            "patient": one.patient,
            "class": one.label,
            "split": one.split,
            "leave_out": "yes" if one.leave_out else "",
            "sequences": " ".join(f"{name}={truth}" for name, truth in one.sequences.items()),
        }
        for one in corrections
    ]
    return csv_text(COLUMNS, rows)


def read_corrections(path: Path) -> list[Correction]:
    """Corrections out of their file.

    Raises:
        InputError: no such file, other columns, or a line that cannot be understood, which is named.
    """
    todo = f"write a CSV file in UTF-8 with the columns {', '.join(COLUMNS)}; only case is needed"
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(
                f"corrections of at most {LARGEST // 2**20} MB", str(path), "leave out cases that are right"
            )
        # With the mark that spreadsheets put in front: without it the first column would have another name.
        text = path.read_text(encoding="utf-8-sig")
        # Strict: a quote that is never closed would swallow the rest of the file as one cell.
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError("a table of corrections", f"{path}: {error}", todo) from None
    header = [name.strip().lower() for name in rows[0]] if rows else []
    if "case" not in header or set(header) - set(COLUMNS) or len(set(header)) < len(header):
        came = f"{', '.join(printable(name)[:30] for name in header[:12]) or 'nothing'} in {path}"
        raise InputError("a table of corrections", came, todo)
    found: dict[str, Correction] = {}
    for line, cells in enumerate(rows[1:], start=2):
        where = f"row {line} of {path.name}"
        if len(cells) != len(header):
            raise InputError(f"{len(header)} cells a row", f"{len(cells)} in {where}", "correct it")
        one = _correction(dict(zip(header, (content_of_cell(cell.strip()) for cell in cells), strict=True)), where)
        if one.case in found:
            raise InputError("one row for each case", f"{printable(one.case)[:80]} again in {where}", "correct it")
        found[one.case] = one
    return list(found.values())


def _correction(cells: Mapping[str, str], where: str) -> Correction:
    case, split, out = cells.get("case", ""), cells.get("split", "").lower(), cells.get("leave_out", "").lower()
    if not case:
        raise InputError("a case in each row", f"none in {where}", "name it, or write * for all")
    if split not in ("", *SPLITS):
        raise InputError(
            f"{', '.join(SPLITS)} or nothing as split", f"{printable(split)[:40]!r} in {where}", "correct it"
        )
    if out not in _YES | _NO:
        raise InputError("yes or nothing in leave_out", f"{printable(out)[:40]!r} in {where}", "correct it")
    texts = [printable(cells.get(name, ""))[:_LONGEST] for name in ("patient", "class")]
    return Correction(case, texts[0], texts[1], split, out in _YES, parsed_sequences(cells.get("sequences", ""), where))


def parsed_sequences(text: str, where: str) -> dict[str, str]:
    """``t1=t1c flair=-`` as a mapping, with blanks or commas between.

    Raises:
        InputError: it says something else, with ``where``.
    """
    found: dict[str, str] = {}
    for word in text.replace(",", " ").split():
        name, equals, truth = word.lower().partition("=")
        if not equals or name not in _NAMES or truth not in (*_NAMES, UNUSED) or name in found:
            wanted = f"sequences such as t1=t1c or flair=-, of {', '.join(_NAMES)}, each once"
            raise InputError(wanted, f"{printable(word)[:40]!r} in {where}", "correct it")
        found[name] = truth
    return found


# What becomes of an inventory ----------------------------------------------------------------------------------------


def corrected(inventory: Inventory, corrections: Sequence[Correction]) -> Inventory:
    """The inventory as a person says it is, with remarks that say what was changed.

    Raises:
        InputError: a case that is not there, two sequences of a case that would be the same one, or nothing left; of
            DICOM, whose names are pseudonyms, also a patient that is none of them.
    """
    known = {case.name for case in inventory.cases}
    by_case = {one.case: one for one in corrections}
    if lost := [name for name in by_case if name not in known and name != ALL]:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        came = f"{printable(lost[0])[:80]!r}{more}"
        todo = "write the names that `synthoma info FOLDER --json` lists under table"
        raise InputError("corrections of cases that are there", came, todo)
    # Before anything is changed: a real name beside hashes would say who they all are.
    _check_pseudonyms(inventory, by_case)
    kept: list[Case] = []
    changes: Counter[str] = Counter()
    for case in inventory.cases:
        one = _merged(by_case.get(ALL), by_case.get(case.name))
        changes["cases left out"] += one.leave_out
        if not one.leave_out:
            kept.append(_changed(case, one, changes))
    kept = [case for case in kept if case.modalities]
    if not kept:
        raise InputError("cases that are left after corrections", "none", "leave out fewer cases or sequences")
    said = ", ".join(f"{count} {what}" for what, count in changes.items() if count)
    remarks = (*inventory.remarks, *((f"corrected by hand: {said}",) if said else ()))
    return replace(inventory, cases=tuple(kept), remarks=remarks)


def _merged(every: Correction | None, own: Correction | None) -> Correction:
    """What is said of a case: of it alone before what is said of all."""
    every, own = every or Correction(ALL), own or Correction(ALL)
    return Correction(
        own.case,
        own.patient or every.patient,
        own.label or every.label,
        own.split or every.split,
        own.leave_out or every.leave_out,
        {**every.sequences, **own.sequences},
    )


def _changed(case: Case, one: Correction, changes: Counter[str]) -> Case:
    """One case with its corrections; counts them."""
    changes["cases of another patient"] += bool(one.patient) and one.patient != case.patient
    changes["cases of another class"] += bool(one.label) and one.label != case.label
    changes["cases put into a part of the split"] += bool(one.split)
    facts = {**case.facts, BY_HAND: one.split} if one.split else case.facts
    case = replace(case, patient=one.patient or case.patient, label=one.label or case.label, facts=facts)
    truth = {name: one.sequences.get(name, name) for name in case.modalities}
    if all(name == other for name, other in truth.items()):
        return case
    names = [other for other in truth.values() if other != UNUSED]
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        todo = f"say what the other one is, or leave it out ({twice}={UNUSED})"
        raise InputError("each sequence once in a case", f"{twice} twice in {case.name}", todo)
    changes["cases with other sequences"] += 1
    # In the order of channels, which networks count by and not by name.
    order = tuple(name for name in _NAMES if name in names)
    return replace(case, modalities=order, load=_renaming(case.load, truth))


def _renaming(load: Callable[[], Study], truth: Mapping[str, str]) -> Callable[[], Study]:
    """What loads a case under the names that are true."""
    if isinstance(load, partial) and load.func is load_files and not load.keywords:
        # Files by their names: the true FLAIR is then the one on whose grid the others are laid.
        modalities, mask, decision, *rest = load.args
        channels = tuple((truth[name], number) for name, number in (rest[0] if rest else ()) if truth[name] != UNUSED)
        renamed = tuple((truth[name], paths) for name, paths in modalities if truth[name] != UNUSED)
        return partial(load_files, renamed, mask, decision, channels)
    return partial(load_corrected, load, tuple(truth.items()))


def load_corrected(load: Callable[[], Study], truth: tuple[tuple[str, str], ...]) -> Study:
    """Load a case whose sequences are others than was understood."""
    try:
        return _renamed(load(), dict(truth))
    except MaskError as error:
        raise MaskError(error, _renamed(error.study, dict(truth))) from error


def _renamed(study: Study, truth: Mapping[str, str]) -> Study:
    names = {name: truth.get(name, name) for name in study.images}
    return replace(study, images={names[name]: one for name, one in study.images.items() if names[name] != UNUSED})


def _check_pseudonyms(inventory: Inventory, by_case: Mapping[str, Correction]) -> None:
    """Raise InputError where a name would come beside pseudonyms."""
    if "dicom" not in inventory.layout.split("+"):
        return
    known = {case.patient for case in inventory.cases} | {case.name for case in inventory.cases} | {""}
    if any(one.patient not in known for one in by_case.values()):
        todo = "write the pseudonym of another case's patient, as `synthoma info FOLDER --json` lists it"
        raise InputError("pseudonyms as patients of DICOM", "another name", todo)


def parts_by_hand(groups: Sequence[str], chosen: Sequence[object]) -> dict[str, str]:
    """The part of the split of each group that a person put into one.

    Args:
        groups: of each slice.
        chosen: of each slice, the part that was said of its case; anything else where nothing was.

    Raises:
        LeakError: two parts of one group.
    """
    found: dict[str, str] = {}
    for group, part in zip(groups, chosen, strict=True):
        if part in SPLITS and found.setdefault(group, str(part)) != part:
            todo = "put its cases into one part: they are of one patient, or duplicates of one another"
            raise LeakError("every group in one split", f"{printable(group)} in {found[group]} and {part}", todo)
    return found


def remaining_shares(shares: Sequence[float], by_hand: Mapping[str, str]) -> list[float]:
    """Shares by which the other groups are drawn: none into a part that was chosen by hand, but for training.

    Args:
        shares: of train, validation and test, as they were asked for.
        by_hand: group -> part.
    """
    named = set(by_hand.values()) - {SPLITS[0]}
    # Who is tested is then exactly whom the person named; a draw would add others to them.
    left = [0.0 if part in named else share for part, share in zip(SPLITS, shares, strict=True)]
    return left if sum(left) > 0 else [1.0, 0.0, 0.0]
