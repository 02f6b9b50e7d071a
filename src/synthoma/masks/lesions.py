"""Masks lesion by lesion: of a patient, and over all patients, with the lesions that were found by their size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from synthoma.core.types import Array, Floats, Ints
from synthoma.masks.estimates import Estimate
from synthoma.masks.lesion_result import FoundBySize, FoundLesion, LesionScores, LesionsOfAll
from synthoma.masks.result import ScoreSettings
from synthoma.metrics.boundary import Spacing
from synthoma.metrics.intervals import SHARE, Limits, bootstrap_many, score_interval
from synthoma.metrics.lesions import Lesion, match_lesions

_DISTANCE: Limits = (0.0, math.inf)


def lesion_scores(truth: Array, prediction: Array, spacing: Spacing, settings: ScoreSettings) -> LesionScores:
    """One region of one patient, masks (z, y, x)."""
    matches = match_lesions(
        truth,
        prediction,
        spacing,
        tolerance=settings.tolerance,
        reach=settings.lesion_reach,
        small=settings.small_lesion,
    )
    return LesionScores(
        dice=matches.dice,
        surface_dice=matches.surface_dice,
        hd95=matches.hd95,
        lesions=tuple(_written(one) for one in matches.counted),
        small=len(matches.small),
        made_up=matches.false,
    )


def _written(lesion: Lesion) -> FoundLesion:
    return FoundLesion(
        volume=lesion.volume,
        found=lesion.found,
        dice=lesion.dice,
        surface_dice=lesion.surface_dice,
        hd95=lesion.hd95,
    )


def lesions_of_all(rows: Sequence[LesionScores], settings: ScoreSettings) -> LesionsOfAll:
    """One region of all patients.

    Args:
        rows: of each patient whose voxels' size is known; at least one.
        settings: sizes, and the bootstrap over patients.
    """

    def mean(values: Sequence[float], limits: Limits) -> Estimate:
        found = score_interval(np.array(values), limits=limits, draws=settings.draws, seed=settings.seed)
        return Estimate.of(found)

    every = _share([[float(one.found) for one in row.lesions] for row in rows], settings)
    return LesionsOfAll(
        patients=len(rows),
        lesions=sum(len(row.lesions) for row in rows),
        small=sum(row.small for row in rows),
        made_up=sum(len(row.made_up) for row in rows),
        dice=mean([row.dice for row in rows], SHARE),
        surface_dice=mean([row.surface_dice for row in rows], SHARE),
        # Missed and made up lesions are in it with 374 mm each, so it is no distance of outlines.
        hd95=mean([row.hd95 for row in rows], _DISTANCE),
        found=every,
        made_up_per_scan=mean([float(len(row.made_up)) for row in rows], _DISTANCE),
        by_size=_by_size(rows, settings),
    )


def _by_size(rows: Sequence[LesionScores], settings: ScoreSettings) -> tuple[FoundBySize, ...]:
    """Lesions between each two of the limits."""
    limits = (0.0, *settings.lesion_sizes, math.inf)
    found = []
    for low, high in itertools.pairwise(limits):
        # A lesion of exactly a limit is of the smaller size, as BraTS leaves out what is not larger than its least.
        own = [[one for one in row.lesions if low < one.volume / 1000 <= high] for row in rows]
        found.append(
            FoundBySize(
                from_ml=low,
                up_to_ml=None if math.isinf(high) else high,
                lesions=sum(map(len, own)),
                found=_share([[float(one.found) for one in some] for some in own], settings),
                dice=_share([[one.dice for one in some] for some in own], settings),
            )
        )
    return tuple(found)


def _share(values: Sequence[Sequence[float]], settings: ScoreSettings) -> Estimate:
    """Mean over the lesions of all patients; whole patients are drawn, and bring all of their lesions."""
    # Patients without such a lesion say nothing of it, and are not drawn.
    filled = [some for some in values if some]
    if not filled:
        return Estimate(value=math.nan, low=math.nan, high=math.nan, n=0)
    table: Floats = np.array([(sum(some), len(some)) for some in filled])

    def mean(drawn: Ints) -> dict[str, float]:
        total, number = table[drawn].sum(axis=0)
        return {"mean": float(total / number)}

    return Estimate.of(bootstrap_many(mean, len(table), limits=SHARE, draws=settings.draws, seed=settings.seed)["mean"])
