"""Makes the network of tissues inside the package: from simulated patients alone, with fixed seeds.

    python tools/ship_tissues.py --work DIR [--steps N]

Both stages resume: patients are kept one by one, the network every 200 steps. On other machines the last digits of a
training differ.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthoma.cohorts.framing import resize_mask
from synthoma.cohorts.squares import frame, to_squares
from synthoma.core.types import MODALITIES, Array
from synthoma.detectors.segmenters.networks import ResidualUNet
from synthoma.detectors.segmenters.tissue_learning import (
    CONTEXT,
    DECAY,
    KINDS,
    LEVELS,
    RATE,
    STEP_MM,
    Pupil,
    TissueSlices,
    brain_of,
    learn,
    stacks_of,
)
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import simulate
from synthoma.phantom.tissue import head_tissue_of
from synthoma.scans.case import Study
from synthoma.scans.orientation import to_lps, to_plane
from synthoma.training.bundle import CHECKPOINT, load_tensors, save_tensors
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser

PATIENTS, SEED, SIZE = 160, 41, 128
STEPS, BATCH = 3200, 16
LONGER, LEFT = 4000, 2600
"""The rate falls as if there were so many steps, up to step ``LEFT``; from there it falls to its end at ``STEPS``."""
PHANTOM = PhantomConfig(
    skull="mixed", sites=100, healthy=0.25, slice_mm=(2.0, 6.5), artefacts=0.3, pixel_mm=1.5, age=(18.0, 90.0)
)
NETWORK = {"width": 12, "levels": 5, "stem": 2}
TARGET = Path(__file__).resolve().parents[1] / "src" / "synthoma" / "weights" / "phantom-tissues.safetensors"


def main() -> None:
    """Simulate, train, halve, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for patients and network")
    parser.add_argument("--steps", type=int, default=STEPS, help="length of the training")
    parser.add_argument("--patients", type=int, default=PATIENTS)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    slices = patients(given.work, range(given.patients))
    print(f"{len(slices.codes):,} slices of {given.patients} patients", flush=True)
    network = trained(given.work, slices, given.steps)
    halved = {f"tissues.{name}": value.half() for name, value in network.state_dict().items()}
    save_tensors(TARGET, halved, meta(given.patients, given.steps))
    print(f"{TARGET.name}: {TARGET.stat().st_size / 2**20:.2f} MiB")


def meta(count: int, steps: int) -> dict[str, Any]:
    """What the file says of itself."""
    return {
        "schema": "synthoma.model/1",
        "kind": "tissues",
        "model": "tissues",
        "network": {**NETWORK, "context": CONTEXT},
        "shape": {"size": SIZE, "channels": 1, "targets": KINDS + 1},
        "step_mm": STEP_MM,
        "images": steps * BATCH,
        "simulated": {"patients": count, "seed": SEED, "phantom": PHANTOM.model_dump(mode="json")},
    }


def patients(work: Path, numbers: range, seed: int = SEED) -> TissueSlices:
    """Slices of simulated patients, each kept in a file of its own."""
    images, codes, stacks, first = [], [], [], 0
    for number in numbers:
        path = work / f"patient-{seed}-{number:04d}.npz"
        if not path.is_file():
            squares, labels, step = one(seed, number)
            np.savez_compressed(path.with_suffix(".part.npz"), images=squares, codes=labels, step=step)
            path.with_suffix(".part.npz").rename(path)
        with np.load(path) as kept:
            images.append(kept["images"])
            codes.append(kept["codes"])
            stacks.append(stacks_of(len(kept["codes"]), float(kept["step"]), first))
        first += len(codes[-1])
    every = np.concatenate(codes)
    kinds = head_tissue_of(np.arange(256, dtype=np.uint8))
    return TissueSlices(np.concatenate(images), every, kinds, brain_of(kinds[every]), np.concatenate(stacks))


def one(seed: int, number: int) -> tuple[Array, Array, float]:
    """A patient's slices as detectors see them, and their codes."""
    patient = simulate(seed, number, PHANTOM)
    framing = frame(patient.study, MODALITIES, size=SIZE)
    squares = (to_squares(framing) * LEVELS).clip(0, 255).round().astype(np.uint8)
    turned = to_plane(to_lps(Study({"image": patient.tissue}, patient.study.geometry)), framing.plane)[0]["image"]
    labels = np.stack([resize_mask(layer, framing.fit) for layer in turned])
    shown = squares.max(axis=(1, 2, 3)) > 0
    return squares[shown], labels[shown], float(framing.step_mm or 0)


def trained(work: Path, slices: TissueSlices, steps: int) -> torch.nn.Module:
    """The network after all steps."""
    torch.manual_seed(SEED)
    network: torch.nn.Module = ResidualUNet(CONTEXT, KINDS + 1, **NETWORK)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pupil = Pupil(network, torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY))
    path = work / f"network-{steps}.safetensors"
    if path.is_file():
        saved = load_tensors(path)
        network.load_state_dict(saved.weights("network"))
        restore_optimiser("adam", pupil.optimiser, saved)
        pupil.step = int(str(saved.content["step"]))
    begun, before = time.perf_counter(), pupil.step

    def kept(now: Pupil, loss: float) -> None:
        state = {**network_state("network", now.network), **optimiser_state("adam", now.optimiser)}
        save_tensors(path, state, {"schema": CHECKPOINT, "step": now.step, "best": None})
        each = (time.perf_counter() - begun) / (now.step - before)
        print(f"step {now.step}: loss {loss:.3f}, {each:.3f} s a step", flush=True)

    learn(pupil, slices, steps=steps * LONGER // STEPS, batch=BATCH, seed=SEED, kept=kept, until=steps * LEFT // STEPS)
    learn(pupil, slices, steps=steps, batch=BATCH, seed=SEED, kept=kept)
    network.eval()
    return network


if __name__ == "__main__":
    main()
