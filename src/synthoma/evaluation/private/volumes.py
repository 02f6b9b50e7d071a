"""Copies of whole patients: synthetic patients whose slices show those of one training patient, in order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from synthoma.core.seeding import stream
from synthoma.core.types import Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.private.result import PatientCopy, Recall, Volumes
from synthoma.metrics.copies.alterations import altered_alike
from synthoma.metrics.copies.whole import Gallery, Nearest
from synthoma.metrics.tails import fisher, proportion_bounds, share_bound

LEAST_SLICES, MOST_SLICES = 3, 8  # of a patient
LEAST_PATIENTS = 4  # held-out ones, below which nobody knows how alike patients are
SETTING, MEASURED = 10, 30  # planted volumes that set the threshold, and that measure the recall
_LEAST_SPREAD = 0.05  # of honest evidence, in Fisher's z


@dataclass(frozen=True)
class _Evidence:
    """How much a patient looks like one training patient.

    Attributes:
        value: mean over the slices of Fisher's z, as far as the training patient's slices come in order.
        group: number of that training patient.
    """

    value: float
    group: int


def volumes(
    comparison: Comparison, gallery: Gallery, found: Nearest, held_out: Nearest, others: Ints, seed: int
) -> Volumes | None:
    """Search for copies of whole patients; None where synthetic slices do not belong to patients of 3 or more.

    A patient is seen through equally many slices, evenly spread. The evidence is the mean of Fisher's z of their
    correlations with slices of one training patient that come in order, at best over all training patients: slices that
    prove nothing alone add up. What honest patients reach is known of the held-out ones; a synthetic one is tested by
    their mean and spread, with Student's t. Planted volumes are all slices of training patients moved alike.

    Args:
        comparison: what is compared; ``gallery_groups`` must be known.
        gallery: of the training slices.
        found: what is nearest to the synthetic slices.
        held_out: what is nearest to the held-out slices ``others``.
        others: held-out slices that are no twins.
        seed: of the planted volumes.
    """
    made = _patients(comparison.synthetic_groups)
    if not comparison.gallery_groups or len(made) < 2:
        return None
    # As many slices of everybody: more of them would be more chances to look alike. The shortest tenth of the patients
    # are left out, or one short one would take slices from all.
    slices = min(MOST_SLICES, int(np.quantile([len(rows) for rows in made.values()], 0.1)))
    numbers = np.unique(comparison.gallery_groups, return_inverse=True)[1]

    def evidence(near: Nearest, patients: Sequence[Ints]) -> list[_Evidence]:
        return [_evidence(near, _spread(rows, slices), numbers) for rows in patients if len(rows) >= slices]

    honest = evidence(held_out, list(_patients([comparison.held_out_groups[row] for row in others]).values()))
    searched = {name: rows for name, rows in made.items() if len(rows) >= slices}
    drawn = evidence(found, list(searched.values()))
    planted, right = _planted(comparison, gallery, numbers, slices, seed)
    if len(honest) < LEAST_PATIENTS or len(planted) < SETTING + 1:
        return Volumes(
            of=len(drawn), slices_each=slices, null=len(honest), flagged=0, p=1.0, threshold=None, upper_share=1.0,
            recall=None, patients=(), quarantine=(),
        )  # fmt: skip
    usual = np.array([one.value for one in honest])
    # The spread of one more patient about the mean of so few: its own, and that of the mean.
    spread = max(float(usual.std(ddof=1)), _LEAST_SPREAD) * math.sqrt(1 + 1 / len(usual))
    # As of slices: an honest patient in a hundred may reach so far, and nine in ten planted copies do.
    reached = float(usual.mean() + spread * stats.t.isf(0.01, len(usual) - 1))
    threshold = max(reached, (reached + float(np.quantile(planted[:SETTING], 0.1))) / 2)
    values = np.array([one.value for one in drawn])
    chances = stats.t.sf((values - usual.mean()) / spread, len(usual) - 1)
    flagged = np.flatnonzero(values > threshold)
    hits, of = int((planted[SETTING:] > threshold).sum()), len(planted) - SETTING
    low, high = proportion_bounds(hits, of)
    source = float(right[SETTING:].mean())
    rows = [comparison.synthetic_rows[one].tolist() for one in searched.values()]
    return Volumes(
        of=len(drawn),
        slices_each=slices,
        null=len(honest),
        flagged=len(flagged),
        # The nearest of so many patients (Bonferroni).
        p=min(1.0, len(drawn) * float(chances[flagged].min(initial=1.0))),
        threshold=threshold,
        upper_share=share_bound(len(flagged), len(drawn), hits, of),
        recall=Recall(value=hits / of, low=low, high=high, found=hits, of=of, right_source=source),
        patients=tuple(
            PatientCopy(
                synthetic_rows=tuple(rows[at]),
                training_rows=tuple(comparison.gallery_rows[numbers == drawn[at].group].tolist()),
                evidence=float(values[at]),
                p=min(1.0, len(drawn) * float(chances[at])),
            )
            for at in flagged.tolist()
        ),
        quarantine=tuple(sorted(row for at in flagged.tolist() for row in rows[at])),
    )


def _patients(groups: Sequence[str]) -> dict[str, Ints]:
    """Places of the slices of each group of 3 or more, in order."""
    names = np.array(groups, dtype=object)
    places = {name: np.flatnonzero(names == name) for name in dict.fromkeys(groups)}
    return {name: rows for name, rows in places.items() if len(rows) >= LEAST_SLICES}


def _spread(rows: Ints, count: int) -> Ints:
    """So many of the rows, evenly spread."""
    chosen: Ints = rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]
    return chosen


def _planted(comparison: Comparison, gallery: Gallery, numbers: Ints, slices: int, seed: int) -> tuple[Floats, Floats]:
    """Evidence (P,) of planted volumes, and whether the right training patient was found for each (P,)."""
    draws = stream(seed, "evaluation.canaries.volumes")
    sources = [rows for rows in (np.flatnonzero(numbers == one) for one in range(numbers.max() + 1))
               if len(rows) >= slices]  # fmt: skip
    if not sources:
        return np.zeros(0), np.zeros(0)
    chosen = [_spread(sources[at], slices) for at in draws.integers(0, len(sources), SETTING + MEASURED)]
    moved = [altered_alike(np.clip(comparison.gallery[rows].astype(np.float32), 0, 1), draws) for rows in chosen]
    near = gallery.nearest(np.concatenate(moved))
    found = [_evidence(near, np.arange(slices) + at * slices, numbers) for at in range(len(chosen))]
    right = [float(one.group == numbers[rows[0]]) for one, rows in zip(found, chosen, strict=True)]
    return np.array([one.value for one in found]), np.array(right)


def _evidence(near: Nearest, rows: Ints, numbers: Ints) -> _Evidence:
    """Evidence of the slices ``rows``, in order, for the training patient they resemble most."""
    # A negative correlation speaks for nobody; summed up it would speak against.
    candidates, likeness = near.candidates[rows], np.clip(near.likeness[rows], 0, None)
    best = _Evidence(0.0, -1)
    for group in np.unique(numbers[candidates]).tolist():
        mine = numbers[candidates] == group
        strength = [fisher(float(score)) for score in np.where(mine, likeness, 0).max(axis=1)]
        # -1 is below any likeness that was cut at 0: slices of other patients are never chosen where one of this is
        # there.
        place = candidates[np.arange(len(rows)), np.where(mine, likeness, -1).argmax(axis=1)]
        # A volume may run the other way: upside down.
        value = max(_chain(strength, place), _chain(strength, -place)) / len(rows)
        if value > best.value:
            best = _Evidence(value, group)
    return best


def _chain(strength: Sequence[float], place: Ints) -> float:
    """Largest sum of strengths over slices whose places do not go back."""
    sums: list[float] = []
    for at, weight in enumerate(strength):
        before = [sums[earlier] for earlier in range(at) if place[earlier] <= place[at] and strength[earlier] > 0]
        # Strengths of 0 are no link: a slice that shows nothing of this patient neither counts nor breaks the order.
        sums.append(weight + max(before, default=0.0))
    return max(sums, default=0.0)
