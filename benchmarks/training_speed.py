"""What the training loop costs over a bare PyTorch loop of the same step, and how fast models train and draw.

Blocks of both loops alternate in one process, so that a change of the machine's speed meets both.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from record import save
from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.generators.families import build_discriminator, build_generator
from synthoma.generators.family import GenerativeSetup, GeneratorTask
from synthoma.generators.plan import plan_training
from synthoma.generators.recipes import generators
from synthoma.generators.sampling import Sampler, generate_cohort
from synthoma.generators.shape import ImageShape
from synthoma.settings import TrainConfig
from synthoma.training.device import Execution
from synthoma.training.loop import Budget, Progress, Snapshot, run_loop
from synthoma.training.settings import AUTO

STEPS, BLOCKS, SIZE = 20, 7, 64
ALONE = [name for name, (_, config) in generators().items() if name != AUTO and config.network != "repaint"]
"""Models that are trained on a cohort alone."""


def random_cohort(folder: Path, count: int = 512) -> Cohort:
    """Noise: what is drawn does not change how long a step takes."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    with CohortWriter(folder, channels=1, size=SIZE) as writer:
        records = [{"case": f"{i}", "group": f"{i}", "split": "train", "label": "x"} for i in range(count)]
        writer.add(rng.random((count, 1, SIZE, SIZE)), np.zeros((count, SIZE, SIZE), np.uint8), records)
        meta = {"origin": "phantom", "modalities": ["flair"], "labels": {}, "classes": ["x"], "size": SIZE}
        writer.finish(pd.DataFrame(writer.records), meta)
    return Cohort(folder)


def bare_loop(images: torch.Tensor, execution: Execution) -> Callable[[], None]:
    """The step of `dcgan` written out: networks, Adam, binary cross-entropy, moving average, nothing else."""
    config, shape = generators()["dcgan"][1], ImageShape(SIZE, 1)
    layout = execution.memory_format
    generator = build_generator(config, shape).to(memory_format=layout)  # type: ignore[call-overload]
    discriminator = build_discriminator(config, shape).to(memory_format=layout)  # type: ignore[call-overload]
    average = build_generator(config, shape)
    moments = (config.beta1, config.beta2)
    generator_adam = torch.optim.Adam(generator.parameters(), config.generator_rate, moments)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), config.critic_rate, moments)

    def step() -> None:
        real = images[torch.randint(len(images), (config.batch,))].contiguous(memory_format=layout)
        with torch.no_grad():
            fake = generator(torch.randn(config.batch, config.latent))
        loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()
        discriminator_adam.zero_grad(set_to_none=True)
        loss.backward()
        discriminator_adam.step()
        discriminator.requires_grad_(False)
        loss = F.softplus(-discriminator(generator(torch.randn(config.batch, config.latent)))).mean()
        generator_adam.zero_grad(set_to_none=True)
        loss.backward()
        generator_adam.step()
        discriminator.requires_grad_(True)
        with torch.no_grad():
            for mean, value in zip(average.parameters(), generator.parameters(), strict=True):
                mean.lerp_(value, 0.01)

    return step


def our_task(cohort: Cohort, model: str, execution: Execution) -> GeneratorTask:
    """The task that `synthoma train` runs."""
    config = TrainConfig.resolve(flags={"model": model, "images": 10**9})
    plan = plan_training(cohort, config)
    material = plan.family.learn_from(plan, cohort.path)
    return plan.family.task(GenerativeSetup(plan, material, execution, lambda *_: Snapshot(0.0, {}, [])))


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def overhead(cohort: Cohort, execution: Execution, place: Path) -> dict[str, float]:
    """Seconds of blocks of steps, bare and in the loop, in turn."""
    execution.apply()
    images = torch.from_numpy(cohort.images[:].astype(np.float32)) * 2 - 1
    bare, task = bare_loop(images, execution), our_task(cohort, "dcgan", execution)
    ours, theirs = [], []

    def in_loop() -> Progress:
        budget = Budget(images=STEPS * task.batch, minutes=None, snapshots=1)
        return run_loop(task, budget, place, seed=0, keep=1, report=lambda *_: None, resume=False)

    task.snapshot = lambda progress, recent: _nothing()  # type: ignore[method-assign]
    task.state = dict  # type: ignore[method-assign,assignment]
    for block in range(BLOCKS + 1):
        pair = timed(lambda: [bare() for _ in range(STEPS)]), timed(in_loop)
        if block:  # the first pair warms up
            theirs.append(pair[0])
            ours.append(pair[1])
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "bare_images_per_s": round(STEPS * task.batch / statistics.median(theirs), 1),
        "loop_images_per_s": round(STEPS * task.batch / statistics.median(ours), 1),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


def _nothing() -> object:
    from synthoma.training.loop import Snapshot

    return Snapshot(float("nan"), {}, [])


def images_per_second(cohort: Cohort, model: str, execution: Execution) -> float:
    """Speed of training steps."""
    execution.apply()
    task = our_task(cohort, model, execution)
    task.step(0, 0.0)
    times = [timed(lambda step=step: task.step(step, 0.0)) for step in range(1, 7)]
    return round(task.batch / statistics.median(times), 1)


def main() -> None:
    cores = torch.get_num_threads()
    settings = {
        f"{threads} threads{', channels last' if last else ''}": Execution("cpu", threads, last, bf16=False)
        for threads in sorted({1, cores})
        for last in (False, True)
    }
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        cohort = random_cohort(place / "cohort")
        default = Execution("cpu", cores, channels_last=False, bf16=False)
        results: dict[str, object] = {"overhead_dcgan": overhead(cohort, default, place)}
        speeds = {name: images_per_second(cohort, "dcgan", execution) for name, execution in settings.items()}
        results["dcgan_by_setting_images_per_s"] = speeds
        best = settings[max(speeds, key=lambda name: speeds[name])]
        results["training_images_per_s"] = {model: images_per_second(cohort, model, best) for model in ALONE}
        results["drawing_dcgan_images_per_s"] = drawing(place)
    save("training_speed", results)


def drawing(place: Path) -> float:
    """Images a second of `synthoma generate` for dcgan, cohort written included."""
    import synthoma

    torch.set_num_threads(torch.get_num_threads())
    synthoma.train(place / "cohort", place / "run", images=32, snapshots=1)
    sampler = Sampler.open(place / "run")
    (place / "drawn").mkdir()
    return round(2000 / timed(lambda: generate_cohort(sampler, place / "drawn", 2000)), 0)


if __name__ == "__main__":
    main()
