"""Do images and masks belong together? A detector trained on real scans only is the judge.

It learns from the real training split, with a seed of its own, and outlines held-out real slices and synthetic ones.
Where it agrees with real masks but not with synthetic ones, the generator's masks do not lie on its tumours. Its inner
features serve as one more family for the scores of realism.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.core.types import Bools, Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.realistic.result import Agreement
from synthoma.evaluation.score import Estimate
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.grid import Cell, run_cells
from synthoma.evaluation.useful.trainings import Answers, DetectorTest, Source, Stage
from synthoma.metrics.intervals import SHARE, score_interval

SEED = 424_242
"""Added to the evaluation's seed: the judge shares no draw with the detectors that test usefulness."""

LEAST_PIXELS = 20
"""Pixels of tumour below which Dice of a slice says nothing."""

LEAST_GROUPS = 3
"""Held-out patients below which nothing is compared."""


@dataclass(frozen=True)
class Judge:
    """What the judge says of real slices (training, then held-out) and of synthetic ones.

    Attributes:
        real, synthetic: its answers; of a classifier without pixel counts.
    """

    real: Answers
    synthetic: Answers

    @property
    def features(self) -> Floats:
        """Its inner features, real slices first, (N, D)."""
        return np.concatenate([self.real.features, self.synthetic.features])


def ask_judge(
    comparison: Comparison, training: Source, test: DetectorTest, synthetic: Source, config: EvaluateConfig,
    folder: Path, progress: Callable[[int, int], None],
) -> Judge:  # fmt: skip
    """Train the judge and ask it about the slices that are compared."""
    real = test.slices.cohort
    stage = Stage((training,), config.utility.steps)
    rows = np.concatenate([comparison.training_rows, comparison.held_out_rows])
    sources = (Source(real, rows), Source(synthetic.cohort, comparison.synthetic_rows))
    cells = [
        Cell((stage,), DetectorTest(asked, test.task, test.modalities, test.classes, features=True), config.seed + SEED)
        for asked in sources
    ]
    return Judge(*run_cells(cells, folder, device=config.device, jobs=config.jobs, progress=progress))


def agreement(judge: Judge, comparison: Comparison) -> Agreement | None:
    """Dice between given masks and the judge's, of held-out real and of synthetic slices that show tumour.

    None without masks, or where too few patients are held out.
    """
    if not len(judge.synthetic.tumour_pixels) or not (judge.synthetic.tumour_pixels >= LEAST_PIXELS).any():
        return None
    first = len(comparison.training_rows)
    dice, ill = _dice(judge.real)
    # Held-out slices only: the judge has learned the masks of the training slices, which come first.
    held, seen = dice[first:][ill[first:]], ill[first:]
    groups = np.array(comparison.held_out_groups)[seen]
    made, drawn = _dice(judge.synthetic)
    if len(held) < 10 or len(set(groups)) < LEAST_GROUPS:
        return None
    made_by = np.array(comparison.synthetic_groups)[drawn]
    # By group on both sides: slices of a patient are right or wrong together.
    ours = score_interval(made[drawn], groups=made_by.tolist(), limits=SHARE)
    theirs = score_interval(held, groups=groups.tolist(), limits=SHARE)
    bad = np.flatnonzero(drawn)[worst(made[drawn], theirs.value)]
    return Agreement(
        real=Estimate(value=theirs.value, low=theirs.low, high=theirs.high, n=len(held)),
        synthetic=Estimate(value=ours.value, low=ours.low, high=ours.high, n=int(drawn.sum())),
        gap=theirs.value - ours.value,
        rejected=tuple(comparison.synthetic_rows[bad].tolist()),
        rejected_share=float(len(bad) / max(1, int(drawn.sum()))),
    )


def worst(values: Floats, wanted: float) -> Ints:
    """The lowest of some values (N,), by position: as many as must go for the mean of the others to be as wanted."""
    order = np.argsort(values, kind="stable")
    without = np.cumsum(values[order][::-1])[::-1] / np.arange(len(values), 0, -1)  # the lowest 0, 1, 2 ... of them
    # Means that are equal by rights may differ by rounding, and nobody would go for that.
    return order[: int((without < wanted - 1e-9).sum())]


def _dice(answers: Answers) -> tuple[Floats, Bools]:
    """Dice of each slice, and whether it shows enough tumour for that to mean something."""
    # Where neither shows a pixel this gives 0 / 1. No such slice is ill, so none of them counts.
    total: Ints = answers.called_pixels + answers.tumour_pixels
    return np.asarray(2 * answers.found_pixels / np.maximum(total, 1)), np.asarray(
        answers.tumour_pixels >= LEAST_PIXELS
    )
