"""What the values of tumour masks mean: one decision for a set, from names, ``dataset.json`` and all its values.

Every tool and every year has its own numbers. A value is never given a meaning because one file happens to lack
another: what one mask does not show, the others may. Where two conventions fit, nobody guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import CAVITY, REGIONS, WHOLE_TUMOUR, Array, Bytes

Meaning = Literal["core", "oedema", "enhancing", "cavity", "tumour", "background"]

MEANINGS: tuple[Meaning, ...] = ("core", "oedema", "enhancing", "cavity", "tumour", "background")

MOST_LABEL = 4
"""Highest value of the conventions of tumour regions."""

_MANY = 20
"""Masks of which one may hold an odd value without a say in what the others mean."""

MOST_LABELS = 32
"""A mask with more values than these is a grey picture or a probability map."""

ROUNDING = 1e-3
"""How far a stored label may lie from a whole number: some tools write 0.9999."""

_REMOVE = "correct the mask, or remove it from the folder"


@dataclass(frozen=True)
class Convention:
    """What stored values mean.

    Attributes:
        name: as ``--convention`` takes it.
        title: for people.
        values: stored value -> meaning; empty where every value above 0 is tumour.
    """

    name: str
    title: str
    values: Mapping[int, Meaning]

    @property
    def labels(self) -> dict[int, str]:
        """What the values mean that ``labelled`` gives."""
        meanings = set(self.values.values())
        if not meanings & {"core", "oedema", "enhancing"}:
            return dict(WHOLE_TUMOUR) | (CAVITY if "cavity" in meanings else {})
        return dict(REGIONS) | (CAVITY if "cavity" in meanings else {})

    def text(self) -> str:
        """Values and meanings: "1 core, 2 oedema, 4 enhancing"."""
        return (
            ", ".join(f"{value} {name}" for value, name in sorted(self.values.items())) or "every value above 0 tumour"
        )


WHOLE = Convention("whole-tumour", "every value above 0 is tumour", {})
BRATS_2012 = Convention(
    "brats-2012", "BraTS 2012 to 2016", {1: "core", 2: "oedema", 3: "core", 4: "enhancing"}
)  # fmt: skip
BRATS_2017 = Convention("brats-2017", "BraTS 2017 to 2021", {1: "core", 2: "oedema", 4: "enhancing"})
BRATS_2023 = Convention("brats-2023", "BraTS since 2023", {1: "core", 2: "oedema", 3: "enhancing"})
POST = Convention(
    "post-treatment",
    "BraTS since 2024 after treatment, with resection cavity",
    {1: "core", 2: "oedema", 3: "enhancing", 4: "cavity"},
)
PEDS = Convention(
    "peds", "BraTS-PEDs since 2024", {1: "enhancing", 2: "core", 3: "core", 4: "oedema"}
)  # fmt: skip
MSD = Convention(
    "msd",
    "Medical Segmentation Decathlon, and nnU-Net's conversion of BraTS",
    {1: "oedema", 2: "core", 3: "enhancing"},
)
HD_GLIO = Convention("hd-glio", "HD-GLIO", {1: "oedema", 2: "enhancing"})
DEEP_BRATUMIA = Convention("deepbratumia", "DeepBraTumIA", {1: "enhancing", 2: "core", 3: "oedema"})
CROSSMODA = Convention("crossmoda", "crossMoDA", {1: "tumour", 2: "background"})

CONVENTIONS: dict[str, Convention] = {
    one.name: one
    for one in (WHOLE, BRATS_2012, BRATS_2017, BRATS_2023, POST, PEDS, MSD, HD_GLIO, DEEP_BRATUMIA, CROSSMODA)
}

_HINTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"BraTS-MEN-RT|[-_]gtv\b", "whole-tumour"),
        (r"BraTS[-_]?2023.*BraTS-PED", "brats-2023"),
        (r"BraTS-PED", "peds"),
        (r"BraTS-[A-Z]+-\d+-1\d\d(?!\d)", "post-treatment"),
        (r"BraTS-(?:GLI|MET|MEN|SSA|GoAT)\b|BraTS-[A-Za-z]+-\d{3,}", "brats-2023"),
        (r"MU-?Glioma-?Post|UCSD-PTGBM|(?<!\d)100\d{3}_time\d", "post-treatment"),
        (r"RHUH-\d{4}", "brats-2023"),
        (r"DeepBraTumIA", "deepbratumia"),
        (r"crossmoda", "crossmoda"),
        (r"VSD\.Brain|brats_(?:tcia|2013)_pat", "brats-2012"),
        (r"UCSF-PDGM|UPENN-GBM|GlistrBoost", "brats-2017"),
        (r"BraTS(?:1[789]|20)(?!\d)|BraTS20(?:17|18|19|20|21)|(?<![A-Za-z])BraTS[-_]?(?:HG|LG)", "brats-2017"),
        (r"HD-?GLIO", "hd-glio"),
        (r"Task01_BrainTumour", "msd"),
    )
)
"""What the name of a file or of one of its folders says of its values; the first that fits."""


def hinted(path: str, *, whole: bool = False) -> str | None:
    """Name of the convention that a path's names speak for; None where they speak for none.

    Args:
        path: below what the user named.
        whole: it is the name of the user's own folder, which must be a set's name and nothing more.
    """
    # The first wins: names of later years hold those of earlier ones.
    for pattern, name in _HINTS:
        if (match := pattern.search(path)) and (not whole or 2 * len(match[0]) > len(path)):
            return name
    return None


@dataclass(frozen=True)
class Decision:
    """A convention and why it was taken; or the ones between which nobody can decide.

    Attributes:
        convention: None where the set is ambiguous.
        why: for the user.
        choices: names of the conventions that fit, where several do.
        values: found over all masks, but for 0.
    """

    convention: Convention | None
    why: str
    choices: tuple[str, ...] = ()
    values: tuple[int, ...] = ()

    @property
    def merges(self) -> bool:
        """Whether all conventions that fit agree on what is tumour, for the values that were found."""
        sides = {
            tuple(CONVENTIONS[name].values.get(value, "tumour") in ("cavity", "background") for value in self.values)
            for name in self.choices
            if name in CONVENTIONS
        }
        return len(sides) == 1 and not any(next(iter(sides)))

    def refusal(self) -> InputError:
        """The error of an ambiguous set."""
        choices = self.choices or ("whole-tumour",)
        options = "; ".join(f"{name} ({CONVENTIONS[name].text()})" for name in choices)
        found = ", ".join(map(str, self.values)) or "of the masks"
        return InputError(
            "masks whose values have one meaning",
            f"the values {found}, and nothing that says which: {self.why}",
            f"say it with --convention NAME, one of {options}; or with --convention 1=oedema,2=core,...",
        )


def decide(masks: Iterable[Sequence[int]], hint: str | None = None) -> Decision:
    """The convention of a set of masks whose names speak for one convention or for none.

    Args:
        masks: for each mask, the values above 0 that it holds.
        hint: what their names speak for, see ``hinted``.
    """
    each = [tuple(sorted(values)) for values in masks]
    # Names come first: values alone fit several conventions nearly always.
    if hint is not None and hint in CONVENTIONS:
        return _of_hint(hint, tuple(sorted({value for values in _usual(each) for value in values})))
    # At most one in twenty: a few damaged masks must not make a clear set ambiguous.
    if len(each) >= _MANY and 20 * (len(each) - len(_usual(each))) <= len(each):
        each = _usual(each)
    found = tuple(sorted({value for values in each for value in values}))
    if not found:
        return Decision(WHOLE, "every mask is empty", values=found)
    if len(found) == 1:
        return Decision(WHOLE, f"the only value is {found[0]}", values=found)
    # As in sets of several kinds of tumour, which number the kind and not the region.
    if all(len(values) <= 1 for values in each):
        return Decision(WHOLE, "each mask has one value alone, which may be its type", values=found)
    # BraTS 2012 means the same by these three: its 3 is core too, and nobody drew one.
    if found == (1, 2, 4):
        return Decision(BRATS_2017, "the values are 1, 2 and 4", values=found)
    if found[-1] <= MOST_LABEL:
        fitting = [one for one in CONVENTIONS.values() if one.values and set(found) <= set(one.values)]
        # Without a 4, BraTS 2017 and 2023 mean the same: one of both is choice enough.
        names = tuple(one.name for one in fitting if one is not BRATS_2017 or 4 in found)
        return Decision(None, "several conventions have these", names, found)
    return Decision(None, "no convention that is known here has these", ("whole-tumour",), found)


def _usual(masks: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Masks without the few that hold values which no convention has: those are refused when they are read."""
    usual = [values for values in masks if all(value <= MOST_LABEL for value in values)]
    # Where a third of all masks is odd, odd is what the set is: it has values of its own.
    return usual if any(usual) and 3 * len(usual) > 2 * len(masks) else masks


def _of_hint(hint: str, found: tuple[int, ...]) -> Decision:
    """The convention that names speak for, as far as the values agree."""
    named, values = CONVENTIONS[hint], set(found)
    if not named.values:
        return Decision(named, "names speak for a single label", values=found)
    why = f"names speak for {named.title}"
    if values == {1}:
        return Decision(WHOLE, "the only value is 1", values=found)
    if hint == "peds":
        if 4 in values or not values:
            return Decision(PEDS, why, values=found)
        return Decision(None, "BraTS-PEDs of 2023 and of 2024 number them differently", ("peds", "brats-2023"), found)
    if hint == "brats-2023" and 4 in values:
        if 3 in values:
            return Decision(POST, f"{why}, and 4 beside 3 is the resection cavity", values=found)
        return Decision(None, f"{why}, which have no 4", ("brats-2017", "post-treatment"), found)
    if hint == "brats-2017" and 3 in values:  # renumbered: as BraTS does since 2023, or as nnU-Net does
        choices = ("brats-2012", "post-treatment") if 4 in values else ("brats-2023", "msd")
        return Decision(None, f"{why}, which have no 3", choices, found)
    if not values <= set(named.values):
        return decide([found])
    return Decision(named, why, values=found)


# --- what comes out -------------------------------------------------------------------------------------------------


def labelled(values: Array, convention: Convention) -> tuple[Bytes, dict[int, str]]:
    """A mask with the values of ``types.REGIONS`` (and `types.CAVITY`), or of ``types.WHOLE_TUMOUR``.

    Args:
        values: (z, y, x) as stored: whole numbers from 0 up.
        convention: of the set.

    Returns:
        uint8 labels of the same shape, and what each means.

    Raises:
        InputError: values that the convention does not have.
    """
    present = np.unique(values)
    if not np.isfinite(present).all():
        raise InputError("mask values that are whole numbers from 0 up", _listed(present), _REMOVE)
    if present.size and (present[0] < 0 or (np.abs(present - np.rint(present)) > ROUNDING).any()):
        raise InputError("mask values that are whole numbers from 0 up", _listed(present), _REMOVE)
    values = values if values.dtype.kind in "iub" else np.rint(values)
    present = np.unique(np.rint(present))
    if not convention.values:
        return (values > 0).astype(np.uint8), dict(WHOLE_TUMOUR)
    unknown = [int(value) for value in present.tolist() if value and int(value) not in convention.values]
    if unknown:
        expected = f"mask values of {convention.title} ({convention.text()})"
        raise InputError(expected, f"{_listed(present)}", f"{_REMOVE}; or say what values mean with --convention")
    labels = convention.labels
    value_of = {name: value for value, name in labels.items()} | {"background": 0}
    result = np.zeros(values.shape, dtype=np.uint8)
    for stored, meaning in convention.values.items():
        result[values == stored] = value_of[meaning]
    return result, labels


def _listed(present: Array) -> str:
    return ", ".join(f"{value:g}" for value in present[:8].tolist()) + (", ..." if present.size > 8 else "")
