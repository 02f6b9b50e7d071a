"""The quality ladder: every generator for the same minutes on the same cohort, judged alike, with two controls.

    python benchmarks/generators.py --minutes 5 [--cohort COHORT] [--models dcgan wgan-gp] [--seeds 0 1]

Without --cohort, FLAIR tumour slices of the LGG patients are prepared at 64 px. Besides the models stand what
real scans score against each other ("real vs real"), and copies of the training scans, slightly changed, that
must fail privacy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import synthoma
from record import data_folder, save
from synthoma.data.cohort import Cohort, CohortWriter
from synthoma.seeding import stream
from synthoma.training.recipes import GENERATORS

SAMPLES = 1000


def altered_copies(real: Cohort, folder: Path, count: int) -> None:
    """A "synthetic" cohort of training slices, mirrored at random, shifted by up to 2 pixels, with 1 % noise."""
    rows = real.rows(split="train")
    folder.mkdir(parents=True)
    rng = stream(0, "benchmark.copies")
    with CohortWriter(folder, channels=len(real.modalities), size=real.size) as writer:
        for number in range(count):
            row = int(rng.choice(rows))
            image, mask = real.images[row].astype(np.float32), np.asarray(real.masks[row])
            if rng.random() < 0.5:
                image, mask = image[..., ::-1], mask[..., ::-1]
            shift = tuple(int(step) for step in rng.integers(-2, 3, 2))
            image = np.roll(image, shift, (1, 2)) + rng.normal(0, 0.01, image.shape)
            label = str(real.slices["label"].iat[row])
            record = {"case": f"copy-{number}", "group": f"copy-{number}", "split": "train", "label": label}
            writer.add(image[None], np.roll(mask, shift, (0, 1))[None], [record])
        meta = {name: real.meta[name] for name in ("modalities", "labels", "classes", "size", "plane")}
        writer.finish(pd.DataFrame(writer.records), {"origin": "synthetic", **meta})


def row_of(name: str, result: dict[str, Any], speed: str, *, null: bool = False) -> dict[str, str]:
    """One line of the table."""

    def value(family: str, score: str) -> str:
        scores = result["fidelity"][family][score]
        if score == "sliced_wasserstein":
            return "1.0" if null else f"{scores['ratio']:.1f}"
        return f"{scores['null_median'] if null else scores['value']:.2f}"

    flagged = "" if null else f"{result['privacy']['flagged']} of {result['privacy']['of']}"
    overlaps = {score: value("wavelet", score) for score in ("precision", "recall", "coverage")}
    distances = {f"sw2_{family}": value(family, "sliced_wasserstein") for family in ("wavelet", "random")}
    light = "" if null else next(light["state"] for light in result["lights"] if light["question"] == "private")
    copies = f"{flagged} ({light})" if flagged else "-"
    return {"model": name, "images_per_second": speed, **distances, **overlaps, "copies": copies}


def train_and_judge(place: Path, cohort: Path, model: str, minutes: float, seed: int) -> dict[str, str]:
    """Train one model, draw 1,000 images, evaluate them."""
    run = place / f"{model}-{seed}"
    seen = 0

    def count(progress: Any, share: float, recent: dict[str, float]) -> None:
        nonlocal seen
        seen = progress.images

    start = time.perf_counter()
    synthoma.train(cohort, run, model=model, minutes=minutes, seed=seed, report=count)
    taken = time.perf_counter() - start
    synthoma.generate(run, place / f"{model}-{seed}-images", SAMPLES, seed=seed)
    result = synthoma.evaluate(cohort, place / f"{model}-{seed}-images", place / f"{model}-{seed}-evaluation")
    return row_of(model if seed == 0 else f"{model}, seed {seed}", result, f"{seen / taken:.0f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=5.0)
    options.add_argument("--cohort", type=Path)
    options.add_argument("--models", nargs="+", default=list(GENERATORS))
    options.add_argument("--seeds", nargs="+", type=int, default=[0])
    options.add_argument("--keep", type=Path, help="folder for runs and pages; else they are thrown away")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        cohort = given.cohort
        if cohort is None:
            cohort = place / "lgg"
            settings: dict[str, Any] = {"modalities": ("flair",), "size": 64, "slices": "tumour"}
            synthoma.prepare(data_folder() / "lgg", cohort, **settings)
        altered_copies(Cohort(cohort), place / "copies", SAMPLES)
        control = synthoma.evaluate(cohort, place / "copies", place / "copies-evaluation")
        rows = [
            row_of("real vs real (other patients)", control, "-", null=True),
            row_of("altered copies of training scans", control, "-"),
        ]
        rows += [
            train_and_judge(place, cohort, model, given.minutes, seed) for model in given.models for seed in given.seeds
        ]
        compared = control["compared"]
    caption = (
        f"{given.minutes:g} minutes each; {compared['training']} training slices of {compared['training_groups']} "
        f"patients, judged on {compared['held_out']} of {compared['held_out_groups']} others; {SAMPLES} samples; "
        f"seeds {', '.join(map(str, given.seeds))}; SW2 is the distance over its real-vs-real median"
    )
    save("generators", {"caption": caption, "rows": rows})


if __name__ == "__main__":
    main()
