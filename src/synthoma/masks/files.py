"""Mask files of a truth and of predictions: met by name, read patient by patient, and what goes wrong on the way."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from synthoma.core.progress import Progress
from synthoma.core.untrusted import printable
from synthoma.masks.matching import key_of, masks_by_key, matched_files
from synthoma.masks.patients import (
    SIDES,
    Cases,
    MaskFiles,
    PatientMasks,
    Roots,
    ScoringNotes,
    name_in_results,
)
from synthoma.masks.reading import read_all
from synthoma.metrics.boundary import Spacing
from synthoma.scans.conventions import Decision, hinted
from synthoma.scans.files import PICTURES, kind_of, natural, stem_of
from synthoma.scans.layouts.meaning import LABELS_FILE, description_of, found_by_us

_SLICE_NUMBER = re.compile(r"[_\-. ]*(?:(?<![a-z])(?:slice|z)[_\-]?)?\d+$", re.I)


def read_patients(
    roots: Mapping[str, Path], spacing: Spacing | None, notes: ScoringNotes, progress: Progress
) -> Iterator[PatientMasks]:
    """Patients one after the other. Names have met, and what values mean is known, before the first is read.

    Args:
        roots: folder or file of the ``truth``, of the ``predictions`` and, where it is compared, of the ``other``.
        spacing: (z, y, x) in mm of slices, whose files do not say it.
        notes: what cannot be read, does not match or is worth a remark is written into it.
        progress: told (text, done, total) after each patient.

    Raises:
        InputError: a path that is not there, or no two files that match.
    """
    trios = matched_files({name: masks_by_key(root, name, notes) for name, root in roots.items()}, roots, notes)
    cases = _by_patient(trios, roots, notes)
    _read_labels(trios, roots, notes)
    return read_all(cases, roots, spacing, notes, progress)


def _by_patient(trios: Sequence[MaskFiles], roots: Roots, notes: ScoringNotes) -> Cases:
    """Volumes each by itself, slices by patient."""
    root = roots["truth"]
    slices = [trio for trio in trios if kind_of(trio.truth) in PICTURES]
    # A folder that all slices lie in (masks/) tells no patients apart.
    shared = len({trio.truth.parent for trio in slices}) == 1
    cases: dict[str, list[MaskFiles]] = defaultdict(list)
    for trio in slices:
        *folders, bare = key_of(trio.truth, root)
        alone = shared or trio.truth.parent == root
        name = _SLICE_NUMBER.sub("", bare) or root.resolve().name if alone else "/".join(folders) or bare
        cases[printable(name)].append(trio)
    if len(cases) == 1 and len(slices) > 1:
        notes.remarks.append(
            f"all {len(slices)} slices were taken for one patient ({next(iter(cases))}), so there is no interval; "
            "if they are of several, put the slices of each into a folder of its own"
        )
    volumes = [(trio, key_of(trio.truth, root)) for trio in trios if kind_of(trio.truth) not in PICTURES]
    # A short name where it is the only one, as people know a case; with its folders where two would be one patient.
    often = Counter(key[-1] for _, key in volumes)
    for trio, key in volumes:  # also files that turn out to be none when they are read
        name = key[-1] if often[key[-1]] == 1 and key[-1] else "/".join(key) or stem_of(trio.truth)
        cases[printable(name) if name not in cases else name_in_results(trio.truth, root)].append(trio)
    return dict(sorted(cases.items(), key=lambda item: natural(item[0])))


def _read_labels(trios: Sequence[MaskFiles], roots: Roots, notes: ScoringNotes) -> None:
    """Take note of what the values of each side mean, where findings, a ``dataset.json`` or all names say so."""
    for side, name in zip(SIDES, ("truth", "predictions", "other"), strict=True):
        paths = [path for trio in trios if (path := getattr(trio, side)) is not None]
        if name not in roots or not paths:
            continue
        root = roots[name] if roots[name].is_dir() else roots[name].parent
        if (hint := _hint_of(paths, root)) is not None:
            notes.hints[side] = hint
        if notes.convention is not None:
            continue
        folders = sorted({path.parent for path in paths})
        ours = {found.text(): found for folder in folders if (found := found_by_us(folder)) is not None}
        if len(ours) == 1:
            notes.said[side] = Decision(ours.popitem()[1], "findings of synthoma detect say so")
        elif ours:
            notes.said[side] = Decision(None, "findings of synthoma detect differ")
        elif (decision := _described(folders, root)) is not None:
            notes.said[side] = decision
            notes.remarks.append(f"{name}: what values mean was read from {LABELS_FILE}")


def _hint_of(paths: Sequence[Path], root: Path) -> str | None:
    """The convention that the names of all files speak for."""
    hints = {hinted(f"{root.resolve().name}/{path.relative_to(root).as_posix()}") for path in paths}
    if hints == {"brats-2023", "post-treatment"}:  # they differ in the cavity, which only the second has
        return "post-treatment"
    return hints.pop() if len(hints) == 1 else None


def _described(folders: Sequence[Path], root: Path) -> Decision | None:
    """What the ``dataset.json`` of a side says; None where it says nothing of values."""
    top = root.resolve()
    found = [description_of(top / folder.relative_to(root), top) for folder in folders]
    said = [one for one in found if one is not None and (one.convention is not None or one.unclear)]
    if not said:
        return None
    if unclear := sorted({label for one in said for label in one.unclear}):
        return Decision(None, f"{LABELS_FILE} names labels that are not known here: {', '.join(unclear)}")
    texts = {one.convention.text(): one.convention for one in said if one.convention is not None}
    # One meaning for a side: half of it read by another convention would be scored as errors.
    if len(texts) > 1 or len(said) < len(found):
        return Decision(None, f"not every file has a {LABELS_FILE} that says the same")
    return Decision(texts.popitem()[1], f"{LABELS_FILE} says so")
