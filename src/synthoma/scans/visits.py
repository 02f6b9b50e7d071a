"""Visits that no word tells: by what several names have in common, and what they end with."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace

from synthoma.scans.names import canonical, read_part
from synthoma.scans.paths import PathReading, Source, joined_visits

_NUMBERED = re.compile(r"(?P<base>.*\d)[-_. ]+(?P<end>\d{1,2})")
_LETTERED = re.compile(r"(?P<base>.*\d)[-_. ]?(?P<end>[a-fA-F])")
_DATED = re.compile(r"(?P<base>.*[a-z0-9])[-_. ]+(?P<end>\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))", re.IGNORECASE)
"""Six digits that are a day of any year: ``210304``."""

_PLACES = re.compile(
    r"(?:site|cent(?:er|re)|zentrum|standort|hospital|hopital|klinikum|clinic|klinik|scanner|group|gruppe|groupe|arm"
    r"|cohort|kohorte|study|studie|etude|set|data(?:set)?|fold|batch|part|ward|station)[-_ ]?\d+",
    re.IGNORECASE,
)
_YEARS = re.compile(r"(?:.*[-_ .])?(?:19|20)\d\d")
_GRADES = re.compile(r"(?:who|who[-_ ]?grade?|grade?|g)[-_ ]?[1-4]", re.IGNORECASE)
"""Names whose endings are patients: sites, parts of a study, grades and years."""


def count_patients(names: Iterable[str]) -> bool:
    """Whether what stands behind these names counts patients, and neither visits nor slices of one."""
    known = set(names)
    # One year or grade among other numbers is a number; all of them are years, or grades.
    alike = any(all(map(pattern.fullmatch, known)) for pattern in (_YEARS, _GRADES))
    return bool(known) and (alike or any(map(_PLACES.fullmatch, known)))


_TIME = re.compile(r"[Tt]\d")
_CUT = re.compile(r"([-_. ]+)")

_MOST = 9
_LARGEST = 20

_PHASE = re.compile(r"(?:^|(?<=[\W_]))(pre|post)(?=[\W_]|$)", re.IGNORECASE)


def named_timepoints(sources: Sequence[Source]) -> list[Source]:
    """The files with ``T0``, ``T1``, ``T2`` spelt out where these are times and no sequences.

    They are where, at the same place of other paths, T0 stands or T3 and later, and what lies there names its sequence
    by itself: ``P1/T2/FLAIR``, ``P1_T1_T1c``.
    """
    timed = {
        place for one in sources for place, piece in _pieces(one) if _TIME.fullmatch(piece) and piece[1:] not in "12"
    }
    return [_with_times(one, timed) for one in sources] if timed else list(sources)


def _pieces(one: Source) -> list[tuple[tuple[int, int], str]]:
    """The pieces of a path's names, each with its place: how deep, and which of the name."""
    return [
        ((depth, number), piece)
        for depth, name in enumerate((*one.folders, one.stem))
        for number, piece in enumerate(_CUT.split(name)[::2])
    ]


def _with_times(one: Source, timed: Container[tuple[int, int]]) -> Source:
    """A file with the times in its path spelt out, where the rest of its name speaks of a sequence."""
    names = []
    for depth, name in enumerate((*one.folders, one.stem)):
        pieces = _CUT.split(name)
        for at in range(0, len(pieces), 2):
            if (depth, at // 2) in timed and _TIME.fullmatch(pieces[at]):
                pieces[at] = f"tp{pieces[at][1:]}"
        names.append("".join(pieces))
    spoken = one.sequence or one.role or (told := read_part(names[-1])).sequence or told.role
    return replace(one, folders=tuple(names[:-1]), stem=names[-1]) if spoken else one


def with_endings(read: list[PathReading]) -> list[PathReading]:
    """Names that begin alike and end with a small number, a letter or a day are visits of one patient.

    ``0001_01`` and ``0001_02``, ``AB01a`` and ``AB01b``: taken for two patients they would fall into two splits. What
    ends is a visit where most names of a folder are built so, more names begin than endings there are to each, and some
    begin alike.
    """
    places: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in read:
        if one.own and not one.certain:
            places[one.context].add(one.own)
    parted = {place: _parted(owns) for place, owns in places.items()}
    settled = []
    for one in read:
        pieces = parted.get(one.context, {}).get(one.own) if one.own and not one.certain else None
        if pieces is None:
            settled.append(one)
            continue
        visit = joined_visits([pieces[1], one.visit])
        settled.append(replace(one, own=pieces[0], visit=visit, guessed=one.guessed or "ending"))
    return settled


def _parted(owns: set[str]) -> Mapping[str, tuple[str, str]]:
    """Base and ending of each name, where endings are visits; empty where they are not."""
    for pattern in (_NUMBERED, _LETTERED, _DATED):
        found = {own: (match["base"], match["end"]) for own in owns if (match := pattern.fullmatch(own))}
        endings: dict[str, set[str]] = defaultdict(set)
        for base, end in found.values():
            endings[canonical(base)].add(end.lower())
        most = max((len(ends) for ends in endings.values()), default=0)
        # A single base may be the study, and its endings all of its patients.
        if 2 * len(found) < len(owns) or not 1 < most <= _MOST or len(endings) < max(2, most):
            continue
        if count_patients(base for base, _ in found.values()):
            continue
        early = sum(bool(ends & {"0", "1", "00", "01", "a"}) for ends in endings.values())
        small = all(not end.isdigit() or int(end) <= _LARGEST for _, end in found.values())
        if pattern is _DATED or (small and 2 * early >= len(endings)):
            return found
    return {}


def phases_of_treatment(read: list[PathReading]) -> list[PathReading]:
    """Lone words "pre" and "post" that come with FLAIR or T2 too are visits, and speak of no contrast agent.

    ``Anna_post_T1`` beside ``Anna_pre_FLAIR`` and ``Anna_post_FLAIR`` was taken after an operation.
    """
    phases = [_phase(one) for one in read]
    seen: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for one, phase in zip(read, phases, strict=True):
        if phase and one.role == "image" and one.sequence in ("t2", "flair"):
            seen[_somebody(one), one.sequence].add(phase)
    # FLAIR is taken after the contrast agent too: of visits all images say which.
    silent = {_somebody(one) for one, phase in zip(read, phases, strict=True) if not phase and one.role == "image"}
    treated = {somebody for (somebody, _), both in seen.items() if len(both) == 2} - silent
    settled = []
    for one, phase in zip(read, phases, strict=True):
        if not phase or _somebody(one) not in treated:
            settled.append(one)
            continue
        sequence = one.sequence
        if sequence == "t1c" and one.source.sequence is None:
            sequence = read_part(_PHASE.sub("", one.source.stem)).sequence or sequence
        own, rest = (_PHASE.sub("", name).strip("_-. ") for name in (one.own, one.rest))
        settled.append(replace(one, sequence=sequence, own=own, rest=rest, visit=joined_visits([phase, one.visit])))
    return settled


def _somebody(one: PathReading) -> str:
    """Whose file it is, as far as one path tells, without the words in question."""
    return "/".join(canonical(_PHASE.sub("", name)) for name in (*one.context, one.own))


def _phase(one: PathReading) -> str:
    """The word in the file's name, or else in its folder's: "pre", "post", or "" where there is none, or both."""
    for name in (one.source.stem, *one.source.folders[-1:]):
        words = {word.lower() for word in _PHASE.findall(name)}
        if words:
            return words.pop() if len(words) == 1 else ""
    return ""
