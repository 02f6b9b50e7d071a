"""What simulated patients teach a detector: plain or repainted, beside few or all real training patients.

    python benchmarks/phantom.py --slices 24000 --patients 150 --keep DIR [--arms phantom real10 both10 repainted10 ...]
    python benchmarks/phantom.py --slices 24000 --begin 64000 --keep DIR --arms real10 both10 repainted10 real

LGG FLAIR at 64 px in by-patient folds: each real patient is tested once. The threshold is 0.5 and the last snapshot is
used in every arm, so no patient chooses anything here; phantom and phantom-gan were developed on these patients. The
few patients of an arm are one draw a fold, and those of five are among those of ten. Plain and repainted slices are of
the same simulated patients: a phantom-gan of the arm's real patients, shown images of its own, repaints each of them
whole. Half of each batch of a mixture is real. Budgets are slices shown, which say the same on every machine. Finished
trainings in DIR are not repeated; the Dice of each patient (by no name) stays with the results, so that arms that are
measured later can be compared. With --begin, detectors begin with what one learned from so many plain simulated slices
alone, at half the rate.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from record import data_folder, earlier, save
from segmentation import FOLDS, compared, linked, run_one, summary
from synthoma.cohorts.cohort import Cohort, write_rows
from synthoma.core.outputs import new_folder
from synthoma.core.seeding import stream
from synthoma.phantom import PhantomConfig

ARMS: dict[str, dict[str, Any]] = {
    "phantom": {},
    **{
        f"{what}{few or ''}": {"patients": few, "what": what}
        for few in (5, 10, None)
        for what in ("real", "both", "repainted", "mixed")
    },
}
"""By name: how many real patients, and what beside them.

``both`` is with plain simulated slices, ``repainted`` with repainted ones, ``mixed`` with both. Without a number all
training patients of the fold are learned from.
"""

GAN_IMAGES = 12_000
RATE_AFTER = 1e-3
"""Highest learning rate of a detector that begins with what another one learned; half of the usual one."""
SETTINGS = {"size": 64, "modalities": ("flair",), "merge": "whole-tumour"}


def few_of(part: Cohort, count: int | None, folder: Path) -> Cohort:
    """The fold with so many of its training patients, the same ones that ``--patients`` chooses."""
    if count is None:
        return part
    if not folder.is_dir():
        table = part.slices
        names = sorted(set(table["group"][table["split"] == "train"].astype(str)))
        chosen = {names[at] for at in stream(0, "training.patients").permutation(len(names))[:count]}
        kept = (table["split"] == "test") | table["group"].astype(str).isin(chosen)
        with new_folder(folder) as place:
            write_rows(part, place, np.flatnonzero(kept.to_numpy()).tolist())
    return Cohort(folder)


def repainted(cohort: Cohort, simulated: Cohort, place: Path, images: int) -> Path:
    """The simulated patients with the look of the cohort's training patients."""
    if not (place / "run" / "model.safetensors").is_file():
        settings: dict[str, Any] = {"model": "phantom-gan", "with_masks": True, "phantom": simulated.path}
        synthoma.train(cohort, place / "run", images=images, force=True, **settings)
    if not (place / "drawn").is_dir():
        patients = int(simulated.slices["case"].nunique())
        synthoma.generate(place / "run", place / "drawn", patients=patients, phantom=simulated.path)
    return place / "drawn"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=24_000, help="shown to each detector")
    parser.add_argument("--patients", type=int, default=150, help="simulated patients")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS), metavar="ARM")
    parser.add_argument("--begin", type=int, help="slices of the phantom alone from which all detectors begin")
    parser.add_argument("--gan-images", type=int, default=GAN_IMAGES, help="shown to each phantom-gan")
    parser.add_argument("--keep", type=Path, help="folder for runs and masks")
    parser.add_argument("--note", help="what the reader of the table should know of these arms")
    arguments = parser.parse_args()
    scans, results = data_folder(), earlier("phantom")
    keep: Path = arguments.keep
    if not (keep / "real").is_dir():
        synthoma.prepare(scans / "lgg", keep / "real", folds=FOLDS, **SETTINGS)
    if not (keep / "phantom").is_dir():
        phantom = PhantomConfig(skull="mixed", sites=60, healthy=0.05, artefacts=0.3)
        synthoma.prepare_phantom(
            arguments.patients, keep / "phantom", phantom=phantom, split=(0.95, 0.05, 0.0), seed=5, **SETTINGS
        )
    real, simulated = Cohort(keep / "real"), Cohort(keep / "phantom")

    def split(cohort: Cohort, name: str, parts: Any) -> Cohort:
        known = (keep / name).is_dir()
        return Cohort(keep / name) if known else linked(cohort, keep / name, cohort.slices.assign(split=parts))

    everyone, simulated = split(real, "everyone", "test"), split(simulated, "simulated", "train")
    fold = real.slices["fold"].to_numpy()
    parts = [split(real, f"fold{number}", np.where(fold == number, "test", "train")) for number in range(FOLDS)]
    table = results.setdefault("arms", {})
    shown, later, begin = f"{arguments.slices:,} slices", "", {}
    if arguments.begin:
        first = keep / f"arm-phantom-{arguments.begin}"
        run_one(first, simulated, scans / "lgg", test=everyone, model="unet-25d", images=arguments.begin)
        shown, later = f"{shown} after {arguments.begin:,} of the phantom", f"-after{arguments.begin}"
        begin = {"init": str(first / "run"), "segmenter": {"rate": RATE_AFTER}}
    for arm in arguments.arms:
        places = []
        common = {"model": "unet-25d", "images": arguments.slices, **begin}
        if arm == "phantom":
            places = [keep / f"arm-phantom-{arguments.slices}{later}"]
            run_one(places[0], simulated, scans / "lgg", test=everyone, **common)
        else:
            few, what = ARMS[arm]["patients"], ARMS[arm]["what"]
            for number, part in enumerate(parts):
                paints = what in ("repainted", "mixed")
                made = f"-{arguments.gan_images}" if paints else ""
                places.append(keep / f"arm-{arm}{made}-{arguments.slices}{later}-fold{number}")
                cohort = few_of(part, few, keep / f"fold{number}-{few}")
                extra: tuple[Path, ...] = (simulated.path,) if what in ("both", "mixed") else ()
                if paints:
                    gan = keep / f"gan-{few or 'all'}-{arguments.gan_images}-fold{number}"
                    extra += (repainted(cohort, simulated, gan, arguments.gan_images),)
                run_one(places[-1], cohort, scans / "lgg", extra=extra, **common)
        found, dice = summary(places)
        table[f"{arm} {shown}"] = {
            "budget": shown,
            "by_patient": [round(dice[name], 4) for name in sorted(dice)],
            **found,
            **({"note": arguments.note} if arguments.note else {}),
        }
        save("phantom", results)
    pairs = [("phantom", "real10")]
    for few in ("5", "10", ""):
        beside = [f"{what}{few}" for what in ("both", "repainted", "mixed")]
        pairs += [(name, other) for name in beside for other in dict.fromkeys((f"real{few}", "real"))]
        pairs += [(f"{what}{few}", f"both{few}") for what in ("repainted", "mixed")]
    dice = {arm: dict(enumerate(table[f"{arm} {shown}"]["by_patient"])) for arm in ARMS if f"{arm} {shown}" in table}
    results["differences"] = results.get("differences", {}) | {
        f"{first} - {second}, {shown}": compared(dice[first], dice[second])
        for first, second in pairs
        if first in dice and second in dice
    }
    if arguments.begin:  # beside what the start knows by itself, and all real patients without it
        for first in (arm for arm in dice if arm != "phantom"):
            for second, alone in (("phantom", f"{arguments.begin:,} slices"), ("real", f"{arguments.slices:,} slices")):
                if found := table.get(f"{second} {alone}"):
                    other = dict(enumerate(found["by_patient"]))
                    results["differences"][f"{first} - {second}, {shown} / {alone}"] = compared(dice[first], other)
    save("phantom", results)


if __name__ == "__main__":
    main()
