"""Do features that a GAN learned without labels help a detector? The same networks with them and from scratch.

    python benchmarks/gan_features.py --minutes 1 --gan-minutes 5 --keep DIR [--patients 3 6 12 26]

LGG FLAIR at 64 px, one by-patient fold held out. The GAN sees the training patients' slices without their labels;
then a few of these patients are labelled. Classification: slice AUC of tumour or not; segmentation: mean Dice of test
patients' volumes. Finished trainings in DIR are not repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from record import data_folder, earlier, save
from segmentation import FOLDS, fold_of, run_one, summary
from synthoma.cohorts.cohort import Cohort
from synthoma.detection.classes import Classifier
from synthoma.metrics.classification import ranking_scores
from synthoma.metrics.intervals import SHARE, bootstrap

ARMS: dict[str, tuple[str, bool]] = {
    "linear probe of the discriminator": ("critic-probe", True),
    "discriminator tuned": ("critic-tuned", True),
    "the same from scratch": ("critic-tuned", False),
    "U-Net on the discriminator": ("critic-unet", True),
    "the same U-Net from scratch": ("critic-unet", False),
    "U-Net of discriminator and generator": ("gan-unet", True),
    "that one from scratch": ("gan-unet", False),
}


def slice_auc(run: Path, cohort: Cohort) -> dict[str, float]:
    """AUC of tumour slices among all test slices, with its interval by patient."""
    classifier = Classifier.open(run)
    chance = classifier.of_cohort(cohort)[:, classifier.classes.index("tumour")]
    table = cohort.slices
    test = np.flatnonzero(table["split"] == "test")
    truth, groups = (table["tumour_pixels"].to_numpy() > 0).astype(int), table["group"].astype(str).to_numpy()
    members = [test[groups[test] == name] for name in sorted(set(groups[test]))]

    def auc(drawn: Any) -> float:
        rows = np.concatenate([members[number] for number in drawn])
        return ranking_scores(truth[rows], chance[rows])["roc_auc"]

    found = bootstrap(auc, len(members), limits=SHARE)
    return {"value": found.value, "low": found.low, "high": found.high}


def main() -> None:
    """Train, test, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--gan-minutes", type=float, default=5.0)
    parser.add_argument("--patients", type=int, nargs="+", default=[3, 6, 12, 26])
    parser.add_argument("--keep", type=Path, required=True)
    arguments = parser.parse_args()
    keep, scans = arguments.keep, data_folder() / "lgg"
    if not (keep / "lgg").is_dir():
        synthoma.prepare(scans, keep / "lgg", size=64, modalities=("flair",), folds=FOLDS)
    cohort = fold_of(Cohort(keep / "lgg"), 0, keep / "fold0")
    gan = keep / "gan"
    if not (gan / "model.safetensors").is_file():
        synthoma.train(cohort, gan, model="dcgan", minutes=arguments.gan_minutes, force=True)
    rows = []
    for patients in arguments.patients:
        for arm, (model, begun) in ARMS.items():
            place = keep / f"{model}-{'gan' if begun else 'scratch'}-{patients}"
            settings = {"model": model, "minutes": arguments.minutes, "patients": patients}
            settings["init"] = str(gan) if begun else None
            row: dict[str, Any] = {"arm": arm, "patients": patients}
            if model.endswith("unet"):
                run_one(place, cohort, scans, **settings)
                row["dice"] = summary([place])[0]["dice"]["mean"]
            else:
                if not (place / "run" / "model.safetensors").is_file():
                    synthoma.train(cohort, place / "run", force=True, **settings)
                row["auc"] = slice_auc(place / "run", cohort)
            rows.append(row)
            minutes = {"minutes": arguments.minutes, "gan_minutes": arguments.gan_minutes}
            save("gan_features", {**earlier("gan_features"), **minutes, "rows": rows})


if __name__ == "__main__":
    main()
