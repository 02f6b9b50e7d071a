"""Slices of patients who come one after the other and never again: a training's own slices where there is no cohort.

A batch is drawn from ``mixed`` patients. After ``per_patient`` slices the next one comes in place of the one that is
there for longest, so that batch ``step`` is drawn from patients whose numbers follow from ``step`` alone: whoever
resumes a training, or simulates on more processes, draws the same.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import numpy as np
import torch

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Ints
from synthoma.detectors.learning import Scale
from synthoma.detectors.slices import Labelled, LabelledSlices, drawn

MOST_SLICES = 1 << 20
"""More slices than a patient has: a row is the patient's number times this, and the place among the own slices."""

WORKER = 0.8e9
"""Bytes of a process that simulates: libraries and the template head, and a patient in the making."""

WAITED = 0.2
"""Share of a training's time above which the user is told that it waits for patients."""


@dataclass(frozen=True)
class Wanted:
    """How the slices of a patient are given to a training, see ``LabelledSlices``.

    Attributes:
        modalities, targets, context, classes, scale: as ``LabelledSlices`` takes them.
        labels: classes that are learned from; None for all.
    """

    modalities: tuple[str, ...]
    targets: tuple[str, ...]
    context: tuple[int, float]
    classes: tuple[str, ...]
    scale: Scale
    labels: tuple[str, ...] | None = None

    def of(self, cohort: Cohort) -> LabelledSlices | None:
        """The slices of a patient that are learned from; None where there are none."""
        labels = self.classes if self.labels is None else self.labels
        keep = cohort.slices["label"].isin(labels).to_numpy() if labels else np.ones(len(cohort), dtype=bool)
        rows = np.flatnonzero(keep)
        if not len(rows):
            return None
        return LabelledSlices(cohort, rows, self.modalities, self.targets, self.context, self.classes, scale=self.scale)


Patients = Callable[[Wanted, int], AbstractContextManager[Iterator[LabelledSlices | None]]]
"""Patients without an end, from one number on, simulated while the block is open; None for one without such slices."""


@dataclass(frozen=True)
class Stream:
    """Patients who come one after the other.

    Attributes:
        address: which ones: all that they are a function of.
        mixed: how many are there at once.
        per_patient: slices that are shown before the next one comes.
        patients: simulates them.
        workers: processes that do.
    """

    address: str
    mixed: int
    per_patient: int
    patients: Patients
    workers: int = 0

    def memory(self, cohort: Cohort) -> float:
        """Bytes that it takes, about, where patients have as many slices as those of a cohort."""
        patient = (cohort.images.nbytes + cohort.masks.nbytes) / max(1, cohort.meta.cases)
        return (self.mixed + 3 * self.workers) * patient + self.workers * WORKER


class StreamedSlices:
    """Batches from a stream of patients, drawn as ``LabelledSlices`` draws them from a cohort.

    Args:
        patients: the stream.
        wanted: how slices are given.
        by_patient: draw patients evenly; else slices.
    """

    def __init__(self, patients: Stream, wanted: Wanted, *, by_patient: bool = True) -> None:
        self.stream, self.wanted, self.by_patient, self.scale = patients, wanted, by_patient, wanted.scale
        self.painted = False
        self._there: deque[LabelledSlices | None] = deque()
        self._first = 0
        self._members: list[tuple[Ints, Ints]] = []
        self._coming: Iterator[LabelledSlices | None] | None = None
        self._open = ExitStack()
        self._since, self._waited = 0.0, 0.0

    def draw(self, seed: int, purpose: str, step: int, count: int, tumour_share: float | None) -> Ints:
        """Rows of one batch, see ``LabelledSlices.draw``.

        Raises:
            InputError: none of the patients has slices to learn from.
        """
        self._show(step * count // self.stream.per_patient)
        return drawn(stream(seed, purpose, step), self._members, count, tumour_share)

    def fetch(self, rows: Ints) -> Labelled:
        """The slices of rows that were drawn last."""
        parts: list[Labelled] = []
        order: list[Ints] = []
        patients, places = rows // MOST_SLICES, rows % MOST_SLICES
        for patient in np.unique(patients):  # a few calls for a batch, and not one for each slice
            slices = self._there[int(patient) - self._first]
            assert slices is not None
            order.append(np.flatnonzero(patients == patient))
            parts.append(slices.fetch(places[order[-1]]))
        # The inverse of the order in which patients were read: labels must lie beside their images.
        back = torch.from_numpy(np.argsort(np.concatenate(order)))
        images, masks, classes = (
            torch.cat([getattr(part, name) for part in parts])[back] for name in ("images", "masks", "classes")
        )
        return Labelled(images, masks, classes)

    def warnings(self) -> list[str]:
        """Whether learning waits for patients."""
        if self._waited <= WAITED * (time.perf_counter() - self._since):
            return []
        return [
            "Learning waits for simulated patients for more than a fifth of its time: let it show more slices of each "
            "(per_patient=256 in the address), or simulate on more processes (jobs=4)."
        ]

    def close(self) -> None:
        """End the processes that simulate."""
        self._open.close()
        self._coming = None
        self._there.clear()

    def _show(self, first: int) -> None:
        """Let ``mixed`` patients from number ``first`` on be there."""
        if self._coming is not None and first == self._first:
            return
        # Steps need not rise: how fast a step is, is tried with the first one, and a resumed run begins far on.
        if self._coming is None or not self._first <= first <= self._first + len(self._there):
            self.close()
            self._first, self._coming = first, self._open.enter_context(self.stream.patients(self.wanted, first))
        begun, filled = time.perf_counter(), bool(self._there)
        while self._first < first:
            self._there.popleft()
            self._first += 1
        while len(self._there) < self.stream.mixed:
            self._there.append(next(self._coming))
        now = time.perf_counter()
        # The first ones are waited for whatever is set: they say nothing of how it goes on.
        self._since, self._waited = (self._since, self._waited + now - begun) if filled else (now, 0.0)
        self._members = self._gathered()

    def _gathered(self) -> list[tuple[Ints, Ints]]:
        """Rows with tumour and without, of each patient who is there, or of all together."""
        found = [
            tuple((self._first + place) * MOST_SLICES + rows for rows in slices.members[0])
            for place, slices in enumerate(self._there)
            if slices is not None
        ]
        if not found:
            came = f"none among {self.stream.mixed} simulated patients"
            todo = "ask for other slices, classes or tumours in the address of the stream"
            raise InputError("patients with slices to learn from", came, todo)
        members = [(ill, well) for ill, well in found]
        if self.by_patient:
            return members
        return [(np.concatenate([ill for ill, _ in members]), np.concatenate([well for _, well in members]))]
