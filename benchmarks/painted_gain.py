"""Do painted tumours help a segmenter of five or ten patients that begins with the phantom already?

    python benchmarks/painted_gain.py --keep DIR [--few 5 10] [--slices 8000] [--simulate 60] [--seeds 1] [--arms ...]

LGG FLAIR at 64 px in three by-patient folds, so that each patient is tested once a seed; the few patients of a fold are
one draw. Every arm trains the network of `synthoma train --model unet-25d` from the weights inside the package, shown
equally many slices; beside the real ones stand nothing, tumours grown in the few patients' own scans away from their
own (three versions of each), or lesions of theirs pasted elsewhere. The threshold is .5 and the last snapshot counts,
so no patient chooses anything. Differences are paired by patient, of means over seeds. Finished trainings are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from phantom import RATE_AFTER, SETTINGS, few_of
from record import data_folder, earlier, save
from segmentation import FOLDS, compared, linked, run_one, summary
from synthoma.cohorts.cohort import Cohort

PAINTERS = {"painted": "growth", "pasted": "copy-paste"}
COPIES = 3


def beside(arm: str, cohort: Cohort, place: Path) -> tuple[Path, ...]:
    """Cohorts that an arm learns from beside the few patients."""
    if arm == "real":
        return ()
    if not place.is_dir():
        synthoma.paint(cohort.path, place, beside=True, copies=COPIES, painter=PAINTERS[arm], shown="changed")
    return (place,)


def mean_dice(found: list[dict[str, float]]) -> dict[str, float]:
    """Dice of each patient, the mean over seeds."""
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def measured(
    arguments: argparse.Namespace, real: Cohort, few: int, arm: str
) -> tuple[dict[str, Any], dict[str, float]]:
    """Scores of an arm over all folds and seeds, and the Dice of each patient."""
    keep, fold, seeds, rows = arguments.keep, real.slices["fold"].to_numpy(), [], {}
    for seed in range(arguments.seeds):
        places = []
        for number in range(FOLDS):
            name = keep / f"fold{number}"
            table = real.slices.assign(split=np.where(fold == number, "test", "train"))
            part = few_of(
                Cohort(name) if name.is_dir() else linked(real, name, table), few, keep / f"fold{number}-{few}"
            )
            beside_that = f"-simulated{arguments.simulate}" if arguments.simulate else ""
            places.append(keep / f"{arm}{few}-{arguments.slices}{beside_that}-fold{number}-seed{seed}")
            run_one(
                places[-1], part, data_folder() / "lgg", model="unet-25d", images=arguments.slices, seed=seed,
                init="phantom", simulate=arguments.simulate, segmenter={"rate": RATE_AFTER},
                extra=beside(arm, part, keep / f"{arm}{few}-fold{number}"),
            )  # fmt: skip
        rows, dice = summary(places)
        seeds.append(dice)
    return rows, mean_dice(seeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=8000, help="shown to each segmenter")
    parser.add_argument("--few", type=int, nargs="+", default=[5, 10], help="real patients to learn from")
    parser.add_argument("--simulate", type=int, default=0, help="simulated patients beside, in every arm")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--arms", nargs="+", default=["real", *PAINTERS], choices=["real", *PAINTERS])
    parser.add_argument("--keep", type=Path, required=True, help="folder for cohorts, runs and masks")
    arguments = parser.parse_args()
    place = arguments.keep / "real"
    if not place.is_dir():
        synthoma.prepare(data_folder() / "lgg", place, folds=FOLDS, **SETTINGS)
    real, results = Cohort(place), earlier("painted_gain")
    for few in arguments.few:
        found: dict[str, Mapping[str, float]] = {}
        for arm in arguments.arms:
            rows, found[arm] = measured(arguments, real, few, arm)
            simulated = f" + {arguments.simulate} simulated patients" if arguments.simulate else ""
            key = f"{few} patients{simulated}, {arm}"
            results[key] = {
                "slices": arguments.slices, "seeds": arguments.seeds, "patients": rows["patients"],
                "dice": round(float(np.mean(list(found[arm].values()))), 4), "dice_of_last_seed": rows["dice"],
            }  # fmt: skip
            if arm != "real" and "real" in found:
                results[key]["minus real"] = compared(found[arm], found["real"])
            print(key, results[key]["dice"], results[key].get("minus real", ""), flush=True)
            save("painted_gain", results)


if __name__ == "__main__":
    main()
