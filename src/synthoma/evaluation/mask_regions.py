"""Which regions of two sides' masks mean the same: the nested ones of BraTS, or values as they stand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from synthoma.errors import InputError
from synthoma.types import Array, Bools

WHOLE, CORE, ENHANCING = "whole tumour", "tumour core", "enhancing tumour"
BRATS = frozenset({1, 2, 3, 4})
"""Values of BraTS of every year: 1 necrotic (and non-enhancing) core, 2 oedema, 3 or 4 enhancing tumour."""

LABELS_FILE = "dataset.json"
"""The file in which nnU-Net and the Medical Segmentation Decathlon say what mask values mean."""

Convention = Literal["brats", "labels", "whole"]

_NAMED = 10
_FOUR_AND_THREE = (
    "one mask of the {} has both 3 and 4: they are read as in BraTS 2012 to 2016, where 3 is core that does not "
    "enhance and 4 enhancing tumour; where 4 is a resection cavity, take it out of the masks first"
)


@dataclass
class Side:
    """What the masks of one side hold, over all patients.

    Attributes:
        values: all of them but 0.
        several: whether one mask has more than one.
        three_and_four: whether one mask has both 3 and 4.
        names: what the values mean, where a file says so.
    """

    values: set[int] = field(default_factory=set)
    several: bool = False
    three_and_four: bool = False
    names: Mapping[int, str] | None = None

    def add(self, mask: Array) -> None:
        """Take note of one patient's mask (z, y, x)."""
        found = {int(value) for value in np.unique(mask).tolist() if value > 0}
        self.values |= found
        self.several = self.several or len(found) > 1
        self.three_and_four = self.three_and_four or {3, 4} <= found

    @property
    def binary(self) -> bool:
        """Whether it says tumour or not, and nothing else."""
        return self.values == {1} if self.names is None else len(self.names) == 1

    @property
    def brats(self) -> bool:
        """Whether its values can be those of BraTS: oedema is 2 there, as it is in no other set with names."""
        if self.binary or not self.values <= BRATS:
            return False
        if self.names is None:
            return True
        return not self.three_and_four and [v for v, name in self.names.items() if "edema" in name.lower()] == [2]

    def of(self, region: str) -> tuple[int, ...]:
        """Values of a nested region; none stand for every value above 0."""
        enhancing = (4,) if self.three_and_four else (3, 4)
        return {WHOLE: (), CORE: (1, 3, 4), ENHANCING: enhancing}[region]


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

    convention: Convention
    text: str
    regions: tuple[Region, ...]
    compared: tuple[str, ...]
    remarks: tuple[str, ...]


def choose(sides: Mapping[str, Side], nested: bool | None = None) -> Regions:
    """The regions of a set of masks.

    Nested BraTS regions are scored where truth and predictions hold values from 1 to 4 only, and one mask has several.
    A side whose only value is 1 says tumour or not; where each mask holds one value, values may be types of tumour.
    Neither is taken for BraTS, nor is a side whose names say another thing.

    Args:
        sides: of "truth", "prediction" and "other".
        nested: True for nested regions, False for values as they stand, whatever they are.

    Raises:
        InputError: nested regions are asked for, and there are values above 4.
    """
    truth, prediction = sides["truth"], sides["prediction"]
    if nested and (beyond := sorted((truth.values | prediction.values) - BRATS)):
        raise InputError("mask values from 1 to 4 for nested regions", f"{beyond[0]}", "score the labels as they stand")
    alike = truth.brats and prediction.brats and (truth.several or prediction.several)
    return _nested(sides) if (alike if nested is None else nested) else _plain(sides)


def _nested(sides: Mapping[str, Side]) -> Regions:
    """Whole tumour, core and enhancing tumour, as far as truth or prediction have them."""
    held = [(sides[name], sides[name].values) for name in ("truth", "prediction")]
    names = [WHOLE, *(name for name in (CORE, ENHANCING) if any(values & {*side.of(name)} for side, values in held))]
    both = {name: side for name, side in sides.items() if side.three_and_four}
    text = "nested BraTS regions on both sides: whole tumour is every value above 0, core is 1, 3 and 4, enhancing "
    text += "tumour is 3 and 4" + "".join(f" (of the {name} 4 alone)" for name in both)
    return Regions(
        "brats",
        text,
        tuple(Region(name, {side: found.of(name) for side, found in sides.items()}) for name in names),
        tuple(names) if sides["other"].brats else (WHOLE,),
        tuple(_FOUR_AND_THREE.format(name) for name in both),
    )


def _plain(sides: Mapping[str, Side]) -> Regions:
    """The whole tumour, and each label that truth and prediction both have.

    A side with a single value says tumour or not: that its 1 is another side's core would be chance.
    """
    truth, prediction, other = (sides[name].values for name in ("truth", "prediction", "other"))
    both = sorted(truth & prediction) if min(len(truth), len(prediction)) > 1 else []
    remarks: tuple[str, ...] = ()
    if len(truth | prediction) > 1 and (alone := sorted((truth | prediction) - set(both))):
        listed = ", ".join(map(str, alone[:_NAMED]))
        remarks = (f"label values that the two sides do not share are not scored by themselves: {listed}",)
    regions = [Region(WHOLE, dict.fromkeys(sides, ()))]
    regions += [Region(f"label {value}", dict.fromkeys(sides, (value,))) for value in both]
    text = "values as they stand: the whole tumour is every value above 0, and a label of one side is the same label "
    text = text + "of the other" if both else "the whole tumour alone, every value above 0"
    compared = [f"label {value}" for value in both if value in other and len(other) > 1]
    return Regions("labels" if both else "whole", text, tuple(regions), (WHOLE, *compared), remarks)


def read_names(root: Path) -> tuple[dict[int, str], str] | None:
    """What mask values mean, from a `LABELS_FILE` in the masks' folder or the one above; and the name of that folder.

    Both forms are read, ``{"1": "edema"}`` and ``{"edema": 1}``. None where there is no such file, or no plain values.
    """
    folder = (root if root.is_dir() else root.parent).resolve()
    for place in (folder, folder.parent):
        try:
            labels = json.loads((place / LABELS_FILE).read_text(encoding="utf-8"))["labels"]
            pairs: Sequence[tuple[object, object]] = list(labels.items())
            if not all(str(value).isdecimal() for value, _ in pairs):
                pairs = [(value, name) for name, value in pairs]
            named = {int(str(value)): str(name) for value, name in pairs}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        named.pop(0, None)
        if named:
            return named, place.name
    return None
