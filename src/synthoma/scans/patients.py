"""Who the files of a folder are of: patients settled by what all the files are called, not each by itself."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from synthoma.scans.names import canonical
from synthoma.scans.paths import PathReading, joined_visits, may_go_on
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
    read = _strangers_home(_folders_of_visits(_patients_of_a_study(read)))
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
            settled.append(replace(one, context=tuple(outer[:-1]), own=outer[-1], visit=visit, guessed=True))
        else:
            settled.append(replace(one, context=tuple(outer), own=last))
    return settled


def _series_numbers(read: list[PathReading]) -> list[PathReading]:
    """Numbers in front of names that differ from sequence to sequence, none of which comes twice, tell no visits."""
    by_patient: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in read:
        by_patient[patient_key(one)][one.visit].add(one.sequence or one.role or "")
    settled = []
    for one in read:
        visits = by_patient[patient_key(one)]
        numbers = all(visit.isdigit() and len(kinds) == 1 for visit, kinds in visits.items())
        kinds = [kind for several in visits.values() for kind in several]
        leading = one.source.stem.startswith(one.visit)
        apart = numbers and leading and len(visits) > 1 and len(kinds) == len(set(kinds))
        settled.append(replace(one, visit="") if apart else one)
    return settled


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
