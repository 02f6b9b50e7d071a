"""Why the split matters: the same classifier under our split and under a naive random one.

    python benchmarks/classification.py --minutes 2 --keep DIR [--tasks random-labels types kaggle253]

- random-labels: LGG slices with a class drawn by coin for each patient. Nothing can be learned about new patients, so
  an honest split scores 0.5; a random split of slices recognises the patients.
- types: glioma, meningioma, pituitary, none; groups of duplicates kept together, and not.
- kaggle253: tumour or not, likewise.

Finished trainings in DIR are not repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from record import data_folder, earlier, save
from segmentation import linked
from synthoma.data.cohort import Cohort
from synthoma.detection.classes import Classifier
from synthoma.metrics.classification import multiclass_scores, ranking_scores
from synthoma.metrics.intervals import bootstrap
from synthoma.seeding import stream

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


def split_by(units: Any, purpose: str) -> Any:
    """A split of rows, in which rows of one unit stay together."""
    names = sorted(set(units))
    order = stream(0, f"benchmark.{purpose}").permutation(len(names))
    ends = np.cumsum([len(names) * share for share in SHARES.values()]).round().astype(int)
    part = {names[number]: list(SHARES)[int(np.searchsorted(ends, place, side="right"))]
            for place, number in enumerate(order)}  # fmt: skip
    return [part[unit] for unit in units]


def scored(cohort: Cohort, run: Path) -> tuple[dict[str, float], int, str]:
    """Macro-F1 (or AUC of two classes) on the test split, with a bootstrap interval over groups."""
    classifier = Classifier.open(run)
    classes, chances = classifier.classes, classifier.of_cohort(cohort)
    test = np.flatnonzero((cohort.slices["split"] == "test") & cohort.slices["label"].isin(classes))
    truth = cohort.slices["label"].iloc[test].map({name: number for number, name in enumerate(classes)}).to_numpy()
    groups = cohort.slices["group"].iloc[test].astype(str).to_numpy()
    members = [np.flatnonzero(groups == name) for name in sorted(set(groups))]

    def score(drawn: Any) -> float:
        rows = np.concatenate([members[number] for number in drawn])
        if len(classes) == 2:
            return ranking_scores(truth[rows], chances[test][rows, 1])["roc_auc"]
        return float(multiclass_scores(truth[rows], chances[test][rows], classes)["f1_macro"])  # type: ignore[arg-type]

    found = bootstrap(score, len(members))
    return (
        {"value": found.value, "low": found.low, "high": found.high},
        len(test),
        "AUC" if len(classes) == 2 else "macro-F1",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--tasks", nargs="+", default=["random-labels", "types", "kaggle253"])
    parser.add_argument("--keep", type=Path, required=True, help="folder for cohorts and runs")
    arguments = parser.parse_args()
    scans, keep = data_folder(), arguments.keep
    rows = {row["key"]: row for row in earlier("classification").get("rows", [])}
    titles = {"random-labels": "random labels (LGG)", "types": "tumour type (4 classes)", "kaggle253": "tumour or not"}
    for task in arguments.tasks:
        source = keep / task
        folder = scans / ("lgg" if task == "random-labels" else task)
        options = {"modalities": ("flair",), "slices": "tumour"} if task == "random-labels" else {}
        cohort = Cohort(source) if source.is_dir() else synthoma.prepare(folder, source, size=64, **options)
        table = cohort.slices.copy()
        if task == "random-labels":
            names = sorted(set(table["group"]))
            coin = stream(0, "benchmark.coin").permutation(len(names)) < len(names) / 2
            table["label"] = table["group"].map(
                {name: "heads" if side else "tails" for name, side in zip(names, coin, strict=True)}
            )
        ways = {"ours, by patient or duplicate set": table["group"], "naive, by image": table.index.astype(str)}
        for way, units in ways.items():
            key = f"{task}-{way.split(',')[0]}"
            table["split"] = split_by(units.to_numpy(), f"{task}.split")
            part = Cohort(keep / key) if (keep / key).is_dir() else linked(cohort, keep / key, table)
            run = keep / f"{key}-run"
            if not (run / "model.safetensors").is_file():
                synthoma.train(part, run, model=arguments.model, minutes=arguments.minutes, force=True)
            value, count, score = scored(part, run)
            rows[key] = {
                "key": key, "what": titles[task], "split": way, "score": score, "value": value, "test_images": count,
                "model": arguments.model, "minutes": arguments.minutes,
            }  # fmt: skip
            save("classification", {"rows": list(rows.values())})


if __name__ == "__main__":
    main()
