"""From the names of many files to studies: who is shown, at which visit, in which sequences, and with which mask.

1. Each path is read, folder by folder (``names.read_part``); folders that only keep order drop out.
2. The patient is what stays the same over sequences, visits and masks: a name that says so, else what is left over of
   the folders, or of the file's own name. Folders whose names come back under many others are visits.
3. Files of one patient and visit are one study; a mask meets its images there, wherever it lies.
4. Of several files of one sequence the one that was processed as the others is taken; the rest is listed.

Nothing is opened here. Where names do not decide, ``peek`` is asked what a file holds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from synthoma.scans.names import canonical
from synthoma.scans.paths import PathReading, Source, read_path, with_a_name
from synthoma.scans.patients import patient_key, with_patients
from synthoma.scans.study_masks import Study, choose_mask, masks_at_their_visit, study_of_mask
from synthoma.scans.visits import named_timepoints

PLAIN = "image"
"""The sequence of a file that does not say which one it shows."""

SEQUENCES = ("t1", "t1c", "t2", "flair")

Peek = Callable[["Source"], Literal["mask", "image", "unreadable"]]
"""What a file holds by its content; asked only where its name does not say."""

_MOVED = frozenset({"reg", "registered", "coreg", "coregistered", "warped"})
"""Words of images that were brought onto another grid: the one of the mask beside them."""


def sort_into_studies(sources: Sequence[Source], peek: Peek) -> tuple[list[Study], list[tuple[Source, str]]]:
    """Studies in natural order of their names, and the files that belong to none, with what they are.

    Args:
        sources: the files.
        peek: told of files whose names do not say whether they are a mask.
    """
    read = with_patients([with_a_name(read_path(source)) for source in named_timepoints(sources)])
    loose: list[tuple[Source, str]] = []
    groups: dict[tuple[str, str], list[PathReading]] = defaultdict(list)
    for one in read:
        groups[patient_key(one), canonical(one.visit)].append(one)
    groups = masks_at_their_visit(groups)
    rank = _ranked_variants(groups)
    studies: list[Study] = []
    for members in groups.values():
        found, left = _studies_of(members, peek, rank)
        studies += found
        loose += left
    return _named(studies), loose


def _ranked_variants(groups: Mapping[tuple[str, str], Sequence[PathReading]]) -> dict[tuple[str, ...], int]:
    """Ways of processing, the one that most sequences of most studies have first; of equals, the least processed."""
    counts: Counter[tuple[str, ...]] = Counter()
    for members in groups.values():
        for variant in {(one.variant, one.sequence) for one in members if one.role == "image"}:
            counts[variant[0]] += 1
    ordered = sorted(counts, key=lambda variant: (-counts[variant], len(variant), variant))
    return {variant: place for place, variant in enumerate(ordered)}


def _studies_of(
    members: Sequence[PathReading], peek: Peek, rank: Mapping[tuple[str, ...], int]
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
        # What only its content tells gives way to a mask that is called one, or a tumour.
        masks += [replace(one, rank=3) for one, kind in looked if kind == "mask"]
        peeked = [one.source for one, kind in looked if kind == "mask"]
        plain = [one for one, kind in looked if kind != "mask"]
    # Files with a sequence are the scan; what is beside them may be anything made from it.
    if images:
        others += [(one.source, "a name that says no sequence, beside files that do") for one in plain]
        plain = []
    bodies = _bodies(images) if images else [[one] for one in plain]
    if not bodies:
        return [], [*((one.source, "a mask without image") for one in masks), *others]
    bodies, again = _without_variants(bodies)
    others += [(one.source, f"a second {one.sequence} ({one.rest})") for one in again]
    studies = [_study(body, len(bodies) > 1, rank, masks) for body in bodies]
    homes: dict[int, list[PathReading]] = defaultdict(list)
    lost: list[tuple[Source, str]] = []
    for mask in masks:
        place = study_of_mask(mask, bodies)
        if place is None:
            lost.append((mask.source, "a mask that may be of several studies"))
        else:
            homes[place].append(mask)
    for place, own in homes.items():
        choose_mask(studies[place], own)
        if len(studies[place].masks) == 1 and studies[place].masks[0] in peeked:
            studies[place].remarks.append("its mask is known by its content alone: is it one of the tumour?")
    studies[0].aside += others
    return studies, lost


def _by_phase(images: list[PathReading], plain: list[PathReading]) -> tuple[list[PathReading], list[PathReading]]:
    """Lone words "pre" and "post" beside other sequences mean a T1 without and with contrast agent."""
    have = {one.sequence for one in images}
    phases = [one for one in plain if one.part.phase and not one.part.sequence]
    # Beside a named T1, "post" is as likely a visit after the operation.
    if not have & {"t2", "flair"} or have & {"t1", "t1c"} or not phases:
        return images, plain
    told = {"pre": "t1", "post": "t1c"}
    named = [replace(one, role="image", sequence=told[one.part.phase]) for one in phases]
    return [*images, *named], [one for one in plain if one not in phases]


def _bodies(images: Sequence[PathReading]) -> list[list[PathReading]]:
    """Images by study: files with the same rest belong together; lone ones join where their sequence is missing."""
    by_rest: dict[str, list[PathReading]] = defaultdict(list)
    for one in images:
        by_rest[canonical(one.rest)].append(one)
    # The most complete set of names first: it is the study that lone files join.
    ordered = sorted(by_rest.items(), key=lambda item: (-len({one.sequence for one in item[1]}), len(item[0]), item[0]))
    bodies: list[list[PathReading]] = []
    for _, files in ordered:
        sequences = {one.sequence for one in files}
        fitting = [body for body in bodies if not sequences & {one.sequence for one in body}]
        if fitting and (len(sequences) == 1 or len(fitting) == 1):
            fitting[0].extend(files)
        else:
            bodies.append(list(files))
    return bodies


def _without_variants(bodies: list[list[PathReading]]) -> tuple[list[list[PathReading]], list[PathReading]]:
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


def _study(
    body: Sequence[PathReading], several: bool, rank: Mapping[tuple[str, ...], int], masks: Sequence[PathReading]
) -> Study:
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
    study.remarks += [text for how, text in _GUESSED.items() if any(one.guessed == how for one in body)]
    if several:
        extra = first.rest or ""
        study.visit = "_".join(filter(None, (first.visit, extra)))
    study.name = _spelt(first.source.stem, first.own, study.visit) or "_".join(filter(None, (patient, study.visit)))
    if not study.name and len(study.images) == 1:  # several are called after their folder
        study.name = first.source.stem
    return study


_GUESSED = {
    "folder": "its innermost folder is taken for a visit, since others have one of that name; if such folders are "
    "patients, give `patient` in a table",
    "ending": "what its name ends with is taken for a visit, since several names begin alike and end so; if these are "
    "patients, give `patient` in a table",
}


def _spelt(stem: str, patient: str, visit: str) -> str:
    """Patient and visit as the file's own name spells them; "" where it does not."""
    length = len(patient) + 1 + len(visit)
    return stem[:length] if patient and visit and canonical(stem[:length]) == canonical(f"{patient}-{visit}") else ""


def _named(studies: list[Study]) -> list[Study]:
    """Names that come once: the patient alone where that does."""
    alone = Counter(study.patient for study in studies if study.patient)
    for study in studies:
        if study.patient and alone[study.patient] == 1 and not study.visit:
            study.name = study.patient
    return studies
