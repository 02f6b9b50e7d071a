"""The painters beside one another: do their lesions look like real ones of patients whom nobody learned from?

python benchmarks/painters.py [--steps 300] [--size 64] [--cohort DIR] [--arms growth ...]

The LGG set, split by patient. Painters draw from the 28 training patients alone and paint into the 12 held-out ones,
beside their tumours. Painted lesions are told from the real lesions of these 12 by a linear classifier and by trees on
what their pixels and margins are like (shape and size are not told), by folds of whole patients. Beside it stands how
well real lesions of the 28 are told from real ones of the 12: no painter can be asked for less.
Painters that --arms does not name keep the figures of an earlier run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import synthoma
from record import data_folder, earlier, save
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Bools, Float32, Floats
from synthoma.painting.dials import Dials
from synthoma.painting.gan.lessons import taught
from synthoma.painting.gan.model import PainterModel, shipped_painter
from synthoma.painting.material import material_of
from synthoma.painting.painters import Material, paint_scan
from synthoma.painting.scan import Scan
from synthoma.painting.stacks import stacks_of
from synthoma.painting.tissues import WHITE, TissueMap, tissues_of

SEED, COPIES, LEAST = 9, 3, 14
"""Seed, painted versions of each scan, and pixels (of 64 x 64) that a lesion has in a slice that is looked at."""

Seen = tuple[Floats, Floats, str]
"""Features of a lesion's inside and of its margin in one slice, and whose it is."""


def features(images: dict[str, Float32], mask: Bools) -> tuple[Floats, Floats]:
    """What a lesion's pixels (H, W) are like, and its margin; grey values relative to white matter."""
    away = ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)
    bands = [(away > low) & (away <= low + 1) for low in (-3, -2, -1, 0, 1, 2)]
    inside, margin = list[float](), list[float]()
    for image in images.values():
        values = image[mask]
        deviation = (values - values.mean()) / (values.std() + 1e-6)
        slope = np.hypot(*np.gradient(image))
        rough = np.abs(ndimage.laplace(image))
        inside += [values.mean(), values.std(), *np.percentile(values, (10, 90)), (deviation**3).mean(),
                   slope[mask].mean(), rough[mask].mean(), rough[mask].std(), slope[mask].std()]  # fmt: skip
        steps = [image[band].mean() if band.any() else values.mean() for band in bands]
        margin += [*np.diff(steps), slope[bands[2] | bands[3]].mean(), slope[bands[2] | bands[3]].std(),
                   rough[bands[2] | bands[3]].mean(), image[bands[3]].std() if bands[3].any() else 0.0]  # fmt: skip
    stacked = np.stack([image[mask] for image in images.values()])
    inside += np.nan_to_num(np.atleast_2d(np.corrcoef(stacked)))[np.triu_indices(len(stacked), 1)].tolist()
    return np.array(inside), np.array(margin)


def seen(images: dict[str, Float32], mask: Bools, tissue: TissueMap, patient: str, least: float) -> list[Seen]:
    """Up to six slices of a scan's lesion, evenly spread."""
    rows = np.flatnonzero(mask.sum((1, 2)) >= least)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, 6).round().astype(int))] if len(rows) else rows
    levels = {name: max(tissue.levels[name][WHITE], 1e-6) for name in images}
    return [(*features({n: i[z] / levels[n] for n, i in images.items()}, mask[z]), patient) for z in rows]


def told_apart(real: Sequence[Seen], other: Sequence[Seen], part: int) -> dict[str, float]:
    """Area under the curve by which two sets of lesions are told apart, no patient in training and test at once."""
    values = np.stack([one[part] for one in (*real, *other)])
    labels = np.repeat((0, 1), (len(real), len(other)))
    groups = np.array([one[2] for one in (*real, *other)])
    found = {}
    for name in ("linear", "trees"):
        chances = np.full(len(labels), np.nan)
        for train, test in GroupKFold(6, shuffle=True, random_state=0).split(values, labels, groups):
            model: Any = make_pipeline(
                StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
            )
            if name == "trees":
                model = RandomForestClassifier(150, min_samples_leaf=3, class_weight="balanced", random_state=0)
            chances[test] = model.fit(values[train], labels[train]).predict_proba(values[test])[:, 1]
        found[name] = round(float(roc_auc_score(labels, chances)), 3)
    return found


def painted(
    scans: Sequence[tuple[str, Scan, TissueMap]], painter: str, material: Material, least: float, seed: int
) -> tuple[list[Seen], dict[str, Any]]:
    """Lesions that a painter makes in these scans, and how well it does as it is told."""
    found: list[Seen] = []
    asked, got, same, refused, slices, spent = list[float](), list[float](), True, 0, 0, 0.0
    for number, (patient, scan, tissue) in enumerate(scans):
        for copy in range(COPIES):
            rng, begun = stream(seed, "benchmark.painters", number, copy), time.process_time()
            try:
                made = paint_scan(rng, scan, Dials(), painter=painter, material=material, beside=True)
            except InputError:
                refused += 1
                continue
            spent, slices = spent + time.process_time() - begun, slices + scan.shape[0]
            same &= all(
                np.array_equal(made.images[n][~made.changed], scan.images[n][~made.changed]) for n in scan.images
            )
            asked.append(float(made.facts["asked_ml"]))
            got.append(float(made.facts["painted_ml"]))
            found += seen(dict(made.images), made.mask > 0, tissue, patient, least)
    told = {
        "lesions": len(asked), "refused": refused, "slices_looked_at": len(found),
        "size_r": round(float(np.corrcoef(asked, got)[0, 1]), 4),
        "size_bias": round(float((np.array(got) / np.array(asked)).mean() - 1), 4),
        "outside_bit_identical": bool(same), "slices_per_cpu_second": round(slices / spent, 1),
    }  # fmt: skip
    return found, told


def real_ones(cohort: synthoma.Cohort, splits: Sequence[str]) -> list[tuple[str, Scan, TissueMap]]:
    """The scans of some splits with their tissues."""
    found = []
    for stack in stacks_of(cohort, splits):
        scan = stack.scan()
        if scan.tumour.any():
            found.append((stack.patient, scan, tissues_of(scan.images, scan.spacing, scan.tumour)))
    return found


ARMS = ("growth", "copy-paste", "gan, shipped", "gan, taught")


def main() -> None:
    """Measure all painters, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="that the gan learns from the training patients")
    parser.add_argument("--model", type=Path, help="where it did so before: its weights")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3, help="paintings that are averaged")
    parser.add_argument("--cohort", type=Path, help="the LGG set, prepared before")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    given = parser.parse_args()
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    place = given.cohort or Path(tempfile.mkdtemp()) / "cohort"
    if given.cohort is None:
        synthoma.prepare(data_folder() / "lgg/kaggle_3m", place, size=given.size, duplicates=False, jobs=1)
    cohort = synthoma.Cohort(place)
    material, _ = material_of(cohort, lesions=True)
    held, own = real_ones(cohort, ("validation", "test")), real_ones(cohort, ("train",))
    least = LEAST * (cohort.size / 64) ** 2
    real, training = ([one for p, s, t in some for one in seen(dict(s.images), s.tumour, t, p, least)]
                      for some in (held, own))  # fmt: skip
    begun = time.process_time()
    model = None if given.model is None else PainterModel.open(given.model)
    if model is None and "gan, taught" in given.arms:
        model = taught(shipped_painter(), cohort, steps=given.steps, seed=SEED)
    result: dict[str, Any] = earlier(f"painters_{cohort.size}") | {
        "patients": {"training": len(own), "held out": len(held)}, "size": cohort.size,
        "real lesions of others": {"slices": len(training), "inside": told_apart(real, training, 0),
                                   "margin": told_apart(real, training, 1)},
    }  # fmt: skip
    if model is not None:
        seconds = None if given.model else round(time.process_time() - begun)
        result |= {"steps": model.steps, "seconds_of_learning": seconds}
    print(result, flush=True)
    arms = {
        "growth": ("growth", material), "copy-paste": ("copy-paste", material), "gan, shipped": ("gan", material),
        "gan, taught": ("gan", Material(material.sizes, material.places, material.seen, (), model)),
    }  # fmt: skip
    for name in given.arms:
        painter, given_material = arms[name]
        runs = [painted(held, painter, given_material, least, SEED + at) for at in range(given.seeds)]
        scores = [{"inside": told_apart(real, found, 0), "margin": told_apart(real, found, 1)} for found, _ in runs]
        mean = {part: {kind: round(float(np.mean([s[part][kind] for s in scores])), 3) for kind in scores[0][part]}
                for part in scores[0]}  # fmt: skip
        result[name] = {"told from real, mean": mean, "by seed": scores, **runs[0][1]}
        print(name, result[name], flush=True)
    save(f"painters_{cohort.size}", result)


if __name__ == "__main__":
    main()
