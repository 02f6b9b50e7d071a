"""Which mask a study is scored and learned by, where its folder holds several."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from synthoma.scans.names import canonical
from synthoma.scans.paths import PathReading, Source, begins_with

_ENUMERATED = re.compile(
    r"(?:rater|reader|observer|expert|annotator|lesion|tumou?r)[-_ ]?(?:\d+|[a-d])(?![a-z0-9])", re.IGNORECASE
)
"""Masks of which there is one for each reader or each lesion."""


_PART = re.compile(
    r"(?:^|(?<=[\W_]))(o?edema|[öo]dem|necrosis|necrotic|nekrose|(?:non[-_ ]?)?enhancing|enh|core|cyst|snfh|netc|ncr|et"
    r"|tc|ed)(?=[\W_]|$)",
    re.IGNORECASE,
)
"""Words of a mask of one part of a tumour; a mask of all parts is not called so."""


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


def masks_at_their_visit(groups: dict[tuple[str, str], list[PathReading]]) -> dict[tuple[str, str], list[PathReading]]:
    """Masks of no visit go to the only visit of their patient."""
    images: dict[str, set[str]] = defaultdict(set)
    for (patient, visit), members in groups.items():
        if any(one.role not in ("mask", "other") for one in members):
            images[patient].add(visit)
    homed: dict[tuple[str, str], list[PathReading]] = defaultdict(list)
    for (patient, visit), members in groups.items():
        alone = visit not in images[patient]
        if alone and len(images[patient]) == 1:
            homed[patient, next(iter(images[patient]))] += members
        elif alone and images[patient]:
            # BIDS derivatives keep a session or a run less: a visit that goes on is meant where only one does.
            longer = [
                other for other in images[patient] if visit and (begins_with(other, visit) or begins_with(visit, other))
            ]
            homed[patient, longer[0] if len(longer) == 1 else visit] += members
        else:
            homed[patient, visit] += members
    return homed


def study_of_mask(mask: PathReading, bodies: Sequence[Sequence[PathReading]]) -> int | None:
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
        if any(begins_with(canonical(mask.source.stem), canonical(one.source.stem)) for one in body)
    ]
    return named[0] if len(named) == 1 else None


def choose_mask(study: Study, masks: Sequence[PathReading]) -> None:
    """Drawn by hand before plain before a machine's; of equals that is kept which lies with most images."""
    order = {0: 0, 1: 1, 3: 2, 2: 3}  # what is only called a tumour before what a machine drew
    best = min((mask.rank for mask in masks), key=order.__getitem__)
    chosen = [mask for mask in masks if mask.rank == best]
    # Numbered ones are parts or readers of one tumour: which is meant the user has to say.
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
    if len(chosen) == 1 and (part := _PART.search(_behind_the_patient(chosen[0]))):
        study.remarks.append(
            f"the name of its mask speaks of one part of the tumour ({part[1].lower()}): is all of it outlined there?"
        )


def _behind_the_patient(mask: PathReading) -> str:
    """The name of a mask without the patient's, in whose initials no word is looked for."""
    stem = mask.source.stem
    return stem[len(mask.own) :] if mask.own and stem.lower().startswith(mask.own.lower()) else stem
