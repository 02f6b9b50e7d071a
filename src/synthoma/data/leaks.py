"""How much of a held-out part was seen in training: by the folders as given, and by a naive random split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Leak:
    """Of ``total`` images of the part ``held_out``, ``seen`` have a twin or a sibling in the part ``training``."""

    training: str
    held_out: str
    label: str
    seen: int
    total: int

    @property
    def share(self) -> float:
        """The part that was seen: seen / total."""
        return self.seen / self.total


def folder_leaks(table: pd.DataFrame, column: str = "folder_split") -> list[Leak]:
    """Leaks between the training folder of a download and its other folders, in all and by class.

    Args:
        table: slices with the columns group, label and ``column`` (Training, Testing, ...; empty where none).
        column: where the folder's part is written.

    Returns:
        For each pair (a folder named train..., another folder) the leak in all (label ""), then by class.
    """
    if column not in table:
        return []
    part = table[column].fillna("").astype(str)
    trained = [name for name in sorted(set(part)) if name.lower().startswith("train")]
    others = [name for name in sorted(set(part)) if name and name not in trained]
    leaks = []
    for training in trained:
        known = set(table["group"][part == training])
        for held_out in others:
            rows = table[part == held_out]
            seen = rows["group"].isin(known)
            leaks.append(Leak(training, held_out, "", int(seen.sum()), len(rows)))
            for label, members in rows.groupby("label"):
                hit = seen[members.index]
                leaks.append(Leak(training, held_out, str(label), int(hit.sum()), len(members)))
    return leaks


def random_split_leak(table: pd.DataFrame, train_share: float) -> float:
    """Expected share of test images that a split of single images leaves with a sibling of its group in training.

    An image of a group of n has none there with probability (1 - train_share) ** (n - 1).
    """
    sizes = table.groupby("group")["group"].transform("size").to_numpy(float)
    return float(np.mean(1 - (1 - train_share) ** (sizes - 1)))
