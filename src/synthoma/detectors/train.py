"""Training a detector (segmenter or classifier) by its plan: device, loop, snapshots, and the finished model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from synthoma.core.artefacts import sealed
from synthoma.core.errors import ConfigError
from synthoma.core.pictures import grey, outlined, png, tiled
from synthoma.core.types import Bytes, Float32, Ints
from synthoma.core.whole_files import write_bytes, write_json
from synthoma.detectors.learning import Scale
from synthoma.detectors.plan import DetectorPlan
from synthoma.detectors.settings import ClassifierConfig
from synthoma.detectors.slices import LabelledSlices
from synthoma.detectors.task import SupervisedTask
from synthoma.training.bundle import save_tensors
from synthoma.training.device import Execution, calibrate, choose_device, read_execution
from synthoma.training.loop import Budget, Progress, Report, run_loop, spent_since
from synthoma.training.runs import EXECUTION, SAMPLES, write_settings
from synthoma.training.settings import SECTION
from synthoma.training.team import team


def train_detector(
    plan: DetectorPlan, run: Path, report: Report, *, resume: bool = False, begun: float | None = None
) -> Progress:
    """Train a segmenter or classifier into an existing folder.

    Args:
        plan: what is learned, from what; its settings have a budget.
        run: folder for config.toml, log.jsonl, checkpoint/, samples/, progress.png and model.safetensors.
        report: told how far it is.
        resume: go on from the newest checkpoint.
        begun: when the command began, on the clock of ``time.perf_counter``: a budget in minutes counts from there.

    Raises:
        ConfigError: the training broke before anything was learned.
    """
    config = plan.config
    execution = _execution(run, plan, resume=resume)
    execution.apply()
    write_settings(run, plan.config)
    task = plan.task(execution, plan.judge(execution, partial(_save_sheet, run, plan.sources[0])))
    budget = Budget(config.images, config.minutes, config.snapshots, config.patience)
    spent = spent_since(begun, config.minutes)
    progress = run_loop(
        task, budget, run, seed=config.seed, keep=config.keep, report=report, resume=resume, spent=spent
    )
    if plan.kind == "segmenter" and not len(task.best_found):
        came = f"a training that broke after {progress.images:,} slices"
        todo = f"use a lower learning rate (--set {SECTION[plan.kind]}.rate=5e-4)"
        raise ConfigError("finite losses", came, todo)
    # A finished model is in single precision, whatever it was trained in.
    best = {name: value.float() if value.dtype == torch.float64 else value for name, value in task.best.items()}
    weights = {f"{plan.kind}.{name}": value for name, value in best.items()}
    known = plan.calibrated(best, execution)
    save_tensors(run / "model.safetensors", weights, plan.meta(progress, task.best_found, known).content())
    return progress


def _execution(run: Path, plan: DetectorPlan, *, resume: bool) -> Execution:
    """Device and, on a CPU, the fastest settings for this model; a resumed run keeps what it was begun with."""
    device = choose_device(plan.config.device)
    file = run / EXECUTION
    if resume and (begun := read_execution(file)) and begun.device == device:
        return begun
    if team().size > 1:
        chosen = team().execution(device, half=True)
        write_json(file, sealed(asdict(chosen)))
        return chosen
    task: dict[Execution, SupervisedTask] = {}

    def trial(execution: Execution) -> None:
        if execution not in task:
            task.clear()  # networks and moments of one trial at a time
            task[execution] = plan.task(execution, lambda network, images: (0.0, {}, torch.zeros(0)))
        task[execution].step(0, 0.0)

    # What the time of a step depends on, and no more: a change of rate or loss need not measure again.
    kept = {"network", "width", "levels", "stem", "context", "batch", "adversarial", "critic", "frozen", "precision"}
    if isinstance(plan.learner, ClassifierConfig) and (plan.learner.network == "vgg16" or plan.learner.head):
        kept |= {"pool", "head", "batch_norm"}
    name = f"{plan.shape} {plan.learner.model_dump_json(include=kept)}"
    chosen = calibrate(device, name, trial, bf16=True)
    write_json(file, sealed(asdict(chosen)))
    return chosen


def _save_sheet(run: Path, slices: LabelledSlices, images: int, rows: Ints, chances: Tensor) -> None:
    """Draw what a snapshot finds on a few slices, and join all snapshots, below the truth, into progress.png."""
    folder = run / SAMPLES
    folder.mkdir(exist_ok=True)
    pictures = [_picture(image[_drawn_channel(image)], slices.scale) for image in slices.volume(rows)]
    truth = _row(pictures, slices.fetch(rows).masks)
    write_bytes(folder / f"row-{images:09d}.png", png(_row(pictures, (chances > 0.5).float())))
    made = [np.asarray(Image.open(path)) for path in sorted(folder.glob("row-*.png"))]
    write_bytes(run / "progress.png", png(tiled([truth, *made], 1, gap=4)))


def _picture(image: Float32, scale: Scale) -> Bytes:
    """A slice as a picture; of z-scores the darkest pixel is black and the brightest white."""
    if scale == "zero-to-one":
        return grey(image)
    low, high = float(image.min()), float(image.max())
    return grey((image - low) / (high - low or 1.0))


def _drawn_channel(image: Float32) -> int:
    """The modality that is drawn: the last one that is not empty (FLAIR, where it is there)."""
    return max((channel for channel in range(len(image)) if np.ptp(image[channel]) > 0), default=0)


def _row(pictures: Sequence[Bytes], masks: Tensor) -> Bytes:
    labels = masks.cumsum(dim=1)[:, -1].byte().numpy()  # nested targets: 1 tumour, 2 core, 3 enhancing
    return tiled([outlined(picture, mask) for picture, mask in zip(pictures, labels, strict=True)], len(pictures))
