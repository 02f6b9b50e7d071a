"""Training data for networks: rows of a cohort as tensors, and batches that are a function of (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Ints

MOST_SLICES = 800
"""Slices that are looked at; of more, evenly spaced ones."""


@dataclass(frozen=True)
class Batch:
    """Slices for one step.

    Attributes:
        images: (B, C, S, S) float32 in -1..1: 0 of the cohort's scale is -1, 1 and above is 1.
        masks: (B, L, S, S) float32, 1 inside a label of tumour and -1 outside; L = 0 where masks are not drawn.
        classes: (B,) int64, position among the class names.
    """

    images: Tensor
    masks: Tensor
    classes: Tensor

    def planes(self) -> Tensor:
        """Images and masks as the channels of one tensor (B, C + L, S, S)."""
        return torch.cat([self.images, self.masks], dim=1)


class TrainingSlices:
    """Chosen rows of a cohort, read from its memory maps batch by batch.

    Args:
        cohort: where from.
        rows: which slices.
        with_masks: give masks too, one for each label of tumour.
        classes: names in the order in which they are numbered; else those of the cohort.

    Raises:
        InputError: no rows, or rows of a class that is not among ``classes``.
    """

    def __init__(
        self, cohort: Cohort, rows: Ints, *, with_masks: bool = False, classes: tuple[str, ...] | None = None
    ) -> None:
        if not len(rows):
            raise InputError("slices to train on", "none", "check the split and the classes with `synthoma info`")
        self.cohort, self.rows = cohort, rows
        self.labels = tuple(cohort.tumour_labels) if with_masks else ()
        names = cohort.classes if classes is None else classes
        number = {name: index for index, name in enumerate(names)}
        self.classes = cohort.slices["label"].map(number).fillna(-1).to_numpy(np.int64)
        strange = rows[self.classes[rows] < 0]
        if len(strange):
            came = f"{cohort.slices['label'].iloc[strange[0]]!r} in row {strange[0]}"
            raise InputError(f"slices of the classes {', '.join(names)}", came, "correct cohort.json or slices.csv")

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, positions: Ints) -> Batch:
        """The slices at these positions of ``rows``."""
        rows = self.rows[positions]
        # Cut first: bright spots above 1 would lie beyond what a tanh can draw.
        images = torch.from_numpy(self.cohort.images[rows].astype(np.float32)).clamp_(0, 1).mul_(2).sub_(1)
        values = self.cohort.masks[rows] if self.labels else None
        masks = torch.empty(len(rows), 0, *images.shape[2:])
        if values is not None:
            planes = np.stack([values == label for label in self.labels], axis=1)
            masks = torch.from_numpy(planes.astype(np.float32)).mul_(2).sub_(1)
        return Batch(images, masks, torch.from_numpy(self.classes[rows]))

    def positions(self, seed: int, purpose: str, step: int, size: int) -> Ints:
        """Positions of step ``step``: each epoch is a new order of all slices, cut into batches across its ends."""
        count = len(self.rows)
        # Nothing is kept from step to step: a resumed training sees the batches that it would have seen.
        first = step * size
        wanted = np.arange(first, first + size)
        chosen = np.empty(size, dtype=np.int64)
        for epoch in range(first // count, (first + size - 1) // count + 1):
            here = wanted // count == epoch
            chosen[here] = stream(seed, purpose, epoch).permutation(count)[wanted[here] % count]
        return chosen


def spread(rows: Ints, most: int = MOST_SLICES) -> Ints:
    """At most ``most`` of these rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)] if len(rows) else rows
