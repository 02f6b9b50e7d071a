"""Useful? Detectors that learn from real scans, synthetic ones or both, tested on held-out real patients.

All arms train the same detector for the same number of steps, and nothing is chosen on anybody: the threshold is 0.5
and the last weights count. So every patient that the generator did not see can test, those of the validation split
too. The control of a mixture is not the plain real arm alone but real scans *duplicated to the same count*: what a
mixture gains over fewer copies of real slices is gained by any filling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import rows_named
from synthoma.cohorts.splits import LEAST_HELD_OUT
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import UNLABELLED, Bools, Floats, Ints
from synthoma.evaluation.comparison import check_alike
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.arms import CONTROL, Arm, Material, arms_of, stages
from synthoma.evaluation.useful.grid import Cell, run_cells
from synthoma.evaluation.useful.trainings import Answers, Exam, Source
from synthoma.evaluation.useful.worth import worth
from synthoma.metrics.classification import binary_scores, ranking_scores
from synthoma.metrics.intervals import DRAWS
from synthoma.metrics.significance import delong, holm, mcnemar, minimum_detectable_effect, needed_patients


@dataclass(frozen=True)
class Marks:
    """What each held-out patient gives to the endpoint, for one arm.

    Attributes:
        scores: (seeds, patients); their mean is the endpoint. Volume Dice of a segmenter. Of a classifier the share of
            slices that are right, weighted so that the mean is the balanced accuracy.
        raw: (seeds, patients), 0..1: Dice, or the share of slices that are right.
    """

    scores: Floats
    raw: Floats


def utility(
    real: Cohort,
    synthetic: Cohort,
    config: EvaluateConfig,
    cells: Path,
    *,
    seen: Collection[str] | None = None,
    phantom: Cohort | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
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
        Plain data: arms with scores and intervals, comparisons, learning curve, what the synthetic cohort is worth,
        and a word with its reason.
    """
    try:
        material, exam = prepared(real, synthetic, config, seen=seen, phantom=phantom)
    except InputError as error:
        return {"word": "CANNOT TELL", "because": f"not tested: {error}", "arms": {}}
    results = [_of_detector(material, exam, config, cells, size, progress) for size in config.utility.detectors]
    # The first detector is the one that decides; the others show whether it is alone with what it says.
    return {**results[0], "other_detectors": results[1:]} if len(results) > 1 else results[0]


def prepared(
    real: Cohort, synthetic: Cohort, config: EvaluateConfig, *, seen: Collection[str] | None, phantom: Cohort | None
) -> tuple[Material, Exam]:
    """Which slices are learned from and which are asked.

    Raises:
        InputError: nothing can be taught, or there are too few patients on either side.
    """
    labelled = bool(real.tumour_labels and synthetic.tumour_labels)
    masks = labelled and bool((synthetic.slices["tumour_pixels"] > 0).any())
    task = "outline" if masks else "classify"
    classes: tuple[str, ...] = ()
    if task == "classify":
        made = set(synthetic.slices["label"]) - {UNLABELLED}
        classes = tuple(name for name in real.classes if name in made and name != UNLABELLED)
        if len(classes) < 2:
            came = f"no masks on both sides, and the classes {', '.join(classes) or 'of no slice'}"
            raise InputError("synthetic images with masks, or of two classes that the real cohort has", came,
                             "generate with --with-masks or all classes")  # fmt: skip
    table = real.slices
    usable = _usable(real, task, classes)
    training = usable & np.array(table["split"] == "train")
    groups = table["group"].astype(str).to_numpy()
    rows = np.flatnonzero(training)
    own = sorted(set(groups[rows]))
    known = set(groups[training & rows_named(real, seen)]) if seen is not None else set()
    had = tuple(name for name in own if not known or name in known)
    if config.utility.patients is not None:
        had = tuple(had[i] for i in np.sort(stream(config.seed, "evaluation.utility.had").permutation(len(had))
                                            [: config.utility.patients]))  # fmt: skip
    if not known <= set(had):
        came = f"{len(known)} that the generator learned from, and {len(had)} that one is to have"
        raise InputError("a generator that saw no more patients than one has", came, "leave out utility.patients")
    asked = np.flatnonzero(usable & ~np.array(table["split"] == "train"))
    shown = asked[table["tumour_pixels"].to_numpy()[asked] > 0] if task == "outline" else asked
    held = sorted(set(groups[shown]))
    if len(had) < 2 or len(held) < LEAST_HELD_OUT:
        came = f"{len(had)} and {len(held)}"
        wanted = f"2 real training patients and {LEAST_HELD_OUT} held-out ones"
        raise InputError(wanted, came, "add patients, or prepare with another --split")
    material = Material(
        Source(real, rows),
        tuple(groups[rows]),
        had,
        Source(synthetic, np.flatnonzero(_usable(synthetic, task, classes))),
        _simulated(real, phantom, task, classes) if phantom is not None else None,
    )
    return material, Exam(Source(real, asked), task, real.modalities, classes)


def _simulated(real: Cohort, phantom: Cohort, task: str, classes: tuple[str, ...]) -> Source:
    """Slices of simulated patients that teach the same task.

    Raises:
        InputError: real patients, another preparation, or nothing that teaches the task.
    """
    check_simulated(real, phantom)
    rows = np.flatnonzero(_usable(phantom, task, classes))
    if not len(rows) or (task == "outline" and not phantom.tumour_labels):
        wanted = "simulated slices with masks" if task == "outline" else f"simulated slices of {', '.join(classes)}"
        raise InputError(wanted, "none", "leave out --phantom, or prepare another one")
    return Source(phantom, rows)


def check_simulated(real: Cohort, phantom: Cohort) -> None:
    """Raise InputError unless a cohort shows simulated patients, prepared like the real ones."""
    if phantom.origin != "phantom":
        raise InputError(
            "a cohort of simulated patients (--phantom)", phantom.origin, "make one with prepare --phantom"
        )
    check_alike(real, phantom, classes=False)


def _usable(cohort: Cohort, task: str, classes: tuple[str, ...]) -> Bools:
    table = cohort.slices
    if task == "classify":
        return np.array(table["label"].isin(classes), dtype=bool)
    labelled = table["has_mask"].fillna(0).astype(bool) if "has_mask" in table else np.ones(len(cohort), bool)
    return np.array(labelled, dtype=bool)


def _of_detector(
    material: Material, exam: Exam, config: EvaluateConfig, folder: Path, size: str,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:  # fmt: skip
    """All arms with one size of detector."""
    settings = config.utility
    sized = Exam(exam.asked, exam.task, exam.modalities, exam.classes, size)
    arms = arms_of(settings, material)
    seeds = [config.seed * 1000 + number for number in range(settings.seeds)]
    cells = [
        Cell(stages(arm, material, seed=seed, steps=settings.steps), sized, seed) for arm in arms for seed in seeds
    ]
    answers = run_cells(cells, folder, device=config.device, jobs=config.jobs, progress=progress)
    sat = {arm.name: answers[number * len(seeds) : (number + 1) * len(seeds)] for number, arm in enumerate(arms)}
    return judged(arms, sat, material, sized, config)


def judged(
    arms: Sequence[Arm], answers: Mapping[str, Sequence[Answers]], material: Material, exam: Exam,
    config: EvaluateConfig,
) -> dict[str, Any]:  # fmt: skip
    """Scores, comparisons, worth and word out of all answers."""
    table = exam.asked.cohort.slices.iloc[exam.asked.rows]
    groups = table["group"].astype(str).to_numpy()
    truth = _truth(table, exam)
    marks = {name: _marks(sat, groups, truth, exam) for name, sat in answers.items()}
    noise = seed_noise([marks[arm.name].scores for arm in arms if arm.patients is None])
    comparisons = _compared(arms, answers, marks, groups, truth, exam, noise, config)
    had = len(material.had)
    real = {arm.patients or had: marks[arm.name].scores for arm in arms if arm.kind == "real"}
    mixed = {arm.name: marks[arm.name].scores for arm in arms if arm.kind == "mixed"}
    found = worth(real, mixed, had=had, known=len(set(material.groups)), noise=noise)
    word = _word(comparisons, marks[CONTROL].scores.shape[1], "Dice" if exam.task == "outline" else "accuracy", config)
    return {
        **word,
        "task": exam.task,
        "endpoint": "mean volume Dice of held-out patients" if exam.task == "outline" else "balanced accuracy",
        "detector": exam.detector,
        "steps": config.utility.steps,
        "seeds": config.utility.seeds,
        "patients": len(material.had),
        "held_out_patients": int(marks[CONTROL].scores.shape[1]),
        "held_out_slices": len(groups),
        "seed_noise": noise,
        "arms": {
            arm.name: {
                "title": arm.title,
                "patients": len(material.had) if arm.patients is None else arm.patients,
                **_scored(marks[arm.name], answers[arm.name], groups, truth, exam, noise),
            }
            for arm in arms
        },
        "comparisons": comparisons,
        "worth": asdict(found) if found else {},
        "training_seconds": round(sum(one.seconds for sat in answers.values() for one in sat), 1),
    }


# --- marks ----------------------------------------------------------------------------------------------------------


def _truth(table: Any, exam: Exam) -> Ints:
    """Right answer of each slice: tumour or not, or the number of its class."""
    if exam.task == "outline":
        return np.array(table["tumour_pixels"] > 0, dtype=np.int64)
    number = {name: index for index, name in enumerate(exam.classes)}
    return np.array([number[name] for name in table["label"]], dtype=np.int64)


def _marks(sat: Sequence[Answers], groups: Any, truth: Ints, exam: Exam) -> Marks:
    names = np.unique(groups)
    if exam.task == "outline":
        ill = [name for name in names if truth[groups == name].any()]
        belongs = np.stack([groups == name for name in ill]).astype(np.float64)
        dice = np.stack([2 * (belongs @ one.hit) / np.maximum(belongs @ (one.said + one.being), 1) for one in sat])
        return Marks(dice, dice)
    right = np.stack([one.chances.argmax(axis=1) == truth for one in sat]).astype(np.float64)
    present = np.unique(truth)
    having = {label: len(set(groups[truth == label])) for label in present.tolist()}
    scores, raw = np.zeros((2, len(sat), len(names)))
    for at, name in enumerate(names):
        own = groups == name
        raw[:, at] = right[:, own].mean(axis=1)
        # A patient may show several classes; each class's patients weigh the same together.
        for label in np.unique(truth[own]).tolist():
            share = right[:, own & (truth == label)].mean(axis=1)
            scores[:, at] += share * len(names) / (len(present) * having[label])
    return Marks(scores, raw)


def seed_noise(scores: Sequence[Floats]) -> float:
    """Standard deviation of an arm's mean from seed to seed, pooled over arms (seeds, patients)."""
    variances = [part.mean(axis=1).var(ddof=1) for part in scores if len(part) > 1]
    return float(np.sqrt(np.mean(variances))) if variances else 0.0


def _scored(marks: Marks, sat: Sequence[Answers], groups: Any, truth: Ints, exam: Exam, noise: float) -> dict[str, Any]:
    """Endpoint with its interval over patients and seeds, and the scores of detection."""
    # Arms that draw other patients for each seed vary more than those that share them all.
    own = max(noise, float(marks.scores.mean(axis=1).std(ddof=1)))
    scores = marks.scores.mean(axis=0)
    low, high = _widened(scores, own / np.sqrt(len(sat)), _draws(scores, own / np.sqrt(len(sat)), "arm"))
    found: dict[str, Any] = {
        "score": {"value": float(marks.scores.mean()), "low": low, "high": high, "n": marks.scores.shape[1]},
        "by_seed": marks.scores.mean(axis=1).round(5).tolist(),
    }
    if exam.task == "outline" and len(set(truth.tolist())) == 2:
        every = [
            {**binary_scores(truth, (one.chances > 0.5).astype(np.int64)), **ranking_scores(truth, one.chances)}
            for one in sat
        ]
        found["detection"] = {name: float(np.mean([one[name] for one in every])) for name in every[0]}
    elif exam.task == "classify":
        found["detection"] = {"accuracy": float(np.mean([(one.chances.argmax(axis=1) == truth).mean() for one in sat]))}
        if len(exam.classes) == 2:
            found["detection"] |= {
                name: float(np.mean([ranking_scores(truth, one.chances[:, 1])[name] for one in sat]))
                for name in ("roc_auc", "pr_auc")
            }
    return found


# --- comparisons ----------------------------------------------------------------------------------------------------


def paired(first: Floats, second: Floats, noise: float, name: str, alpha: float = 0.05) -> dict[str, Any]:
    """Difference of two arms (seeds, patients) over the same patients, with interval and p.

    Patients are drawn with replacement (patient-clustered paired bootstrap), and to each draw comes the noise of two
    means of so many seeds: other weights and batches would have given another difference on the same patients.
    """
    gaps = first.mean(axis=0) - second.mean(axis=0)
    shake = noise * float(np.sqrt(1 / len(first) + 1 / len(second)))
    draws = _draws(gaps, shake, name)
    least = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    p = min(1.0, 2 * (int(least) + 1) / (len(draws) + 1))
    error, value = _error(gaps, shake), float(gaps.mean())
    low, high = _widened(gaps, shake, draws, alpha)
    return {
        "value": value,
        "low": low,
        "high": high,
        "p": max(p, 2 * float(stats.t.sf(abs(value) / error, len(gaps) - 1))),
        "n": len(gaps),
        "spread": float(error * np.sqrt(len(gaps))),
        "shake": shake,
    }


def _error(values: Floats, shake: float) -> float:
    """Standard error of a mean over patients (N,).

    What a patient's value varies by holds no noise of seeds that all patients share: it is added.
    """
    return max(float(np.sqrt(values.var(ddof=1) / len(values) + shake**2)), 1e-12)


def _widened(values: Floats, shake: float, draws: Floats, alpha: float = 0.05) -> tuple[float, float]:
    """Interval of a mean over patients (N,) at 1 - alpha, by its bootstrap draws and by Student's t: the wider counts.

    A bootstrap of a few patients cannot show how little they say.
    """
    low, high = _interval(draws, alpha)
    reach = float(stats.t.ppf(1 - alpha / 2, len(values) - 1)) * _error(values, shake)
    return min(low, float(values.mean()) - reach), max(high, float(values.mean()) + reach)


def _draws(values: Floats, shake: float, name: str) -> Floats:
    generator = stream(0, f"evaluation.utility.{name}")
    picked = generator.integers(0, len(values), (DRAWS, len(values)))
    return np.asarray(values[picked].mean(axis=1) + shake * generator.normal(size=DRAWS))


def _interval(draws: Floats, alpha: float = 0.05) -> tuple[float, float]:
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


def _compared(
    arms: Sequence[Arm], answers: Mapping[str, Sequence[Answers]], marks: Mapping[str, Marks], groups: Any,
    truth: Ints, exam: Exam, noise: float, config: EvaluateConfig,
) -> dict[str, Any]:  # fmt: skip
    """Every other arm against the control and against real scans; p of the mixtures adjusted after Holm."""
    found: dict[str, Any] = {}
    mixed = [arm.name for arm in arms if arm.kind == "mixed"]
    alpha = config.thresholds.alpha
    for arm in arms:
        if arm.name == CONTROL or arm.kind == "real":
            continue
        entry = {"against": CONTROL, **paired(marks[arm.name].scores, marks[CONTROL].scores, noise, arm.name, alpha)}
        entry["against_real"] = paired(marks[arm.name].scores, marks["real"].scores, noise, f"{arm.name} real", alpha)
        # To help, a mixture has to be better than either, and Holm has the mixtures share the level.
        spread = max(entry["spread"], entry["against_real"]["spread"])
        entry["minimum_detectable"] = minimum_detectable_effect(
            spread, entry["n"], alpha=alpha / max(1, len(mixed)) if arm.name in mixed else alpha
        )
        ours, theirs = (marks[name].raw.mean(axis=0) > 0.5 for name in (arm.name, CONTROL))
        test = mcnemar(ours, theirs)
        entry["mcnemar"] = {"only_this": test.only_first, "only_control": test.only_second, "p": test.p}
        if exam.task == "outline" and len(set(truth.tolist())) == 2:
            chances = [np.mean([one.chances for one in answers[name]], axis=0) for name in (arm.name, CONTROL)]
            areas = delong(truth, chances[0], chances[1], groups=list(groups))
            entry["delong"] = {"auc": areas.first, "auc_control": areas.second, "p": areas.p}
        found[arm.name] = entry
    for name, adjusted in zip(mixed, holm([found[name]["p"] for name in mixed]), strict=True):
        found[name]["p_holm"] = adjusted
    return found


def _word(comparisons: Mapping[str, Any], patients: int, what: str, config: EvaluateConfig) -> dict[str, str]:
    """HELPS, HARMS, NO EVIDENCE or CANNOT TELL, out of the mixtures alone: they were named before.

    With it comes the mixture that decided, which is the one that every headline shows.
    """
    mixed = {name: entry for name, entry in comparisons.items() if "p_holm" in entry}
    first, last = (choose(mixed, key=lambda name: float(mixed[name]["value"])) for choose in (max, min))
    best, worst = mixed[first], mixed[last]
    alpha, least = config.thresholds.alpha, config.thresholds.least_effect
    if best["value"] > 0 and best["p_holm"] < alpha and best["against_real"]["low"] > 0:
        because = f"{what} {_said(best)} against real scans duplicated to the same count"
        return {"word": "HELPS", "because": because, "mixture": first}
    if worst["value"] < 0 and worst["p_holm"] < alpha and worst["against_real"]["high"] < 0:
        because = f"{what} {_said(worst)} against real scans duplicated to the same count"
        return {"word": "HARMS", "because": because, "mixture": last}
    found = best["minimum_detectable"]
    if not found <= least:
        wider = max(best, best["against_real"], key=lambda entry: float(entry["spread"]))
        own = math.sqrt(max(wider["spread"] ** 2 - wider["n"] * wider["shake"] ** 2, 0))
        needed = needed_patients(own, least, noise=wider["shake"], alpha=alpha / len(mixed))
        todo = f"{least:g} needs about {needed}" if needed else f"{least:g} needs more seeds, and patients"
        because = (
            f"{what} {_said(best)}; with {patients} held-out patients only a difference of {found:.2f} would be found, "
            f"{todo}"
        )
        return {"word": "CANNOT TELL", "because": because, "mixture": first}
    return {
        "word": "NO EVIDENCE",
        "because": f"{what} {_said(best)}; a difference of {found:.3f} would have been found",
        "mixture": first,
    }


def _said(entry: Mapping[str, Any]) -> str:
    return f"{entry['value']:+.3f} [{entry['low']:+.3f}, {entry['high']:+.3f}]"
