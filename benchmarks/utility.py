"""Does the verdict know what it should? Three synthetic cohorts whose answer is known, and real scans beside them.

    python benchmarks/utility.py --keep DIR [--cohorts helps duplicates wrong-masks] [--jobs 2]
    python benchmarks/utility.py --keep DIR --lgg SYNTHETIC [--jobs 2]

The real cohort is 60 simulated patients, 12 of them for training and 48 held out. Against it stand: 80 further patients
of the same kind, drawn with another seed (must read HELPS); the training slices once more (NO EVIDENCE); and the 80
patients with each mask on another's slice (HARMS). All with ``--preset standard`` and its thresholds. Trainings are
kept in DIR/cells: cells that the cohorts have in common, and finished ones, are not run again.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from record import data_folder, earlier, save
from synthoma.cohorts.cohort import Cohort
from synthoma.core.outputs import new_folder
from synthoma.core.seeding import stream
from synthoma.core.whole_files import write_json

EXPECTED = {"helps": "HELPS", "duplicates": "NO EVIDENCE", "wrong-masks": "HARMS"}
PATIENTS, FURTHER = 60, 80
SETTINGS: dict[str, Any] = {"size": 64, "modalities": ("flair",), "merge": "whole-tumour"}


def as_synthetic(source: Cohort, folder: Path, rows: Any, masks: Any = None) -> Cohort:
    """Slices of a cohort as a synthetic one, with other masks where given."""
    if folder.is_dir():
        return Cohort(folder)
    table = source.slices.iloc[rows].assign(split="train")
    shown = np.asarray(source.masks[rows]) if masks is None else masks
    table["tumour_pixels"] = (shown > 0).sum(axis=(1, 2))
    with new_folder(folder) as partial:
        np.save(partial / "images.npy", source.images[rows])
        np.save(partial / "masks.npy", shown)
        table.to_csv(partial / "slices.csv", index=False)
        write_json(partial / "cohort.json", {**source.meta.content(), "origin": "synthetic", "slices": len(rows)})
    return Cohort(folder)


def constructed(keep: Path) -> tuple[Cohort, dict[str, Cohort]]:
    """The real cohort and the three synthetic ones."""
    if not (keep / "real").is_dir():
        synthoma.prepare_phantom(PATIENTS, keep / "real", split=(0.2, 0.0, 0.8), seed=21, **SETTINGS)
    if not (keep / "more").is_dir():
        synthoma.prepare_phantom(FURTHER, keep / "more", seed=22, **SETTINGS)
    real, more = Cohort(keep / "real"), Cohort(keep / "more")
    # A quarter of the slices is enough to learn from, and keeps the scores quick.
    rows = np.sort(stream(0, "benchmark.utility").permutation(len(more))[:1000])
    masks = np.asarray(more.masks[rows])
    ill = np.flatnonzero(masks.any(axis=(1, 2)))
    swapped = masks.copy()
    swapped[ill] = masks[np.roll(ill, len(ill) // 2)][:, ::-1, ::-1]
    training = np.flatnonzero((real.slices["split"] == "train").to_numpy())
    return real, {
        "helps": as_synthetic(more, keep / "helps", rows),
        "duplicates": as_synthetic(real, keep / "duplicates", training),
        "wrong-masks": as_synthetic(more, keep / "wrong-masks", rows, swapped),
    }


def asked(
    real: Cohort, synthetic: Cohort, keep: Path, name: str, jobs: int | None, phantom: Path | None = None
) -> dict[str, Any]:
    """Evaluate with the preset standard."""
    start = time.perf_counter()
    result = synthoma.evaluate(
        real.path, synthetic.path, keep / f"evaluation-{name}", preset="standard", cells=keep / "cells", jobs=jobs,
        force=True, phantom=phantom,
    )  # fmt: skip
    utility = result["utility"]
    return {
        "verdict": result["verdict"]["word"],
        "because": result["verdict"]["because"],
        "utility": utility["word"],
        "lights": {light["question"]: (light["state"], light["figure"]) for light in result["lights"]},
        "arms": {key: {**arm["score"], "by_seed": arm["by_seed"]} for key, arm in utility["arms"].items()},
        "comparisons": {
            key: {part: entry.get(part) for part in ("value", "low", "high", "p", "p_holm", "minimum_detectable")}
            for key, entry in utility["comparisons"].items()
        },
        "mixture": utility["mixture"],
        "worth": {key: utility["worth"][key] for key in ("value", "low", "high", "because", "had", "most")},
        "held_out_patients": utility["held_out_patients"],
        "seconds": round(time.perf_counter() - start, 1),
        "training_seconds": utility["training_seconds"],
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--cohorts", nargs="+", default=list(EXPECTED), choices=list(EXPECTED))
    parser.add_argument("--lgg", type=Path, help="a synthetic cohort to judge against LGG FLAIR at 64 px instead")
    parser.add_argument("--phantom", type=Path, help="with --lgg: simulated patients as an arm of their own")
    parser.add_argument("--jobs", type=int)
    arguments = parser.parse_args()
    keep, results = arguments.keep, earlier("utility")
    if arguments.lgg is not None:
        if not (keep / "lgg").is_dir():
            synthoma.prepare(data_folder() / "lgg", keep / "lgg", **SETTINGS)
        name = f"lgg, {arguments.lgg.resolve().name}"
        results[name] = asked(
            Cohort(keep / "lgg"), Cohort(arguments.lgg), keep, "lgg", arguments.jobs, arguments.phantom
        )
        save("utility", results)
        return
    real, cohorts = constructed(keep)
    for name in arguments.cohorts:
        found = asked(real, cohorts[name], keep, name, arguments.jobs)
        results[name] = {"expected": EXPECTED[name], **found}
        print(json.dumps({key: results[name][key] for key in ("expected", "verdict", "utility", "because", "seconds")}))
        save("utility", results)


if __name__ == "__main__":
    main()
