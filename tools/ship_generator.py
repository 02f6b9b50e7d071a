"""Makes the start of a phantom-gan inside the package: from simulated patients alone, with fixed seeds.

    python tools/ship_generator.py --work DIR

Some simulated patients, each shown in one of four sequences, are repainted to look like others of the same kind. There
is hardly anything to be repainted, and yet both networks learn what slices of heads look like: a phantom-gan of real
scans that begins with them needs fewer images. The weights are stored in half precision. On other machines the last
digits of a training differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from synthoma.cohorts.cohort import Cohort, write_rows
from synthoma.core.outputs import new_folder
from synthoma.core.types import PLAIN_MODALITY
from synthoma.phantom import Look, phantom_beside
from synthoma.training.bundle import load_tensors, save_tensors

PATIENTS, REPAINTED, SEED = 200, 80, 21
IMAGES = 20_000
LOOK = Look((PLAIN_MODALITY,), {"1": "tumour"}, 64)
"""What the slices of the simulated patients are like."""

TARGET = Path(__file__).resolve().parents[1] / "src" / "synthoma" / "weights" / "phantom-generator.safetensors"


def part(cohort: Cohort, folder: Path, patients: set[str]) -> Path:
    """The slices of some patients."""
    if not folder.is_dir():
        rows = np.flatnonzero(cohort.slices["group"].astype(str).isin(patients).to_numpy())
        with new_folder(folder) as place:
            write_rows(cohort, place, rows.tolist())
    return folder


def main() -> None:
    """Simulate, train, halve, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for cohorts and run")
    work: Path = parser.parse_args().work
    if not (work / "phantom").is_dir():
        config = phantom_beside(LOOK, {})
        config = config.model_copy(update={"seed": SEED, "split": (0.95, 0.05, 0.0)})
        synthoma.prepare_phantom(PATIENTS, work / "phantom", config=config)
    everyone = Cohort(work / "phantom")
    names = sorted(set(everyone.slices["group"].astype(str)))
    repainted = part(everyone, work / "repainted", set(names[:REPAINTED]))
    others = part(everyone, work / "others", set(names[REPAINTED:]))
    run = work / "run"
    if not (run / "model.safetensors").is_file():
        resume = (run / "run.json").is_file()
        settings: dict[str, Any] = {
            "model": "phantom-gan",
            "with_masks": True,
            "phantom": repainted,
            "images": IMAGES,
            "seed": 7,
        }
        synthoma.train(others, run, resume=resume, **settings)
    bundle = load_tensors(run / "model.safetensors")
    save_tensors(TARGET, {name: value.half() for name, value in bundle.tensors.items()}, bundle.content)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
