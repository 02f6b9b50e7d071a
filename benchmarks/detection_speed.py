"""How quick detectors train and look: slices a second of a training step, and seconds from a scan's path to its mask.

    python benchmarks/detection_speed.py

Looking is measured as a user would: the whole command, with loading Python, PyTorch and the model.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import synthoma
from record import data_folder, save, seconds
from synthoma.cohorts.cohort import Cohort
from synthoma.detectors.plan import DetectorPlan
from synthoma.settings import TrainConfig
from synthoma.training.device import calibrate

MODELS = ("unet-25d", "resunet-seed", "resunet", "segresnet", "dynunet", "mask-gan")
STEPS = 40
USUAL = 35
"""Slices of the LGG patient that is looked at."""


def training_speed(model: str, cohort: Cohort) -> dict[str, Any]:
    """Slices a second of whole training steps (reading, augmentation, network), after calibration."""
    plan = DetectorPlan(cohort, TrainConfig.resolve(flags={"model": model}))
    tasks: dict[Any, Any] = {}

    def trial(execution: Any) -> None:
        if execution not in tasks:
            tasks.clear()
            tasks[execution] = plan.task(execution, lambda network, images: (0.0, {}, torch.zeros(0)))
        tasks[execution].step(0, 0.5)

    chosen = calibrate("cpu", f"benchmark {model} {plan.shape}", trial, bf16=True)
    chosen.apply()
    trial(chosen)
    times = []
    for step in range(1, STEPS + 1):
        start = time.perf_counter()
        tasks[chosen].step(step, 0.5)
        times.append(time.perf_counter() - start)
    batch = plan.learner.batch
    return {
        "median": round(batch / float(np.median(times)), 1),
        "best_tenth": round(batch / float(np.quantile(times, 0.1)), 1),
        "threads": chosen.threads,
        "bf16": chosen.bf16,
        "weights": sum(weight.numel() for weight in tasks[chosen].network.parameters()),
    }


def looking(scan: Path, place: Path) -> dict[str, float]:
    """Seconds of `synthoma detect` for one scan, overlay and findings included."""
    synthoma_command = str(Path(sys.executable).with_name("synthoma"))
    command = [synthoma_command, "detect", str(scan), "-o", str(place / "found"), "--force"]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True), runs=3)


def main() -> None:
    """Measure and save."""
    scans = data_folder()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        folders = sorted(path for path in (scans / "lgg" / "kaggle_3m").iterdir() if path.is_dir())
        counts = {folder: len(list(folder.glob("*_mask.tif"))) for folder in folders}
        patient = min(folders, key=lambda folder: abs(counts[folder] - USUAL))
        results["lgg_patient_s"] = {**looking(patient, place), "slices": counts[patient]}
        flair = sorted((scans / "brats18").rglob("*flair.nii*"))[0]
        results["brats_flair_volume_s"] = looking(flair, place)
        cohort = synthoma.prepare(scans / "lgg", place / "lgg", duplicates=False)
        results["training_slices_per_second"] = {model: training_speed(model, cohort) for model in MODELS}
    save("detection_speed", results)


if __name__ == "__main__":
    main()
