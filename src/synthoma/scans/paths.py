"""What the path of one file tells by itself: who is shown, when, in which sequence, and whether it is a mask."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from synthoma.scans.names import Part, canonical, place_word, read_part, split_visits
from synthoma.scans.vocabulary import FOLDERS, WEAK, Word

_WORDS_BEFORE = frozenset({"patient", "patientid", "subject", "subjectid", "studyid", "sessionid", "visitid"})
"""Folders whose only folder names the patient or the visit: ``patientId/17/studyId/301``."""


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


@dataclass(frozen=True)
class PathReading:
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
    guessed: Literal["", "folder", "ending"] = ""


def with_a_name(one: PathReading) -> PathReading:
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
    return read_path(one.source, frozenset(folders[-1:])) if folders else one


def read_path(source: Source, names: frozenset[str] = frozenset()) -> PathReading:
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
    return PathReading(
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
    # The longest: of "site" and "site_07" the latter is the folder of the patient.
    home = max((one for one in folders if begins_with(canonical(stem), canonical(one))), key=len, default="")
    tail = _after(stem, home)
    if not home or not tail or part.patient:
        return part
    told = read_part(tail)
    visits, name = split_visits(home)
    visits, name = (visits, name) if name else ([], home)
    extra = "_".join(filter(None, (told.patient, told.rest, told.extra)))
    return replace(told, text=stem, patient="", visit=joined_visits([*visits, told.visit]), rest=name, extra=extra)


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
        if read.patient and not _is_site(read.patient, [*(one for _, one in folders[depth + 1 :]), part]):
            inner = [one for _, one in folders[depth + 1 :]]
            outer = [one.visit for _, one in folders[:depth] if one.visit]
            visits = [*outer, read.visit, *(one.visit or one.patient or one.rest for one in inner), part.visit]
            rest = part.rest if part.patient else "_".join(piece for piece in (part.rest,) if piece)
            if part.patient and canonical(part.patient) != canonical(read.patient):
                if canonical(part.patient).startswith(canonical(read.patient)):
                    rest = rest or part.patient[len(read.patient) :].strip("_-. ")
                elif canonical(read.patient).startswith(canonical(part.patient)):
                    return _outer(folders[:depth]), part.patient, joined_visits([*visits]), rest, True
                else:
                    visits.append(part.patient)
            if read.rest and not part.patient:
                visits.insert(1, read.rest)
            elif read.rest and canonical(read.rest) == canonical(part.rest):
                return _outer(folders[:depth]), read.patient, joined_visits([*visits, read.rest]), "", True
            if canonical(rest) == canonical(read.rest):
                rest = ""
            return _outer(folders[:depth]), read.patient, joined_visits(visits), rest, True
    visits = [read.visit for _, read in folders if read.visit]
    if part.patient:
        return _outer(folders), part.patient, joined_visits([*visits, part.visit]), part.rest, True
    named = [(folder, read) for folder, read in folders if not (read.visit and not read.rest)]
    own, visit = part.rest, part.visit
    if not own and not named and folders:  # nothing else is there: what looked like visits names the patient
        own, visits = folders[0][0], [one.visit for _, one in folders[1:]]
    elif not own and not named:
        own, visit = visit, ""
    context = tuple(read.text for _, read in named)
    for depth, (_, read) in reversed(list(enumerate(folders))):
        repeats = begins_with(canonical(own), canonical(read.text)) and may_go_on(read.text, own)
        if own and (repeats or begins_with(canonical(read.text), canonical(own))):
            name = read.text if repeats else own
            others = [one.text for place, (_, one) in enumerate(folders) if place > depth]
            visits = [one.visit for _, one in folders[:depth] if one.visit]
            return _outer(folders[:depth]), name, joined_visits([*visits, *others, visit]), _after(own, name), False
    if own and _is_weak(own) and context:
        return context[:-1], context[-1], joined_visits([*visits, visit, own]), "", False
    return context, own, joined_visits([*visits, visit]), "", False


def _is_site(patient: str, inner: Sequence[Part]) -> bool:
    """Whether ``S1`` is no subject but a site, since what lies in it names patients as such."""
    return bool(re.fullmatch(r"s\d+", patient, re.IGNORECASE)) and any(one.patient[:1] in ("p", "P") for one in inner)


def may_go_on(start: str, name: str) -> bool:
    """Whether a longer name may be of the same patient: numbers after a name without one are patients of a study."""
    later = canonical(name)[len(canonical(start)) :].strip("-")
    return not later or bool(re.search(r"\d", start)) or not later[0].isdigit()


def _outer(folders: Sequence[tuple[str, Part]]) -> tuple[str, ...]:
    return tuple(folder for folder, read in folders if not (read.visit and not read.rest and not read.patient))


def joined_visits(visits: Sequence[str]) -> str:
    """Visits that were told in several places, each once."""
    kept: dict[str, str] = {}
    for visit in visits:
        if visit and not any(canonical(visit) in seen.split(" ") for seen in kept):
            kept.setdefault(canonical(visit), visit)
    return "_".join(kept.values())


def begins_with(name: str, start: str) -> bool:
    """Whether one name begins with the other, as whole words."""
    return name == start or name.startswith(start + "-")


def _is_weak(name: str) -> bool:
    """Whether a name of a file says no more than which of a few it is: "2", "scan 3"."""
    match = re.fullmatch(r"([a-z]*)[_\-. ]?(\d{1,2})?", name, re.IGNORECASE)
    if match is None:
        return False
    word, number = match[1].lower(), match[2] or ""
    return (not word or (word in WEAK and (number or len(word) > 1))) and not number.startswith("0")
