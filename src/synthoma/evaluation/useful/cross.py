"""Trained on real, synthetic or both, and tested on each of the three: the table of Shin et al. (2018) made square.

Real held-out patients alone say whether synthetic slices are useful. The other two columns say why: a detector of real
scans that fails on synthetic ones has seen nothing like them, and one that is better on synthetic slices than on any
patient has learned what only those have.

A tenth or more of the synthetic groups is kept back to test on, so these detectors are trained for themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthoma.core.seeding import stream
from synthoma.core.types import Array, Bools, Ints
from synthoma.evaluation.score import Estimate
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.arms import Arm, Material, chosen_rows
from synthoma.evaluation.useful.differences import seed_noise, shaken_draws, widened
from synthoma.evaluation.useful.grid import Cell, run_cells
from synthoma.evaluation.useful.patient_scores import HeldOut, patient_scores
from synthoma.evaluation.useful.result import CrossCell, CrossTable, Side
from synthoma.evaluation.useful.trainings import Answers, DetectorTest, Source, Stage
from synthoma.metrics.intervals import bootstrap

SIDES: tuple[Side, ...] = ("real", "synthetic", "combined")
KEPT_BACK = 0.25
"""Share of the synthetic groups that are tested on."""

MOST_SEEDS = 3
LEAST_GROUPS = 4
"""Synthetic groups with something to find below which nothing is kept back."""


def cross_table(
    material: Material, test: DetectorTest, config: EvaluateConfig, folder: Path, progress: Callable[[int, int], None]
) -> CrossTable | None:
    """Train three detectors for each seed and ask each about real and synthetic slices that it did not see.

    Args:
        material: what is learned from.
        test: the real held-out slices, task and detector.
        config: settings.
        folder: of finished trainings.
        progress: told how many of them are finished.

    Returns:
        The table; None where there are too few synthetic groups to keep some back.
    """
    kept = kept_back(material.synthetic, test, config.seed)
    if kept is None:
        return None
    learned = Source(material.synthetic.cohort, material.synthetic.rows[~kept])
    asked = Source(material.synthetic.cohort, material.synthetic.rows[kept])
    both = replace(test, also=asked)
    # As in `utility`: what differs from the arms is what was learned from, not the first weights.
    seeds = [config.seed * 1000 + number for number in range(min(MOST_SEEDS, config.utility.seeds))]
    cells = [
        Cell(_stages(side, material, learned, seed, config.utility.steps), both, seed)
        for side in SIDES
        for seed in seeds
    ]
    answers = run_cells(cells, folder, device=config.device, jobs=config.jobs, progress=progress)
    by_side = {side: answers[at * len(seeds) : (at + 1) * len(seeds)] for at, side in enumerate(SIDES)}
    real, drawn = HeldOut.of(test), HeldOut.of(replace(test, slices=asked))
    return CrossTable(
        trained_on={side: _row(by_side[side], real, drawn) for side in SIDES},
        kept_back=len(set(drawn.groups.tolist())),
        kept_back_slices=len(asked.rows),
        seeds=len(seeds),
    )


def kept_back(synthetic: Source, test: DetectorTest, seed: int) -> Bools | None:
    """Which synthetic slices (N,) are tested on: those of a quarter of the groups, of each class alike.

    Classes are with and without tumour where tumours are outlined. None where no class has groups enough.
    """
    table = synthetic.cohort.slices.iloc[synthetic.rows]
    groups = table["group"].astype(str).to_numpy()
    kind = (table["tumour_pixels"].to_numpy() > 0).astype(str) if test.task == "outline" else table["label"].to_numpy()
    # The largest of its slices' kinds: "True" sorts behind "False", so one slice with tumour makes a group with tumour.
    of_group = {name: max(kind[groups == name].tolist()) for name in sorted(set(groups))}
    chosen: set[str] = set()
    for one in sorted(set(of_group.values())):
        names = [name for name, other in of_group.items() if other == one]
        if len(names) < LEAST_GROUPS:
            continue
        # Of one group there is no interval.
        count = max(2, round(KEPT_BACK * len(names)))
        order = stream(seed, f"evaluation.cross.{one}").permutation(len(names))
        chosen |= {names[at] for at in order[:count].tolist()}
    kept: Bools = np.isin(groups, list(chosen))
    return kept if chosen and not (test.task == "outline" and not (kind[kept] == "True").any()) else None


def _stages(side: Side, material: Material, learned: Source, seed: int, steps: int) -> tuple[Stage, ...]:
    real = Source(material.real.cohort, chosen_rows(Arm("real", "", "real"), material, seed))
    sources = {"real": (real,), "synthetic": (learned,), "combined": (real, learned)}[side]
    return (Stage(sources, steps),)


def _row(answers: Sequence[Answers], real: HeldOut, drawn: HeldOut) -> Mapping[Side, CrossCell]:
    """Cells of one kind of training; the answers are of the real slices first, then of the synthetic ones."""
    first = len(real.groups)
    halves = [(_part(one, slice(None, first)), _part(one, slice(first, None))) for one in answers]
    # Synthetic groups could bear the name of a patient: in one column they stand for themselves.
    names = np.array([f"synthetic {name}" for name in drawn.groups.tolist()])
    joined = HeldOut(
        np.concatenate([real.groups.astype(str), names]), np.concatenate([real.truth, drawn.truth]), real.test
    )
    return {
        "real": _cell([one for one, _ in halves], real),
        "synthetic": _cell([other for _, other in halves], drawn),
        "combined": _cell(answers, joined),
    }


def _cell(answers: Sequence[Answers], asked: HeldOut) -> CrossCell:
    scores = patient_scores(answers, asked).scores
    noise = seed_noise([scores]) if len(scores) > 1 else 0.0
    means, shake = scores.mean(axis=0), noise / np.sqrt(len(answers))
    low, high = widened(means, shake, shaken_draws(means, shake, "cross"))
    score = Estimate(value=float(scores.mean()), low=max(low, 0.0), high=min(high, 1.0), n=scores.shape[1])
    return CrossCell(score=score, detection=_detection(answers, asked))


def _detection(answers: Sequence[Answers], asked: HeldOut) -> Estimate | None:
    """Balanced accuracy of the question tumour or not, slice by slice, resampled by group; None of a classifier."""
    if not asked.outlined:
        return None
    names, whose = np.unique(asked.groups, return_inverse=True)
    truth = asked.truth == 1
    called = np.mean([one.chances > 0.5 for one in answers], axis=0)  # share of the seeds that call it tumour
    parts = (called * truth, truth.astype(float), (1 - called) * ~truth, (~truth).astype(float))
    counts = np.stack([np.bincount(whose, part, len(names)) for part in parts])

    def balanced(drawn: Ints) -> float:
        hit, ill, spared, healthy = counts[:, drawn].sum(axis=1)
        return float((hit / ill + spared / healthy) / 2) if ill and healthy else float("nan")

    found = bootstrap(balanced, len(names), limits=(0.0, 1.0))
    return Estimate(value=found.value, low=found.low, high=found.high, n=len(truth))


def _part(answers: Answers, part: slice) -> Answers:
    def cut(values: Array) -> Array:
        return values[part] if len(values) else values

    return replace(
        answers,
        chances=cut(answers.chances),
        found_pixels=cut(answers.found_pixels),
        called_pixels=cut(answers.called_pixels),
        tumour_pixels=cut(answers.tumour_pixels),
    )
