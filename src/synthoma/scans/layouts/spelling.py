"""One name for what people spelled in several ways: patients of a table, and classes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from synthoma.core.errors import InputError
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case
from synthoma.scans.layouts.listing import CLASS_NAMES

_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+\d+", re.IGNORECASE)
"""How a spreadsheet writes a long number: those that differ in later digits become one."""

_NAMED = 3


def people(names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """One name for each patient: capitals, blanks, signs between words and leading zeros make no other person.

    Args:
        names: as a person or a spreadsheet wrote them.

    Returns:
        Name -> the most frequent spelling of that patient; and remarks.

    Raises:
        InputError: numbers that a spreadsheet rounded, so that patients who differ cannot be told apart.
    """
    counts = Counter(name for name in names if name)
    if rounded := next((name for name in counts if _ROUNDED.fullmatch(name)), None):
        came = f"{printable(rounded)}, a long number that a spreadsheet rounded"
        raise InputError("a name of its own for each patient", came, "export the table again with that column as text")
    spelled = _joined(counts, _person)
    return spelled, _told(spelled, "patient", "capitals, blanks, signs or leading zeros")


def with_classes(cases: Sequence[Case]) -> tuple[list[Case], list[str]]:
    """Cases whose classes bear one spelling each: "Glioma" and "glioma", "No Tumor" and "no_tumor" are one class."""
    counts = Counter(case.label for case in cases if case.label)
    # A name that is a class beyond doubt goes before one that is spelled more often: others look for it.
    weights = {name: number + len(cases) * (name.lower() in CLASS_NAMES) for name, number in counts.items()}
    spelled = _joined(weights, _class)
    if all(name == own for name, own in spelled.items()):
        return list(cases), []
    renamed = [replace(case, label=spelled[case.label]) if case.label else case for case in cases]
    return renamed, _told(spelled, "class", "capitals, blanks or signs")


def _joined(counts: Mapping[str, int], key: Callable[[str], str]) -> dict[str, str]:
    """Name -> the most frequent one of those with its key; of equally frequent ones the first in order."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        alike[key(name)].append(name)
    best = {one: max(sorted(names), key=lambda name: counts[name]) for one, names in alike.items()}
    return {name: best[key(name)] for name in counts}


def _person(name: str) -> str:
    """What stays of a name if it is typed anew: 7 and 007 and 7.0, P01 and p1, P-01 and P 01."""
    bare = re.sub(r"^(\d+)[.,]0+$", r"\1", name.casefold())
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\s_-]+", "-", bare))


def _class(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.casefold()) or name


def _told(spelled: Mapping[str, str], what: str, differ: str) -> list[str]:
    """A remark on names that were joined, by the one that stays: pseudonyms do not hide those that went."""
    ways = Counter(spelled.values())
    several = [f"{printable(name)[:40]} ({count} ways)" for name, count in ways.items() if count > 1]
    more = f" and {len(several) - _NAMED} more" if len(several) > _NAMED else ""
    said = f"names that differ in {differ} alone are taken for one {what}: {', '.join(several[:_NAMED])}{more}"
    return [said] if several else []
