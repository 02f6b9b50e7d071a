"""The duplicate search on real and simulated slices: recall on planted copies, false pairs, real finds, speed, memory.

python benchmarks/duplicates.py                 everything, about half an hour on 2 cores
python benchmarks/duplicates.py speed FILE      only the search of thumbnails in a .npy file (what `main` times)
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from record import data_folder, save
from synthoma.cohorts.copies.duplicates import THRESHOLD, Duplicates, find_duplicates
from synthoma.cohorts.copies.thumbnails import thumbnail
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Float32
from synthoma.phantom.config import PhantomConfig
from synthoma.phantom.patient import simulate

SEED = 3
PLANTED = 300
PHANTOMS, SLICES_PER_PHANTOM = 200, 10
LARGE, COPIES = 10_000, 58
TISSUE = 0.1

Change = Callable[[Float32, float], Array]


# What is done to a copy. Pictures are in [0, 1]; `px` is the length of one pixel of a 64 px thumbnail.


def turned(picture: Array, degrees: float) -> Array:
    return ndimage.rotate(picture, degrees, reshape=False, order=1).clip(0, 1)


def shifted(picture: Array, right: float, down: float) -> Array:
    """Moved by whole pixels; black where nothing was."""
    x, y = round(right), round(down)
    reach = max(abs(x), abs(y), 1)
    padded = np.pad(picture, reach)
    return padded[reach - y : reach - y + picture.shape[0], reach - x : reach - x + picture.shape[1]]


def jpeg(picture: Array, quality: int = 60) -> Array:
    buffer = io.BytesIO()
    Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image, dtype=np.float32) / 255


def noisy(picture: Array) -> Array:
    return (picture + stream(SEED, "noise").normal(0, 0.02, picture.shape)).clip(0, 1)


SINGLE: dict[str, Change] = {
    "flip left-right": lambda a, px: a[:, ::-1],
    "flip up-down": lambda a, px: a[::-1],
    "90 deg": lambda a, px: np.rot90(a),
    "180 deg": lambda a, px: np.rot90(a, 2),
    "270 deg": lambda a, px: np.rot90(a, 3),
    "+5 deg": lambda a, px: turned(a, 5),
    "-5 deg": lambda a, px: turned(a, -5),
    "shift (4, 0)": lambda a, px: shifted(a, 4 * px, 0),
    "shift (0, -4)": lambda a, px: shifted(a, 0, -4 * px),
    "shift (-4, 4)": lambda a, px: shifted(a, -4 * px, 4 * px),
    "JPEG 60": lambda a, px: jpeg(a),
    "gamma 0.8": lambda a, px: a**0.8,
}
COMBINED: dict[str, Change] = {
    "noise sd 0.02": lambda a, px: noisy(a),
    "flip, +5 deg, gamma 0.8, JPEG 60": lambda a, px: jpeg(turned(a[:, ::-1], 5) ** 0.8),
    "90 deg, -4 deg, shift (3, -2)": lambda a, px: shifted(turned(np.rot90(a), -4), 3 * px, -2 * px),
    "flip up-down, shift (-4, 2), JPEG 60": lambda a, px: jpeg(shifted(a[::-1], -4 * px, 2 * px)),
    "flip, 270 deg, +6 deg, shift (4, 4), gamma 0.8": lambda a, px: (
        shifted(turned(np.rot90(a[:, ::-1], 3), 6), 4 * px, 4 * px) ** 0.8
    ),
}


# Pictures


def unit(picture: Array) -> Float32:
    """A picture scaled to [0, 1]."""
    low, high = float(picture.min()), float(picture.max())
    return ((picture.astype(np.float32) - low) / max(high - low, 1e-9)).astype(np.float32)


def tissue(picture: Array) -> float:
    """Share of a 256 px slice that stands out of its border's brightness after smoothing."""
    small = picture.astype(np.float32).reshape(64, picture.shape[0] // 64, 64, picture.shape[1] // 64).mean((1, 3))
    smooth = ndimage.gaussian_filter(small, 2.0)
    edge = float(np.median(np.concatenate([smooth[0], smooth[-1], smooth[:, 0], smooth[:, -1]])))
    top = float(smooth.max())
    return 0.0 if top - edge < max(edge / 2, 2) else float((smooth > edge + 0.25 * (top - edge)).mean())


def lgg(scans: Path) -> tuple[list[Array], list[str]]:
    """FLAIR of all slices in order, and whose they are."""
    files = [file for file in (scans / "lgg" / "kaggle_3m").glob("*/*.tif") if not file.stem.endswith("_mask")]
    files.sort(key=lambda file: (file.parent.name, int(file.stem.split("_")[-1])))
    return [np.asarray(Image.open(file))[..., 1] for file in files], [file.parent.name for file in files]


def web(folder: Path) -> tuple[Float32, list[str], list[str]]:
    """Thumbnails, file digests and class names of a set of class folders."""
    files = sorted(folder.glob("*/*"))
    thumbnails = np.stack([thumbnail(np.asarray(Image.open(file).convert("L"))) for file in files])
    return thumbnails, [hashlib.sha256(file.read_bytes()).hexdigest() for file in files], [f.parent.name for f in files]


def together(first: tuple[Float32, list[str], list[str]], second: tuple[Float32, list[str], list[str]]) -> Any:
    """Two sets as one; their class names differ, so all that is left of the labels is tumour or none."""
    labels = ["none" if label in ("no", "notumor") else "tumour" for label in [*first[2], *second[2]]]
    return np.concatenate([first[0], second[0]]), [*first[1], *second[1]], labels


def phantoms() -> tuple[Float32, list[str]]:
    """Thumbnails of simulated FLAIR slices, and whose they are."""
    config = PhantomConfig(modalities=("flair",), slice_mm=6.0, healthy=0.3, pixel_mm=1.5)
    thumbnails, patients = [], []
    for index in range(PHANTOMS):
        volume = np.asarray(simulate(1, index, config).study.images["flair"])
        for z in np.linspace(0.2 * len(volume), 0.9 * len(volume), SLICES_PER_PHANTOM).astype(int):
            thumbnails.append(thumbnail(volume[z]))
            patients.append(f"phantom-{index}")
    return np.stack(thumbnails), patients


def varied(thumbnails: Float32, count: int) -> Float32:
    """Look-alikes of different people: each a slice under its own zoom, turn, elastic deformation and gamma."""
    rows, columns = np.mgrid[:64, :64] - 31.5
    made = np.empty((count, 64, 64), dtype=np.float32)
    for index in range(count):
        draw = stream(SEED, "varied", index)
        angle, zoom = np.radians(draw.uniform(-15, 15)), draw.uniform(0.85, 1.15, 2)
        bend = [ndimage.gaussian_filter(draw.normal(size=(64, 64)), 6.0) * 2 * 21.3 for _ in range(2)]
        y = zoom[0] * (np.cos(angle) * rows + np.sin(angle) * columns) + bend[0] + draw.uniform(-4, 4)
        x = zoom[1] * (np.cos(angle) * columns - np.sin(angle) * rows) + bend[1] + draw.uniform(-4, 4)
        source = thumbnails[draw.integers(len(thumbnails))]
        made[index] = ndimage.map_coordinates(source, [y + 31.5, x + 31.5], order=1) ** draw.uniform(0.7, 1.4)
    return made


# Measures


def recall(pictures: list[Array], base: Float32, owners: list[str], changes: dict[str, Change]) -> dict[str, Any]:
    """Share of planted copies that land in their source's group, and wrong pairs, for each kind of change.

    Copies are planted one kind at a time among all slices; their patient is unknown. A copy may also be linked to
    its source's neighbours (same patient), but to nobody else.
    """
    chosen = np.flatnonzero([tissue(picture) >= TISSUE for picture in pictures])
    sources = stream(SEED, "sources").choice(chosen, PLANTED, replace=False)
    results = {}
    for name, change in changes.items():
        figures: dict[str, Any] = {}
        for place in ("64 px", "full size"):
            copies = np.stack([_copy(base[i], pictures[i], change, place) for i in sources])
            found = find_duplicates(np.concatenate([base, copies]), patients=[*owners, *[None] * PLANTED])
            hits = found.groups[sources] == found.groups[len(base) :]
            names = [*owners, *[owners[i] for i in sources]]
            wrong = sum(names[pair.first] != names[pair.second] for pair in found.pairs)
            figures[place] = {"recall": round(float(hits.mean()), 4), "pairs_of_different_patients": wrong}
        results[name] = figures
        print(name, figures, flush=True)
    return results


def _copy(small: Float32, picture: Array, change: Change, place: str) -> Float32:
    if place == "64 px":
        return np.ascontiguousarray(change(small, 1.0), dtype=np.float32)
    return thumbnail(change(unit(picture), picture.shape[0] / 64))


def false_pairs(thumbnails: Float32, patients: list[str]) -> dict[str, Any]:
    """Pairs of different people that are called copies, and the best scores that such pairs reach."""
    found = find_duplicates(thumbnails, patients=patients, threshold=0.8)
    scores = sorted((round(pair.score, 3) for pair in found.pairs), reverse=True)
    return {
        "slices": len(thumbnails),
        "patients": len(set(patients)),
        "pairs": sum(score >= THRESHOLD for score in scores),
        "pairs_above_0.8": len(scores),
        "best_scores": scores[:5],
    }


def adjacent(thumbnails: Float32, patients: list[str]) -> dict[str, Any]:
    """Slices of one patient called copies of each other when nobody knows the patient."""
    found = find_duplicates(thumbnails, threshold=0.9)
    neighbours = sum(a == b for a, b in pairwise(patients))
    best = sorted((round(p.score, 3) for p in found.pairs if patients[p.first] == patients[p.second]), reverse=True)
    flagged = sum(score >= THRESHOLD for score in best)
    share = round(flagged / neighbours, 5)
    return {"adjacent_pairs": neighbours, "flagged": flagged, "share": share, "best_scores": best[:10]}


def finds(thumbnails: Float32, digests: list[str], labels: list[str]) -> dict[str, Any]:
    found = find_duplicates(thumbnails, file_digests=digests)
    return {
        "files": len(thumbnails),
        "groups": len(thumbnails) - found.redundant,
        "redundant": found.redundant,
        "same_bytes_redundant": len(digests) - len(set(digests)),
        "pairs": dict(Counter(pair.kind for pair in found.pairs)),
        "largest_group": int(np.bincount(found.groups).max()),
        "label_conflicts": len(found.conflicts(labels)),
    }


def speed(thumbnails: Float32) -> dict[str, Any]:
    """Seconds and peak memory of one search among look-alikes with one group of 58, in a process of its own."""
    large = varied(thumbnails, LARGE)
    draw = stream(SEED, "copies")
    places = draw.choice(LARGE, COPIES, replace=False)
    changes = [SINGLE[name] for name in ("flip left-right", "flip up-down", "90 deg", "+5 deg", "shift (4, 0)")]
    for number, place in enumerate(places[1:]):
        large[place] = jpeg(changes[number % len(changes)](large[places[0]], 1.0), 70 + number % 25)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.npy"
        np.save(file, large)
        words = [sys.executable, __file__, "speed", str(file), *map(str, places)]
        answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    names = ("s", "peak_mib", "pairs", "redundant", "group_of_58_found")
    loads = [round(load, 1) for load in os.getloadavg()]
    return {"images": LARGE, **dict(zip(names, map(float, answer), strict=True)), "load_average": loads}


def timed_search(file: str, places: list[int]) -> None:
    thumbnails = np.load(file)
    start = time.perf_counter()
    found: Duplicates = find_duplicates(thumbnails)
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    whole = np.bincount(found.groups[places]).max()
    print(round(taken, 1), peak, len(found.pairs), found.redundant, whole)


def main() -> None:
    scans = data_folder()
    pictures, owners = lgg(scans)
    base = np.stack([thumbnail(picture) for picture in pictures])
    simulated, people = phantoms()
    sets = {name: web(scans / name) for name in ("kaggle253", "types")}
    sets["both"] = together(sets["kaggle253"], sets["types"])
    tissued = base[[tissue(picture) >= TISSUE for picture in pictures]]
    results = {
        "threshold": THRESHOLD,
        "seed": SEED,
        "speed": speed(np.concatenate([tissued, sets["both"][0], simulated])),
        "false_pairs": {"lgg": false_pairs(base, owners), "phantom": false_pairs(simulated, people)},
        "adjacent_lgg": adjacent(base, owners),
        "finds": {name: finds(*each) for name, each in sets.items()},
        "planted": {"slices": len(base), "copies_of_a_kind": PLANTED, "least_tissue": TISSUE},
        "recall_single": recall(pictures, base, owners, SINGLE),
        "recall_combined": recall(pictures, base, owners, COMBINED),
    }
    save("duplicates", results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["speed"]:
        timed_search(sys.argv[2], [int(place) for place in sys.argv[3:]])
    else:
        main()
