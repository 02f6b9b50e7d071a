"""Do painted tumours help a segmenter of five or ten patients that begins with the phantom already?

    python benchmarks/painted_gain.py --keep DIR [--few 5 10] [--slices 8000] [--simulate 60] [--seeds 1] [--arms ...]
    python benchmarks/painted_gain.py --keep DIR --few 5 --simulate 60 --ratio 0.25 --shown all --inner 10

LGG FLAIR at 64 px in three by-patient folds, so that each patient is tested once a seed; the few patients of a fold are
one draw. Every arm trains the network of `synthoma train --model unet-25d` from the weights inside the package, shown
equally many slices; beside the real ones stand nothing, tumours grown in the few patients' own scans away from their
own (three versions of each), or lesions of theirs pasted elsewhere. The threshold is .5 and the last snapshot counts,
so no patient chooses anything. Differences are paired by patient, of means over seeds. Finished trainings are kept.
With --simulate all arms learn from the very same simulated patients, half of each batch; --ratio says how much of the
other half is painted. --inner outlines patients of a fold that are neither learned from nor tested there: what chooses
a ratio may look at them. The Dice of each patient (by no name) stays with the results.
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
from segmentation import FOLDS, compared, linked, run_one, summary, tested
from synthoma.cohorts.cohort import Cohort
from synthoma.core.seeding import stream
from synthoma.core.whole_files import write_json
from synthoma.generators.train import OWN_PHANTOM

PAINTERS = {"painted": "growth", "pasted": "copy-paste"}
COPIES = 3


def beside(arm: str, cohort: Cohort, place: Path, shown: str) -> tuple[Path, ...]:
    """Cohorts that an arm learns from beside the few patients."""
    if arm == "real":
        return ()
    if not place.is_dir():
        synthoma.paint(cohort.path, place, beside=True, copies=COPIES, painter=PAINTERS[arm], shown=shown)
    return (place,)


def inner_dice(place: Path, real: Cohort, part: Cohort, number: int, count: int) -> dict[str, float]:
    """Dice of so many patients whom a fold neither learns from nor tests."""
    table = real.slices
    known = set(part.slices["group"].astype(str)) | set(table["group"][table["fold"] == number].astype(str))
    free = sorted(set(table["group"].astype(str)) - known)
    chosen = {free[at] for at in stream(0, "benchmark.inner", number).permutation(len(free))[:count]}
    split = np.where(table["group"].astype(str).isin(chosen), "test", "train")
    folder = part.path.with_name(f"{part.path.name}-inner{count}")
    asked = Cohort(folder) if folder.is_dir() else linked(real, folder, table.assign(split=split))
    inner = place / f"inner{count}"
    if not (inner / "done.json").is_file():
        tested(place / "run", asked, data_folder() / "lgg", inner / "masks")
        write_json(inner / "done.json", {})
    return summary([inner])[1]


def mean_dice(found: list[dict[str, float]]) -> dict[str, float]:
    """Dice of each patient, the mean over seeds."""
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def measured(
    arguments: argparse.Namespace, real: Cohort, few: int, arm: str
) -> tuple[dict[str, Any], dict[str, float], dict[str, float]]:
    """Scores of an arm over all folds and seeds, the Dice of each patient, and that of inner ones by fold and name."""
    keep, fold, seeds, rows = arguments.keep, real.slices["fold"].to_numpy(), [], {}
    inner: dict[str, float] = {}
    for seed in range(arguments.seeds):
        places = []
        for number in range(FOLDS):
            name = keep / f"fold{number}"
            table = real.slices.assign(split=np.where(fold == number, "test", "train"))
            part = few_of(
                Cohort(name) if name.is_dir() else linked(real, name, table), few, keep / f"fold{number}-{few}"
            )
            usual = f"{few}-{arguments.slices}" + f"-simulated{arguments.simulate}" * bool(arguments.simulate)
            fold_and_seed = f"fold{number}-seed{seed}"
            told = "" if arm == "real" else f"-ratio{arguments.ratio}-{arguments.shown}"
            places.append(keep / f"{arm}{usual}{told}-{fold_and_seed}")
            extra = beside(arm, part, keep / f"{arm}{few}-{arguments.shown}-fold{number}", arguments.shown)
            # Simulated for the first arm already: the same patients again, and a minute less.
            simulated = keep / f"real{usual}-{fold_and_seed}" / "run" / OWN_PHANTOM
            known = arm != "real" and simulated.is_dir()
            run_one(
                places[-1], part, data_folder() / "lgg", model="unet-25d", images=arguments.slices, seed=seed,
                init="phantom", simulate=0 if known else arguments.simulate,
                segmenter={"rate": RATE_AFTER, "painted_ratio": arguments.ratio},
                extra=(*extra, simulated) if known else extra,
            )  # fmt: skip
            if arguments.inner:
                found = inner_dice(places[-1], real, part, number, arguments.inner)
                inner |= {f"{seed} {number} {patient}": dice for patient, dice in found.items()}
        rows, dice = summary(places)
        seeds.append(dice)
    return rows, mean_dice(seeds), inner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=8000, help="shown to each segmenter")
    parser.add_argument("--few", type=int, nargs="+", default=[5, 10], help="real patients to learn from")
    parser.add_argument("--simulate", type=int, default=0, help="simulated patients beside, in every arm")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--ratio", type=float, default=0.5, help="of the real share that is painted")
    parser.add_argument("--shown", choices=("changed", "all"), default="changed", help="slices of painted scans")
    parser.add_argument("--inner", type=int, default=0, help="further patients of each fold that are outlined")
    parser.add_argument("--arms", nargs="+", default=["real", *PAINTERS], choices=["real", *PAINTERS])
    parser.add_argument("--keep", type=Path, required=True, help="folder for cohorts, runs and masks")
    arguments = parser.parse_args()
    place = arguments.keep / "real"
    if not place.is_dir():
        synthoma.prepare(data_folder() / "lgg", place, folds=FOLDS, **SETTINGS)
    real, results = Cohort(place), earlier("painted_gain")
    for few in arguments.few:
        found: dict[str, Mapping[str, float]] = {}
        within: dict[str, dict[str, float]] = {}
        for arm in arguments.arms:
            rows, found[arm], within[arm] = measured(arguments, real, few, arm)
            simulated = f" + {arguments.simulate} simulated patients" if arguments.simulate else ""
            usual = arm == "real" or (arguments.ratio, arguments.shown) == (0.5, "changed")
            told = "" if usual else f" at {arguments.ratio} of {arguments.shown}"
            key = f"{few} patients{simulated}, {arm}{told}"
            results[key] = {
                "slices": arguments.slices, "seeds": arguments.seeds, "patients": rows["patients"],
                "dice": round(float(np.mean(list(found[arm].values()))), 4), "dice_of_last_seed": rows["dice"],
                "by_patient": [round(found[arm][name], 4) for name in sorted(found[arm])],
            }  # fmt: skip
            if within[arm]:
                results[key]["inner"] = round(float(np.mean(list(within[arm].values()))), 4)
            if arm != "real" and "real" in found:
                results[key]["minus real"] = compared(found[arm], found["real"])
                if within[arm]:
                    results[key]["inner minus real"] = compared(within[arm], within["real"])
            print(key, {k: v for k, v in results[key].items() if k != "by_patient"}, flush=True)
            save("painted_gain", results)


if __name__ == "__main__":
    main()
