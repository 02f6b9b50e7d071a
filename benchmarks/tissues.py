"""Tissues of the head: brain extraction, and what keeping detection inside the brain is worth.

    python benchmarks/tissues.py [--parts simulated stripped inside] [--patients 20]

``simulated``: patients of another seed than those of the training, whole heads and stripped ones, each sequence alone.
``stripped``: BraTS 2018, whose voxels outside the brain are 0: Dice with what is not. ``inside``: the segmenter in the
package with and without what it outlines outside the brain, thresholds as they are. Nothing was chosen on simulated
patients of this seed; the real ones are development sets.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from record import data_folder, earlier, save
from synthoma.cohorts.squares import frame, from_squares, to_squares
from synthoma.core.tissues import TISSUES, HeadTissue
from synthoma.core.types import MODALITIES, Array, tumour_of
from synthoma.detection.detector import Detector
from synthoma.detection.findings import dice
from synthoma.detection.inside import brain_of_squares, confined
from synthoma.detectors.segmenters.tissue_learning import brain_of
from synthoma.detectors.segmenters.tissues import tissues_of
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import simulate
from synthoma.phantom.tissue import head_tissue_of
from synthoma.scans.case import Study
from synthoma.scans.layouts import take_inventory
from synthoma.training.bundle import shipped_model

SEED = 77
SHOWN: dict[str, tuple[str, ...]] = {"flair": ("flair",), "all": MODALITIES}


def simulated(count: int) -> dict[str, Any]:
    """Dice with the truth of simulated patients on their own grid of 1 mm pixels: brain, and each tissue."""
    results: dict[str, Any] = {}
    for skull in ("whole", "stripped"):
        config = PhantomConfig(skull=skull, sites=40, healthy=0.25, slice_mm=(2.0, 6.5), artefacts=0.3)  # type: ignore[arg-type]
        scores: dict[str, dict[str, list[float]]] = {name: {} for name in (*MODALITIES, "all")}
        for number in range(count):
            patient = simulate(SEED, number, config)
            kinds = head_tissue_of(patient.tissue)
            brain = brain_of(kinds, reach=6)
            for name, own in scores.items():
                images = {key: image for key, image in patient.study.images.items() if name in (key, "all")}
                found = tissues_of(Study(images, patient.study.geometry))
                own.setdefault("brain", []).append(dice(found.mask, brain))
                own.setdefault("sure", []).append(float(found.sure))
                for kind, word in TISSUES.items():
                    if (kinds == kind).sum() > 200:
                        own.setdefault(word, []).append(dice(found.labels == kind, kinds == kind))
                for kind in (HeadTissue.GREY, HeadTissue.WHITE):
                    off = float((found.labels == kind).sum() / max((kinds == kind).sum(), 1)) - 1
                    own.setdefault(f"{TISSUES[kind]}, volume off by", []).append(off)
        results[skull] = {
            name: {word: round(float(np.mean(values)), 4) for word, values in own.items()}
            for name, own in scores.items()
        }
        worst = {name: round(min(own["brain"]), 4) for name, own in scores.items()}
        results[skull]["worst brain"] = worst
    return {"patients of each": count, "seed": SEED, **results}


def stripped(scans: Path) -> dict[str, Any]:
    """Dice of the brain with what is not 0 in scans that came stripped, and seconds a volume."""
    rows = []
    for folder in ("brats18", "brats2"):
        for case in take_inventory(scans / folder).cases:
            study = case.load()
            shown = ndimage.binary_fill_holes(np.any([image > 0 for image in study.images.values()], axis=0))
            for name in (*study.images, "all"):
                images = {key: image for key, image in study.images.items() if name in (key, "all")}
                begun = time.perf_counter()
                found = tissues_of(Study(images, study.geometry))
                took = time.perf_counter() - begun
                rows.append((folder, name, dice(found.mask, shown), took, found.sure))
    results: dict[str, Any] = {}
    for folder, name in dict.fromkeys((row[0], row[1]) for row in rows):
        own = [row for row in rows if row[:2] == (folder, name)]
        results.setdefault(folder, {})[name] = {
            "volumes": len(own),
            "dice": round(float(np.mean([row[2] for row in own])), 4),
            "worst": round(min(row[2] for row in own), 4),
            "seconds": round(float(np.median([row[3] for row in own])), 2),
            "sure": sum(row[4] for row in own),
        }
    return results


def inside(scans: Path) -> dict[str, Any]:
    """The segmenter in the package, as it is and kept inside the brain."""
    detector = Detector.open(shipped_model())
    results: dict[str, Any] = {}
    for folder in ("lgg", "brats18", "brats2"):
        for shown, sequences in SHOWN.items():
            rows = []
            for case in take_inventory(scans / folder).cases:
                study = case.load()
                images = {name: image for name, image in study.images.items() if name in sequences}
                if "flair" in images and study.mask is not None:
                    rows.append(_both(Study(images, study.geometry, study.mask, study.labels), detector))
            results[f"{folder}, {shown}"] = _summary(rows)
            print(f"{folder}, {shown}", results[f"{folder}, {shown}"], flush=True)
    return results


def _both(study: Study, detector: Detector) -> dict[str, float]:
    """Dice of one scan without and with the brain's border, and what it cost."""
    assert study.mask is not None
    framing = frame(study, detector.modalities, size=detector.shape.size, plane=detector.plane, rule=detector.rule)
    begun = time.perf_counter()
    pixels = to_squares(framing)
    maps = detector.probabilities(pixels, framing.step_mm, flip=True)
    first = time.perf_counter()
    brain = brain_of_squares(framing, pixels)
    kept = confined(maps, detector.thresholds, brain)
    second = time.perf_counter()
    truth, threshold = tumour_of(study.mask), detector.thresholds[0]
    before, after = (from_squares(layers[:, :1], framing)[0] >= threshold for layers in (maps, kept.maps))
    return {
        "before": dice(before, truth),
        "after": dice(after, truth),
        "lost": float((before & ~after & truth).sum() / max(truth.sum(), 1)),
        "sure": float(brain.sure),
        "outside": _outside(maps[:, 0] >= threshold, brain),
        "outside after": _outside(kept.maps[:, 0] >= threshold, brain),
        "seconds": first - begun,
        "seconds more": second - first,
    }


def _outside(found: Array, brain: Any) -> float:
    """Whether a connected place lies outside the brain with more than half of it."""
    parts, count = ndimage.label(found)
    if not count:
        return 0.0
    shares = ndimage.mean(brain.mask, parts, np.arange(1, count + 1))
    return float(bool((shares < 0.5).any()))


def _summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    found: dict[str, Any] = {"scans": len(rows)}
    found |= {name: round(float(values.mean()), 4) for name, values in columns.items() if "seconds" not in name}
    found |= {name: round(float(np.median(values)), 3) for name, values in columns.items() if "seconds" in name}
    found["worst loss"] = round(float((columns["after"] - columns["before"]).min()), 4)
    return found


def main() -> None:
    """Measure the parts that are asked for; others stay as an earlier run left them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", default=["simulated", "stripped", "inside"])
    parser.add_argument("--patients", type=int, default=20)
    given = parser.parse_args()
    results = earlier("tissues")
    for part in given.parts:
        if part == "simulated":
            results[part] = simulated(given.patients)
        else:
            results[part] = {"stripped": stripped, "inside": inside}[part](data_folder())
    save("tissues", results)


if __name__ == "__main__":
    main()
