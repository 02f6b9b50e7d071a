"""The segmenter inside the package on real scans, which it never saw: Dice by the threshold of a pixel.

    SYNTHOMA_TEST_DATA=FOLDER python benchmarks/zero_shot.py

LGG and BraTS 2018 are development sets (``brats2`` is two of its cases in another layout): the shipped threshold was
chosen with this table, so its own row is optimistic by as much as one number can be. Maps are kept inside the brain and
cut back to the tumour's margin, as `synthoma detect` does; every slice counts. "plain" is the same without the second,
and "gain" the mean difference of the two, patient by patient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from record import data_folder, save
from synthoma.cohorts.squares import frame, from_squares, to_squares
from synthoma.core.seeding import stream
from synthoma.core.types import tumour_of
from synthoma.detection.detector import Detector
from synthoma.detection.findings import dice
from synthoma.detection.inside import brain_of_squares, confined
from synthoma.detection.margin import SEQUENCE, refined
from synthoma.scans.case import Study
from synthoma.scans.layouts import take_inventory
from synthoma.training.bundle import shipped_model

THRESHOLDS = (0.2, 0.3, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9)
SHOWN = {"flair": ("flair",), "all": ("t1", "t1c", "t2", "flair")}
DRAWS = 4000


def dice_by_threshold(study: Study, detector: Detector) -> list[tuple[float, float]]:
    """Volume Dice of one scan at each threshold, on the scan's own grid: with its margin refined, and without."""
    assert study.mask is not None
    framing = frame(study, detector.modalities, size=detector.shape.size, plane=detector.plane, rule=detector.rule)
    pixels = to_squares(framing)
    maps = detector.probabilities(pixels, framing.step_mm, flip=True)
    brain, truth = brain_of_squares(framing, pixels), tumour_of(study.mask)
    found = []
    for threshold in THRESHOLDS:
        inside = confined(maps, (threshold,), brain).maps
        shown = pixels[:, detector.modalities.index(SEQUENCE)]
        drawn = refined(inside, (threshold,), shown, brain, framing.pixel_ml).maps
        both = (from_squares(kept[:, :1], framing)[0] >= threshold for kept in (drawn, inside))
        first, second = (dice(mask, truth) for mask in both)
        found.append((first, second))
    return found


def summary(name: str, values: np.ndarray) -> dict[str, Any]:
    """Mean with a 95 % interval over patients, and median, at each threshold; values (patients, thresholds, 2)."""
    draws = stream(0, "benchmark.zero shot").integers(0, len(values), (DRAWS, len(values)))
    told: dict[str, Any] = {"patients": len(values)}
    for at, threshold in enumerate(THRESHOLDS):
        column, gain = values[:, at, 0], values[:, at, 0] - values[:, at, 1]
        low, high = np.percentile(column[draws].mean(axis=1), [2.5, 97.5])
        less, more = np.percentile(gain[draws].mean(axis=1), [2.5, 97.5])
        told[str(threshold)] = {
            "mean": round(float(column.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4),
            "median": round(float(np.median(column)), 4), "plain": round(float(values[:, at, 1].mean()), 4),
            "gain": round(float(gain.mean()), 4), "gain_low": round(float(less), 4), "gain_high": round(float(more), 4),
        }  # fmt: skip
    print(name, {key: value if key == "patients" else value["mean"] for key, value in told.items()}, flush=True)
    return told


def main() -> None:
    """Look at all scans of both sets, from FLAIR alone and from all sequences."""
    detector = Detector.open(shipped_model())
    results: dict[str, Any] = {"shipped threshold": detector.thresholds[0]}
    for folder in ("lgg", "brats18", "brats2"):
        for shown, sequences in SHOWN.items():
            rows = []
            for case in take_inventory(data_folder() / folder).cases:
                study = case.load()
                images = {name: image for name, image in study.images.items() if name in sequences}
                if "flair" in images and study.mask is not None:
                    rows.append(dice_by_threshold(Study(images, study.geometry, study.mask, study.labels), detector))
            results[f"{folder}, {shown}"] = summary(f"{folder}, {shown}", np.array(rows))
    save("zero_shot", results)


if __name__ == "__main__":
    main()
