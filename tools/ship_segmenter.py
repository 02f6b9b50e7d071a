"""Makes the segmenter inside the package: from simulated patients alone, with fixed seeds.

    python tools/ship_segmenter.py --work DIR

The cohort, the settings and the number of slices shown are those below, so anybody can make it again; the weights are
stored in half precision. On other machines the last digits of a training differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import synthoma
from synthoma.models.bundle import load_tensors, save_tensors
from synthoma.phantom import PhantomConfig

PATIENTS, SLICES_SHOWN, SEED = 260, 90_000, 11
PHANTOM = PhantomConfig(skull="mixed", sites=130, healthy=0.08, slice_mm=(2.0, 6.5), artefacts=0.3)
LEARNER = {
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
    resume = (work / "run" / "run.json").is_file()
    run = synthoma.train(
        work / "phantom", work / "run", model="unet-25d", images=SLICES_SHOWN, segmenter=LEARNER, resume=resume
    )
    bundle = load_tensors(run / "model.safetensors")
    halved = {name: value.half() if value.dtype == torch.float32 else value for name, value in bundle.tensors.items()}
    TARGET.parent.mkdir(exist_ok=True)
    save_tensors(TARGET, halved, bundle.meta)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
