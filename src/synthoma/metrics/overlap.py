"""Overlap of two masks from counts of pixels, and the five ways in which papers average it.

The same masks can read .66 or .88 by the convention alone, so no score here stands without its own. Everywhere: both
masks empty is a perfect answer (1), only one of them empty is the worst (0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools, Floats, Ints

CONVENTIONS = ("tumour_slice_mean", "slice_mean", "pooled", "patient_mean", "patient_median")
"""Names of the conventions that `conventions` scores by."""


@dataclass(frozen=True)
class Counts:
    """Pixels of any number of units (slices, volumes), one entry a unit, all of one shape.

    Attributes:
        tp: in both masks.
        fp: in the prediction only.
        fn: in the truth only.
    """

    tp: Ints
    fp: Ints
    fn: Ints

    def total(self) -> Counts:
        """All units as one, shape ()."""
        return Counts(*(np.asarray(part.sum(), dtype=np.int64) for part in (self.tp, self.fp, self.fn)))


def as_masks(truth: Array, prediction: Array) -> tuple[Bools, Bools]:
    """Both masks (z, y, x) as bool: tumour is what is above 0.

    Raises:
        InputError: another number of axes, or two shapes.
    """
    if truth.ndim != 3 or truth.shape != prediction.shape:
        came = f"{'x'.join(map(str, truth.shape))} and {'x'.join(map(str, prediction.shape))}"
        raise InputError("two masks of one shape (z, y, x)", came, "resample the prediction onto the grid of the truth")
    return truth > 0, prediction > 0


def slice_counts(truth: Array, prediction: Array) -> Counts:
    """Counts of each slice of a volume.

    Args:
        truth: (z, y, x), tumour above 0.
        prediction: (z, y, x).

    Returns:
        Counts of shape (z,).

    Raises:
        InputError: another number of axes, or two shapes.
    """
    ours, theirs = as_masks(truth, prediction)
    # Said out loud, since a sum of booleans had 32 bits on Windows before NumPy 2, and products of counts follow.
    tp, real, drawn = (part.sum(axis=(1, 2), dtype=np.int64) for part in (ours & theirs, ours, theirs))
    return Counts(tp, drawn - tp, real - tp)


def dice(counts: Counts) -> Floats:
    """2 tp / (2 tp + fp + fn) of each unit, 0..1."""
    return tversky(counts, false_positives=0.5, false_negatives=0.5)


def iou(counts: Counts) -> Floats:
    """Intersection over union (Jaccard index), tp / (tp + fp + fn) of each unit, 0..1."""
    return tversky(counts, false_positives=1.0, false_negatives=1.0)


def tversky(counts: Counts, *, false_positives: float, false_negatives: float) -> Floats:
    """Tversky index tp / (tp + a fp + b fn) of each unit, 0..1 (Tversky 1977; Salehi et al. 2017, eq. 3).

    Papers disagree which of its weights is called alpha, hence the names here. It is no Dice unless both are 0.5.

    Args:
        counts: of any shape.
        false_positives: weight a of pixels in the prediction only, above 0.
        false_negatives: weight b of pixels in the truth only, above 0.

    Raises:
        InputError: a weight of 0 or less, with which the index would not be defined for every pair of masks.
    """
    if not (false_positives > 0 and false_negatives > 0):
        raise InputError("Tversky weights above 0", f"{false_positives} and {false_negatives}", "use 0.5 for Dice")
    below = counts.tp + false_positives * counts.fp + false_negatives * counts.fn
    filled = below > 0
    # The inner `where` keeps 0 / 0 from being computed; the outer one puts in what it means.
    return np.where(filled, counts.tp / np.where(filled, below, 1.0), 1.0)


def precision(counts: Counts) -> Floats:
    """Share of the predicted pixels that are tumour, tp / (tp + fp) of each unit, 0..1; empty masks as everywhere here.

    So Dice is the harmonic mean of precision and recall for every pair of masks.
    """
    return _share(counts, counts.tp + counts.fp)


def recall(counts: Counts) -> Floats:
    """Share of the true pixels that were found, tp / (tp + fn) of each unit, 0..1; empty masks as everywhere here."""
    return _share(counts, counts.tp + counts.fn)


def _share(counts: Counts, of: Ints) -> Floats:
    """True positives among ``of`` pixels; where there are none, 1 if both masks are empty, else 0."""
    neither = counts.tp + counts.fp + counts.fn == 0
    return np.where(of > 0, counts.tp / np.where(of > 0, of, 1), np.where(neither, 1.0, 0.0))


def volume_error(counts: Counts) -> Floats:
    """(predicted - true volume) / true volume of each unit: above 0 where too much was marked.

    0 where both masks are empty; nan where only the truth is, since there is nothing to relate the error to.
    """
    truth = counts.tp + counts.fn
    empty = np.where(counts.fp > 0, np.nan, 0.0)
    return np.where(truth > 0, (counts.fp - counts.fn) / np.where(truth > 0, truth, 1), empty)


def conventions(patients: Sequence[Counts]) -> dict[str, float]:
    """Dice of the same masks under every convention in use.

    ``tumour_slice_mean``: over slices whose truth has tumour. ``slice_mean``: over all slices, an empty one that was
    left empty counting 1. ``pooled``: of all pixels of all patients together. ``patient_mean`` and ``patient_median``:
    of one Dice per patient, over the whole volume.

    Args:
        patients: counts (slices,) of each patient.

    Returns:
        Convention -> Dice, 0..1; nan where there is no such slice or no patient.
    """
    return conventions_of(convention_table(patients))


def convention_table(patients: Sequence[Counts]) -> Floats:
    """What each patient adds to the conventions: (N, 8); any rows of it, also repeated ones, go to `conventions_of`.

    Columns: sum of Dice over tumour slices, their number, sum over all slices, their number, tp, fp, fn, volume Dice.
    """
    rows = []
    for counts in patients:
        scores, has_tumour, total = dice(counts), counts.tp + counts.fn > 0, counts.total()
        slices = (scores[has_tumour].sum(), has_tumour.sum(), scores.sum(), scores.size)
        rows.append((*slices, total.tp, total.fp, total.fn, dice(total)))
    # Without patients the array is (0,), which has no columns to choose from.
    return np.array(rows, dtype=np.float64).reshape(-1, 8)


def conventions_of(table: Floats) -> dict[str, float]:
    """As `conventions`, from rows of `convention_table`."""
    if not len(table):
        return dict.fromkeys(CONVENTIONS, float("nan"))
    tumour_sum, tumour_slices, slice_sum, slices, tp, fp, fn = table[:, :7].sum(axis=0)
    # Counts came as float64, in which whole numbers are exact up to 2^53.
    pooled = Counts(*(np.asarray(round(part), dtype=np.int64) for part in (tp, fp, fn)))
    return {
        "tumour_slice_mean": float(tumour_sum / tumour_slices) if tumour_slices else float("nan"),
        "slice_mean": float(slice_sum / slices) if slices else float("nan"),
        "pooled": float(dice(pooled)),
        "patient_mean": float(table[:, 7].mean()),
        "patient_median": float(np.median(table[:, 7])),
    }
