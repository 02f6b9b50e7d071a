"""Painting: does a tumour come out as asked, is the rest untouched, how fast, and how near to the truth is a removal?

python benchmarks/painting.py                  all parts, about a quarter of an hour on one core
python benchmarks/painting.py obedience        one of obedience, speed, volume, removal

Training patients of the LGG set at 64 and 128 pixels, and the five cases of BraTS 2018. Nothing of a model is trained
here; the constants of ``painting.appearance`` were measured on training patients alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity
from skimage.restoration import inpaint_biharmonic

import synthoma
from record import data_folder, save
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Bools
from synthoma.painting.dials import Dials
from synthoma.painting.files import scan_of
from synthoma.painting.painters import paint_scan
from synthoma.painting.places import RIM_MM
from synthoma.painting.removal import remove
from synthoma.painting.scan import Scan
from synthoma.painting.stacks import Stack, stacks_of
from synthoma.painting.tissues import brain_of
from synthoma.scans.layouts import take_inventory

SEED = 5
HOLES = 30


@cache
def cohort(name: str, size: int) -> synthoma.Cohort:
    """A set of real scans as a cohort."""
    place = Path(tempfile.mkdtemp()) / "cohort"
    folder = {"lgg": "lgg/kaggle_3m", "brats": "brats18"}[name]
    every = 5 if name == "brats" else 1
    return synthoma.prepare(data_folder() / folder, place, size=size, every=every, duplicates=False, jobs=1)


def scans(size: int) -> Iterator[tuple[Stack, Scan]]:
    """Training patients of LGG."""
    for stack in stacks_of(cohort("lgg", size), ("train",)):
        yield stack, stack.scan()


def obedience() -> dict[str, Any]:
    """Asked against measured size and place, and whether brightness follows the contrast dial."""
    asked, got, off, rising, same, tried = list[float](), list[float](), list[float](), 0, True, 0
    refused = 0
    for number, (_, scan) in enumerate(scans(64)):
        rng = stream(SEED, "benchmark.obedience", number)
        volume = float(np.exp(rng.uniform(np.log(2), np.log(60))))
        try:
            made = paint_scan(rng, scan, Dials(size_ml=(volume, volume)), beside=True)
        except InputError:
            refused += 1
            continue
        asked.append(volume)
        got.append(float((made.mask > 0).sum() * np.prod(scan.spacing) / 1000))
        same &= all(np.array_equal(made.images[n][~made.changed], scan.images[n][~made.changed]) for n in scan.images)
        place = np.array([float(value) for value in str(made.facts["place_mm"]).split()])
        # A place that white matter is known to lie at: where another tumour could be put, some mm beside.
        dials = Dials(size_ml=(8, 8), place=(float(place[0]), float(place[1]), float(place[2])))
        try:
            at = paint_scan(stream(SEED, "benchmark.place", number), scan, dials, beside=True)
            there = np.array([float(value) for value in str(at.facts["place_mm"]).split()])
            off.append(float(np.sqrt(((there - place) ** 2).sum())))
        except InputError:
            pass
        shown = []
        for contrast in (0.4, 0.8, 1.2):
            dials = Dials(size_ml=(10, 10), grade="low", contrast=(contrast, contrast))
            try:
                lit = paint_scan(stream(SEED, "benchmark.contrast", number), scan, dials, beside=True)
            except InputError:
                break
            inside = lit.mask > 0
            shown.append(float(np.abs(lit.images["flair"] - scan.images["flair"])[inside].mean()))
        if len(shown) == 3:
            tried += 1
            rising += shown[0] < shown[1] < shown[2]
    ratio = np.array(got) / np.array(asked)
    return {
        "scans": len(asked),
        "refused": refused,
        "size_r": float(np.corrcoef(asked, got)[0, 1]),
        "size_bias": float(ratio.mean() - 1),
        "size_worst": float(np.abs(ratio - 1).max()),
        "place_error_mm_median": float(np.median(off)),
        "place_error_mm_p90": float(np.percentile(off, 90)),
        "places": len(off),
        "contrast_rising": f"{rising} of {tried}",
        "outside_bit_identical": bool(same),
    }


def speed() -> dict[str, Any]:
    """Slices a second at 64 and 128 pixels, tissue map and all; wall clock and this process's own time."""
    result = {}
    for size in (64, 128):
        stacks = [scan for _, scan in scans(size)]
        begun, own, slices = time.perf_counter(), time.process_time(), 0
        for number, scan in enumerate(stacks):
            try:
                paint_scan(stream(SEED, "benchmark.speed", number), scan, Dials(), beside=True)
            except InputError:
                continue
            slices += scan.shape[0]
        result[str(size)] = {
            "slices": slices,
            "per_second": slices / (time.perf_counter() - begun),
            "per_cpu_second": slices / (time.process_time() - own),
        }
    return result


def volume() -> dict[str, Any]:
    """Seconds to paint one BraTS volume of four sequences, 240 x 240 x 155, and to remove its tumour."""
    case = take_inventory(data_folder() / "brats18").cases[0]
    scan = scan_of(case.load())
    begun = time.perf_counter()
    made = paint_scan(stream(SEED, "benchmark.volume"), scan, Dials(size_ml=(30, 30)), beside=True)
    painted = time.perf_counter() - begun
    same = all(np.array_equal(made.images[n][~made.changed], scan.images[n][~made.changed]) for n in scan.images)
    begun = time.perf_counter()
    remove(scan, scan.tumour)
    facts = dict(made.facts)
    return {
        "paint_seconds": painted,
        "remove_seconds": time.perf_counter() - begun,
        "asked_ml": 30.0,
        "painted_ml": facts["painted_ml"],
        "outside_bit_identical": same,
    }


# --- removal ---------------------------------------------------------------------------------------------------------


def hidden(name: str, size: int) -> Iterator[tuple[Scan, Bools, Bools]]:
    """Tumour-free slices of training patients with a hole as large and as shaped as another patient's tumour."""
    rng = stream(SEED, "benchmark.holes", size)
    one = cohort(name, size)
    table = one.slices
    training = (table["split"] == "train").to_numpy() if name == "lgg" else np.ones(len(table), np.bool_)
    pixels = table["tumour_pixels"].to_numpy()
    shapes = np.flatnonzero((pixels > 60 * (size / 128) ** 2) & training)
    free = np.flatnonzero((pixels == 0) & training)
    found = 0
    while found < HOLES:
        row, shape = int(rng.choice(free)), np.asarray(one.masks[int(rng.choice(shapes))]) > 0
        scan = Stack(one, "", [row]).scan()
        try:
            brain = brain_of(scan.images, scan.spacing)
        except InputError:
            continue
        deep = ndimage.distance_transform_edt(brain[0], sampling=scan.spacing[1:]) > RIM_MM
        places = np.argwhere(deep)
        if brain.sum() * scan.spacing[1] * scan.spacing[2] < 8000 or not len(places):
            continue
        middle = np.argwhere(shape).mean(0).round().astype(int)
        move = places[rng.integers(len(places))] - middle
        hole = np.roll(shape, (int(move[0]), int(move[1])), (0, 1)) & ndimage.binary_erosion(brain[0], iterations=2)
        if hole.sum() < 30 * (size / 128) ** 2:
            continue
        found += 1
        yield scan, hole[None], brain


def fillings(scan: Scan, hole: Bools, brain: Bools) -> dict[str, dict[str, Any]]:
    """What each method puts into the hole, by method and modality."""
    blind = replace(scan, images={n: np.where(hole, np.float32(0.5), image) for n, image in scan.images.items()})
    result: dict[str, dict[str, Any]] = {}
    for method in ("blend", "mirror", "membrane"):
        result[method] = dict(remove(blind, hole, method=method, margin_mm=0).images)  # type: ignore[arg-type]
    _, nearest = ndimage.distance_transform_edt(hole[0], return_indices=True)
    columns = np.flatnonzero(brain.any((0, 1)))
    flip = np.clip(columns[0] + columns[-1] - np.arange(hole.shape[2]), 0, hole.shape[2] - 1)
    result["nearest neighbour"] = {n: image[:, nearest[0], nearest[1]] for n, image in scan.images.items()}
    result["mirrored hemisphere"] = {n: np.where(hole, image[:, :, flip], image) for n, image in scan.images.items()}
    result["biharmonic"] = {n: inpaint_biharmonic(image[0], hole[0])[None] for n, image in scan.images.items()}
    return result


def removal() -> dict[str, Any]:
    """SSIM, PSNR and MSE of healthy tissue under random tumour masks, mean over holes and modalities."""
    result = {}
    for name, size in (("lgg", 64), ("lgg", 128), ("brats", 128)):
        scores: dict[str, list[tuple[float, float, float]]] = {}
        for scan, hole, brain in hidden(name, size):
            for method, images in fillings(scan, hole, brain).items():
                for modality, truth in scan.images.items():
                    made = np.asarray(images[modality], np.float32)
                    error = float(((made - truth)[hole] ** 2).mean())
                    like = structural_similarity(truth[0], made[0], data_range=1.0, full=True, win_size=7)[1]
                    score = float(like[hole[0]].mean()), float(-10 * np.log10(error + 1e-9)), error
                    scores.setdefault(method, []).append(score)
        result[f"{name} {size}"] = {
            method: dict(zip(("ssim", "psnr", "mse"), np.mean(values, axis=0).round(5).tolist(), strict=True))
            for method, values in scores.items()
        } | {"holes": HOLES}
        print(name, size, result[f"{name} {size}"], flush=True)
    return result


PARTS = {"obedience": obedience, "speed": speed, "volume": volume, "removal": removal}


def main() -> None:
    """Measure what is asked for, print it and save it."""
    for name in sys.argv[1:] or PARTS:
        result = PARTS[name]()
        print(name, result, flush=True)
        save(f"painting_{name}", result)


if __name__ == "__main__":
    main()
