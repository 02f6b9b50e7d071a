"""What a segmenter loses on another source: the gap between two cohorts, with its interval."""

from __future__ import annotations

import numpy as np

from synthoma.core.types import Floats
from synthoma.evaluation.heldout.group_result import Shift
from synthoma.evaluation.heldout.result import SegmenterScores
from synthoma.masks.estimates import Estimate, Gap
from synthoma.masks.regions import WHOLE
from synthoma.metrics.intervals import SHARE, unpaired_difference


def shift_to(here: SegmenterScores, there: SegmenterScores, *, cohort: str, origin: str) -> Shift:
    """The gap of the whole tumour's Dice and surface Dice: here minus there, patients drawn on either side.

    Args:
        here: scores of the cohort that is scored.
        there: of the other one.
        cohort: name of the other one.
        origin: of its slices.
    """
    draws, seed = here.masks.settings.draws, here.masks.settings.seed

    def gap(score: str) -> Gap:
        ours, theirs = (_values(side, score) for side in (here, there))
        # Unpaired: nobody is in both cohorts, so each side draws its own patients.
        return Gap.between(unpaired_difference(ours, theirs, limits=SHARE, draws=draws, seed=seed))

    whole = there.masks.regions[WHOLE]
    nothing = Estimate(value=float("nan"), low=float("nan"), high=float("nan"), n=0)
    return Shift(
        cohort=cohort,
        origin=origin,
        patients=there.masks.patients,
        slices=there.masks.slices.slices,
        dice=whole["dice"].mean or nothing,
        gap=gap("dice"),
        surface_dice=whole["surface_dice"].mean or nothing,
        surface_gap=gap("surface_dice"),
    )


def _values(scores: SegmenterScores, name: str) -> Floats:
    return np.array([getattr(row.regions[WHOLE], name) for row in scores.masks.per_patient], dtype=np.float64)
