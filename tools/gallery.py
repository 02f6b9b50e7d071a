"""Makes the pictures and the figures of docs/gallery.md from simulated patients.

    python tools/gallery.py FOLDER    takes about five minutes on two cores; what FOLDER has is kept

Every run is real: nothing is staged but what the page says was staged (copies planted).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import synthoma
from synthoma import Cohort
from synthoma.core.pictures import grey, outlined, tiled
from synthoma.core.types import Bytes
from synthoma.evaluation.result import Evaluation, read_evaluation

HERE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "gallery"
PATIENTS = 40


def hospital(work: Path) -> Cohort:
    """The patients of one simulated scanner, who stand for somebody's scans."""
    place = work / "hospital"
    if not place.exists():
        scanner = {"modalities": ("flair",), "sites": 1, "skull": "stripped", "slice_mm": 6.0, "pixel_mm": 2.0}
        synthoma.prepare_phantom(
            PATIENTS, place, phantom=scanner, seed=7, size=64, slices="tumour", merge="whole-tumour",
            split=(0.4, 0.2, 0.4),
        )  # fmt: skip
    return Cohort(place)


def young(work: Path, cohort: Cohort) -> Cohort:
    """What a plain GAN draws that was stopped far too early."""
    if not (work / "young").exists():
        synthoma.train(cohort, work / "young", model="dcgan", with_masks=True, images=640, seed=1)
    place = work / "young-drawn"
    if not place.exists():
        synthoma.generate(work / "young", place, 200)
    return Cohort(place)


def planted(work: Path, cohort: Cohort) -> Cohort:
    """Training slices, mirrored, with another gamma and some noise, offered as synthetic ones."""
    place = work / "planted"
    if not place.exists():
        draws = np.random.default_rng(0)
        part = cohort.filter(split="train")
        images = np.clip(np.asarray(part.images[:, 0], np.float32)[:, :, ::-1], 0, 1)
        gammas = draws.uniform(0.9, 1.1, (len(images), 1, 1))
        changed = np.clip(images**gammas + draws.normal(0, 0.01, images.shape) * (images > 0), 0, 1)
        Cohort.from_arrays(
            changed, part.masks[:, :, ::-1], modalities=("flair",), origin="synthetic",
            split=["train"] * len(images), output=place,
        )  # fmt: skip
    return Cohort(place)


def judged(work: Path, real: Cohort, drawn: Cohort, name: str) -> Evaluation:
    """The evaluation of this name."""
    place = work / f"{name}-judged"
    if not place.exists():
        synthoma.evaluate(real, drawn, place, halves=19, canaries=60, jobs=1)
    return read_evaluation(place)


def strip(cohort: Cohort, rows: list[int], *, masks: bool = True) -> list[Bytes]:
    """Pictures of some slices, 128 px wide."""
    times = np.ones((128 // cohort.size,) * 2, np.uint8)
    empty = np.zeros((cohort.size, cohort.size), np.uint8)
    return [
        outlined(
            np.kron(grey(np.asarray(cohort.images[row, 0], np.float32)), times),
            np.kron(np.asarray(cohort.masks[row]) if masks else empty, times),
        )
        for row in rows
    ]


def spread(cohort: Cohort, count: int = 6) -> list[int]:
    """Evenly spaced rows."""
    return [int(row) for row in np.linspace(0, len(cohort) - 1, count).round()]


def write(name: str, pictures: list[Bytes], columns: int = 6) -> None:
    """A sheet as a small PNG."""
    HERE.mkdir(parents=True, exist_ok=True)
    Image.fromarray(tiled(pictures, columns)).save(HERE / f"{name}.png", optimize=True)


def figures(found: Evaluation) -> dict[str, str]:
    """Verdict and lights as texts."""
    return {
        "verdict": f"{found.verdict.word}: {found.verdict.because}",
        **{light.question: f"{light.state}: {light.text}" for light in found.lights},
    }


def main(work: Path) -> None:
    """All of the page."""
    work.mkdir(parents=True, exist_ok=True)
    cohort = hospital(work)
    write("hospital", strip(cohort, spread(cohort)))
    told: dict[str, dict[str, str]] = {}
    drawn = young(work, cohort)
    write("young", strip(drawn, spread(drawn)))
    told["young"] = figures(judged(work, cohort, drawn, "young"))
    copies = planted(work, cohort)
    found = judged(work, cohort, copies, "planted")
    told["planted"] = figures(found)
    pairs = [pair for pair in found.privacy.pairs if pair.flagged][:6]
    write("planted", strip(copies, [pair.synthetic_row for pair in pairs], masks=False)
          + strip(cohort, [pair.training_row for pair in pairs], masks=False))  # fmt: skip
    (HERE / "figures.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("expected a folder to work in; run python tools/gallery.py FOLDER")
    main(Path(sys.argv[1]))
