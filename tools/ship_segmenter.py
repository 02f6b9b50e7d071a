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
    bundle = load_tensors(run / "model.safetensors")
    halved = {name: value.half() if value.dtype == torch.float32 else value for name, value in bundle.tensors.items()}
    TARGET.parent.mkdir(exist_ok=True)
    save_tensors(TARGET, halved, bundle.content)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
