"""What a stream of simulated patients costs a training beside a stored cohort, and how many patients it uses up.

Seconds are those of the processor: of the process that learns, its threads included, and of the one that simulates.
Blocks of steps from the cohort and from the stream take turns, so that whatever else the machine does meets both.

Usage: stream.py [BLOCKS [64px_flair | 128px_four]]; what the other one was before stays.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import torch

from record import earlier, save
from synthoma.cohorts.slicing import PreparedCase
from synthoma.core.progress import silent
from synthoma.detectors.plan import DetectorPlan
from synthoma.detectors.task import SupervisedTask
from synthoma.phantom import stream_of, streamed_patient
from synthoma.pipeline.streaming import lesson
from synthoma.settings import TrainConfig
from synthoma.training.device import Execution

SIZES = {"64px_flair": "size=64&modalities=flair", "128px_four": "size=128"}
STEPS, TIMED = 4, 8


def main() -> None:
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    torch.set_num_threads(1)
    wanted = sys.argv[2:] or list(SIZES)
    results = {**earlier("stream"), **{name: measured(SIZES[name], blocks) for name in wanted}}
    results["load_average"] = [round(load, 2) for load in os.getloadavg()]
    save("stream", results)


def measured(told: str, blocks: int) -> dict[str, object]:
    """CPU seconds of a step and of a patient, for these settings of a stream."""
    address = f"phantom://?{told}&held_out=0&mixed=8&per_patient=64&jobs=1"
    config = TrainConfig.resolve(flags={"model": "unet-25d", "device": "cpu", "seed": 1})
    found: dict[str, list[float]] = {"stored": [], "streamed": []}
    with lesson(address, config, silent) as taught:
        plans = {
            "stored": DetectorPlan(taught.cohort, config),
            "streamed": DetectorPlan(taught.cohort, config, taught.stream),
        }
        execution = Execution("cpu", 1, channels_last=True, bf16=False)
        tasks = {name: plan.task(execution, lambda *_: (0.0, {}, torch.zeros(0))) for name, plan in plans.items()}
        for task in tasks.values():
            task.step(0, 0.0)
        for block in range(blocks):
            for name, task in tasks.items():
                found[name].append(_steps(task, 1 + block * STEPS))
        streamed = plans["streamed"].streamed
        assert streamed is not None
        streamed.close()
        batch = plans["stored"].learner.batch
    patient, slices = _patient(address)
    step = {name: float(np.median(values)) for name, values in found.items()}
    return {
        "step_stored_cpu_s": round(step["stored"], 4),
        "step_streamed_cpu_s": round(step["streamed"], 4),
        "dearer": round(step["streamed"] / step["stored"] - 1, 3),
        "patient_cpu_s": round(patient, 3),
        "slices_of_a_patient": slices,
        "slices_learned_while_a_patient_is_simulated": round(patient / step["stored"] * batch, 1),
    }


def _steps(task: SupervisedTask, first: int) -> float:
    """CPU seconds a step of this process."""
    begun = time.process_time()
    for step in range(first, first + STEPS):
        task.step(step, 0.5)
    return (time.process_time() - begun) / STEPS


def _patient(address: str) -> tuple[float, float]:
    """CPU seconds and slices a patient, template and first one left out."""
    config = stream_of(address)
    streamed_patient(config, 0)
    begun = time.process_time()
    found = [streamed_patient(config, number) for number in range(1, TIMED + 1)]
    seconds = (time.process_time() - begun) / TIMED
    return seconds, float(np.mean([len(one.images) for one in found if isinstance(one, PreparedCase)]))


if __name__ == "__main__":
    main()
