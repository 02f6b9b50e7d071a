"""Labelled slices for a detector: images with their neighbours, target masks, and batches that favour no patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from synthoma.cohorts.changed_copies import as_scanned
from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import PLAIN_MODALITY, REGIONS, TARGETS, WHOLE_TUMOUR, Bytes, Float32, Floats, Ints, tumour_of
from synthoma.detectors.learning import Scale
from synthoma.detectors.scale import as_input

STACK = ("case", "tile", "sequence")
"""Columns by which slices are told apart that lie in one stack; numbers of slices are theirs within one."""


def target_names(cohort: Cohort) -> tuple[str, ...]:
    """What can be outlined in a cohort: the whole tumour, and its core and enhancing part where masks tell them apart.

    A cavity is not outlined: what is not there any more has no look of its own to be learned.

    Raises:
        InputError: the cohort has no masks.
    """
    if not cohort.tumour_labels:
        todo = "prepare scans with masks; to tell classes apart without masks, train a classifier"
        raise InputError("a cohort with masks", "one without", todo)
    return tuple(TARGETS) if cohort.tumour_labels == REGIONS else (WHOLE_TUMOUR[1],)


def target_maps(masks: Bytes, targets: tuple[str, ...]) -> Bytes:
    """Masks (B, S, S) of a cohort's labels as one 0/1 map for each target (B, T, S, S); targets may overlap."""
    maps = [tumour_of(masks) if name == WHOLE_TUMOUR[1] else np.isin(masks, TARGETS[name]) for name in targets]
    return np.stack(maps, axis=1).astype(np.uint8)


def neighbours(numbers: Ints, context: int, stride: Ints | int) -> Ints:
    """Which slices of one volume are seen with each of them.

    Args:
        numbers: (n,) positions of the slices that are there, rising; blank ones are not.
        context: how many slices are seen, an odd number.
        stride: distance to the next neighbour, in positions; one for all or (n,).

    Returns:
        (n, context) places in ``numbers``, lowest neighbour first. Where no slice is near the wanted position stands
        the slice itself.
    """
    strides = np.broadcast_to(np.asarray(stride, np.int64), numbers.shape)
    own = np.arange(len(numbers))
    columns = []
    for offset in range(-(context // 2), context // 2 + 1):
        if not offset:
            # Itself, and not the first with its number: an image would be learned from with the mask of another.
            columns.append(own)
            continue
        wanted = numbers + offset * strides
        after = np.searchsorted(numbers, wanted).clip(0, len(numbers) - 1)
        before = (after - 1).clip(0)
        nearest = np.where(np.abs(numbers[before] - wanted) < np.abs(numbers[after] - wanted), before, after)
        # Half a stride at most, or one slice would stand for two neighbours.
        close = np.abs(numbers[nearest] - wanted) <= strides // 2
        columns.append(np.where(close, nearest, own))
    return np.stack(columns, axis=1)


def context_rows(cohort: Cohort, context: int, context_mm: float) -> Ints:
    """For each slice of a cohort, the rows of the slices that are seen with it, see ``neighbours``.

    Args:
        cohort: with the columns case, and slice and step_mm where they are known. Tiles and sequences that are slices
            of their own have neighbours of their kind; changed copies have none.
        context: how many slices, an odd number.
        context_mm: least distance between neighbours. Slices 1 mm apart show the same; where the distance is not
            known, the next slice that the cohort kept is taken.

    Returns:
        (N, context) rows, lowest neighbour first.
    """
    table = cohort.slices
    rows = np.repeat(np.arange(len(table))[:, None], context, axis=1)
    if context == 1 or "slice" not in table:
        return rows
    numbers = table["slice"].to_numpy(np.int64)
    step = table["step_mm"].to_numpy(float) if "step_mm" in table else np.full(len(table), np.nan)
    # Whole positions, at least one: slices thicker than the wanted distance take the next one.
    # `step > 0` is False for nan too: a distance that nobody knows counts as the wanted one.
    stride = np.maximum(1, np.round(context_mm / np.where(step > 0, step, context_mm))).astype(np.int64)
    # Each copy was changed in a way of its own: the slices beside it in the scan are no neighbours of it any more.
    scanned = np.flatnonzero(as_scanned(table))
    apart = [table[name].iloc[scanned].astype(str).to_numpy() for name in STACK if name in table]
    for found in table["case"].iloc[scanned].groupby(apart, sort=False).indices.values():
        members = scanned[found]
        order = members[np.argsort(numbers[members], kind="stable")]
        # `prepare` may have kept every k-th slice: a position between two is nobody's.
        kept_every = int(np.diff(numbers[order]).min()) if len(order) > 1 else 1
        rows[order] = order[neighbours(numbers[order], context, np.maximum(stride[order], kept_every))]
    return rows


@dataclass(frozen=True)
class Labelled:
    """Slices with their targets.

    Attributes:
        images: (B, K * C, S, S) float32 on the cohort's scale: K slices of C modalities.
        masks: (B, T, S, S) float32 of 0 and 1.
        classes: (B,) int64, position among the class names.
    """

    images: Tensor
    masks: Tensor
    classes: Tensor


Members = Sequence[tuple[Ints, Ints]]
"""Of each group that is drawn from, the rows with tumour and those without."""


class Source(Protocol):
    """Where the slices of batches come from."""

    scale: Scale
    painted: bool

    def draw(self, seed: int, purpose: str, step: int, count: int, tumour_share: float | None) -> Ints:
        """Rows of one batch, see ``LabelledSlices.draw``."""

    def fetch(self, rows: Ints) -> Labelled:
        """The slices of these rows."""

    def warnings(self) -> list[str]:
        """What goes wrong with them in a training, in plain words, with what to try."""


class LabelledSlices:
    """Chosen rows of a cohort with their context, targets and classes, read from its memory maps.

    Args:
        cohort: where from.
        rows: which slices.
        modalities: the channels that are wanted, in order; one that the cohort lacks stays 0.
        targets: what is outlined; empty for a classifier.
        context: slices seen at once, and the least distance between them in mm.
        classes: names in the order in which they are numbered; a slice of another class has number -1.
        by_patient: draw patients evenly; else slices.
        scale: on which the network takes images.
        painted: whether they show the patients who are learned from anyway, changed by a painter.

    Raises:
        InputError: no rows, none of the modalities, or targets that its masks do not tell apart.
    """

    def __init__(
        self,
        cohort: Cohort,
        rows: Ints,
        modalities: tuple[str, ...],
        targets: tuple[str, ...],
        context: tuple[int, float] = (1, 4.0),
        classes: tuple[str, ...] = (),
        *,
        by_patient: bool = True,
        scale: Scale = "zero-to-one",
        painted: bool = False,
    ) -> None:
        if not len(rows):
            raise InputError("slices to learn from", "none", "check splits, classes and masks with `synthoma info`")
        if targets and set(targets) - set(target_names(cohort)):
            came = f"masks of {', '.join(cohort.labels.values())} in {cohort.path.name}"
            todo = "prepare both with --merge whole-tumour"
            raise InputError(f"masks that tell {', '.join(targets)} apart", came, todo)
        self.cohort, self.rows, self.targets, self.scale = cohort, rows, targets, scale
        self.painted = painted
        self.channels = _channels(cohort, modalities)
        self.context = context_rows(cohort, *context)
        table = cohort.slices
        number = {name: index for index, name in enumerate(classes)}
        self.classes = table["label"].map(number).fillna(-1).to_numpy(np.int64)
        self.tumour = table["tumour_pixels"].to_numpy() > 0
        groups = table["group"].iloc[rows].astype(str).to_numpy()
        # Pictures of as many people, but for some duplicates: favouring tumour slices needs others to choose from.
        if not by_patient or 2 * len(set(groups)) > len(groups):
            groups = np.full(len(groups), "")
        order = np.argsort(groups, kind="stable")
        ends = np.flatnonzero(groups[order][1:] != groups[order][:-1]) + 1
        self.members = [
            (member[self.tumour[member]], member[~self.tumour[member]]) for member in np.split(rows[order], ends)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, rows: Ints) -> Labelled:
        """The slices in these rows of the cohort."""
        # PyTorch widens half precision many times faster than NumPy does.
        stack = torch.from_numpy(self.cohort.images[self.context[rows]])
        if self.channels == list(range(stack.shape[2])):
            chosen = stack.float()
        else:
            chosen = torch.zeros(*stack.shape[:2], len(self.channels), *stack.shape[3:])
            for channel, source in enumerate(self.channels):
                if source >= 0:
                    chosen[:, :, channel] = stack[:, :, source]
        flat = chosen.flatten(1, 2)
        masks = target_maps(np.asarray(self.cohort.masks[rows]), self.targets) if self.targets else None
        size = flat.shape[2:]
        maps = torch.empty(len(rows), 0, *size) if masks is None else torch.from_numpy(masks).float()
        return Labelled(flat, maps, torch.from_numpy(self.classes[rows]))

    def inputs(self, rows: Ints) -> Tensor:
        """The images of these rows as the network takes them, (B, K * C, S, S)."""
        return as_input(self.fetch(rows).images, self.scale)

    def class_shares(self, count: int, tumour_share: float | None = None) -> Floats:
        """How often each of ``count`` classes is drawn (count,) by `draw` with this ``tumour_share``."""

        def of(rows: Ints) -> Floats:
            return np.asarray(np.bincount(self.classes[rows], minlength=count) / len(rows))

        shares = [
            of(np.concatenate((ill, well)))
            if tumour_share is None or not (len(ill) and len(well))
            else tumour_share * of(ill) + (1 - tumour_share) * of(well)
            for ill, well in self.members
        ]
        return np.asarray(np.mean(shares, axis=0))

    def volume(self, rows: Ints) -> Float32:
        """Images (B, C, S, S) of these rows without their context."""
        return (
            self.fetch(rows)
            .images.view(len(rows), -1, len(self.channels), *self.cohort.images.shape[2:])[
                :, self.context.shape[1] // 2
            ]
            .numpy()
        )

    def draw(self, seed: int, purpose: str, step: int, count: int, tumour_share: float | None) -> Ints:
        """Rows of one batch: groups evenly, whatever the number of their slices; then tumour slices favoured.

        Args:
            seed: with ``purpose`` and ``step`` what the draw is a function of.
            purpose: name of the stream.
            step: number of the batch.
            count: how many.
            tumour_share: chance of a slice with tumour, where the group has both kinds; None draws slices evenly.
        """
        return drawn(stream(seed, purpose, step), self.members, count, tumour_share)

    def warnings(self) -> list[str]:
        """What goes wrong with them in a training: nothing."""
        return []


def drawn(draws: np.random.Generator, members: Members, count: int, tumour_share: float | None) -> Ints:
    """Rows (count,): groups evenly, then of each a slice as ``LabelledSlices.draw`` says."""
    chosen = []
    # Groups before slices: patients with long scans are not seen more often.
    for group in draws.integers(0, len(members), count):
        ill, well = members[group]
        if tumour_share is None:
            place = int(draws.integers(0, len(ill) + len(well)))
            chosen.append(ill[place] if place < len(ill) else well[place - len(ill)])
            continue
        pool = ill if len(ill) and (not len(well) or draws.random() < tumour_share) else well
        chosen.append(pool[draws.integers(0, len(pool))])
    return np.array(chosen, dtype=np.int64)


def _channels(cohort: Cohort, modalities: tuple[str, ...]) -> list[int]:
    """Where each wanted modality lies in the cohort; -1 where it is missing."""
    own = cohort.modalities
    if len(own) == len(modalities) == 1 and PLAIN_MODALITY in (*own, *modalities):
        return [0]  # a picture that does not say what it shows stands for the only modality there is
    channels = [own.index(name) if name in own else -1 for name in modalities]
    if max(channels) < 0:
        raise InputError(
            f"one of the modalities {', '.join(modalities)}", ", ".join(own), "prepare it with --modalities"
        )
    return channels
