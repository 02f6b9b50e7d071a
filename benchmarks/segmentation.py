"""Detectors against one another: by-patient folds of the LGG patients, the same minutes, nothing chosen on tests.

    python benchmarks/segmentation.py --minutes 5 [--models unet-25d resunet ...] [--folds 0 1 2] --keep DIR

Each patient is tested once, on the scan's own grid, by a network that saw neither the patient nor its validation Dice.
A model and fold that is finished in DIR is not trained again, so the work can be interrupted and spread over days.
``--summary`` only combines what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from record import data_folder, earlier, save
from synthoma.cohorts.cohort import Cohort
from synthoma.core.outputs import new_folder
from synthoma.core.seeding import stream
from synthoma.core.whole_files import write_json
from synthoma.detection.detector import Detector
from synthoma.detection.scan import look
from synthoma.detection.settings import DetectConfig
from synthoma.masks.patients import PatientMasks
from synthoma.masks.scores import score_arrays
from synthoma.metrics.calibration import expected_calibration_error
from synthoma.metrics.classification import ranking_scores
from synthoma.metrics.intervals import SHARE, bootstrap_many, paired_difference
from synthoma.scans.layouts import take_inventory

MODELS = ("unet-25d", "resunet-seed", "resunet", "segresnet", "dynunet", "mask-gan", "mask-dcgan-seed")
VARIANTS: dict[str, dict[str, Any]] = {
    "unet-25d from phantom": {"model": "unet-25d", "init": "phantom", "segmenter": {"rate": 1e-3}},
}
"""Rows that are not a model's own settings."""

SIZE = 128
SIZES = {"mask-dcgan-seed": 28}
"""Sides of the slices of models that know one size only."""

FOLDS = 3
GATE = 0.5
"""Probability of tumour below which "classify, then segment" leaves a slice without a mask."""
HELD_FOR_VALIDATION = 4


def fold_of(cohort: Cohort, fold: int, folder: Path) -> Cohort:
    """The cohort with one fold as its test split, and four of the other patients as its validation split.

    Images and masks are links to the cohort's own.
    """
    if folder.is_dir():
        return Cohort(folder)
    table = cohort.slices.copy()
    others = sorted(set(table["group"][table["fold"] != fold]))
    chosen = stream(0, "benchmark.validation", fold).permutation(len(others))[:HELD_FOR_VALIDATION]
    held = {others[number] for number in chosen}
    table["split"] = np.where(table["group"].isin(held), "validation", "train")
    table.loc[table["fold"] == fold, "split"] = "test"
    return linked(cohort, folder, table)


def linked(cohort: Cohort, folder: Path, table: Any) -> Cohort:
    """A cohort with another table whose images and masks are links to the first one's; it appears whole."""
    with new_folder(folder) as partial:
        for name in ("images.npy", "masks.npy"):
            os.link(cohort.path / name, partial / name)
        classes = sorted(set(table["label"]))
        write_json(partial / "cohort.json", {**cohort.meta.content(), "classes": classes})
        table.to_csv(partial / "slices.csv", index=False)
    return Cohort(folder)


def tested(run: Path, cohort: Cohort, scans: Path, place: Path) -> None:
    """Outline the test patients on their own grid, and keep masks and probabilities of slices as arrays."""
    detector, options = Detector.open(run), DetectConfig()
    patients = set(cohort.slices["patient"][cohort.slices["split"] == "test"])
    place.mkdir(parents=True, exist_ok=True)
    for case in take_inventory(scans).cases:
        if case.patient not in patients:
            continue
        seen = look(case, detector, options)
        truth = case.load().mask
        assert truth is not None
        np.savez_compressed(
            place / f"{case.name}.npz",
            truth=np.packbits(truth > 0),
            prediction=np.packbits(seen.mask),
            shape=np.array(truth.shape),
            slices=seen.slices,
        )


def masks_of(place: Path, name: str) -> tuple[Any, Any, Any]:
    """Truth and prediction (z, y, x) and the slices' probabilities of one patient."""
    kept = np.load(place / f"{name}.npz")
    shape = tuple(kept["shape"])
    count = int(np.prod(shape))
    truth, prediction = (np.unpackbits(kept[side], count=count).reshape(shape) for side in ("truth", "prediction"))
    return truth, prediction, kept["slices"]


def run_one(place: Path, cohort: Cohort, scans: Path, *, test: Cohort | None = None, **settings: Any) -> None:
    """Train on a cohort and outline test patients (else its own), unless that was done before in ``place``."""
    if (place / "done.json").is_file():
        return
    start = time.perf_counter()
    run = synthoma.train(cohort, place / "run", force=True, **settings).path
    trained = time.perf_counter() - start
    start = time.perf_counter()
    tested(run, test or cohort, scans, place / "masks")
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    speeds = [entry["images_per_second"] for entry in log if "images_per_second" in entry]
    write_json(
        place / "done.json",
        {
            "train_s": round(trained, 1),
            "test_s": round(time.perf_counter() - start, 1),
            "slices_per_second": round(float(np.median(speeds)), 1),
            "slices_shown": max(entry.get("images", 0) for entry in log),
        },
    )


def summary(places: list[Path]) -> tuple[dict[str, Any], dict[str, float]]:
    """Scores over the test patients of several trainings together, and the Dice of each patient."""
    patients, slices, truths, groups, gated = [], [], [], [], []
    for place in places:
        for path in sorted((place / "masks").glob("*.npz")):
            truth, prediction, chances = masks_of(place / "masks", path.stem)
            patients.append(PatientMasks(path.stem, truth, prediction))
            gated.append(PatientMasks(path.stem, truth, prediction * (chances >= GATE)[:, None, None]))
            slices.append(chances)
            truths.append(truth.any(axis=(1, 2)).astype(int))
            groups.append(np.full(len(chances), len(patients) - 1))
    scores = score_arrays(patients).content()
    chance, truth, group = np.concatenate(slices), np.concatenate(truths), np.concatenate(groups)
    members = [np.flatnonzero(group == number) for number in range(len(patients))]

    def of_slices(drawn: Any) -> dict[str, float]:
        rows = np.concatenate([members[number] for number in drawn])
        right, said = truth[rows], chance[rows]
        return {**ranking_scores(right, said), "ece": expected_calibration_error(right, said)}

    by_slice = {
        f"slice_{name.removeprefix('roc_')}": {"value": found.value, "low": found.low, "high": found.high}
        for name, found in bootstrap_many(of_slices, len(patients), limits=SHARE).items()
    }
    done = [json.loads((place / "done.json").read_text()) for place in places]
    whole = scores["regions"]["whole tumour"]
    two_stage = {row.patient: row.regions["whole tumour"].dice for row in score_arrays(gated).per_patient}
    dice = {row["patient"]: row["regions"]["whole tumour"]["dice"] for row in scores["per_patient"]}
    result = {
        "patients": len(patients),
        "classify, then segment": {"gate": GATE, "minus plain": compared(two_stage, dice)},
        "dice": whole["dice"],
        "hd95_pixels": whole["hd95"],
        "surface_dice_2px": whole["surface_dice"],
        **by_slice,
        "conventions": scores["conventions"],
        "slices_per_second": [one["slices_per_second"] for one in done],
        "slices_shown": [one["slices_shown"] for one in done],
    }
    return result, dice


def compared(ours: Mapping[Any, float], theirs: Mapping[Any, float]) -> dict[str, float]:
    """Mean difference of two models' Dice, paired by patient, with its interval and p."""
    names = sorted(ours)
    found = paired_difference([ours[name] for name in names], [theirs[name] for name in names])
    return {"value": found.value, "low": found.low, "high": found.high, "p": found.p}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--models", nargs="+", default=[*MODELS, *VARIANTS])
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(FOLDS)))
    parser.add_argument("--keep", type=Path, required=True, help="folder for runs and masks")
    parser.add_argument("--summary", action="store_true", help="train nothing")
    parser.add_argument(
        "--reference-minutes", type=float, help="minutes of the unet-25d that the others are held against"
    )
    parser.add_argument("--note", help="what the reader of the table should know of these rows")
    arguments = parser.parse_args()
    scans, keep = data_folder() / "lgg", arguments.keep
    results = earlier("segmentation")
    table, dice = results.setdefault("lgg", {}), {}
    if arguments.reference_minutes:
        minutes = arguments.reference_minutes
        dice["unet-25d"] = summary([keep / f"unet-25d-{minutes:g}min-fold{fold}" for fold in arguments.folds])[1]
    for model in arguments.models:
        size = SIZES.get(model, SIZE)
        suffix = "" if size == SIZE else f"-{size}"
        if not (keep / f"lgg{suffix}").is_dir():
            synthoma.prepare(scans, keep / f"lgg{suffix}", size=size, folds=FOLDS)
        cohort = Cohort(keep / f"lgg{suffix}")
        places = {
            fold: keep / f"{model.replace(' ', '-')}-{arguments.minutes:g}min-fold{fold}" for fold in arguments.folds
        }
        for fold, place in places.items():
            if not arguments.summary:
                parts = fold_of(cohort, fold, keep / f"fold{fold}{suffix}")
                settings = VARIANTS.get(model, {"model": model})
                run_one(place, parts, scans, minutes=arguments.minutes, **settings)
        finished = [fold for fold, place in places.items() if (place / "done.json").is_file()]
        if finished:
            name = f"{model} {arguments.minutes:g} min" + (f" fold {finished[0]}" if len(finished) == 1 else "")
            found, dice[model] = summary([places[fold] for fold in finished])
            table[name] = {"minutes": arguments.minutes, "folds": finished, **found}
            if arguments.note:
                table[name]["note"] = arguments.note
            ours = dice.get("unet-25d", {})
            if model != "unet-25d" and set(ours) == set(dice[model]):
                table[name]["unet-25d minus this"] = compared(ours, dice[model])
        save("segmentation", results)


if __name__ == "__main__":
    main()
