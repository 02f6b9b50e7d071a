"""From the names of many files to studies: who is shown, at which visit, in which sequences, and with which mask.

1. Each path is read, folder by folder (``names.read_part``); folders that only keep order drop out.
2. The patient is what stays the same over sequences, visits and masks: a name that says so, else what is left over of
   the folders, or of the file's own name. Folders whose names come back under many others are visits.
3. Files of one patient and visit are one study; a mask meets its images there, wherever it lies.
4. Of several files of one sequence the one that was processed as the others is taken; the rest is listed.

Nothing is opened here. Where names do not decide, ``peek`` is asked what a file holds.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from synthoma.scans.names import Part, canonical, place_word, read_part, split_visits
from synthoma.scans.vocabulary import FOLDERS, PATIENT_WORDS, WEAK, Word

PLAIN = "image"
"""The sequence of a file that does not say which one it shows."""

SEQUENCES = ("t1", "t1c", "t2", "flair")

Peek = Callable[["Source"], Literal["mask", "image", "unreadable"]]
"""What a file holds by its content; asked only where its name does not say."""

_WORDS_BEFORE = frozenset({"patient", "patientid", "subject", "subjectid", "studyid", "sessionid", "visitid"})
"""Folders whose only folder names the patient or the visit: ``patientId/17/studyId/301``."""

_PROCESSED = re.compile(
    r"extract|dataf|raw|process|strip|regist|convert|input|output|native|derivat|qc|images?$|scans?$|mri$|data$",
    re.IGNORECASE,
)
"""Words of folders that hold one step of somebody's work on the same patients."""

_ENUMERATED = re.compile(
    r"(?:rater|reader|observer|expert|annotator|lesion|tumou?r)[-_ ]?(?:\d+|[a-d])(?![a-z0-9])", re.IGNORECASE
)
"""Masks of which there is one for each reader or each lesion."""

_MOVED = frozenset({"reg", "registered", "coreg", "coregistered", "warped"})
"""Words of images that were brought onto another grid: the one of the mask beside them."""

_MOST_SHORT = 12
"""A patient whose files' names go on in more ways than this is a study of patients."""

_MOST_VISITS = 25
"""A folder with more folders inside that come back elsewhere is a site, not a patient."""


@dataclass(frozen=True)
class Source:
    """A file by its path below the root; of a file with several volumes, which of them.

    Attributes:
        folders: names of the folders, outermost first.
        stem: the file's name without suffix.
        index: its number in the listing.
        channel: which volume of a file with several; None where there is one.
        sequence: where a description beside the files says so; it wins over the name.
        role: likewise.
    """

    folders: tuple[str, ...]
    stem: str
    index: int
    channel: int | None = None
    sequence: str | None = None
    role: Literal["image", "mask"] | None = None


@dataclass
class Study:
    """One study.

    Attributes:
        patient: name; None where nothing tells patients apart.
        visit: what tells it from the patient's other studies; "".
        name: unique among the studies.
        images: sequence -> file.
        masks: of the tumour, the chosen one first; more than one where names do not decide.
        label: the class that its folder names.
        split: the split that its folder names.
        place: folders outside of the patient's own.
        aside: files of the study that are not used, with what they are.
        remarks: for the user.
    """

    patient: str | None
    visit: str
    name: str
    images: dict[str, Source] = field(default_factory=dict)
    masks: list[Source] = field(default_factory=list)
    label: str | None = None
    split: str | None = None
    place: tuple[str, ...] = ()
    aside: list[tuple[Source, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Read:
    """A file with what its path tells."""

    source: Source
    part: Part
    role: str | None
    sequence: str | None
    rank: int
    variant: tuple[str, ...]
    context: tuple[str, ...]
    own: str
    visit: str
    rest: str
    certain: bool
    label: str | None
    split: str | None
    outer: tuple[str, ...] = ()
    guessed: bool = False


def sort_into_studies(sources: Sequence[Source], peek: Peek) -> tuple[list[Study], list[tuple[Source, str]]]:
    """Studies in natural order of their names, and the files that belong to none, with what they are.

    Args:
        sources: the files.
        peek: told of files whose names do not say whether they are a mask.
    """
    read = _with_patients([_told_apart(_read(source)) for source in sources])
    loose: list[tuple[Source, str]] = []
    groups: dict[tuple[str, str], list[_Read]] = defaultdict(list)
    for one in read:
        groups[_patient_key(one), canonical(one.visit)].append(one)
    groups = _masks_home(groups)
    rank = _ranked_variants(groups)
    studies: list[Study] = []
    for members in groups.values():
        found, left = _studies_of(members, peek, rank)
        studies += found
        loose += left
    return _named(studies), loose


# --- one path -----------------------------------------------------------------------------------------------------


def _told_apart(one: _Read) -> _Read:
    """A file of which no name is left over: its folder's name stands for somebody although the vocabulary has it."""
    if one.own or one.context:
        return one
    folders = [
        folder
        for folder in one.source.folders
        if place_word(folder) is not None
        and canonical(folder).replace("-", "") not in FOLDERS
        and ((said := read_part(folder)).role is None or (said.role == "other" and len(folder) < 3))
        and said.sequence is None
    ]
    return _read(one.source, frozenset(folders[-1:])) if folders else one


def _read(source: Source, names: frozenset[str] = frozenset()) -> _Read:
    """What the path of one file tells, without a look at others.

    Args:
        source: the file.
        names: folders that are names, whatever the vocabulary says of them.
    """
    folders, derived = _folders(source.folders)
    places = [None if folder in names else _place(folder, source.stem) for folder in folders]
    parts = [read_part(folder) for folder in folders]
    part = _below_folder(source.stem, [folder for folder, place in zip(folders, places, strict=True) if place is None])
    told = [read for read, place in zip(parts, places, strict=True) if place is not None and place.kind == "place"]
    role: str | None = source.role or part.role
    sequence, rank, variant = source.sequence or part.sequence, part.rank, part.variant
    for folder in reversed(told):  # the innermost folder of one kind of file speaks for files that say nothing
        if folder.role == "other" and role is None:
            role = "other"
        if role is None and folder.role == "mask":
            role = "mask"
        if sequence is None and role in (None, "image") and folder.sequence is not None:
            sequence = folder.sequence
        if folder.role == "mask" and role == "mask" and rank == 1:
            rank = folder.rank
        variant = (*folder.variant, *variant) if role != "mask" else variant
    if source.role is None and role in (None, "image"):
        # A folder of masks outranks the sequence in a name: the mask was drawn on that. A tool's folder may hold both.
        drawn = [one for one in told if one.role == "mask" and (one.rank != 2 or not part.sequence)]
        role = "mask" if drawn else role
    if role == "mask":  # a folder of corrected masks, whatever else it is called
        rank = min([rank, *(one.rank for one in parts if one.rank == 0)])
    if role is None and sequence is not None:
        role = "image"
    if any({"atlas", "template"} & set(one.variant) and one.role is None for one in told) and part.role != "mask":
        role = "other"
    if derived and role != "mask":
        variant = (*variant, "derivatives")
    named = list(zip(folders, parts, places, strict=True))
    label = next((folder for folder, _, place in named[::-1] if place and place.kind == "class"), None)
    split = next((folder for folder, _, place in named if place and place.kind == "split"), None)
    identity = [(folder, read) for folder, read, place in named if place is None]
    context, own, visit, rest, certain = _identity(identity, part)
    rest = "_".join(filter(None, (rest, part.extra)))
    return _Read(
        source, part, role, sequence, rank, variant, context, own, visit, rest, certain, label, split
    )  # fmt: skip


def _place(folder: str, stem: str) -> Word | None:
    """What a folder says where it names nobody; one that is called as its file is holds that file, and says no more."""
    if canonical(folder) == canonical(stem) and read_part(stem).role is not None:
        return Word("place")
    return place_word(folder)


def _below_folder(stem: str, folders: Sequence[str]) -> Part:
    """A file's name, read; where it repeats its folder's name, words in that are of the patient and tell nothing."""
    part = read_part(stem)
    home = max((one for one in folders if _begins(canonical(stem), canonical(one))), key=len, default="")
    tail = _after(stem, home)
    if not home or not tail or part.patient:
        return part
    told = read_part(tail)
    visits, name = split_visits(home)
    visits, name = (visits, name) if name else ([], home)
    extra = "_".join(filter(None, (told.patient, told.rest, told.extra)))
    return replace(told, text=stem, patient="", visit=_once([*visits, told.visit]), rest=name, extra=extra)


def _after(name: str, start: str) -> str:
    """What a name goes on with behind its beginning."""
    return name[len(start) :].strip("_-. ")


def _folders(names: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """Folders with those joined that are word and number of one name, and without the tools of BIDS derivatives.

    Returns:
        The folders, and whether the file is a derivative.
    """
    joined: list[str] = []
    derived = False
    for name in names:
        if joined and canonical(joined[-1]) in _WORDS_BEFORE:
            joined[-1] = f"{joined[-1]}_{name}"
        elif derived and joined and canonical(joined[-1]) == "derivatives" and not read_part(name).patient:
            continue
        else:
            joined.append(name)
        derived = derived or canonical(name) == "derivatives"
    return tuple(joined), derived


def _identity(folders: Sequence[tuple[str, Part]], part: Part) -> tuple[tuple[str, ...], str, str, str, bool]:
    """Folders before the patient, the patient, visit, rest, and whether a name says that it is a patient's."""
    for depth, (_, read) in enumerate(folders):
        if read.patient:
            inner = [one for _, one in folders[depth + 1 :]]
            outer = [one.visit for _, one in folders[:depth] if one.visit]
            visits = [*outer, read.visit, *(one.visit or one.patient or one.rest for one in inner), part.visit]
            rest = part.rest if part.patient else "_".join(piece for piece in (part.rest,) if piece)
            if part.patient and canonical(part.patient) != canonical(read.patient):
                if canonical(part.patient).startswith(canonical(read.patient)):
                    rest = rest or part.patient[len(read.patient) :].strip("_-. ")
                elif canonical(read.patient).startswith(canonical(part.patient)):
                    return _outer(folders[:depth]), part.patient, _once([*visits]), rest, True
                else:
                    visits.append(part.patient)
            if read.rest and not part.patient:
                visits.insert(1, read.rest)
            elif read.rest and canonical(read.rest) == canonical(part.rest):
                return _outer(folders[:depth]), read.patient, _once([*visits, read.rest]), "", True
            if canonical(rest) == canonical(read.rest):
                rest = ""
            return _outer(folders[:depth]), read.patient, _once(visits), rest, True
    visits = [read.visit for _, read in folders if read.visit]
    if part.patient:
        return _outer(folders), part.patient, _once([*visits, part.visit]), part.rest, True
    named = [(folder, read) for folder, read in folders if not (read.visit and not read.rest)]
    own, visit = part.rest, part.visit
    if not own and not named and folders:  # nothing else is there: what looked like visits names the patient
        own, visits = folders[0][0], [one.visit for _, one in folders[1:]]
    elif not own and not named:
        own, visit = visit, ""
    context = tuple(read.text for _, read in named)
    for depth, (_, read) in reversed(list(enumerate(folders))):
        repeats = _begins(canonical(own), canonical(read.text)) and _goes_on(read.text, own)
        if own and (repeats or _begins(canonical(read.text), canonical(own))):
            name = read.text if repeats else own
            others = [one.text for place, (_, one) in enumerate(folders) if place > depth]
            visits = [one.visit for _, one in folders[:depth] if one.visit]
            return _outer(folders[:depth]), name, _once([*visits, *others, visit]), _after(own, name), False
    if own and _is_weak(own) and context:
        return context[:-1], context[-1], _once([*visits, visit, own]), "", False
    return context, own, _once([*visits, visit]), "", False


def _goes_on(start: str, name: str) -> bool:
    """Whether a longer name may be of the same patient: numbers after a name without one are patients of a study."""
    later = canonical(name)[len(canonical(start)) :].strip("-")
    return not later or bool(re.search(r"\d", start)) or not later[0].isdigit()


def _outer(folders: Sequence[tuple[str, Part]]) -> tuple[str, ...]:
    return tuple(folder for folder, read in folders if not (read.visit and not read.rest and not read.patient))


def _once(visits: Sequence[str]) -> str:
    """Visits that were told in several places, each once."""
    kept: dict[str, str] = {}
    for visit in visits:
        if visit and not any(canonical(visit) in seen.split(" ") for seen in kept):
            kept.setdefault(canonical(visit), visit)
    return "_".join(kept.values())


def _begins(name: str, start: str) -> bool:
    """Whether one name begins with the other, as whole words."""
    return name == start or name.startswith(start + "-")


def _is_weak(name: str) -> bool:
    """Whether a name of a file says no more than which of a few it is: "2", "scan 3"."""
    match = re.fullmatch(r"([a-z]*)[_\-. ]?(\d{1,2})?", name, re.IGNORECASE)
    if match is None:
        return False
    word, number = match[1].lower(), match[2] or ""
    return (not word or (word in WEAK and (number or len(word) > 1))) and not number.startswith("0")


# --- patients -----------------------------------------------------------------------------------------------------


def _patient_key(one: _Read) -> str:
    return "/".join(map(canonical, (*one.context, one.own)))


def _with_patients(read: list[_Read]) -> list[_Read]:
    """The files with their patients settled by what the others are called."""
    read = _strangers_home(_folders_of_visits(_patients_of_a_study(read)))
    read = [replace(one, outer=one.context) for one in read]
    read = _series_numbers(_shared_contexts(read))
    return _longer_names(read)


def _patients_of_a_study(read: list[_Read]) -> list[_Read]:
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


def _folders_of_visits(read: list[_Read]) -> list[_Read]:
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
        again = sum(times[name] > 1 for name in siblings)
        numbered = all(re.fullmatch(r"\d{1,2}", name) for name in siblings)
        are_visits = (
            outer
            and len(siblings) <= _MOST_VISITS
            and ((len(below) > 1 and 2 * again > len(siblings)) or (numbered and len(siblings) < 10))
        )
        if are_visits:
            visit = _once([last, one.visit])
            settled.append(replace(one, context=tuple(outer[:-1]), own=outer[-1], visit=visit, guessed=True))
        else:
            settled.append(replace(one, context=tuple(outer), own=last))
    return settled


def _series_numbers(read: list[_Read]) -> list[_Read]:
    """Numbers in front of names that differ from sequence to sequence, none of which comes twice, tell no visits."""
    by_patient: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in read:
        by_patient[_patient_key(one)][one.visit].add(one.sequence or one.role or "")
    settled = []
    for one in read:
        visits = by_patient[_patient_key(one)]
        numbers = all(visit.isdigit() and len(kinds) == 1 for visit, kinds in visits.items())
        kinds = [kind for several in visits.values() for kind in several]
        leading = one.source.stem.startswith(one.visit)
        apart = numbers and leading and len(visits) > 1 and len(kinds) == len(set(kinds))
        settled.append(replace(one, visit="") if apart else one)
    return settled


def _strangers_home(read: list[_Read]) -> list[_Read]:
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
        settled.append(replace(one, own=own, context=context, rest=rest, visit=_once([*later, one.visit])))
    return settled


def _shared_contexts(read: list[_Read]) -> list[_Read]:
    """Whether one name in several folders, classes or splits is one person, and if so, of one study.

    Images in one tree and masks in another are one study, as are raw files and what was made of them. A number that
    comes back elsewhere is somebody else; a name that does is the same person, seen another time.
    """
    homes: dict[str, dict[tuple[str, ...], list[_Read]]] = defaultdict(lambda: defaultdict(list))
    for one in read:
        homes[canonical(one.own)][_home(one)].append(one)
    settled = []
    for one in read:
        others = homes[canonical(one.own)]
        home = tuple(piece for piece in _home(one) if piece)
        if len(others) == 1 or _one_study(others):
            number = one.label is not None and one.own.isdigit()
            settled.append(replace(one, context=(str(one.label),) if number else ()))
        elif _is_number(one.own):
            settled.append(replace(one, context=home))
        else:
            settled.append(replace(one, context=(), visit=_once([*home, one.visit])))
    return settled


def _home(one: _Read) -> tuple[str, ...]:
    """Class, split and folders outside of the patient."""
    return one.label or "", one.split or "", *one.context


def _one_study(homes: Mapping[tuple[str, ...], Sequence[_Read]]) -> bool:
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


def _longer_names(read: list[_Read]) -> list[_Read]:
    """A name that goes on where another ends is of the same patient: what comes after is the visit, or says nothing."""
    names = {_patient_key(one): one for one in read if not one.certain}
    known = set(names)
    shorter: dict[str, str] = {}
    for name in names:
        pieces = name.split("-")
        for stop in range(1, len(pieces)):
            start = "-".join(pieces[:stop])
            if start in known and _goes_on(start.split("/")[-1], name.split("/")[-1]):
                shorter[name] = start
                break
    settled = []
    for one in read:
        key = _patient_key(one)
        if not one.certain and key in shorter:
            base = names[shorter[key]]
            extra = one.own[len(base.own) :].strip("_-. ")
            settled.append(
                replace(one, own=base.own, context=base.context, rest="_".join(filter(None, (extra, one.rest))))
            )
        else:
            settled.append(one)
    return settled


# --- studies ------------------------------------------------------------------------------------------------------


def _masks_home(groups: dict[tuple[str, str], list[_Read]]) -> dict[tuple[str, str], list[_Read]]:
    """Masks of no visit go to the only visit of their patient."""
    images: dict[str, set[str]] = defaultdict(set)
    for (patient, visit), members in groups.items():
        if any(one.role not in ("mask", "other") for one in members):
            images[patient].add(visit)
    homed: dict[tuple[str, str], list[_Read]] = defaultdict(list)
    for (patient, visit), members in groups.items():
        alone = visit not in images[patient]
        if alone and len(images[patient]) == 1:
            homed[patient, next(iter(images[patient]))] += members
        elif alone and images[patient]:
            # BIDS derivatives keep a session or a run less: a visit that goes on is meant where only one does.
            longer = [other for other in images[patient] if visit and (_begins(other, visit) or _begins(visit, other))]
            homed[patient, longer[0] if len(longer) == 1 else visit] += members
        else:
            homed[patient, visit] += members
    return homed


def _ranked_variants(groups: Mapping[tuple[str, str], Sequence[_Read]]) -> dict[tuple[str, ...], int]:
    """Ways of processing, the one that most sequences of most studies have first; of equals, the least processed."""
    counts: Counter[tuple[str, ...]] = Counter()
    for members in groups.values():
        for variant in {(one.variant, one.sequence) for one in members if one.role == "image"}:
            counts[variant[0]] += 1
    ordered = sorted(counts, key=lambda variant: (-counts[variant], len(variant), variant))
    return {variant: place for place, variant in enumerate(ordered)}


def _studies_of(
    members: Sequence[_Read], peek: Peek, rank: Mapping[tuple[str, ...], int]
) -> tuple[list[Study], list[tuple[Source, str]]]:
    """Studies of one patient and visit: one, unless a sequence is there under several further names."""
    images = [one for one in members if one.role == "image" and one.sequence]
    plain = [one for one in members if one.role is None or (one.role == "image" and not one.sequence)]
    masks = [one for one in members if one.role == "mask"]
    others = [
        (one.source, f"another sequence, map or mask ({one.part.why or 'by its folder'})")
        for one in members
        if one.role == "other"
    ]
    images, plain = _by_phase(images, plain)
    peeked: list[Source] = []
    if any(one.role == "other" and one.part.why == "voided" for one in members):
        others += [(one.source, "a mask of what was cut out, not of a tumour") for one in masks]
        masks = []
    if plain and (images or len(plain) > 1):  # a neighbour that could be its mask, or of which it could be one
        looked = [(one, peek(one.source)) for one in plain]
        masks += [replace(one, rank=1) for one, kind in looked if kind == "mask"]
        peeked = [one.source for one, kind in looked if kind == "mask"]
        plain = [one for one, kind in looked if kind != "mask"]
    if images:
        others += [(one.source, "a name that says no sequence, beside files that do") for one in plain]
        plain = []
    bodies = _bodies(images) if images else [[one] for one in plain]
    if not bodies:
        return [], [*((one.source, "a mask without image") for one in masks), *others]
    bodies, again = _without_variants(bodies)
    others += [(one.source, f"a second {one.sequence} ({one.rest})") for one in again]
    studies = [_study(body, len(bodies) > 1, rank, masks) for body in bodies]
    homes: dict[int, list[_Read]] = defaultdict(list)
    lost: list[tuple[Source, str]] = []
    for mask in masks:
        place = _home_of(mask, bodies)
        if place is None:
            lost.append((mask.source, "a mask that may be of several studies"))
        else:
            homes[place].append(mask)
    for place, own in homes.items():
        _choose_mask(studies[place], own)
        if len(studies[place].masks) == 1 and studies[place].masks[0] in peeked:
            studies[place].remarks.append("its mask is known by its content alone: is it one of the tumour?")
    studies[0].aside += others
    return studies, lost


def _by_phase(images: list[_Read], plain: list[_Read]) -> tuple[list[_Read], list[_Read]]:
    """Lone words "pre" and "post" beside other sequences mean a T1 without and with contrast agent."""
    have = {one.sequence for one in images}
    phases = [one for one in plain if one.part.phase and not one.part.sequence]
    if not have & {"t2", "flair"} or have & {"t1", "t1c"} or not phases:
        return images, plain
    told = {"pre": "t1", "post": "t1c"}
    named = [replace(one, role="image", sequence=told[one.part.phase]) for one in phases]
    return [*images, *named], [one for one in plain if one not in phases]


def _bodies(images: Sequence[_Read]) -> list[list[_Read]]:
    """Images by study: files with the same rest belong together; lone ones join where their sequence is missing."""
    by_rest: dict[str, list[_Read]] = defaultdict(list)
    for one in images:
        by_rest[canonical(one.rest)].append(one)
    ordered = sorted(by_rest.items(), key=lambda item: (-len({one.sequence for one in item[1]}), len(item[0]), item[0]))
    bodies: list[list[_Read]] = []
    for _, files in ordered:
        sequences = {one.sequence for one in files}
        fitting = [body for body in bodies if not sequences & {one.sequence for one in body}]
        if fitting and (len(sequences) == 1 or len(fitting) == 1):
            fitting[0].extend(files)
        else:
            bodies.append(list(files))
    return bodies


def _without_variants(bodies: list[list[_Read]]) -> tuple[list[list[_Read]], list[_Read]]:
    """Bodies less those that repeat sequences of a body without further words, in its folder and with a word more."""
    main = bodies[0]
    if any(one.rest for one in main):
        return bodies, []
    kept, again = [main], []
    folders, sequences = {one.source.folders for one in main}, {one.sequence for one in main}
    for body in bodies[1:]:
        inside = {one.source.folders for one in body} <= folders and {one.sequence for one in body} <= sequences
        if inside and not any(character.isdigit() for one in body for character in one.rest):
            again += body
        else:
            kept.append(body)
    return kept, again


def _study(body: Sequence[_Read], several: bool, rank: Mapping[tuple[str, ...], int], masks: Sequence[_Read]) -> Study:
    """The study of some images: of each sequence the file that was processed as most are."""
    first = body[0]
    patient = "/".join((*first.context, first.own)) or None
    study = Study(patient, first.visit, "")
    study.label = next((one.label for one in body if one.label), None)
    study.split = next((one.split for one in body if one.split), None)
    study.place = first.outer
    by_variant: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in body:
        by_variant[one.variant].add(one.sequence or PLAIN)
    # The mask was drawn on one of them: what lies beside it, or was processed as it was, fits it.
    homes = {mask.source.folders for mask in masks}
    beside = {one.variant for one in body if len(homes) == 1 and one.source.folders in homes}
    words = {word for mask in masks for word in mask.variant if word != "brain"}

    def order(variant: tuple[str, ...]) -> tuple[int, bool, int, bool, int, int]:
        shared = len(words & set(variant))
        moved = variant in beside and bool(_MOVED & set(variant))
        return -len(by_variant[variant]), variant not in beside, -shared, not moved, len(variant), rank.get(variant, 0)

    best = sorted(by_variant, key=order)
    for one in sorted(
        body, key=lambda one: (best.index(one.variant), not one.part.explicit, len(one.source.stem), one.source.index)
    ):
        sequence = one.sequence or PLAIN
        if sequence not in study.images:
            study.images[sequence] = one.source
        else:
            how = " ".join(one.variant)
            study.aside.append((one.source, f"a second {sequence}" + (f" ({how})" if how else "")))
    if any(one.guessed for one in body):
        study.remarks.append(
            "its innermost folder is taken for a visit, since others have one of that name; if such folders are "
            "patients, give `patient` in a table"
        )
    if several:
        extra = first.rest or ""
        study.visit = "_".join(filter(None, (first.visit, extra)))
    study.name = _spelt(first.source.stem, first.own, study.visit) or "_".join(filter(None, (patient, study.visit)))
    if not study.name and len(study.images) == 1:  # several are called after their folder
        study.name = first.source.stem
    return study


def _spelt(stem: str, patient: str, visit: str) -> str:
    """Patient and visit as the file's own name spells them; "" where it does not."""
    length = len(patient) + 1 + len(visit)
    return stem[:length] if patient and visit and canonical(stem[:length]) == canonical(f"{patient}-{visit}") else ""


def _home_of(mask: _Read, bodies: Sequence[Sequence[_Read]]) -> int | None:
    """The study that a mask belongs to: the only one, the one with the same rest, or the one whose file it names."""
    if len(bodies) == 1:
        return 0
    rest = canonical(mask.rest)
    same = [place for place, body in enumerate(bodies) if any(canonical(one.rest) == rest for one in body)]
    if len(same) == 1:
        return same[0]
    named = [
        place
        for place, body in enumerate(bodies)
        if any(_begins(canonical(mask.source.stem), canonical(one.source.stem)) for one in body)
    ]
    return named[0] if len(named) == 1 else None


def _choose_mask(study: Study, masks: Sequence[_Read]) -> None:
    """Drawn by hand before plain before a machine's; of equals that is kept which lies with most images."""
    order = {0: 0, 1: 1, 3: 2, 2: 3}  # what is only called a tumour before what a machine drew
    best = min((mask.rank for mask in masks), key=order.__getitem__)
    chosen = [mask for mask in masks if mask.rank == best]
    if len(masks) > 1 and any(_ENUMERATED.search(mask.source.stem) for mask in masks):
        study.masks = [mask.source for mask in sorted(masks, key=lambda mask: mask.source.index)]
        return
    for mask in masks:
        if mask.rank != best:
            text = "another tool's prediction" if mask.rank == 2 else "a mask beside one that says more of its making"
            study.aside.append((mask.source, text))
    said = [mask for mask in chosen if mask.part.tumour]
    if said and len(said) < len(chosen):
        study.aside += [(mask.source, "a mask that does not say of what") for mask in chosen if mask not in said]
        chosen = said
    plain = [mask for mask in chosen if not mask.rest]
    if len(plain) == 1 and len(chosen) > 1:
        study.aside += [(mask.source, f"a further mask ({mask.rest})") for mask in chosen if mask.rest]
        chosen = plain
    if best == 2:
        study.remarks.append("its only mask is called a prediction or a tool's output")
    study.masks = [mask.source for mask in sorted(chosen, key=lambda mask: mask.source.index)]


def _named(studies: list[Study]) -> list[Study]:
    """Names that come once: the patient alone where that does."""
    alone = Counter(study.patient for study in studies if study.patient)
    for study in studies:
        if study.patient and alone[study.patient] == 1 and not study.visit:
            study.name = study.patient
    return studies
