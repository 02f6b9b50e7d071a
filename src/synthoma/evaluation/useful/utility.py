"""Useful? Detectors that learn from real scans, synthetic ones or both, tested on held-out real patients.

All arms train the same detector for the same number of steps, and nothing is chosen on anybody: the threshold is 0.5
and the last weights count. So every patient that the generator did not see can test, those of the validation split
too. The control of a mixture is not the plain real arm alone but real scans *duplicated to the same count*: what a
mixture gains over fewer copies of real slices is gained by any filling.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.fanned import each
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.arms import CONTROL, Arm, Material, arms_of, stages
from synthoma.evaluation.useful.comparing import comparisons_of, decision
from synthoma.evaluation.useful.cross import cross_table
from synthoma.evaluation.useful.differences import seed_noise
from synthoma.evaluation.useful.grid import Cell, run_cells
from synthoma.evaluation.useful.material import prepared
from synthoma.evaluation.useful.patient_scores import HeldOut, arm_result, patient_scores
from synthoma.evaluation.useful.result import CrossTable, Utility
from synthoma.evaluation.useful.trainings import Answers, DetectorTest
from synthoma.evaluation.useful.worth import worth


def utility(
    real: Cohort,
    synthetic: Cohort,
    config: EvaluateConfig,
    cells: Path,
    *,
    seen: Collection[str] | None = None,
    phantom: Cohort | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Utility:
    """Train all arms and compare them.

    Args:
        real: with its splits; the training split is learned from, all else asked.
        synthetic: any cohort of synthetic slices.
        config: settings.
        cells: folder of finished trainings.
        seen: names of those whom the generator learned from: the patients that one has. None for the whole training
            split, which also stands for them where it lacks all of them.
        phantom: simulated patients.
        progress: told how many trainings are finished.

    Returns:
        Arms with scores and intervals, comparisons, learning curve, what the synthetic cohort is worth, and a word with
        its reason.
    """
    try:
        material, test = prepared(real, synthetic, config, seen=seen, phantom=phantom)
    except InputError as error:
        return Utility(word="CANNOT TELL", because=f"not tested: {error}", arms={})
    sizes, results, tables = config.utility.detectors, list[Utility](), list[CrossTable | None]()
    crossed = replace(test, detector=sizes[0])
    arms = [partial(_of_detector, material, test, config, cells, size, progress) for size in sizes]
    cross = [partial(cross_table, material, crossed, config, cells, progress)] if config.utility.cross else []
    each((lambda: results.extend(each(arms)), lambda: tables.extend(each(cross))))
    if tables:
        results[0] = results[0].model_copy(update={"cross": tables[0]})
    # The first detector is the one that decides; the others show whether it is alone with what it says.
    others = tuple(results[1:])
    return results[0].model_copy(update={"other_detectors": others}) if others else results[0]


def _of_detector(
    material: Material, test: DetectorTest, config: EvaluateConfig, folder: Path, size: str,
    progress: Callable[[int, int], None],
) -> Utility:  # fmt: skip
    """All arms with one size of detector."""
    settings = config.utility
    sized = DetectorTest(test.slices, test.task, test.modalities, test.classes, size)
    arms = arms_of(settings, material)
    # A thousand apart: trainings of two evaluations share no seed, of which each has 50 at most.
    seeds = [config.seed * 1000 + number for number in range(settings.seeds)]
    cells = [
        Cell(stages(arm, material, seed=seed, steps=settings.steps), sized, seed) for arm in arms for seed in seeds
    ]
    answers = run_cells(cells, folder, device=config.device, jobs=config.jobs, progress=progress)
    by_arm = {arm.name: answers[number * len(seeds) : (number + 1) * len(seeds)] for number, arm in enumerate(arms)}
    return judged(arms, by_arm, material, sized, config)


def judged(
    arms: Sequence[Arm], answers: Mapping[str, Sequence[Answers]], material: Material, test: DetectorTest,
    config: EvaluateConfig,
) -> Utility:  # fmt: skip
    """Scores, comparisons, worth and word out of all answers, one for each seed of each arm."""
    held_out = HeldOut.of(test)
    scores = {name: patient_scores(by_seed, held_out) for name, by_seed in answers.items()}
    # Of arms that share all patients. Those of fewer draw them anew for each seed, and vary by patients too.
    noise = seed_noise([scores[arm.name].scores for arm in arms if arm.patients is None])
    comparisons = comparisons_of(arms, answers, scores, held_out, noise, config)
    had, patients = len(material.had), int(scores[CONTROL].scores.shape[1])
    outlined = test.task == "outline"
    decided = decision(comparisons, patients, "Dice" if outlined else "accuracy", config.thresholds)
    return Utility(
        word=decided.word,
        because=decided.because,
        mixture=decided.mixture,
        task=test.task,
        endpoint="mean volume Dice of held-out patients" if outlined else "balanced accuracy",
        detector=test.detector,
        steps=config.utility.steps,
        seeds=config.utility.seeds,
        patients=had,
        held_out_patients=patients,
        held_out_slices=len(held_out.groups),
        seed_noise=noise,
        arms={
            arm.name: arm_result(arm, scores[arm.name], answers[arm.name], held_out, had=had, noise=noise)
            for arm in arms
        },
        comparisons=comparisons,
        worth=worth(
            {arm.patients or had: scores[arm.name].scores for arm in arms if arm.kind == "real"},
            {arm.name: scores[arm.name].scores for arm in arms if arm.kind == "mixed"},
            had=had,
            known=len(set(material.groups)),
            noise=noise,
        ),
        training_seconds=round(sum(one.seconds for by_seed in answers.values() for one in by_seed), 1),
    )
