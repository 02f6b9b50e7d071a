"""Whose scan a changed scan was made from: what `paint` and `remove` write beside their files, read again."""

from __future__ import annotations

import json
import os
import re
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
    beside: dict[Path, frozenset[str]] = {}
    known: dict[Path, str] = {}
    found = []
    for case in cases:
        parent = ""
        for path in _told_beside(case, beside):
            if path not in known:
                known[path] = _parent_in(path)
            parent = parent or known[path]
        if parent:
            patient = case.patient if named and case.patient else parent
            case = replace(case, patient=patient, facts={**case.facts, COLUMN: parent})
        found.append(case)
    return found


def _told_beside(case: Case, beside: dict[Path, frozenset[str]]) -> list[Path]:
    """The files that may tell of a case: named as its folder, or as its files begin, the longest name first.

    So a folder that was renamed, and one into which the files of several were copied, still say whose they are.
    ``beside`` keeps what such files there are in a folder.
    """
    if not case.sources:
        return []
    folder, name = case.sources[0].parent, case.sources[0].name
    if folder not in beside:
        try:
            with os.scandir(folder) as entries:
                beside[folder] = frozenset(one.name[:-5] for one in entries if one.name.endswith(".json"))
        except OSError:
            beside[folder] = frozenset()
    starts = [name[: match.start()] for match in re.finditer(r"[-_.]", name)]
    return [folder / f"{stem}.json" for stem in (folder.name, *starts[::-1]) if stem in beside[folder]]


def _parent_in(path: Path) -> str:
    """Who is named in the file beside a changed scan; "" where nobody is."""
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
