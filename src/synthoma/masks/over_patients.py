"""The scores of all patients together: means, medians and intervals of regions, slices and conventions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from synthoma.core.types import Floats, Ints
from synthoma.masks.estimates import Estimate, Gap
from synthoma.masks.patient_scores import PatientResult, answers, called, confusion
from synthoma.masks.result import (
    BesideOther,
    Centre,
    Comparison,
    DiceByConvention,
    OfBothModels,
    PatientScores,
    RegionScores,
    ScoreSettings,
    SliceAnswers,
    SliceDetection,
)
from synthoma.metrics.intervals import ANYTHING, SHARE, Limits, bootstrap_many, paired_difference, score_interval
from synthoma.metrics.overlap import Counts, convention_table, conventions_of

SCORES = (
    "dice", "iou", "tversky", "precision", "recall", "hd95", "surface_dice", "volume_error", "relative_volume_error",
)  # fmt: skip
_LIMITS: dict[str, Limits] = {
    "hd95": (0.0, math.inf), "volume_error": ANYTHING, "relative_volume_error": (-1.0, math.inf)
}  # fmt: skip
"""Least and largest value of the scores that are no shares."""
_COMPARED = ("dice", "iou", "hd95", "surface_dice")
_IN_UNITS = ("hd95", "surface_dice", "volume_error")


def _limits(score: str) -> Limits:
    """Least and largest value that a score can have."""
    return _LIMITS.get(score, SHARE)


def region_of_all(rows: Sequence[RegionScores], mixed: bool, settings: ScoreSettings) -> dict[str, Centre]:
    """Mean and median over patients of each score; of distances and volumes only in one unit."""
    found: dict[str, Centre] = {}
    for name in SCORES:
        if mixed and name in _IN_UNITS:
            found[name] = Centre()
            continue
        values = np.array([getattr(row, name) for row in rows])
        # One seed for all scores: the same patients are drawn, so that intervals of two scores vary together.
        mean, median = (
            score_interval(values, statistic=kind, limits=_limits(name), draws=settings.draws, seed=settings.seed)
            for kind in ("mean", "median")
        )
        found[name] = Centre(mean=Estimate.of(mean), median=Estimate.of(median))
    return found


def conventions_of_all(counts: Sequence[Counts], settings: ScoreSettings) -> dict[str, Estimate]:
    """Dice of the whole tumour under every convention in use."""
    table = convention_table(counts)
    found = bootstrap_many(
        lambda drawn: conventions_of(table[drawn]), len(table), limits=SHARE, draws=settings.draws, seed=settings.seed
    )
    return {name: Estimate.of(interval) for name, interval in found.items()}


def detection_of_all(counts: Sequence[Counts], settings: ScoreSettings) -> SliceDetection:
    """Whether a slice holds tumour, read from the masks: all slices together, and the mean of the patients' own scores.

    Intervals are by patient. A mean leaves out patients in whom the score is not defined: without a slice with tumour
    there is no recall, without an empty one no specificity.
    """
    table = np.array([called(one) for one in counts], dtype=np.int64)

    def scores(drawn: Ints) -> dict[str, float]:
        return answers(table[drawn].sum(axis=0))

    found = bootstrap_many(scores, len(table), limits=SHARE, draws=settings.draws, seed=settings.seed)
    tp, fp, fn, tn = table.sum(axis=0).tolist()
    # The pooled answers weigh patients by their slices, these all alike: one scan of many slices may hide the others.
    each = [answers(row) for row in table]
    means = {
        name: Estimate.of(
            score_interval(
                np.array([row[name] for row in each]), limits=SHARE, draws=settings.draws, seed=settings.seed
            )
        )
        for name in found
    }
    return SliceDetection(
        slices=tp + fp + fn + tn,
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
        confusion=confusion((tp, fp, fn, tn)),
        **{name: Estimate.of(interval) for name, interval in found.items()},
        patient_mean=SliceAnswers(**means),
    )


def comparison_of_models(
    found: Sequence[PatientResult], regions: Sequence[str], settings: ScoreSettings
) -> Comparison | None:
    """Prediction minus other, over the patients that both have; None without another model."""
    both = [one.scores for one in found if one.scores.other is not None]
    if not both:
        return None
    # Overlap has no unit; of distances in mm and in pixels there is no common mean.
    names = _COMPARED if len({row.unit for row in both}) == 1 else _COMPARED[:2]
    pairs = [(one.counts, one.other_counts) for one in found if one.other_counts is not None]
    ours, theirs = (conventions_of(convention_table(side)) for side in zip(*pairs, strict=True))
    return Comparison(
        patients=len(both),
        regions={region: {name: _beside(both, region, name, settings) for name in names} for region in regions},
        conventions=OfBothModels(
            prediction=DiceByConvention(**ours),
            other=DiceByConvention(**theirs),
        ),
    )


def _beside(rows: Sequence[PatientScores], region: str, name: str, settings: ScoreSettings) -> BesideOther:
    """One score of one region, of the other model and between both."""
    ours: Floats = np.array([getattr(row.regions[region], name) for row in rows])
    theirs: Floats = np.array([getattr(row.other[region], name) for row in rows if row.other is not None])
    gap = paired_difference(ours, theirs, limits=_limits(name), draws=settings.draws, seed=settings.seed)
    other = score_interval(theirs, limits=_limits(name), draws=settings.draws, seed=settings.seed)
    return BesideOther(other=Estimate.of(other), difference=Gap.between(gap))
