"""Makes the segmenter inside the package: from simulated patients alone, with fixed seeds.

    python tools/ship_segmenter.py --work DIR

The cohort, the settings and the number of slices shown are those below, so anybody can make it again; the weights are
stored in half precision. On other machines the last digits of a training differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

import synthoma
from synthoma.phantom import PhantomConfig
from synthoma.training.bundle import load_tensors, save_tensors

PATIENTS, SEED = 260, 11
SLICES_SHOWN = (90_000, 140_000)
"""Of two trainings: the second begins with what the first learned, at half its rate (a warm restart)."""
PHANTOM = PhantomConfig(skull="mixed", sites=130, healthy=0.08, slice_mm=(2.0, 6.5), artefacts=0.3)
RATE = 2e-3
WIDE = PHANTOM.model_copy(update={"sites": 400, "mixture": 0.6, "margins": 0.6, "age": (18.0, 90.0)})
WIDE_PATIENTS, WIDE_SEED, WIDE_SHOWN, WIDE_RATE = 240, 12, 36_000, 5e-4
"""Then for a while at a low rate: patients whose tumours are fainter, more cortical and more ragged."""
LEARNER: dict[str, Any] = {
    "modality_dropout": 0.9,
    # Real scanners differ more from one another than simulated ones do.
    "augment": {
        "rotation": 20.0,
        "scale": 0.25,
        "shift": 0.1,
        "gamma": 0.5,
        "contrast": 0.3,
        "bias": 0.35,
        "noise": 0.08,
        "ghosting": 0.15,
        "blur": 0.35,
    },
}
TARGET = Path(__file__).resolve().parents[1] / "src" / "synthoma" / "weights" / "phantom-segmenter.safetensors"


def main() -> None:
    """Simulate, train, halve, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for cohort and run")
    work: Path = parser.parse_args().work
    if not (work / "phantom").is_dir():
        synthoma.prepare_phantom(
            PATIENTS,
            work / "phantom",
            phantom=PHANTOM,
            size=128,
            merge="whole-tumour",
            split=(0.94, 0.06, 0.0),
            seed=SEED,
        )
    run = work / "run"
    start: dict[str, Any] = {}
    for number, images in enumerate(SLICES_SHOWN):
        run = work / ("run" if number == 0 else f"run-{number + 1}")
        resume = (run / "run.json").is_file()
        learner = {**LEARNER, "rate": RATE / 2**number}
        synthoma.train(
            work / "phantom", run, model="unet-25d", images=images, segmenter=learner, resume=resume, **start
        )
        start = {"init": str(run)}
    run = widened(work, run)
    bundle = load_tensors(run / "model.safetensors")
    halved = {name: value.half() if value.dtype == torch.float32 else value for name, value in bundle.tensors.items()}
    TARGET.parent.mkdir(exist_ok=True)
    save_tensors(TARGET, halved, bundle.content)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 2**20:.1f} MiB")


def widened(work: Path, run: Path) -> Path:
    """Learn on from the run on the wider phantom; where that lies."""
    if not (work / "wide").is_dir():
        synthoma.prepare_phantom(
            WIDE_PATIENTS,
            work / "wide",
            phantom=WIDE,
            size=128,
            merge="whole-tumour",
            grid="slices",
            split=(0.94, 0.06, 0.0),
            seed=WIDE_SEED,
        )
    last = work / "run-wide"
    learner = {**LEARNER, "rate": WIDE_RATE, "ema_images": 4000.0}
    resume = (last / "run.json").is_file()
    synthoma.train(
        work / "wide", last, model="unet-25d", images=WIDE_SHOWN, segmenter=learner, init=str(run), resume=resume
    )
    return last


if __name__ == "__main__":
    main()
