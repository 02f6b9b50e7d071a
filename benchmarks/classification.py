"""Why the split matters: the same classifier under our split and under a naive random one.

    python benchmarks/classification.py --minutes 2 --keep DIR [--tasks random-labels types kaggle253]

- random-labels: LGG slices with a class drawn by coin for each patient. Nothing can be learned about new patients, so
  an honest split scores 0.5; a random split of slices recognises the patients.
- types: glioma, meningioma, pituitary, none; groups of duplicates kept together, and not.
- kaggle253: tumour or not, likewise.

    python benchmarks/classification.py --zoo --images 4000 --keep DIR [--models cnn vgg16 ...] [--tasks types]

trains the classifiers of the zoo on types and kaggle253, by groups of duplicates and by image, and prints one table:
accuracy, balanced accuracy, macro-F1 and AUC of the test split with intervals over groups, parameters and minutes.
Each is shown as many images, however long it takes, so that other work on the machine changes nothing.

Finished trainings in DIR are not repeated; a folder holds those of one budget.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import synthoma
from record import data_folder, earlier, save
from segmentation import linked
from synthoma.cohorts.cohort import Cohort
from synthoma.core.seeding import stream
from synthoma.detection.classes import Classifier
from synthoma.evaluation.heldout.classifier import classifier_scores
from synthoma.metrics.classification import multiclass_scores
from synthoma.metrics.intervals import DRAWS, SHARE, bootstrap_many
from synthoma.training.log import read_log

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


def split_by(units: Any, purpose: str) -> Any:
    """A split of rows, in which rows of one unit stay together."""
    names = sorted(set(units))
    order = stream(0, f"benchmark.{purpose}").permutation(len(names))
    ends = np.cumsum([len(names) * share for share in SHARES.values()]).round().astype(int)
    part = {names[number]: list(SHARES)[int(np.searchsorted(ends, place, side="right"))]
            for place, number in enumerate(order)}  # fmt: skip
    return [part[unit] for unit in units]


SCORES = {"AUC": "auc_macro", "macro-F1": "f1_macro", "balanced accuracy": "balanced_accuracy"}


def scored(cohort: Cohort, run: Path) -> dict[str, Any]:
    """Scores on the test split with intervals over groups; the AUC is the mean of each class against the rest."""
    classifier = Classifier.open(run)
    classes, chances = classifier.classes, classifier.of_cohort(cohort)
    test = np.flatnonzero((cohort.slices["split"] == "test") & cohort.slices["label"].isin(classes))
    truth = cohort.slices["label"].iloc[test].map({name: number for number, name in enumerate(classes)}).to_numpy()
    groups = cohort.slices["group"].iloc[test].astype(str).to_numpy()
    members = [np.flatnonzero(groups == name) for name in sorted(set(groups))]

    def scores(drawn: Any) -> dict[str, float]:
        rows = np.concatenate([members[number] for number in drawn])
        found: dict[str, Any] = multiclass_scores(truth[rows], chances[test][rows], classes)
        return {title: float(found[name]) for title, name in SCORES.items()}

    found = bootstrap_many(scores, len(members), limits=SHARE)
    return {
        "scores": {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in found.items()},
        "confusion": multiclass_scores(truth, chances[test], classes)["confusion"],
        "classes": list(classes),
        "test_images": len(test),
        "test_groups": len(members),
    }


def over_draws(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over several draws of labels and splits, each of which is a trial of its own; Student's interval."""
    if len(found) == 1:
        return found[0]
    scores = {}
    for name in SCORES:
        values = np.array([one["scores"][name]["value"] for one in found])
        reach = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        mean = float(values.mean())
        scores[name] = {"value": mean, "low": mean - reach, "high": mean + reach}
    return {**found[0], "scores": scores, "draws": len(found), "test_images": sum(one["test_images"] for one in found)}


ZOO: dict[str, dict[str, Any]] = {
    "cnn": {},
    "resnet18": {},
    "densenet121": {},
    "resnet50": {},
    "vgg16": {"pool": 2},  # the side of its maps of 64 px; its own 7 would repeat them for 95 million weights more
}
WAYS = {"grouped": "by duplicate set", "leaky": "by image"}
COLUMNS = {"accuracy": "accuracy", "balanced_accuracy": "balanced", "f1": "F1", "auc": "AUC"}


def zoo_parts(task: str, keep: Path, size: int) -> Iterator[tuple[str, Cohort]]:
    """The cohort of a task split by sets of duplicates, and by image."""
    source = keep / f"{task}-{size}"
    cohort = Cohort(source) if source.is_dir() else synthoma.prepare(data_folder() / task, source, size=size)
    table = cohort.slices.copy()
    for way, units in (("grouped", table["group"]), ("leaky", table.index.astype(str))):
        place = keep / f"{task}-{size}-{way}"
        table["split"] = split_by(units.to_numpy(), f"{task}.split")
        yield way, Cohort(place) if place.is_dir() else linked(cohort, place, table)


def zoo_scores(cohort: Cohort, run: Path) -> dict[str, Any]:
    """Scores of a finished run on the test split; without the refusal of groups that it saw, which is the point."""
    classifier = Classifier.open(run)
    number = {name: place for place, name in enumerate(classifier.classes)}
    test = np.flatnonzero((cohort.slices["split"] == "test") & cohort.slices["label"].isin(number))
    truth = cohort.slices["label"].iloc[test].map(number).to_numpy(np.int64)
    groups = cohort.slices["group"].iloc[test].astype(str).to_numpy()
    chances = classifier.of_cohort(cohort)[test]
    found = classifier_scores(truth, chances, groups, classifier.classes, draws=DRAWS, seed=0)
    spent = [entry.seconds for entry in read_log(run / "log.jsonl") if entry.is_snapshot and entry.seconds]
    return {
        "scores": found.model_dump(mode="json"),
        "parameters": sum(weight.numel() for weight in classifier.network.parameters()),
        "minutes": max(spent) / 60 if spent else 0.0,
        "test_images": len(test),
        "test_groups": len(set(groups)),
    }


def zoo(models: list[str], tasks: list[str], images: int, size: int, keep: Path) -> None:
    """Train and score the classifiers of the zoo, one after the other, and print the table after each."""
    rows = {row["key"]: row for row in earlier("classifier_zoo").get("rows", [])}
    for task in tasks:
        for way, part in zoo_parts(task, keep, size):
            for model in models:
                run = keep / f"{task}-{size}-{way}-{model}"
                if not (run / "model.safetensors").is_file():
                    synthoma.train(part, run, model=model, images=images, classifier=ZOO[model], force=True)
                key = f"{task}-{way}-{model}"
                rows[key] = {
                    "key": key,
                    "task": task,
                    "split": way,
                    "model": model,
                    "size": size,
                    "images": images,
                    **zoo_scores(part, run),
                }
                save("classifier_zoo", {"rows": list(rows.values())})
                print(zoo_table(list(rows.values())))


def zoo_table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    lines = []
    for row in rows:
        spans = {
            title: "{value:.3f} [{low:.3f}, {high:.3f}]".format(**{key: part if part is not None else float("nan")
                                                                   for key, part in row["scores"][name].items()})
            for name, title in COLUMNS.items()
        }  # fmt: skip
        split = f"{WAYS[row['split']]} ({row['test_images']} images, {row['test_groups']} sets)"
        lines.append({"task": row["task"], "split": split, "model": row["model"], **spans,
                      "parameters": f"{row['parameters']:,}", "minutes": f"{row['minutes']:.1f}"})  # fmt: skip
    return pd.DataFrame(lines).to_string(index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="budget of each training")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--tasks", nargs="+", help="random-labels (not of the zoo), types, kaggle253; all of them")
    parser.add_argument("--draws", type=int, default=5, help="coins thrown for each patient, with a split each")
    parser.add_argument("--zoo", action="store_true", help="train the classifiers of the zoo, and print their table")
    parser.add_argument("--images", type=int, default=4000, help="images that each of the zoo is shown")
    parser.add_argument("--models", nargs="+", default=list(ZOO), help="which of the zoo")
    parser.add_argument("--size", type=int, default=64, help="side of the zoo's slices in pixels")
    parser.add_argument("--keep", type=Path, required=True, help="folder for cohorts and runs")
    arguments = parser.parse_args()
    if arguments.zoo:
        tasks = arguments.tasks or ["types", "kaggle253"]
        zoo(arguments.models, tasks, arguments.images, arguments.size, arguments.keep)
        return
    arguments.tasks = arguments.tasks or ["random-labels", "types", "kaggle253"]
    scans, keep = data_folder(), arguments.keep
    rows = {row["key"]: row for row in earlier("classification").get("rows", [])}
    titles = {"random-labels": "random labels (LGG)", "types": "tumour type (4 classes)", "kaggle253": "tumour or not"}
    for task in arguments.tasks:
        source = keep / task
        folder = scans / ("lgg" if task == "random-labels" else task)
        options = {"modalities": ("flair",), "slices": "tumour"} if task == "random-labels" else {}
        cohort = Cohort(source) if source.is_dir() else synthoma.prepare(folder, source, size=64, **options)
        table = cohort.slices.copy()
        ways = {"ours, by patient or duplicate set": table["group"], "naive, by image": table.index.astype(str)}
        for way, units in ways.items():
            key, found = f"{task}-{way.split(',')[0]}", []
            random = task == "random-labels"
            for draw in range(arguments.draws if random and way.startswith("ours") else 1):
                again = f".{draw}" if random else ""
                if random:
                    names = sorted(set(table["group"]))
                    coin = stream(0, f"benchmark.coin{again}").random(len(names)) < 0.5
                    sides = {name: "heads" if side else "tails" for name, side in zip(names, coin, strict=True)}
                    table["label"] = table["group"].map(sides)
                table["split"] = split_by(units.to_numpy(), f"{task}.split{again}")
                place = keep / f"{key}{again}"
                part = Cohort(place) if place.is_dir() else linked(cohort, place, table)
                run = keep / f"{key}{again}-run"
                if not (run / "model.safetensors").is_file():
                    synthoma.train(part, run, model=arguments.model, minutes=arguments.minutes, force=True)
                found.append(scored(part, run))
            rows[key] = {
                "key": key, "what": titles[task], "split": way, **over_draws(found),
                "model": arguments.model, "minutes": arguments.minutes,
            }  # fmt: skip
            save("classification", {"rows": list(rows.values())})


if __name__ == "__main__":
    main()
