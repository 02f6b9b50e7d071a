"""The segmenter inside the package on real scans, which it never saw: Dice by the threshold of a pixel.

    SYNTHOMA_TEST_DATA=FOLDER python benchmarks/zero_shot.py

LGG and BraTS 2018 are development sets (``brats2`` is two of its cases in another layout): the shipped threshold was
chosen with this table, so its own row is optimistic by as much as one number can be. Maps are kept inside the brain and
cut back to the tumour's margin, as `synthoma detect` does; every slice counts. "plain" is the same without the second,
and "gain" the mean difference of the two, patient by patient. "own_plane" is the same from axial slices alone, and
"planes_gain" what coronal and sagittal ones add: nothing in LGG, whose files state no size.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np

from record import data_folder, earlier, save
from synthoma.cohorts.squares import frame, from_squares, to_squares
from synthoma.core.seeding import stream
from synthoma.core.types import Float32, tumour_of
from synthoma.detection.detector import Detector
from synthoma.detection.findings import dice
from synthoma.detection.inside import brain_of_squares, confined
from synthoma.detection.margin import SEQUENCE, refined
from synthoma.detection.planes import joined
from synthoma.scans.case import Study
from synthoma.scans.layouts import take_inventory
from synthoma.training.bundle import shipped_model

THRESHOLDS = (0.2, 0.3, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9)
SHOWN = {"flair": ("flair",), "all": ("t1", "t1c", "t2", "flair")}
DRAWS = 4000
PARTS = ("lgg", "brats18", "brats2")


@dataclass(frozen=True)
class Scores:
    """Volume Dice of one scan on its own grid, every slice counted.

    Attributes:
        drawn: at each threshold, as `detect` outlines.
        plain: likewise, without the margin's refinement.
        own_plane: at the model's threshold as `detect` outlines, from axial slices alone.
    """

    drawn: list[float]
    plain: list[float]
    own_plane: float


def scores_of(study: Study, detector: Detector) -> Scores:
    """Dice of one scan with its mask."""
    assert study.mask is not None
    framing = frame(study, detector.modalities, size=detector.shape.size, plane=detector.plane, rule=detector.rule)
    pixels = to_squares(framing)
    own = detector.probabilities(pixels, framing.step_mm, flip=True)
    seen = joined(own, study, framing, detector)
    brain, truth = brain_of_squares(framing, pixels), tumour_of(study.mask)
    shown = pixels[:, detector.modalities.index(SEQUENCE)]

    def outlined(maps: Float32, threshold: float) -> tuple[float, float]:
        inside = confined(maps, (threshold,), brain).maps
        drawn = refined(inside, (threshold,), shown, brain, framing.pixel_ml).maps
        both = (from_squares(kept[:, :1], framing)[0] >= threshold for kept in (drawn, inside))
        first, second = (dice(mask, truth) for mask in both)
        return first, second

    drawn, plain = zip(*(outlined(seen.maps, threshold) for threshold in THRESHOLDS), strict=True)
    alone = outlined(own, detector.thresholds[0])[0]
    return Scores(list(drawn), list(plain), alone)


def spread(values: np.ndarray, key: str) -> dict[str, float]:
    """Mean of a figure over patients with its 95 % bootstrap interval."""
    draws = stream(0, "benchmark.zero shot").integers(0, len(values), (DRAWS, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    names = ("mean", "low", "high") if key == "mean" else (key, f"{key}_low", f"{key}_high")
    return {name: round(float(value), 4) for name, value in zip(names, (values.mean(), low, high), strict=True)}


def summary(name: str, rows: list[Scores], threshold: float) -> dict[str, Any]:
    """Means over patients with intervals at each threshold; and what the other planes add at the model's own."""
    told: dict[str, Any] = {"patients": len(rows)}
    for at, limit in enumerate(THRESHOLDS):
        drawn, plain = (np.array([getattr(row, key)[at] for row in rows]) for key in ("drawn", "plain"))
        told[str(limit)] = {
            **spread(drawn, "mean"),
            "median": round(float(np.median(drawn)), 4),
            "plain": round(float(plain.mean()), 4),
            **spread(drawn - plain, "gain"),
        }
        if limit == threshold:
            alone = np.array([row.own_plane for row in rows])
            told[str(limit)] |= {**spread(alone, "own_plane"), **spread(drawn - alone, "planes_gain")}
            told["by patient"] = [[round(float(a), 3), round(float(b), 3)] for a, b in zip(alone, drawn, strict=True)]
    means = {str(limit): told[str(limit)]["mean"] for limit in THRESHOLDS}
    print(name, len(rows), means, told.get("by patient"), flush=True)
    return told


def main() -> None:
    """Look at all scans of the sets, from FLAIR alone and from all sequences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    detector = Detector.open(shipped_model())
    results = earlier("zero_shot") | {"shipped threshold": detector.thresholds[0]}
    for folder in parser.parse_args().parts:
        for shown, sequences in SHOWN.items():
            rows = []
            for case in take_inventory(data_folder() / folder).cases:
                study = case.load()
                images = {name: image for name, image in study.images.items() if name in sequences}
                if "flair" in images and study.mask is not None:
                    rows.append(scores_of(Study(images, study.geometry, study.mask, study.labels), detector))
            results[f"{folder}, {shown}"] = summary(f"{folder}, {shown}", rows, detector.thresholds[0])
    save("zero_shot", results)


if __name__ == "__main__":
    main()
