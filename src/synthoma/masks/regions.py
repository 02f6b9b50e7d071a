"""Which regions of two sides' masks mean the same: nested ones where it is known what values mean, else the values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools
from synthoma.scans.conventions import BRATS_2023, CONVENTIONS, Convention, Decision, decide

WHOLE, CORE, ENHANCING = "whole tumour", "tumour core", "enhancing tumour"

_INNER: dict[str, tuple[str, ...]] = {
    WHOLE: ("core", "oedema", "enhancing", "tumour"),
    CORE: ("core", "enhancing"),
    ENHANCING: ("enhancing",),
}
"""What each nested region consists of."""

_NO_TUMOUR: frozenset[str] = frozenset({"cavity", "background"})

Kind = Literal["brats", "labels", "whole"]

GIVEN = "you said so"
"""Why a convention holds that the user gave."""

# Values that a remark lists: a probability map has thousands.
_NAMED = 10


@dataclass
class Side:
    """What the masks of one side hold, over all patients.

    Attributes:
        masks: of each mask the values above 0.
        said: what they mean, where the user or a file says so.
        hint: the convention that their names speak for.
    """

    masks: list[tuple[int, ...]] = field(default_factory=list)
    said: Decision | None = None
    hint: str | None = None

    def add(self, mask: Array) -> None:
        """Take note of one patient's mask (z, y, x)."""
        self.masks.append(tuple(int(value) for value in np.unique(mask).tolist() if value > 0))

    @property
    def values(self) -> set[int]:
        """All values but 0."""
        return {value for mask in self.masks for value in mask}

    @property
    def binary(self) -> bool:
        """Whether it says tumour or not, and nothing else; names of files say nothing of that."""
        return self.said is None and self.values == {1}


@dataclass(frozen=True)
class Region:
    """A region, and the values that each side draws it with; none stand for every value above 0."""

    name: str
    values: Mapping[str, tuple[int, ...]]

    def drawn(self, mask: Array, side: str) -> Bools:
        """Where a mask of a side has the region."""
        values = self.values[side]
        found: Bools = np.isin(mask, values) if values else np.asarray(mask > 0)
        return found


@dataclass(frozen=True)
class Regions:
    """What is scored.

    Attributes:
        convention: "brats" (nested regions), "labels" (values as they stand) or "whole" (the whole tumour alone).
        text: the same in a sentence.
        regions: the whole tumour first.
        compared: names of those in which another model is compared.
        remarks: what the reader should know.
    """

    convention: Kind
    text: str
    regions: tuple[Region, ...]
    compared: tuple[str, ...]
    remarks: tuple[str, ...]


def choose(sides: Mapping[str, Side], nested: bool | None = None) -> Regions:
    """The regions of a set of masks.

    Nested regions are scored where it is known what the values of truth and prediction mean: said by the user, by
    findings or a ``dataset.json``, spoken for by names, or left open by no value. Otherwise values are scored as they
    stand. A side whose only value is 1 says tumour or not. What is known to be a resection cavity is never tumour.

    Args:
        sides: of "truth", "prediction" and "other".
        nested: True for nested regions, False for values as they stand, whatever they are.

    Raises:
        InputError: nested regions are asked for, and what values mean is not known.
    """
    known = {name: _decided(name, sides) for name in sides}
    if nested:
        known = {name: _forced(one, sides[name]) for name, one in known.items()}
    if nested or (nested is None and _parted(known["truth"]) and _parted(known["prediction"])):
        return _nested(sides, known)
    return _plain(sides, known, asked=nested is False)


def _decided(name: str, sides: Mapping[str, Side]) -> Decision:
    """What the values of a side mean; of masks that nobody describes, what those of the truth mean.

    Values are looked at together with those of the truth (and of the prediction, for the truth), since what one side
    lacks the other may have. Another model's masks have no say in what truth and prediction mean.
    """
    side, truth = sides[name], sides["truth"]
    # What somebody says goes before what values look like: 1, 2 and 4 can be two conventions.
    if side.said is not None:
        return _agreed(side.said, side, name)
    # Its 1 is the whole tumour, even beside a side whose 1 is the core.
    if side.binary:
        return decide(side.masks)
    partner = sides["prediction"] if name == "truth" else truth
    model = partner if not side.values else truth
    meant = None if model.said is None else model.said.convention
    if model.said is not None and meant is not None and meant.values and side.values <= set(meant.values):
        return replace(model.said, why=f"{model.said.why}, of the side beside it")
    hint = side.hint or (partner.hint if not side.values else truth.hint)
    # Masks whose names speak for another set say nothing of what these values mean.
    together = [one for one in (side, partner) if one.said is None and not one.binary and one.hint in (hint, None)]
    return decide([mask for one in together for mask in one.masks], hint)


def _agreed(said: Decision, side: Side, name: str) -> Decision:
    """What is said of a side.

    Raises:
        InputError: the user says it, and there are other values.
    """
    meant = said.convention
    if said.why == GIVEN and meant is not None and meant.values and (beyond := side.values - set(meant.values)):
        came = f"{_listed(beyond)} in the {name}"
        raise InputError(f"mask values of {meant.title} ({meant.text()})", came, "give the convention of both sides")
    return said


def _parted(decision: Decision) -> bool:
    """Whether parts of the tumour are told apart."""
    meant = decision.convention
    return meant is not None and bool({"core", "oedema", "enhancing"} & set(meant.values.values()))


def _forced(decision: Decision, side: Side) -> Decision:
    """What values mean where nested regions are asked for: without other word BraTS since 2023, if that is possible."""
    if _parted(decision) or not side.masks:
        return decision
    if side.values <= set(BRATS_2023.values):
        return Decision(BRATS_2023, "nested regions were asked for", values=tuple(sorted(side.values)))
    if beyond := sorted(side.values - {1, 2, 3, 4}):
        todo = "score the labels as they stand"
        raise InputError("mask values from 1 to 4 for nested regions", f"{beyond[0]}", todo)
    if decision.convention is None and decision.choices:
        raise decision.refusal()
    expected = "masks that tell core, oedema and enhancing tumour apart"
    came = f"the values {_listed(side.values)} ({decision.why})"
    raise InputError(expected, came, "say what they mean with --convention, or leave --nested out")


def _values_of(region: str, convention: Convention | None) -> tuple[int, ...]:
    """Values of a nested region; none stand for every value above 0."""
    if convention is None or not convention.values:
        return ()
    found = tuple(sorted(value for value, meaning in convention.values.items() if meaning in _INNER[region]))
    # Every value above 0, so that one which the convention lacks still counts as tumour (see `_strange`).
    return () if region == WHOLE and not _NO_TUMOUR & set(convention.values.values()) else found


def _whole(sides: Mapping[str, Side], known: Mapping[str, Decision]) -> Region:
    return Region(WHOLE, {side: _values_of(WHOLE, known[side].convention) for side in sides})


def _nested(sides: Mapping[str, Side], known: Mapping[str, Decision]) -> Regions:
    """Whole tumour, core and enhancing tumour, as far as truth or prediction have them."""
    regions = [_whole(sides, known)]
    for name in (CORE, ENHANCING):
        region = Region(name, {side: _values_of(name, known[side].convention) for side in sides})
        # A region that neither side ever draws would be empty against empty for every patient.
        if any(sides[side].values & {*region.values[side]} for side in ("truth", "prediction")):
            regions.append(region)
    shown = {
        name: f"{one.convention.text()} ({one.why})"
        for name, one in known.items()
        if one.convention is not None and sides[name].masks
    }
    alike = len(set(shown.values())) == 1
    told = next(iter(shown.values())) if alike else "; ".join(f"{name}: {text}" for name, text in shown.items())
    text = f"nested regions (whole tumour, core, enhancing tumour); values: {told}{_without(regions[0])}"
    compared = tuple(region.name for region in regions) if _parted(known["other"]) else (WHOLE,)
    return Regions("brats", text, tuple(regions), compared, _strange(sides, known))


def _plain(sides: Mapping[str, Side], known: Mapping[str, Decision], asked: bool) -> Regions:
    """The whole tumour, and each label that truth and prediction both have.

    A side with a single value says tumour or not: that its 1 is another side's core would be chance.
    """
    truth, prediction, other = (sides[name].values for name in ("truth", "prediction", "other"))
    # Two values at least on either side: a lone 1 is "tumour" here and may be "core" there.
    both = sorted(truth & prediction) if min(len(truth), len(prediction)) > 1 else []
    remarks = [*_strange(sides, known)]
    if not asked:
        remarks += _unknown(sides, known, bool(both))
    if len(truth | prediction) > 1 and (alone := sorted((truth | prediction) - set(both))):
        remarks.append(f"label values that the two sides do not share are not scored by themselves: {_listed(alone)}")
    regions = [_whole(sides, known), *(Region(f"label {value}", dict.fromkeys(sides, (value,))) for value in both)]
    text = "values as they stand: the whole tumour is every value above 0, and a label of one side is the same label "
    text = text + "of the other" if both else "the whole tumour alone, every value above 0"
    compared = [f"label {value}" for value in both if value in other and len(other) > 1]
    text += _without(regions[0])
    return Regions("labels" if both else "whole", text, tuple(regions), (WHOLE, *compared), tuple(remarks))


def _without(whole: Region) -> str:
    """What the whole tumour leaves out, for the text."""
    said = [side for side, values in whole.values.items() if values]
    return "; a resection cavity or background with a value is no tumour" if said else ""


def _unknown(sides: Mapping[str, Side], known: Mapping[str, Decision], scored: bool) -> list[str]:
    """What to say where nobody knows what values mean, and a score depends on it."""
    names = [name for name, one in known.items() if one.convention is None and sides[name].values]
    if not names or not (scored or not all(known[name].merges for name in names)):
        return []
    first = known[names[0]]
    values = {value for name in names for value in sides[name].values}
    choices = [choice for choice in first.choices if choice in CONVENTIONS and CONVENTIONS[choice].values]
    none = {
        value for choice in choices for value, meaning in CONVENTIONS[choice].values.items() if meaning in _NO_TUMOUR
    }
    text = f"what the values {_listed(values)} of {' and '.join(names)} mean is not known ({first.why}): "
    text += "they are scored as they stand" if scored else "the whole tumour alone is scored"
    if none & values:
        text += f", and the whole tumour holds {_listed(none & values)}, which may be no tumour"
    given = f"one of {', '.join(choices)}, or " if choices else ""
    text += f"; say it with --convention ({given}1=oedema,2=core,...), or with a dataset.json in the folder of a side"
    return [text]


def _strange(sides: Mapping[str, Side], known: Mapping[str, Decision]) -> tuple[str, ...]:
    """Values that a convention does not have."""
    remarks = []
    for name, one in known.items():
        meant = one.convention
        if meant is not None and meant.values and (beyond := sorted(sides[name].values - set(meant.values))):
            whole = "no tumour" if _values_of(WHOLE, meant) else "tumour, but no part of it"
            remarks.append(
                f"{name}: {_listed(beyond)} has no meaning ({one.why}: {meant.text()}) and counts as {whole}"
            )
    return tuple(remarks)


def _listed(values: Collection[int]) -> str:
    return ", ".join(map(str, sorted(values)[:_NAMED]))
