"""The scores of one patient's masks: regions, slices with tumour, and the probabilities beside them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synthoma.core.types import Array, Ints
from synthoma.masks.chances import Judged, judged
from synthoma.masks.lesion_result import LesionScores
from synthoma.masks.lesions import lesion_scores
from synthoma.masks.patients import PatientMasks
from synthoma.masks.regions import Region, Side
from synthoma.masks.result import Confusion, PatientDetection, PatientScores, Ranking, RegionScores, ScoreSettings
from synthoma.metrics.boundary import PIXELS, Spacing, boundary
from synthoma.metrics.classification import scores_of_counts
from synthoma.metrics.overlap import (
    Counts,
    as_masks,
    dice,
    iou,
    precision,
    recall,
    slice_counts,
    tversky,
    volume_error,
)

FALSE_NEGATIVES, FALSE_POSITIVES = 0.7, 0.3
"""Weights of the Tversky index: what is missed costs more than what is marked too much (Abraham and Khan 2019)."""

_ANSWERS = ("precision", "recall", "specificity", "f1", "accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class PatientResult:
    """What one patient adds to the scores.

    Attributes:
        scores: the row of the patient.
        counts: of the whole tumour in each slice.
        other_counts: of the other model; None without one.
        chances: probabilities beside the truth; None where there are none.
    """

    scores: PatientScores
    counts: Counts
    other_counts: Counts | None
    chances: Judged | None


@dataclass(frozen=True)
class Packed:
    """The masks of one patient in little memory: they are mostly background, and all patients are held at once."""

    shell: PatientMasks
    masks: Mapping[str, tuple[bytes, str, tuple[int, ...]]]

    @classmethod
    def of(cls, masks: PatientMasks, sides: Mapping[str, Side]) -> Packed:
        """Pack masks, and note their values in the sides.

        Raises:
            InputError: masks of two shapes.
        """
        arrays = {"truth": masks.truth, "prediction": masks.prediction}
        if masks.other is not None:
            arrays["other"] = masks.other
        packed = {}
        for side, mask in arrays.items():
            as_masks(masks.truth, mask)
            sides[side].add(mask)
            # The quickest level: masks are long runs of zeros, which any level packs.
            packed[side] = (zlib.compress(mask.tobytes(), 1), mask.dtype.str, mask.shape)
        nothing = np.zeros((0, 0, 0), dtype=np.uint8)
        return cls(replace(masks, truth=nothing, prediction=nothing, other=None), packed)

    def unpacked(self) -> PatientMasks:
        """The masks as they were."""
        full = {
            side: np.frombuffer(zlib.decompress(data), np.dtype(kind)).reshape(shape)
            for side, (data, kind, shape) in self.masks.items()
        }
        return replace(self.shell, truth=full["truth"], prediction=full["prediction"], other=full.get("other"))


def score_patient(masks: PatientMasks, regions: Sequence[Region], settings: ScoreSettings) -> PatientResult:
    """Score the masks of one patient.

    Args:
        masks: on one grid.
        regions: what is scored, the whole tumour first.
        settings: tolerances and sizes.
    """
    truth, whole, other = masks.truth, regions[0], masks.other
    drawn = {"prediction": masks.prediction} | ({} if other is None else {"other": other})
    scores = {
        side: {
            region.name: _scores(
                region.drawn(truth, "truth"), region.drawn(mask, side), masks.spacing, settings.tolerance
            )
            for region in regions
        }
        for side, mask in drawn.items()
    }
    tumour = whole.drawn(truth, "truth")
    counts = slice_counts(tumour, whole.drawn(masks.prediction, "prediction"))
    # Of the whole tumour: that one region is called in place of another is no false slice.
    table = called(counts)
    tp, fp, fn, _ = table
    chances = judged(tumour, masks.chances)
    row = PatientScores(
        patient=masks.patient,
        slices=len(truth),
        tumour_slices=tp + fn,
        missed_slices=fn,
        false_slices=fp,
        detection=PatientDetection(confusion=confusion(table), **answers(np.array(table, dtype=np.int64))),
        probability=None if chances is None else chances.probability,
        slice_ranking=None if chances is None else Ranking(**chances.ranking()),
        unit="pixels" if masks.spacing is None else "mm",
        spacing=None if masks.spacing is None else tuple(masks.spacing),
        regions=scores["prediction"],
        other=scores.get("other"),
        lesions=_lesions(masks, regions, settings),
    )
    other_counts = None if other is None else slice_counts(tumour, whole.drawn(other, "other"))
    return PatientResult(row, counts, other_counts, chances)


def _lesions(masks: PatientMasks, regions: Sequence[Region], settings: ScoreSettings) -> dict[str, LesionScores] | None:
    """Each region lesion by lesion: sizes and distances of lesions are in mm, so without a spacing there is nothing."""
    if masks.spacing is None:
        return None
    return {
        region.name: lesion_scores(
            region.drawn(masks.truth, "truth"), region.drawn(masks.prediction, "prediction"), masks.spacing, settings
        )
        for region in regions
    }


def _scores(truth: Array, prediction: Array, spacing: Spacing | None, tolerance: float) -> RegionScores:
    """Scores of one region; volumes in mm3, or in pixels where no spacing is known."""
    # Over the whole volume: the mean of slices would give its small ends as much weight as the middle of a tumour.
    counts = slice_counts(truth, prediction).total()
    surface = boundary(truth, prediction, spacing or PIXELS, tolerance)
    # Without a spacing volumes stay numbers of pixels, and say so by their unit.
    voxel = math.prod(spacing) if spacing else 1.0
    return RegionScores(
        dice=float(dice(counts)),
        iou=float(iou(counts)),
        tversky=float(tversky(counts, false_positives=FALSE_POSITIVES, false_negatives=FALSE_NEGATIVES)),
        precision=float(precision(counts)),
        recall=float(recall(counts)),
        hd95=surface.hd95,
        surface_dice=surface.surface_dice,
        volume=float(counts.tp + counts.fn) * voxel,
        # Volume of the prediction less that of the truth: what both have (tp) cancels. Above 0 it is too large.
        volume_error=float(counts.fp - counts.fn) * voxel,
        relative_volume_error=float(volume_error(counts)),
    )


def confusion(numbers: tuple[int, int, int, int]) -> Confusion:
    """Slices as ``called`` gives them, in a table: rows are the truth (empty, tumour), columns what was called."""
    tp, fp, fn, tn = numbers
    return ((tn, fp), (fn, tp))


def called(counts: Counts) -> tuple[int, int, int, int]:
    """Slices rightly called tumour, wrongly called, missed, rightly left empty."""
    has, marked = counts.tp + counts.fn > 0, counts.tp + counts.fp > 0
    kinds = (has & marked, ~has & marked, has & ~marked, ~has & ~marked)
    tp, fp, fn, tn = (int(kind.sum()) for kind in kinds)
    return tp, fp, fn, tn


def answers(numbers: Ints) -> dict[str, float]:
    """Scores, 0..1, of slices (4,) as ``called`` gives them; nan where there is none to be right about."""
    tp, fp, fn, tn = numbers.tolist()
    scores = scores_of_counts(tp=tp, fp=fp, fn=fn, tn=tn)
    return {name: scores[name] for name in _ANSWERS}
