"""Makes the painter "gan" inside the package: from simulated patients alone, with fixed seeds.

    python tools/ship_painter.py --work DIR [--steps N]

It resumes: the cohort is kept, the networks every 100 steps. On other machines the last digits of a training differ.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.core.types import MODALITIES, REGIONS
from synthoma.painting.gan.learning import BATCH, Apprentice, learn
from synthoma.painting.gan.lessons import plates_of
from synthoma.painting.gan.model import PainterModel
from synthoma.phantom import Look, phantom_beside
from synthoma.training.bundle import CHECKPOINT, load_tensors, save_tensors

PATIENTS, SEED, STEPS = 96, 61, 1500
LOOK = Look(MODALITIES, {str(value): name for value, name in REGIONS.items()}, 128)
TARGET = Path(__file__).resolve().parents[1] / "src" / "synthoma" / "weights" / "phantom-painter.safetensors"


def main() -> None:
    """Simulate, train, halve, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for cohort and networks")
    parser.add_argument("--steps", type=int, default=STEPS, help="length of the training")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    phantom = given.work / "phantom"
    config = phantom_beside(LOOK, {}).model_copy(update={"seed": SEED, "split": (1.0, 0.0, 0.0)})
    if not phantom.is_dir():
        synthoma.prepare_phantom(PATIENTS, phantom, config=config)
    plates, _ = plates_of(Cohort(phantom))
    print(f"{len(plates):,} slices with a tumour", flush=True)
    pupil = Apprentice.new(SEED)
    path = given.work / f"painter-{given.steps}.safetensors"
    if path.is_file():
        pupil.restore(load_tensors(path))
    begun, before = time.perf_counter(), pupil.step

    def told(now: Apprentice, losses: dict[str, float]) -> None:
        if now.step % 100 == 0 or now.step == given.steps:
            save_tensors(path, now.state(), {"schema": CHECKPOINT, "step": now.step, "best": None})
            each = (time.perf_counter() - begun) / (now.step - before)
            texts = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
            print(f"step {now.step}: {texts}, {each:.3f} s a step", flush=True)

    learn(pupil, plates, steps=given.steps, seed=SEED, told=told)
    simulated = {"patients": PATIENTS, "seed": SEED, "phantom": config.phantom.model_dump(mode="json")}
    model = PainterModel.of(pupil, MODALITIES, (), regions=True)
    model.save(TARGET, {"simulated": simulated, "images": pupil.step * BATCH})
    print(f"{TARGET.name}: {TARGET.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
