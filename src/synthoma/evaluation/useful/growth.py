"""How the score grows with real patients: detectors that learn from some training patients, asked of validation ones.

The machine is that of the question "is it useful?", without synthetic slices, and no test patient is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.cohorts.cohort import Cohort, check_scale
from synthoma.core.errors import InputError
from synthoma.core.types import UNLABELLED, Floats
from synthoma.evaluation.useful.arms import Arm, Material, stages
from synthoma.evaluation.useful.grid import Cell, run_cells
from synthoma.evaluation.useful.patient_scores import HeldOut, patient_scores
from synthoma.evaluation.useful.trainings import Answers, DetectorTest, Source

SHARES = (0.25, 0.5, 1.0)
"""Of the training patients."""

LEAST_ASKED = 3
"""Validation patients below which nothing can be said of others."""

MOST_SEEDS = 50


@dataclass(frozen=True)
class Growth:
    """Scores by the number of patients learned from.

    Attributes:
        scores: number of patients -> (seeds, validation patients).
        endpoint: what a score is.
    """

    scores: dict[int, Floats]
    endpoint: str


def growth(
    cohort: Cohort, folder: Path, *, minutes: float, steps: int, seed: int, device: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Growth:  # fmt: skip
    """Train detectors on a quarter, half and all of the training patients, seed after seed until the time is over.

    Each training is of a fixed length, so that the same seeds have the same scores on any machine; the time decides
    about their number alone, and there are at least two.

    Args:
        cohort: its training split is learned from, its validation split asked.
        folder: for finished trainings.
        minutes: about how long.
        steps: batches of each training.
        seed: of all draws.
        device: what computes.
        progress: told how many seeds are done.

    Raises:
        InputError: nothing to learn, or too few patients on either side.
    """
    material, test = _material(cohort)
    had = len(material.had)
    counts = sorted({max(1, round(share * had)) for share in SHARES})
    arms = [Arm(f"real {count}", f"{count} patients", "real", count) for count in counts]
    held_out, begun, done = HeldOut.of(test), time.monotonic(), 0
    answers: dict[int, list[Answers]] = {count: [] for count in counts}
    # Another seed is begun only where it would end in time at the pace so far. Two there are always: one shows no
    # noise.
    while done < MOST_SEEDS and (done < 2 or (time.monotonic() - begun) * (done + 1) / done <= 60 * minutes):
        # As the seeds of an evaluation are made, of which there are 50 at most too.
        number = seed * 1000 + done
        cells = [Cell(stages(arm, material, seed=number, steps=steps), test, number) for arm in arms]
        found = run_cells(cells, folder, device=device, jobs=1, progress=lambda part, total: None)
        for count, one in zip(counts, found, strict=True):
            answers[count].append(one)
        done += 1
        spent = (time.monotonic() - begun) / (60 * minutes)
        # Never all of it: whether another seed is begun is decided afterwards.
        progress(min(int(100 * spent), 99), 100)
    scores = {count: patient_scores(found, held_out).raw for count, found in answers.items()}
    if test.task == "outline":
        return Growth(scores, "mean volume Dice of validation patients")
    return Growth(scores, "share of slices that are classified rightly, mean over validation patients")


def _material(cohort: Cohort) -> tuple[Material, DetectorTest]:
    """Whom detectors learn from, and whom they are asked about.

    Raises:
        InputError: nothing to learn, or too few patients on either side.
    """
    check_scale(cohort)
    table, task = cohort.slices, "outline" if cohort.tumour_labels else "classify"
    present = set(table["label"][table["split"] == "train"]) - {UNLABELLED}
    classes = () if task == "outline" else tuple(name for name in cohort.classes if name in present)
    if task == "classify" and len(classes) < 2:
        came = f"no masks, and training slices of {', '.join(classes) or 'no class'}"
        raise InputError("masks, or two classes to tell apart", came, "leave out --minutes")
    usable = table["label"].isin(classes) if task == "classify" else table["split"] != ""
    if task == "outline" and "has_mask" in table:
        usable = table["has_mask"].fillna(0).astype(bool)
    rows, asked = (np.flatnonzero((usable & (table["split"] == split)).to_numpy()) for split in ("train", "validation"))
    groups = table["group"].astype(str).to_numpy()
    had = tuple(sorted(set(groups[rows])))
    shown = asked[table["tumour_pixels"].to_numpy()[asked] > 0] if task == "outline" else asked
    held = len(set(groups[shown]))
    if len(had) < 4 or held < LEAST_ASKED:
        came = f"{len(had)} and {held}"
        wanted = f"4 training patients and {LEAST_ASKED} validation ones with tumour, for a learning curve"
        raise InputError(wanted, came, "leave out --minutes, or prepare with another --split")
    real = Source(cohort, rows)
    # No arm here takes synthetic slices.
    material = Material(real, tuple(groups[rows]), had, Source(cohort, rows[:0]))
    return material, DetectorTest(Source(cohort, asked), task, cohort.modalities, classes)
