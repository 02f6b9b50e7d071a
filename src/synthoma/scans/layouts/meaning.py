"""What mask values mean, settled for all cases of an inventory together."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.scans.case import Case
from synthoma.scans.convention_words import Description, described, meaning_of
from synthoma.scans.conventions import BRATS_2023, MSD, ROUNDING, WHOLE, Convention, Decision, decide, hinted
from synthoma.scans.files import PICTURES, kind_of, open_file, regular_size
from synthoma.scans.layouts.loading import load_files, load_mask, mask_values

LABELS_FILE = "dataset.json"
"""The file in which nnU-Net and the Medical Segmentation Decathlon say what channels and mask values mean."""

_FINDINGS = "findings.json"
_TABLE = "dseg.tsv"
_LOOKED_AT = 40
# A dataset.json lists files and labels; what is larger than this is something else.
_MOST_BYTES = 2**24


def description_of(folder: Path, root: Path) -> Description | None:
    """What the nearest ``dataset.json`` says: in the folder, in those above it up to the root, or right above that.

    Args:
        folder: where a volume lies.
        root: what the user named.
    """
    folder, top = folder.absolute(), root.absolute().parent
    for place in (folder, *folder.parents):
        if (found := _text_of(place / LABELS_FILE)) is not None and (said := described(found)) is not None:
            return said
        if place == top or place == place.parent:
            return None
    return None


def _text_of(path: Path) -> str | None:
    try:
        if regular_size(path) > _MOST_BYTES:
            return ""
        with open_file(path) as stream:
            return stream.read().decode("utf-8-sig", "replace")
    except InputError:
        return "" if os.path.lexists(path) else None  # there, and not to be read: never as if it were not there


def found_by_us(folder: Path) -> Convention | None:
    """What the masks mean that `synthoma detect` wrote into a folder; None where it did not."""
    content = _json_of(folder / _FINDINGS)
    if not str(content.get("schema", "")).startswith("synthoma.detection/"):
        return None
    return _named(content.get("labels"), _FINDINGS)


def exported_by_us(folder: Path) -> Convention | None:
    """What the masks mean that `synthoma export --to nifti` wrote into the folder of a case; None where it did not."""
    content = _json_of(folder / f"{folder.name}.json")
    if not str(content.get("Software", "")).startswith("synthoma "):
        return None
    return _named(content.get("Labels"), f"{folder.name}.json")


def table_of_labels(folder: Path, root: Path) -> Convention | None:
    """What the nearest ``dseg.tsv`` of BIDS derivatives says, in the folder or those above it up to the root."""
    for place in (folder, *folder.parents):
        if (text := _text_of(place / _TABLE)) is not None:
            rows = [line.split("\t") for line in text.splitlines() if line.strip()]
            if rows and {"index", "name"} <= set(rows[0]):
                at, name = rows[0].index("index"), rows[0].index("name")
                full = [row for row in rows[1:] if len(row) == len(rows[0])]
                return _named({row[at]: row[name] for row in full}, _TABLE)
        if place == root or place == place.parent:
            return None
    return None


def _json_of(path: Path) -> dict[str, object]:
    """A JSON object; empty where there is none."""
    try:
        content = json.loads(_text_of(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _named(labels: object, file: str) -> Convention | None:
    """The convention of names by value; None where they name nothing that is known here."""
    try:
        named = {int(value): meaning_of(str(name)) for value, name in labels.items()}  # type: ignore[attr-defined]
    except (ValueError, TypeError, AttributeError):
        return None
    values = {value: meaning for value, meaning in named.items() if meaning is not None and value > 0}
    if set(values.values()) == {"tumour"}:
        return WHOLE
    # The outermost part of nested targets is named after the whole tumour where a model has no oedema of its own.
    return Convention(file, file, values) if values else None


def settle(
    cases: Sequence[Case], root: Path, forced: Convention | None = None
) -> tuple[tuple[Case, ...], tuple[Decision, ...]]:
    """The cases with the meaning of their masks, and the decisions that were taken, one for each kind of names.

    Args:
        cases: of one inventory.
        root: what the user named.
        forced: what the user says; then nothing is decided.
    """
    describe = cache(lambda folder: description_of(folder, root))
    ours = cache(lambda folder: found_by_us(folder) or exported_by_us(folder) or table_of_labels(folder, root))
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    said: dict[tuple[object, ...], Decision] = {}
    for place, case in enumerate(cases):
        mask = mask_of(case)
        if mask is None:
            continue
        # One decision for all masks that are named alike: a single one may lack the value that tells.
        key, decision = _spoken(mask, root, forced, ours(mask.parent), describe(mask.parent))
        groups[key].append(place)
        if decision is not None:
            said[key] = decision
    settled, decisions = list(cases), []
    for key, places in groups.items():
        masks = [files for place in places if (files := mask_files(cases[place]))]
        decision = said.get(key)
        if decision is None:
            decision = decide(_values_of(masks), None if key[1] is None else str(key[1]))
            # These two differ in what 1 and 2 mean and in nothing else, and place tells which.
            if decision.choices == (BRATS_2023.name, MSD.name):
                decision = _by_place(masks, decision)
        decisions.append(decision)
        for place in places:
            settled[place] = with_decision(cases[place], decision)
    return tuple(settled), tuple(decisions)


def _spoken(
    mask: Path, root: Path, forced: Convention | None, ours: Convention | None, description: Description | None
) -> tuple[tuple[object, ...], Decision | None]:
    """Which masks are decided together with this one, and the decision where somebody says what the values mean."""
    # From the surest word to the weakest: the user, our own files, a description, the kind of file, then names.
    if forced is not None:
        return ("forced",), Decision(forced, "you said so")
    if ours is not None:
        return ("ours", ours.text()), Decision(ours, "what was written beside the mask says so")
    if description is not None and description.unclear:
        names = ", ".join(description.unclear)
        return ("unclear", names), Decision(None, f"{LABELS_FILE} names labels that are not known here: {names}")
    if description is not None and description.convention is not None:
        return ("described", description.convention.text()), Decision(description.convention, f"{LABELS_FILE} says so")
    if kind_of(mask) in PICTURES:
        return ("pictures",), Decision(WHOLE, "pictures of masks: all that is not background")
    try:
        inner = mask.relative_to(root).as_posix()
    except ValueError:
        inner = mask.name
    return ("hint", hinted(inner) or hinted(root.name, whole=True)), None


def _values_of(masks: Sequence[Sequence[Path]]) -> list[tuple[int, ...]]:
    """Values above 0 of each mask; of one that cannot be read none, since its case says so when it is loaded."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_values, masks))


def _by_place(masks: Sequence[Sequence[Path]], doubt: Decision) -> Decision:
    """Which of 1 and 2 is oedema, where names speak for BraTS: oedema surrounds the rest, and so meets the background.

    Decided only where it is the same in nearly all masks.
    """
    outer = {1: 0, 2: 0}
    for files in masks[:_LOOKED_AT]:
        try:
            mask = np.concatenate([load_mask(path) for path in files])
        except InputError:
            continue
        cross = ndimage.generate_binary_structure(3, 1)
        for axis in np.flatnonzero(np.array(mask.shape) < 3):  # across a single slice everything is rim
            cross = np.take(cross, [1], axis)
        inside = ndimage.binary_erosion(np.pad(mask > 0, 1), cross)[1:-1, 1:-1, 1:-1]
        rim = (mask > 0) & ~inside
        counts = {value: int((rim & (mask == value)).sum()) for value in outer}
        for value, other in ((1, 2), (2, 1)):
            # Twice as much of the rim: where both reach it about alike, a mask says nothing.
            outer[value] += counts[value] > 2 * counts[other]
    for value, meant in ((1, MSD), (2, BRATS_2023)):
        # Nine to one: the wrong choice would exchange core and oedema in the whole set.
        if outer[value] and outer[value] >= 9 * outer[3 - value]:
            why = f"{doubt.why}; {value} surrounds the rest, as oedema does"
            return Decision(meant, why, values=doubt.values)
    return doubt


def _values(files: Sequence[Path]) -> tuple[int, ...]:
    try:
        present = np.unique(np.concatenate([mask_values(path) for path in files]))
    except InputError:
        return ()
    if (np.abs(present - np.rint(present)) > ROUNDING).any():
        return ()  # no labels: said when its case is read
    # They rise: the first 64 whole numbers already reach beyond every convention.
    return tuple(dict.fromkeys(int(value) for value in np.rint(present[:64]).tolist() if value > 0))


# --- cases that are files -------------------------------------------------------------------------------------------


def mask_files(case: Case) -> tuple[Path, ...]:
    """The mask's files; none for a case without mask, or of another kind."""
    if isinstance(case.load, partial) and case.load.func is load_files:
        files: tuple[Path, ...] = case.load.args[1]
        return files
    return ()


def mask_of(case: Case) -> Path | None:
    """The first of the mask's files."""
    return next(iter(mask_files(case)), None)


def decision_of(case: Case) -> Decision | None:
    """What the mask's values mean; None for a case without mask, or of another kind."""
    return case.load.args[2] if mask_files(case) and isinstance(case.load, partial) else None


def with_decision(case: Case, decision: Decision) -> Case:
    """The case with another meaning of its mask's values."""
    assert isinstance(case.load, partial)
    modalities, masks, _, *rest = case.load.args
    return replace(case, load=partial(load_files, modalities, masks, decision, *rest))
