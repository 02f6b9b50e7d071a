"""Does a classifier that looks first help the segmenter of the package? Pictures of kaggle253 that neither knows.

    SYNTHOMA_TEST_DATA=FOLDER python benchmarks/gate.py --keep DIR [--images 6000]

A small network learns tumour or none from the training part; the pictures of validation and test, of which the first
chose its snapshot, are looked at with and without `--gate`. Splits keep duplicates together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import synthoma
from record import data_folder, save
from synthoma.cohorts.cohort import Cohort


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6000, help="shown to the classifier")
    parser.add_argument("--keep", type=Path, required=True, help="folder for the cohort, the run and the findings")
    arguments = parser.parse_args()
    keep, scans = arguments.keep, data_folder() / "kaggle253"
    if not (keep / "cohort").is_dir():
        synthoma.prepare(scans, keep / "cohort", size=64)
    cohort = Cohort(keep / "cohort")
    synthoma.train(cohort, keep / "run", model="cnn", images=arguments.images, force=True)
    table = cohort.slices[cohort.slices["split"] != "train"]
    results: dict[str, object] = {"images": arguments.images, "learned_from": len(cohort) - len(table)}
    for name, gate in (("alone", None), ("gated", keep / "run")):
        for label in ("yes", "no"):
            pictures = [scans / source for source in table["source"][table["label"] == label]]
            found = synthoma.detect(
                pictures, keep / f"{name}-{label}", gate=gate, overlay=False, force=True, jobs=1
            ).table
            results[f"{name}, {label}"] = {
                "pictures": len(found),
                "said": int(found["has_tumour"].sum()),
                "outlined": int(found["has_mask"].sum()),
            }
    save("gate", results)


if __name__ == "__main__":
    main()
