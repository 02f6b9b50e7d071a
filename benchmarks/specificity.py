"""How often the model inside the package says tumour where there is one, and where there is none.

    python benchmarks/specificity.py [--parts phantom lgg brats kaggle253] [--patients 80]

Everything is looked at as `synthoma detect` looks at it, mirrored average included. The limit from which tumour is said
was set on other simulated patients (`tools/calibrate_segmenter.py`); no real scan had a say in it. Intervals are exact
ones (Clopper and Pearson) where each patient or picture counts once, and bootstrap ones over patients where several
slices of one count. "Before" is the earlier rule: the network's own figure against the limit of a pixel, 0.9.

For LGG and BraTS, whose patients all have a tumour, "without tumour" means what is left of a scan without the slices
that show it. Pictures are FLAIR slices without neighbours, of which nobody knows the size; those of `kaggle253` say not
even which sequence they show.

The heat of the activation map is counted in the slice that the model is surest of.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from record import data_folder, earlier, save
from synthoma.cohorts.framing import resize_mask
from synthoma.core.types import MODALITIES, Bools, tumour_of
from synthoma.detection.detector import Detector
from synthoma.detection.saliency import activation_map
from synthoma.detection.scan import look
from synthoma.detection.seen import Seen
from synthoma.detection.settings import DetectConfig
from synthoma.detectors.segmenters.chances import scan_probability
from synthoma.metrics.classification import ranking_scores
from synthoma.metrics.intervals import score_interval
from synthoma.phantom import PhantomConfig, phantom_cases
from synthoma.scans.case import Case, Study
from synthoma.scans.layouts import take_inventory
from synthoma.training.bundle import shipped_model

PARTS = ("phantom", "lgg", "brats", "kaggle253")
SEED = 41
PHANTOM = PhantomConfig(skull="mixed", sites=60, healthy=0.5, slice_mm=(2.0, 6.5), artefacts=0.3)
SLICES = 5
"""Slices of a patient that are looked at as pictures, with tumour and without."""


@dataclass(frozen=True)
class Answer:
    """What was said of one scan or picture: who it is, whether there is tumour, and the answers of both rules."""

    patient: str
    ill: bool
    says: bool
    said_before: bool
    probability: float


class Asked:
    """The model, asked about parts of studies."""

    def __init__(self) -> None:
        self.detector, self.options = Detector.open(shipped_model()), DetectConfig(overlay=False)

    def answer(self, patient: str, study: Study, *, ill: bool) -> tuple[Answer, Seen]:
        """What the model says of a study."""
        seen = look(Case(patient, patient, tuple(study.images), lambda: study), self.detector, self.options)
        before = scan_probability(seen.slices) >= self.detector.thresholds[0]
        return Answer(patient, ill, seen.has_tumour, before, seen.probability), seen


def parted(study: Study, names: Sequence[str], rows: Any = slice(None), *, placed: bool = True) -> Study:
    """Some sequences and slices of a study; as pictures they have no place."""
    images = {name: image[rows] for name, image in study.images.items() if name in names}
    return Study(images, study.geometry if placed else None)


def slices_of(study: Study, ill: Bools) -> tuple[list[int], list[int]]:
    """Slices with tumour and without, evenly spaced, that show at least half as much as the fullest one."""
    tissue = np.array([float((layer > layer.mean()).sum()) for layer in study.images["flair"]])
    full = tissue >= 0.5 * tissue.max()
    chosen = []
    for wanted in (ill, ~ill):
        found = np.flatnonzero(full & wanted)
        chosen.append(found[np.linspace(0, len(found) - 1, min(SLICES, len(found))).astype(int)].tolist())
    return chosen[0], chosen[1]


def of_patients(asked: Asked, cases: Iterator[Case] | Sequence[Case], heat: list[dict[str, float]]) -> dict[str, Any]:
    """Answers about scans of patients, FLAIR alone and all sequences, and about their slices as pictures."""
    found: dict[str, list[Answer]] = {"scans, FLAIR alone": [], "scans, all sequences": [], "pictures, FLAIR": []}
    for case in cases:
        study = case.load()
        if "flair" not in study.images or study.mask is None:
            continue
        ill = np.asarray(tumour_of(study.mask).any(axis=(1, 2)))
        kinds = [("scans, FLAIR alone", ("flair",)), ("scans, all sequences", MODALITIES)]
        for key, names in kinds if len(study.images) > 1 else kinds[:1]:
            answer, seen = asked.answer(case.name, parted(study, names), ill=bool(ill.any()))
            found[key].append(answer)
            if ill.any() and key == "scans, FLAIR alone":
                heat.append(heated(asked.detector, seen, tumour_of(study.mask)))
            if ill.any() and (~ill).sum() > 1:
                rest = asked.answer(case.name, parted(study, names, np.flatnonzero(~ill)), ill=False)[0]
                found.setdefault(f"{key}, without their slices of tumour", []).append(rest)
        for rows, sick in zip(slices_of(study, ill), (True, False), strict=True):
            for z in rows:
                alone = parted(study, ("flair",), slice(z, z + 1), placed=False)
                found["pictures, FLAIR"].append(asked.answer(case.name, alone, ill=sick)[0])
        print(case.name, flush=True)
    return {key: counted(answers) for key, answers in found.items() if answers}


def heated(detector: Detector, seen: Seen, truth: Bools) -> dict[str, float]:
    """Whether the warmest pixel of the activation map is tumour, and how much of its heat lies there."""
    z = int(seen.slices.argmax())
    layer = seen.in_plane(truth)[z].astype(np.uint8)
    if not layer.any():
        return {"there": 0.0}
    ill = resize_mask(layer, seen.framing.fit) > 0
    heat = activation_map(detector, seen.pixels, z, seen.framing.step_mm)
    return {
        "there": 1.0,
        "peak": float(ill[np.unravel_index(heat.argmax(), heat.shape)]),
        "share": float(heat[ill].sum() / max(heat.sum(), 1e-12)),
        "area": float(ill.mean()),
    }


def heat_summary(heat: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Of the slices that the model is surest of, those that show tumour."""
    there = [one for one in heat if one["there"]]
    shares = [one["share"] for one in there]
    return {
        "slices": len(there),
        "without_tumour": len(heat) - len(there),
        "peak_inside": int(sum(one["peak"] for one in there)),
        "heat_inside": {name: round(float(np.quantile(shares, q)), 3) for name, q in QUANTILES.items()},
        "most_heat_inside": int(sum(share > 0.5 for share in shares)),
        "tumour_area": round(float(np.mean([one["area"] for one in there])), 3),
    }


QUANTILES = {"tenth": 0.1, "quarter": 0.25, "median": 0.5}


def counted(answers: Sequence[Answer]) -> dict[str, Any]:
    """Sensitivity and specificity, with intervals, of both rules; and the area under the curve."""
    ill = [one for one in answers if one.ill]
    healthy = [one for one in answers if not one.ill]
    result: dict[str, Any] = {}
    for name, group, right in (("sensitivity", ill, True), ("specificity", healthy, False)):
        if group:
            result[name] = share([one.says == right for one in group], [one.patient for one in group])
            result[f"{name}_before"] = share(
                [one.said_before == right for one in group], [one.patient for one in group]
            )
    if ill and healthy:
        truth = np.array([one.ill for one in answers]).astype(int)
        result["roc_auc"] = ranking_scores(truth, np.array([one.probability for one in answers]))["roc_auc"]
    return result


def share(right: Sequence[bool], patients: Sequence[str]) -> dict[str, Any]:
    """How many answers were right, of how many, of how many patients."""
    count, hits, people = len(right), sum(right), len(set(patients))
    if people == count:
        exact = binomtest(hits, count).proportion_ci(method="exact")
        low, high = float(exact.low), float(exact.high)
    else:
        found = score_interval(np.array(right, dtype=np.float64), groups=list(patients), limits=(0.0, 1.0))
        low, high = found.low, found.high
    return {"value": hits / count, "low": low, "high": high, "right": hits, "of": count, "patients": people}


def of_pictures(asked: Asked) -> dict[str, Any]:
    """Answers about pictures that do not say what they show."""
    answers = [
        asked.answer(case.name, case.load(), ill=ill)[0]
        for folder, ill in (("yes", True), ("no", False))
        for case in take_inventory(data_folder() / "kaggle253" / folder, masks_wanted=False).cases
    ]
    return {"pictures, sequence unknown": counted(answers)}


def told(results: dict[str, Any]) -> list[dict[str, Any]]:
    """What `detect` says of itself: how often it said tumour where there is none."""
    wanted = (
        ("scan", "phantom", "scans, FLAIR alone", "simulated patients (FLAIR alone)"),
        ("scan", "phantom", "scans, all sequences", "simulated patients (all sequences)"),
        (
            "scan",
            "lgg",
            "scans, FLAIR alone, without their slices of tumour",
            "real scans (LGG, FLAIR alone) without their slices of tumour",
        ),
        ("picture", "kaggle253", "pictures, sequence unknown", "healthy pictures of unknown sequence (kaggle253)"),
        ("picture", "lgg", "pictures, FLAIR", "real FLAIR slices without tumour (LGG)"),
    )
    lines = []
    for kind, part, key, scans in wanted:
        if (one := results.get(part, {}).get(key, {}).get("specificity")) is not None:
            lines.append({"kind": kind, "scans": scans, "said": one["of"] - one["right"], "of": one["of"]})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--patients", type=int, default=80, help="simulated patients, about half of them healthy")
    arguments = parser.parse_args()
    asked, results = Asked(), earlier("specificity")
    for part in arguments.parts:
        heat: list[dict[str, float]] = []
        if part == "kaggle253":
            found = of_pictures(asked)
        elif part == "phantom":
            found = of_patients(asked, phantom_cases(arguments.patients, SEED, PHANTOM), heat)
        else:
            places = ("lgg",) if part == "lgg" else ("brats18", "brats2")
            cases = [case for place in places for case in take_inventory(data_folder() / place).cases if case.has_mask]
            found = of_patients(asked, cases, heat)
        results = earlier("specificity")
        results[part] = {**found, **({"activation map": heat_summary(heat)} if heat else {})}
        results["told"] = told(results)
        results["settings"] = {"seed": SEED, "patients": arguments.patients, "limit_before": 0.9}
        save("specificity", results)


if __name__ == "__main__":
    main()
