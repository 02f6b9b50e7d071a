"""Whose scan a changed scan was made from: what `paint` and `remove` write beside their files, read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case
from synthoma.scans.files import open_file, regular_size

PARENT = "Parent"
"""Key of the JSON file beside a changed scan: the patient whose scan it was, by the name that its readers have."""

COLUMN = "painted_from"
"""Column of slices.csv with the same."""

_MOST_BYTES = 2**20
_LONGEST = 200


def with_parents(cases: Sequence[Case], *, named: bool = False) -> list[Case]:
    """The cases, changed ones under the patient whose scan they were made from.

    A file that was moved or resampled shows another grid, and no search for duplicates finds the scan behind it; by the
    name of its folder it would be somebody else, on another side of a split.

    Args:
        cases: as a layout found them.
        named: whether somebody wrote down who is who (a table): these names stay, and the parent is told beside them.
    """
    known: dict[Path, str] = {}
    found = []
    for case in cases:
        folder = case.sources[0].parent if case.sources else None
        if folder is not None and folder not in known:
            known[folder] = _parent_in(folder)
        parent = known[folder] if folder is not None else ""
        if parent:
            patient = case.patient if named and case.patient else parent
            case = replace(case, patient=patient, facts={**case.facts, COLUMN: parent})
        found.append(case)
    return found


def _parent_in(folder: Path) -> str:
    """Who is named in the file beside a changed scan; "" where nobody is."""
    path = folder / f"{folder.name}.json"
    try:
        if not path.is_file() or regular_size(path) > _MOST_BYTES:
            return ""
        with open_file(path) as stream:
            content = json.loads(stream.read().decode("utf-8-sig", "replace"))
    except (InputError, OSError, ValueError, RecursionError):
        return ""
    if not isinstance(content, dict) or not str(content.get("Software", "")).startswith("synthoma "):
        return ""
    parent = content.get(PARENT, "")
    return printable(parent)[:_LONGEST] if isinstance(parent, str) else ""
