"""What training patients have: class, size and place of tumours, site, sequences. Nobody else counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.progress import Progress, silent
from synthoma.core.types import HEALTHY, UNLABELLED
from synthoma.painting.dials import LOBES, SIDES
from synthoma.painting.places import where_is
from synthoma.painting.stacks import Stack, stacks_of
from synthoma.painting.tissues import brain_of
from synthoma.planning.result import Axis, Tally, Unknown

SIZES = {1: ("small", "large"), 2: ("small", "medium", "large")}
"""Names of sizes by the number of edges between them; more sizes are called by their volumes."""


@dataclass(frozen=True)
class Seen:
    """One scan of a training patient.

    Attributes:
        patient: his group, which no split separates.
        classes: of its slices.
        ill: whether it shows tumour.
        ml: volume of the tumour; None where it is not known.
        side, lobe: where its middle lies; None where it is not known.
        site: where it was taken; empty where nobody says.
        missing: sequences that it lacks.
        tumour_slices: number of slices with tumour.
    """

    patient: str
    classes: frozenset[str]
    ill: bool
    ml: float | None = None
    side: str | None = None
    lobe: str | None = None
    site: str = ""
    missing: frozenset[str] = frozenset()
    tumour_slices: int = 0


@dataclass(frozen=True)
class Counts:
    """Training patients by kind.

    Attributes:
        tallies: of every kind, those too that nobody is of.
        unknown: what cannot be counted, and why.
        patients, cases: how many there are.
        slices_each: slices with tumour of one case, median.
        edges: volumes in ml at which sizes are divided.
    """

    tallies: tuple[Tally, ...]
    unknown: tuple[Unknown, ...]
    patients: int
    cases: int
    slices_each: int
    edges: tuple[float, ...]

    def of(self, axis: Axis) -> dict[str, int]:
        """Kind -> patients."""
        return {one.kind: one.have for one in self.tallies if one.axis == axis}


def seen_of(cohort: Cohort, progress: Progress = silent) -> list[Seen]:
    """The scans of the training patients, each looked at once.

    Raises:
        InputError: there are none.
    """
    stacks = list(stacks_of(cohort, ("train",)))
    if not stacks:
        came = f"splits {', '.join(sorted(set(cohort.slices['split'])))}"
        raise InputError("training patients to plan for", came, "prepare the cohort with a training share")
    found = []
    for number, stack in enumerate(stacks):
        found.append(_looked_at(stack))
        progress("counting training patients", number + 1, len(stacks))
    return found


def counts_of(seen: Sequence[Seen], cohort: Cohort, edges: Sequence[float]) -> Counts:
    """Patients by kind. Whoever has two tumours of two sizes counts for both.

    Args:
        seen: scans of training patients.
        cohort: whose they are: its classes and sequences.
        edges: volumes in ml at which sizes are divided.
    """
    ill = [one for one in seen if one.ill]
    classes = [name for name in cohort.classes if name != UNLABELLED]
    sites = sorted({one.site for one in seen} - {""})
    tallies = [
        *_tally("class", classes, ((one.patient, name) for one in seen for name in one.classes)),
        *_tally("size", size_names(edges), ((one.patient, size_of(one.ml, edges)) for one in ill)),
        *_tally("side", SIDES, ((one.patient, one.side) for one in ill)),
        *_tally("lobe", LOBES, ((one.patient, one.lobe) for one in ill)),
        *_tally("site", sites, ((one.patient, one.site) for one in seen)),
        *_tally(
            "sequence",
            cohort.modalities,
            ((one.patient, name) for one in seen for name in cohort.modalities if name not in one.missing),
        ),
    ]
    slices = [one.tumour_slices for one in ill]
    return Counts(
        tuple(tallies),
        tuple(_unknown(seen, ill, cohort)),
        len({one.patient for one in seen}),
        len(seen),
        # A median: one scan of thin slices would else make each synthetic case long.
        max(1, int(np.median(slices))) if slices else 1,
        tuple(edges),
    )


def size_names(edges: Sequence[float]) -> tuple[str, ...]:
    """Names of the sizes between these volumes, smallest first."""
    if len(edges) in SIZES:
        return SIZES[len(edges)]
    between = [f"{low:g} to {high:g} ml" for low, high in pairwise(edges)]
    return (f"below {edges[0]:g} ml", *between, f"{edges[-1]:g} ml or more")


def size_of(ml: float | None, edges: Sequence[float]) -> str | None:
    """The size of a volume; one that lies on an edge is of the larger."""
    return None if ml is None else size_names(edges)[int(np.searchsorted(edges, ml, side="right"))]


def _tally(axis: Axis, kinds: Sequence[str], found: Iterable[tuple[str, str | None]]) -> list[Tally]:
    """Patients of each kind; each counts once for a kind, however many scans he has."""
    # A set of pairs: two scans of one patient with the same kind are one patient of that kind.
    counted = Counter(kind for _, kind in set(found))
    return [Tally(axis=axis, kind=kind, have=counted[kind]) for kind in kinds]


def _unknown(seen: Sequence[Seen], ill: Sequence[Seen], cohort: Cohort) -> list[Unknown]:
    """What is not known of some patients or of all."""
    masks = "the cohort has no masks"
    spacing = "the scan does not say how large a voxel is, or is a single slice"
    brain = f"{spacing}, or no brain can be told from the rest"
    every = {one.patient for one in seen}
    if not cohort.tumour_labels:
        return [
            *(Unknown(axis=axis, patients=len(every), because=masks) for axis in ("size", "side", "lobe")),
            *_unknown_site(seen),
        ]
    lost: list[tuple[Axis, set[str], str]] = [
        ("size", {one.patient for one in ill if one.ml is None}, spacing),
        ("side", {one.patient for one in ill if one.side is None}, brain),
        ("lobe", {one.patient for one in ill if one.lobe is None}, brain),
    ]
    return [
        *(Unknown(axis=axis, patients=len(who), because=why) for axis, who, why in lost if who),
        *_unknown_site(seen),
    ]


def _unknown_site(seen: Sequence[Seen]) -> list[Unknown]:
    who = {one.patient for one in seen if not one.site}
    return [Unknown(axis="site", patients=len(who), because="the cohort does not say it")] if who else []


def _looked_at(stack: Stack) -> Seen:
    """One scan."""
    cohort, table = stack.cohort, stack.cohort.slices
    rows = table.iloc[stack.rows]
    # Of the stored masks: what was lost by resizing is not there to be learned from either.
    pixels = rows["tumour_pixels"].to_numpy(np.float64)
    labels = frozenset(rows["label"].astype(str)) - {UNLABELLED}
    # Without masks a class that is no healthy one is all that says of a tumour.
    ill = bool((pixels > 0).any()) if cohort.tumour_labels else any(name.lower() not in HEALTHY for name in labels)
    ml, side, lobe = _tumour(stack) if ill and cohort.tumour_labels else (None, None, None)
    return Seen(
        patient=str(rows["group"].iat[0]),
        classes=labels,
        ill=ill,
        ml=ml,
        side=side,
        lobe=lobe,
        site=str(rows["site"].iat[0]),
        missing=frozenset(part for cell in rows["missing"].astype(str) for part in cell.split("+") if part),
        tumour_slices=int((pixels > 0).sum()),
    )


def _tumour(stack: Stack) -> tuple[float | None, str | None, str | None]:
    """Volume in ml, side and lobe of a scan's tumour, as far as its geometry is stated."""
    if not stack.measured:
        return None, None, None
    scan = stack.scan()
    tumour = scan.tumour
    ml = float(tumour.sum()) * scan.voxel_ml
    try:
        # The tumour is joined to the brain: what is told from the rest by its grey leaves out a core of fluid or a
        # bright rim.
        side, lobe = where_is(tumour, brain_of(scan.images, scan.spacing) | tumour, scan)
    except InputError:  # a scan that tells nothing of its brain
        return ml, None, None
    return ml, side, lobe
