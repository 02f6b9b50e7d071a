"""Which mask of a prediction meets which of the truth: by names, since nothing else of the files is alike."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from synthoma.core.errors import InputError
from synthoma.core.untrusted import printable
from synthoma.masks.chances import FINDINGS
from synthoma.masks.patients import MaskFiles, Roots, ScoringNotes, name_in_results
from synthoma.scans.files import PICTURES, SUFFIXES, VOLUMES, kind_of, natural, stem_of, suffix_of, walk
from synthoma.scans.layouts.meaning import LABELS_FILE
from synthoma.scans.names import Part, bare, canonical, place_word, read_part
from synthoma.scans.vocabulary import FILES, Word

_NAMED = 10
_MACHINE, _UNSAID = 2, 3
"""Ranks of ``scans.names.Part``."""

_LETTER = re.compile(r"^([a-z])[_\-. ]+((?:mask|seg).*)$", re.I)
"""A name of one letter: a_seg, b_mask and d_seg are no words of a program then, as aseg, bmask and dseg are."""

_MATCH = "give both files the same name, or names that differ in an ending such as _mask, _seg or _pred only"
Key = tuple[str, ...]
"""Folders below the side's root, then the bare name (left out where nothing of it remains)."""

_Naming = Callable[[Key, Path], Key]


def masks_by_key(root: Path, name: str, notes: ScoringNotes) -> dict[Key, Path]:
    """Mask files of one side by key."""
    if root.is_file():
        return {key_of(root, root): root}
    if not root.is_dir():
        raise InputError(f"a file or folder of masks ({name})", f"nothing at {root.name!r}", "check the path")
    files, unlisted = walk(root, outputs=True)  # masks of `detect` are what is judged
    kinds = {path: kind_of(path) for path in (*files, *(item.path for item in unlisted))}
    # A damaged or empty file keeps its place by its suffix: it is refused when it is read, and not taken for missing.
    usable = [path for path, kind in kinds.items() if kind in PICTURES | VOLUMES or suffix_of(path) in SUFFIXES]
    known = set(usable)
    for item in unlisted:
        if item.path not in known:
            notes.skip(name_in_results(item.path, root, name), item.reason)
    if rest := sum(path not in known and path.name not in (LABELS_FILE, FINDINGS) for path in files):
        notes.remarks.append(f"{name}: {rest} files that are no volumes or pictures were left aside")
    called = {path: _called(stem_of(path)) for path in usable}
    aside = sum(kind == "aside" for kind in called.values())
    # Where all are called so, the names say nothing: probabilities that were thresholded keep their name.
    if 0 < aside < len(usable):
        notes.remarks.append(f"{name}: {aside} files are probabilities or masks of something else, by their names")
        usable = [path for path in usable if called[path] != "aside"]
    marked = [path for path in usable if called[path] == "mask"]
    if marked and len(marked) < len(usable):
        left = len(usable) - len(marked)
        notes.remarks.append(f"{name}: {left} files were taken for images, since others are called masks")
    return _keyed(marked or usable, root, name, notes)


def _called(stem: str) -> Literal["mask", "image", "aside"]:
    """What a file is by its name; what says neither may be the mask under the name of its scan."""
    part = _read_name(stem)
    if part.role != "other":
        return "mask" if part.role == "mask" else "image"
    # A mask may be drawn on a sequence that is not asked for elsewhere, and healthy people have empty ones.
    if part.why == "healthy" or FILES.get(part.why, Word("organ")).kind == "other":
        return "mask" if part.rank < _UNSAID else "image"
    return "aside"


def _read_name(stem: str) -> Part:
    lone = _LETTER.match(stem)
    return read_part(lone[2] if lone else stem)


def _keyed(paths: Sequence[Path], root: Path, name: str, notes: ScoringNotes) -> dict[Key, Path]:
    """One file for each key: of several the one drawn by hand, of predictions the machine's."""
    groups: dict[Key, list[Path]] = defaultdict(list)
    for path in paths:
        group = groups[key_of(path, root)]
        if not group or not _same_detection(group[0], path, root, name, notes):
            group.append(path)
    found: dict[Key, Path] = {}
    passed = 0
    for key, group in groups.items():
        ranks = {path: _read_name(stem_of(path)).rank for path in group}
        # A drawn mask that was copied beside a prediction would score as a perfect one.
        machine = name != "truth" and _MACHINE in ranks.values()
        best = [path for path in group if ranks[path] == (_MACHINE if machine else min(ranks.values()))]
        passed += len(group) - len(best)
        if len(best) > 1 and not _bare(stem_of(best[0])) and len({stem_of(path).lower() for path in best}) == len(best):
            # tumour and whole in one folder: the names that say nothing of the patient tell them apart
            found |= {(*path.relative_to(root).parts[:-1], stem_of(path)): path for path in best}
            continue
        found[key] = best[0]
        for path in best[1:]:
            came = f"a second one beside {name_in_results(best[0], root)}"
            notes.skip(
                name_in_results(path, root, name), InputError("one mask of each name", came, "keep one of the two")
            )
    if passed:
        whose = "those drawn by hand" if name == "truth" else "the machine's"
        notes.remarks.append(f"{name}: {passed} files lie beside another mask of the same name; {whose} were taken")
    return found


def _same_detection(first: Path, second: Path, root: Path, side: str, notes: ScoringNotes) -> bool:
    """Whether both are of one slice that `synthoma detect` outlined: it writes a mask, and beside it the labels."""
    detection = notes.detection(first, root, side) if first.parent == second.parent else None
    return detection is not None and {first.name, second.name} <= {*detection.files}


def key_of(path: Path, root: Path) -> Key:
    """By what a file of a side is known: its folders, and its name without words such as mask or pred."""
    name = _bare(stem_of(path))
    folders = () if path == root else path.relative_to(root).parts[:-1]
    return (*folders, name) if name or not folders else folders


def _bare(stem: str) -> str:
    lone = _LETTER.match(stem)
    return lone[1] if lone and not bare(lone[2]) else bare(stem)


def matched_files(sides: Mapping[str, Mapping[Key, Path]], roots: Roots, notes: ScoringNotes) -> list[MaskFiles]:
    """Each truth with its prediction and the other model's.

    Raises:
        InputError: no truth has a prediction.
    """
    truth = sides["truth"]
    # By numbers within names, so that rows of the table are in the order in which people count.
    ordered = sorted(truth, key=lambda key: natural("/".join(key)))
    partners: dict[str, dict[Key, Path]] = {}
    for name, side in sides.items():
        if name == "truth":
            continue
        # Two files that the user names belong together, whatever they are called.
        two_files = roots["truth"].is_file() and roots[name].is_file()
        partners[name] = dict(zip(truth, side.values(), strict=True)) if two_files else _partners(truth, side)
        if not partners[name]:
            came = f"{len(truth)} files of the truth and {len(side)} of the {name}, none of which match"
            raise InputError("masks and predictions with names that match", came, _MATCH)
        if extra := len(side) - len(partners[name]):
            notes.remarks.append(f"{name}: {extra} files match no truth and are not scored")
        if missing := [printable("/".join(key)) for key in ordered if key not in partners[name]]:
            listed = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
            notes.remarks.append(
                f"{name}: {len(missing)} of {len(truth)} are missing and count as empty masks: {listed}"
            )
            notes.missing[name] = missing
    return [
        MaskFiles(truth[key], *(partners.get(side, {}).get(key) for side in ("predictions", "other")))
        for key in ordered
    ]


def _partners(truth: Mapping[Key, Path], side: Mapping[Key, Path]) -> dict[Key, Path]:
    """File of a side for each truth: of the same key, else by the first of `_NAMINGS` that only one on each side has.

    A name that several files of a side share (slice_000, tumour) names no patient, and whose file is left over is
    chance: those that have a partner count too.
    """
    found = {key: side[key] for key in truth if key in side}
    taken = set(found)
    for naming in _NAMINGS:
        ours, theirs = _unique(naming, truth), _unique(naming, side)
        for called, key in ours.items():
            partner = theirs.get(called)
            if key in found or partner is None or partner in taken:
                continue
            visits = {_visit_of(key, truth[key])[1:], _visit_of(partner, side[partner])[1:]}
            if naming is _patient_of and len(visits - {("",)}) > 1:
                continue  # two visits of one patient
            found[key] = side[partner]
            taken.add(partner)
    return found


def _unique(naming: _Naming, side: Mapping[Key, Path]) -> dict[Key, Key]:
    """Names that one file of a side has, with its key."""
    named = {key: naming(key, path) for key, path in side.items()}
    often = Counter(named.values())
    return {called: key for key, called in named.items() if any(called) and often[called] == 1}


def _in_place(key: Key, path: Path) -> Key:
    """The key without folders that only keep order, whatever its case and separators."""
    kept = [folder for folder in key[:-1] if (word := place_word(folder)) is None or word.kind != "place"]
    return tuple(canonical(part) for part in (*kept, key[-1]))


def _last(key: Key, path: Path) -> Key:
    return key[-1:]


def _visit_of(key: Key, path: Path) -> Key:
    """Patient and visit in the name of a volume, or in that of the next folder that names somebody."""
    if kind_of(path) in PICTURES:  # a slice is not the patient
        return ()
    own, visit = bool(_bare(stem_of(path))), ""
    for at, name in enumerate(reversed(key)):
        part = read_part(name)
        visit = visit or canonical(part.visit)
        if (who := part.patient or part.rest) and ((own and at == 0) or place_word(name) is None):
            return (canonical(who), visit)
    return ()


def _patient_of(key: Key, path: Path) -> Key:
    return _visit_of(key, path)[:1]


_NAMINGS: tuple[_Naming, ...] = (_last, _in_place, _visit_of, _patient_of)
"""How names meet that are not the same, the most careful one first."""
