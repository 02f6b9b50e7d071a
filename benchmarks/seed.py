"""The experiments of the seed projects, with their flaws and without, on patients and on a split that leaks.

    python benchmarks/seed.py --minutes 10 --keep DIR [--size 128] [--tasks classify outline masks]

- classify: ResNet-50 of the LGG seed project, tumour or not in a slice.
- outline: its residual U-Net, on slices with tumour.
- masks: the FLAIR-to-mask GAN at 28 px, sagittal slices of BraTS.

Each is trained as the seed's code has it on a split of slices, as there (slices of one patient on both sides), on a
split by patient, and corrected by patient. Scores are of the test split, with intervals over patients. The seeds had
GPUs and 256 px: the size and the budget of this run are written beside the figures.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from classification import split_by
from record import data_folder, earlier, save
from segmentation import linked
from synthoma.cohorts.cohort import Cohort
from synthoma.evaluation.heldout.result import ModelScores

TASKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "classify": ("lgg", "resnet50-seed", {"recipe": "resnet50-seed"}),
    "outline": ("lgg", "resunet-seed", {"recipe": "resunet-seed"}),
    "masks": ("brats18", "mask-dcgan-seed", {"recipe": "mask-dcgan-seed", "slices": "tumour"}),
}
"""Task -> folder of scans, model, and how its seed prepares them."""

WAYS = {
    "seed, split by slice": ("seed", False),
    "seed, split by patient": ("seed", True),
    "corrected, split by patient": ("corrected", True),
}
"""What is done -> recipe, and whether patients stay whole."""


def split(cohort: Cohort, folder: Path, *, whole: bool) -> Cohort:
    """The cohort with 70, 10 and 20 % of its patients, or of its slices, for training, validation and test."""
    if folder.is_dir():
        return Cohort(folder)
    table = cohort.slices.copy()
    patients = table["patient"].where(table["patient"] != "", table["case"]).astype(str)
    units = patients if whole else table.index.astype(str)
    table["split"] = split_by(np.asarray(units), f"seed.{'patients' if whole else 'slices'}")
    # A group may not be on two sides; a split that leaks has to hide whose the slices are.
    table["group"] = patients if whole else units
    if not whole:
        table["patient"] = table["case"] = units
    return linked(cohort, folder, table)


def figures(scores: ModelScores) -> dict[str, Any]:
    """The main scores with their intervals."""
    named: dict[str, Any] = {}
    if scores.classifier is not None:
        found = scores.classifier
        named = {
            "accuracy": found.accuracy,
            "balanced accuracy": found.balanced_accuracy,
            "F1": found.f1,
            "AUC": found.auc,
        }
    elif scores.segmenter is not None:
        if scores.segmenter.tumour_slices is not None:
            named["Dice of slices with tumour"] = scores.segmenter.tumour_slices.dice
        whole = scores.segmenter.masks.regions["whole tumour"]["dice"].mean
        named["Dice of patients"] = whole
    return {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in named.items() if one}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="budget of each training")
    parser.add_argument("--size", type=int, default=128, help="side of the slices (of masks always 28)")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--keep", type=Path, required=True, help="folder for cohorts and runs")
    arguments = parser.parse_args()
    keep = arguments.keep
    rows = {row["key"]: row for row in earlier("seed").get("rows", [])}
    for task in arguments.tasks:
        folder, model, options = TASKS[task]
        source = keep / task
        sized = {} if task == "masks" else {"size": arguments.size}
        cohort = (
            Cohort(source) if source.is_dir() else synthoma.prepare(data_folder() / folder, source, **options, **sized)
        )
        for way, (recipe, whole) in WAYS.items():
            part = split(cohort, keep / f"{task}-{'patients' if whole else 'slices'}", whole=whole)
            run = keep / f"{task}-{recipe}-{'patients' if whole else 'slices'}-run"
            if not (run / "model.safetensors").is_file():
                synthoma.train(part, run, model=model, recipe=recipe, minutes=arguments.minutes, force=True)
            scores = synthoma.evaluate_model(part, run)
            rows[f"{task} {way}"] = {
                "key": f"{task} {way}", "task": task, "model": model, "way": way, "scores": figures(scores),
                "slices": scores.scored.slices, "groups": scores.scored.groups, "size": part.size,
                "minutes": arguments.minutes, "trained_slices": len(part.rows(split="train")),
                "images": synthoma.describe(run).get("images"), "seed": 0,
            }  # fmt: skip
            save("seed", {"rows": list(rows.values())})
            print(f"{task:<9} {way:<28} " + ", ".join(
                f"{name} {one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"
                for name, one in rows[f"{task} {way}"]["scores"].items()
            ), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
