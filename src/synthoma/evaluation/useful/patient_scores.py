"""What each held-out patient gives to the endpoint, and what an arm reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthoma.core.types import Array, Floats, Ints
from synthoma.evaluation.score import Estimate
from synthoma.evaluation.useful.arms import Arm
from synthoma.evaluation.useful.differences import shaken_draws, widened
from synthoma.evaluation.useful.result import ArmResult
from synthoma.evaluation.useful.trainings import Answers, DetectorTest
from synthoma.metrics.classification import binary_scores, ranking_scores

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeldOut:
    """The held-out slices and what is right about them.

    Attributes:
        groups: (N,) patient of each slice.
        truth: (N,) right answer of each slice: tumour or not, or the number of its class.
        test: what was asked.
    """

    groups: Array
    truth: Ints
    test: DetectorTest

    @classmethod
    def of(cls, test: DetectorTest) -> HeldOut:
        """Those that a test asks about."""
        table = test.slices.cohort.slices.iloc[test.slices.rows]
        return cls(table["group"].astype(str).to_numpy(), _truth(table, test), test)

    @property
    def outlined(self) -> bool:
        """Whether slices with and without tumour were outlined, so that they can be told apart."""
        return self.test.task == "outline" and len(set(self.truth.tolist())) == 2


@dataclass(frozen=True)
class PatientScores:
    """What each held-out patient gives to the endpoint, for one arm.

    Attributes:
        scores: (seeds, patients); their mean is the endpoint. Volume Dice of a segmenter. Of a classifier the share of
            slices that are right, weighted so that the mean is the balanced accuracy.
        raw: (seeds, patients), 0..1: Dice, or the share of slices that are right.
    """

    scores: Floats
    raw: Floats


def _truth(table: pd.DataFrame, test: DetectorTest) -> Ints:
    if test.task == "outline":
        return np.array(table["tumour_pixels"] > 0, dtype=np.int64)
    number = {name: index for index, name in enumerate(test.classes)}
    return np.array([number[name] for name in table["label"]], dtype=np.int64)


def patient_scores(answers: Sequence[Answers], held_out: HeldOut) -> PatientScores:
    """Scores of the patients by the answers of one arm's detectors, one for each seed."""
    groups, truth = held_out.groups, held_out.truth
    names = np.unique(groups)
    if held_out.test.task == "outline":
        # Of a patient without tumour Dice is 1 or 0 by a single pixel, which would drown all others.
        ill = [name for name in names if truth[groups == name].any()]
        belongs = np.stack([groups == name for name in ill]).astype(np.float64)
        dice = np.stack([_volume_dice(belongs, one) for one in answers])
        return PatientScores(dice, dice)
    right = np.stack([one.chances.argmax(axis=1) == truth for one in answers]).astype(np.float64)
    present = np.unique(truth)
    having = {label: len(set(groups[truth == label])) for label in present.tolist()}
    scores, raw = np.zeros((2, len(answers), len(names)))
    for at, name in enumerate(names):
        own = groups == name
        raw[:, at] = right[:, own].mean(axis=1)
        # A patient may show several classes; each class's patients weigh the same together.
        for label in np.unique(truth[own]).tolist():
            share = right[:, own & (truth == label)].mean(axis=1)
            # So the mean over patients is the mean over classes of the mean over the patients of each.
            scores[:, at] += share * len(names) / (len(present) * having[label])
    return PatientScores(scores, raw)


def _volume_dice(belongs: Floats, answers: Answers) -> Floats:
    """Dice of each patient (P,) over all slices together; ``belongs`` (P, N) says whose each slice is."""
    total = belongs @ (answers.called_pixels + answers.tumour_pixels)
    # Nobody without tumour is asked (`ill`), so that the floor of 1 never decides.
    return np.asarray(2 * (belongs @ answers.found_pixels) / np.maximum(total, 1))


def arm_result(
    arm: Arm, scores: PatientScores, answers: Sequence[Answers], held_out: HeldOut, *, had: int, noise: float
) -> ArmResult:
    """Endpoint with its interval over patients and seeds, and the scores of detection.

    Args:
        arm: what was learned from.
        scores: of the patients.
        answers: of the arm's detectors, one for each seed.
        held_out: what was asked.
        had: real patients that one has.
        noise: standard deviation of an arm's mean from seed to seed.
    """
    # Arms that draw other patients for each seed vary more than those that share them all.
    own = max(noise, float(scores.scores.mean(axis=1).std(ddof=1)))
    means, shake = scores.scores.mean(axis=0), own / np.sqrt(len(answers))
    low, high = widened(means, shake, shaken_draws(means, shake, "arm"))
    # Student's t knows no limits, and the endpoint is a share.
    low, high = max(low, 0.0), min(high, 1.0)
    score = Estimate(value=float(scores.scores.mean()), low=low, high=high, n=scores.scores.shape[1])
    detection = _detection(answers, held_out)
    more = {} if detection is None else {"detection": detection}
    return ArmResult(
        title=arm.title,
        patients=had if arm.patients is None else arm.patients,
        score=score,
        by_seed=tuple(scores.scores.mean(axis=1).round(5).tolist()),
        **more,
    )


def _detection(answers: Sequence[Answers], held_out: HeldOut) -> dict[str, float | None] | None:
    """Scores of single slices, means over seeds; None where there is nothing to tell apart."""
    truth = held_out.truth
    if held_out.outlined:
        every = [
            {**binary_scores(truth, (one.chances > 0.5).astype(np.int64)), **ranking_scores(truth, one.chances)}
            for one in answers
        ]
        return {name: float(np.mean([one[name] for one in every])) for name in every[0]}
    if held_out.test.task != "classify":
        return None
    found: dict[str, float | None] = {
        "accuracy": float(np.mean([(one.chances.argmax(axis=1) == truth).mean() for one in answers]))
    }
    if len(held_out.test.classes) == 2:
        ranked = [ranking_scores(truth, one.chances[:, 1]) for one in answers]
        found |= {name: float(np.mean([one[name] for one in ranked])) for name in ("roc_auc", "pr_auc")}
    return found
