"""What mask values mean to other tools: consecutive numbers, and regions that contain one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import CAVITY, REGIONS, TARGETS, Array, Bytes

_UNKNOWN = 999


@dataclass(frozen=True)
class Labels:
    """Mask values as they are written.

    Attributes:
        names: new value -> name, from 1 on without a gap; names are distinct.
        was: new value -> value in the cohort.
    """

    names: dict[int, str]
    was: dict[int, int]

    @property
    def values(self) -> Array:
        """(256,) int64: what each value becomes; those that nobody named become 999."""
        table = np.full(256, _UNKNOWN, np.int64)
        table[0] = 0
        for new, old in self.was.items():
            table[old] = new
        return table

    def apply(self, mask: Array) -> Bytes:
        """A mask with the new values, uint8.

        Raises:
            InputError: a value that has no name.
        """
        found = self.values[mask]
        if (found == _UNKNOWN).any():
            value = int(mask[found == _UNKNOWN].flat[0])
            named = ", ".join(map(str, self.was.values()))
            todo = "name it in cohort.json, or correct the masks"
            raise InputError(f"mask values that have names: 0, {named}", f"the value {value}", todo)
        return found.astype(np.uint8)

    def regions(self) -> dict[str, list[int]]:
        """Regions of new values that contain one another, the largest first; empty where labels are no such parts.

        As in BraTS: the whole tumour, of it the core, of it what takes up contrast; beside them a cavity.
        """
        if not set(REGIONS.items()) <= {(old, self.names[new]) for new, old in self.was.items()}:
            return {}
        if set(self.was.values()) - set(REGIONS) - set(CAVITY):
            return {}
        new = {old: value for value, old in self.was.items()}
        cavity = {name: [new[value]] for value, name in CAVITY.items() if value in new}
        return {**{name: [new[old] for old in parts] for name, parts in TARGETS.items()}, **cavity}


def labels_of(meanings: Mapping[int, str]) -> Labels:
    """Labels with consecutive values, in the order of the old ones.

    Args:
        meanings: old value (1 to 255) -> name.
    """
    names: dict[int, str] = {}
    was: dict[int, int] = {}
    used = {"background"}
    for new, old in enumerate(sorted(meanings), start=1):
        name, number = meanings[old], 1
        while name.lower() in used:
            number += 1
            name = f"{meanings[old]} {number}"
        used.add(name.lower())
        names[new], was[new] = name, old
    return Labels(names, was)
