"""Who the files of a folder are of: patients settled by what all the files are called, not each by itself."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from synthoma.scans.names import canonical
from synthoma.scans.paths import PathReading, joined_visits, may_go_on
from synthoma.scans.visits import phases_of_treatment, with_endings
from synthoma.scans.vocabulary import PATIENT_WORDS

_PROCESSED = re.compile(
    r"extract|dataf|raw|process|strip|regist|convert|input|output|native|derivat|qc|images?$|scans?$|mri$|data$",
    re.IGNORECASE,
)
"""Words of folders that hold one step of somebody's work on the same patients."""

_MOST_SHORT = 12
"""A patient whose files' names go on in more ways than this is a study of patients."""

_MOST_VISITS = 25
"""A folder with more folders inside that come back elsewhere is a site, not a patient."""


def patient_key(one: PathReading) -> str:
    """What files of one patient have in common: folders before the name, and the name, in plain spelling."""
    return "/".join(map(canonical, (*one.context, one.own)))


def with_patients(read: list[PathReading]) -> list[PathReading]:
    """The files with their patients settled by what the others are called."""
    # In this order: each step relies on names that the one before has settled.
    read = _descriptions_home(read)
    read = with_endings(_strangers_home(_folders_of_visits(_patients_of_a_study(phases_of_treatment(read)))))
    read = [replace(one, outer=one.context) for one in read]
    read = _series_numbers(_shared_contexts(read))
    return _longer_names(read)


def _patients_of_a_study(read: list[PathReading]) -> list[PathReading]:
    """A folder whose name many others begin with is a study, and what they go on with are its patients."""
    below: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
    for one in read:
        if not one.certain and one.rest:
            below[one.context, one.own].add(canonical(one.rest))
    return [
        replace(one, own=f"{one.own}_{one.rest}", rest="", context=(*one.context, one.own))
        if one.rest and not one.certain and len(below[one.context, one.own]) > _MOST_SHORT
        else one
        for one in read
    ]


def _folders_of_visits(read: list[PathReading]) -> list[PathReading]:
    """Where a file's name says nothing of the patient, innermost folders that come back under others are visits."""
    silent = [one for one in read if not one.own]
    below: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in silent:
        if len(one.context) > 1:
            below[one.context[:-1]].add(canonical(one.context[-1]))
    times = Counter(name for names in below.values() for name in names)
    settled = []
    for one in read:
        if one.own or not one.context:
            settled.append(one)
            continue
        *outer, last = one.context
        siblings = below.get(tuple(outer), set())
        # Visits are called alike in many patients; patients are not.
        again = sum(times[name] > 1 for name in siblings)
        numbered = all(re.fullmatch(r"\d{1,2}", name) for name in siblings)
        are_visits = (
            outer
            and len(siblings) <= _MOST_VISITS
            and ((len(below) > 1 and 2 * again > len(siblings)) or (numbered and len(siblings) < 10))
        )
        if are_visits:
            visit = joined_visits([last, one.visit])
            settled.append(replace(one, context=tuple(outer[:-1]), own=outer[-1], visit=visit, guessed="folder"))
        else:
            settled.append(replace(one, context=tuple(outer), own=last))
    return settled


def _kind(one: PathReading) -> str:
    """Sequence and role: what tells the files of one visit apart."""
    return f"{one.sequence or ''} {one.role or ''}"


def _descriptions_home(read: list[PathReading]) -> list[PathReading]:
    """What is left over of names within a patient's folder describes the scan, and names nobody else.

    Converters write series there: ``AX_T2_FS_301``, ``T1_Eq_1``. A person's name comes back with other sequences, and a
    description does not; so of a folder whose left-over names have one image each, and that shows several sequences,
    the folder is the patient: where another file in it is called by its sequence alone, where the same names come back
    in another such folder, or where all are numbers.
    """
    folders: dict[tuple[str, ...], list[PathReading]] = defaultdict(list)
    for one in read:
        if not one.certain:
            folders[one.context].append(one)
    described = {folder: files for folder, files in folders.items() if _may_be_descriptions(files)}
    of_one = _same_descriptions(folders)
    homes: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for folder, files in described.items():
        for one in files:
            homes[_less_numbers(one.own)].add(folder)
    for folder, files in described.items():
        silent = any(not one.own and one.sequence for one in files)
        again = any(len(homes[words]) > 1 for one in files if (words := _less_numbers(one.own)))
        numbers = all(re.fullmatch(r"\d{1,4}", one.own) for one in files if one.own)
        kinds = {_kind(one) for one in files}
        counted = numbers and len(kinds) > 2 and len(files) < 3 * len(kinds)
        if counted or (folder and (silent or again)):
            of_one.add(folder)
    return [
        replace(one, own="", rest="_".join(piece for piece in (one.own, one.rest) if piece and not piece.isdigit()))
        if one.own and not one.certain and one.context in of_one
        else one
        for one in read
    ]


def _same_descriptions(folders: Mapping[tuple[str, ...], Sequence[PathReading]]) -> set[tuple[str, ...]]:
    """Folders in which the same left-over names stand for the same sequences, each for its own: ``t2_spc_da-fl``."""
    alike: dict[frozenset[tuple[str, str]], set[tuple[str, ...]]] = defaultdict(set)
    for folder, files in folders.items():
        if folder and _share_sequences_out(files):
            alike[frozenset((_less_numbers(one.own), one.sequence or "") for one in files)].add(folder)
    return {folder for same in alike.values() if len(same) > 1 for folder in same}


def _may_be_descriptions(files: Sequence[PathReading]) -> bool:
    """Whether the left-over names of a folder's files have one image each, and its files show several sequences."""
    images = [one for one in files if one.role != "mask"]
    names = Counter(canonical(one.own) for one in images if one.own)
    return bool(names) and max(names.values()) == 1 and len({one.sequence for one in images if one.role == "image"}) > 1


def _share_sequences_out(files: Sequence[PathReading]) -> bool:
    """Whether several left-over names of a folder have no sequence in common: people would have the same ones."""
    images = [one for one in files if one.role == "image"]
    kinds = Counter(one.sequence for one in images)
    return len(kinds) > 2 and max(kinds.values()) == 1 and len({canonical(one.own) for one in images}) > 1


def _less_numbers(name: str) -> str:
    """The words of a name without the numbers between them."""
    return "-".join(piece for piece in canonical(name).split("-") if not piece.isdigit())


def _series_numbers(read: list[PathReading]) -> list[PathReading]:
    """Numbers at an end of names, of which each has one file and not all the same sequence, tell no visits."""
    parts = [_without_number(one) for one in read]
    by_visit: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for less, number in parts:
        by_visit[patient_key(less), less.visit][number].append(_kind(less))
    settled = []
    for one, (less, number) in zip(read, parts, strict=True):
        numbers = by_visit[patient_key(less), less.visit]
        kinds = [kind for several in numbers.values() for kind in several]
        apart = bool(number) and len(numbers) > 1 and len(kinds) == len(numbers) and len(set(kinds)) > 1
        settled.append(less if apart else one)
    return settled


def _without_number(one: PathReading) -> tuple[PathReading, str]:
    """The file less a number at an end of its name, in the visit or the rest, and that number; "" where none is."""
    stem = one.source.stem
    for part in ("visit", "rest"):
        before, _, last = getattr(one, part).rpartition("_")
        if re.fullmatch(r"\d{1,4}", last) and (
            re.match(rf"{last}(?!\d)", stem) or re.search(rf"(?<![A-Za-z\d]){last}$", stem)
        ):
            return (replace(one, visit=before) if part == "visit" else replace(one, rest=before)), last
    return one, ""


def _strangers_home(read: list[PathReading]) -> list[PathReading]:
    """Files of another name in the folder of a patient are of that patient."""
    folders = {(*one.context, one.own) for one in read if one.own in one.source.folders}
    inside: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in read:
        for depth in range(1, len(one.context) + 1):
            if one.sequence and not one.certain and one.context[:depth] in folders:
                inside[one.context[:depth]].add(canonical(one.own))
    folders = {folder for folder in folders if len(inside[folder]) < 2}  # else they are patients of their own
    settled = []
    for one in read:
        depth = next((d for d in range(len(one.context), 0, -1) if one.context[:d] in folders), 0)
        if one.certain or not depth:
            settled.append(one)
            continue
        later = one.context[depth:]
        rest = "_".join(filter(None, (one.own, one.rest)))
        own, context = one.context[depth - 1], one.context[: depth - 1]
        settled.append(replace(one, own=own, context=context, rest=rest, visit=joined_visits([*later, one.visit])))
    return settled


def _shared_contexts(read: list[PathReading]) -> list[PathReading]:
    """Whether one name in several folders, classes or splits is one person, and if so, of one study.

    Images in one tree and masks in another are one study, as are raw files and what was made of them. A number that
    comes back elsewhere is somebody else; a name that does is the same person, seen another time.
    """
    homes: dict[str, dict[tuple[str, ...], list[PathReading]]] = defaultdict(lambda: defaultdict(list))
    for one in read:
        homes[canonical(one.own)][_outside(one)].append(one)
    settled = []
    for one in read:
        others = homes[canonical(one.own)]
        home = tuple(piece for piece in _outside(one) if piece)
        if len(others) == 1 or _one_study(others):
            number = one.label is not None and one.own.isdigit()
            settled.append(replace(one, context=(str(one.label),) if number else ()))
        # Every site has a patient 7: as one person, all sites would go into one part of a split together.
        elif _is_number(one.own):
            settled.append(replace(one, context=home))
        else:
            settled.append(replace(one, context=(), visit=joined_visits([*home, one.visit])))
    return settled


def _outside(one: PathReading) -> tuple[str, ...]:
    """Class, split and folders outside of the patient."""
    return one.label or "", one.split or "", *one.context


def _one_study(homes: Mapping[tuple[str, ...], Sequence[PathReading]]) -> bool:
    """Whether files of one name in several places belong together.

    So do those of a public set's own name, masks here and images there, and places that name steps of processing.
    """
    members = [one for files in homes.values() for one in files]
    if any(_is_unique(one.own) for one in members):
        return True
    if all(any(_PROCESSED.search(piece) for piece in home) or not any(home) for home in homes):
        return True
    drawn = [all(one.role in ("mask", "other") for one in files) for files in homes.values()]
    images = [files for files, only in zip(homes.values(), drawn, strict=True) if not only]
    return any(drawn) and len(images) == 1


def _is_number(name: str) -> bool:
    """Whether a name is a number, alone or behind a word for a patient: every site has one."""
    return bool(re.fullmatch(rf"(?:{PATIENT_WORDS}|[a-z])?[-_ .]?(?:id)?[-_ .]?\d+[a-z]?", name, re.IGNORECASE))


def _is_unique(name: str) -> bool:
    """Whether a name is one that a public set gives to one patient in the world."""
    return bool(re.match(r"(TCGA|BraTS|UPENN|UCSF|RHUH|OAS|EGD|IXI|ReMIND|CPTAC|REMBRANDT)", name, re.IGNORECASE))


def _longer_names(read: list[PathReading]) -> list[PathReading]:
    """A name that goes on where another ends is of the same patient: what comes after is the visit, or says nothing."""
    names = {patient_key(one): one for one in read if not one.certain}
    known = set(names)
    shorter: dict[str, str] = {}
    for name in names:
        pieces = name.split("-")
        for stop in range(1, len(pieces)):
            start = "-".join(pieces[:stop])
            if start in known and may_go_on(start.split("/")[-1], name.split("/")[-1]):
                shorter[name] = start
                break
    settled = []
    for one in read:
        key = patient_key(one)
        if not one.certain and key in shorter:
            base = names[shorter[key]]
            extra = one.own[len(base.own) :].strip("_-. ")
            settled.append(
                replace(one, own=base.own, context=base.context, rest="_".join(filter(None, (extra, one.rest))))
            )
        else:
            settled.append(one)
    return settled
