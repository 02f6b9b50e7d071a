"""How many patients is it worth to repaint simulated ones? Detectors at few real patients, all real patients tested.

    python benchmarks/worth.py --keep DIR [--patients 10 5] [--minutes 5] [--seeds 2] [--jobs 1]

LGG FLAIR at 64 px in three by-patient folds, so each of the 40 patients is tested once. In each fold N of the training
patients are drawn; a phantom-gan (`--model auto`) learns from these alone, and a detector from: these alone; with plain
simulated slices; with repainted ones; the simulated or repainted ones alone; and, for comparison, from all training
patients of the fold. Half of each batch of a mixture is real. All learn for the same number of steps, the threshold is
0.5, nothing is chosen on anybody. Finished trainings in DIR are not repeated.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from record import data_folder, earlier, save
from segmentation import FOLDS, linked
from synthoma.data.cohort import Cohort, write_rows
from synthoma.evaluation.grid import Cell, run_cells
from synthoma.evaluation.lessons import Answers, Exam, Source, Stage
from synthoma.metrics.intervals import paired_difference, score_interval
from synthoma.provenance import new_folder
from synthoma.seeding import stream
from synthoma.types import Floats

SETTINGS: dict[str, Any] = {"size": 64, "modalities": ("flair",), "merge": "whole-tumour"}
STEPS = 800
DRAWN = 1500
ARMS = ("real", "real + phantom", "real + phantom-gan", "phantom", "phantom-gan")


def drawn_patients(cohort: Cohort, count: int, fold: int) -> list[str]:
    """N training patients of a fold; those of a smaller N are among those of a larger one."""
    table = cohort.slices
    names = sorted(set(table["group"][table["split"] == "train"].astype(str)))
    return sorted(np.array(names)[stream(fold, "benchmark.worth").permutation(len(names))[:count]])


def repainted(keep: Path, part: Cohort, names: Sequence[str], fold: int, minutes: float) -> tuple[Cohort, Cohort]:
    """What a phantom-gan of these patients draws, and the simulated slices that it repaints."""
    place = keep / f"fold{fold}-{len(names)}-{minutes:g}min"
    table = part.slices
    if not (place / "real").exists():
        chosen = table["group"].astype(str).isin(names) | (table["split"] != "train")
        with new_folder(place / "real") as folder:
            write_rows(part, folder, np.flatnonzero(chosen.to_numpy()).tolist())
    if not (place / "run" / "model.safetensors").exists():
        synthoma.train(place / "real", place / "run", model="auto", minutes=minutes, seed=fold, force=True)
    if not (place / "drawn").exists():
        synthoma.generate(place / "run", place / "drawn", DRAWN, seed=fold)
    return Cohort(place / "drawn"), Cohort(place / "run" / "phantom")


def rows_of(cohort: Cohort, names: Sequence[str] | None = None) -> Source:
    """Training slices of a cohort: of some patients, or of all; every slice of one that is not real."""
    table = cohort.slices
    keep = np.ones(len(table), dtype=bool)
    if cohort.origin == "real":
        keep = np.array(table["split"] == "train")
        if names is not None:
            keep &= table["group"].astype(str).isin(names).to_numpy()
    return Source(cohort, np.flatnonzero(keep))


def patient_dice(answers: Sequence[Answers], groups: Sequence[str]) -> dict[str, float]:
    """Volume Dice of each patient that has a tumour, mean over seeds."""
    found: dict[str, list[float]] = {}
    names = np.array(groups)
    for answer in answers:
        for name in sorted(set(groups)):
            own = names == name
            hit, said, being = (int(part[own].sum()) for part in (answer.hit, answer.said, answer.being))
            if being:
                found.setdefault(name, []).append(2 * hit / (said + being))
    return {name: float(np.mean(values)) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True, help="folder for cohorts, runs and trainings")
    parser.add_argument("--patients", nargs="+", type=int, default=[10])
    parser.add_argument("--minutes", type=float, default=5.0, help="of each phantom-gan")
    parser.add_argument("--seeds", type=int, default=2, help="detectors of each arm and fold")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--note", default="", help="what else should be known of the machine")
    given = parser.parse_args()
    keep: Path = given.keep
    if not (keep / "lgg").exists():
        synthoma.prepare(data_folder() / "lgg", keep / "lgg", folds=FOLDS, **SETTINGS)
    real, results = Cohort(keep / "lgg"), earlier("worth")
    fold = real.slices["fold"].to_numpy()
    dice: dict[str, dict[str, float]] = {}
    for number in range(FOLDS):
        place = keep / f"part{number}"
        part = (
            Cohort(place)
            if place.exists()
            else linked(real, place, real.slices.assign(split=np.where(fold == number, "test", "train")))
        )
        asked = np.flatnonzero((part.slices["split"] == "test").to_numpy())
        exam = Exam(Source(part, asked), "outline", tuple(part.modalities))
        groups = part.slices["group"].astype(str).iloc[asked].tolist()

        def learn(
            name: str, sources: tuple[Source, ...], exam: Exam = exam, groups: Sequence[str] = groups
        ) -> dict[str, float]:
            cells = [Cell((Stage(sources, STEPS),), exam, seed) for seed in range(given.seeds)]
            answers = run_cells(cells, keep / "cells", device="cpu", jobs=given.jobs, progress=lambda done, total: None)
            print(name, flush=True)
            return patient_dice(answers, groups)

        dice.setdefault("all real", {}).update(learn(f"fold {number}: all real", (rows_of(part),)))
        for count in given.patients:
            names = drawn_patients(part, count, number)
            painted, phantom = repainted(keep, part, names, number, given.minutes)
            ours, plain, made = rows_of(part, names), rows_of(phantom), rows_of(painted)
            mixtures = {
                "real": (ours,),
                "real + phantom": (ours, plain),
                "real + phantom-gan": (ours, made),
                "phantom": (plain,),
                "phantom-gan": (made,),
            }
            for arm in given.arms:
                key = f"{count} {arm}" if "real" in arm else f"{arm} of {count}"
                dice.setdefault(key, {}).update(learn(f"fold {number}: {key}", mixtures[arm]))
    tested = sorted(dice["all real"])

    def column(name: str) -> Floats:
        return np.array([dice[name][patient] for patient in tested])

    arms = results.setdefault("arms", {})
    for name in dice:
        interval = score_interval(column(name), groups=tested)
        arms[name] = {"dice": interval.value, "low": interval.low, "high": interval.high, "patients": len(tested)}
    differences = results.setdefault("differences", {})
    for count in given.patients:
        mixed = f"{count} real + phantom-gan"
        for other in (f"{count} real", f"{count} real + phantom", "all real"):
            if mixed in dice and other in dice:
                found = paired_difference(column(mixed), column(other))
                differences[f"{mixed} minus {other}"] = {"value": found.value, "low": found.low, "high": found.high}
    setting = {"minutes": given.minutes, "seeds": given.seeds, "steps": STEPS, "note": given.note}
    save("worth", {**results, "setting": setting})


if __name__ == "__main__":
    main()
