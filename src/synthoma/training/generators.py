"""Training a generator on a cohort: checks, run folder, snapshots, and the finished model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from synthoma.data.cohort import Cohort
from synthoma.data.dataset import TrainingSlices
from synthoma.errors import ConfigError, InputError
from synthoma.models.bundle import save_tensors
from synthoma.models.dcgan import check_size
from synthoma.models.registry import ImageShape, NetworkConfig
from synthoma.pictures import grey, outlined, tiled
from synthoma.provenance import file_digest, software, write_text
from synthoma.training.adversarial import AdversarialTask
from synthoma.training.device import Execution, calibrate, choose_device
from synthoma.training.loop import Budget, Progress, Report, run_loop
from synthoma.training.settings import TrainConfig
from synthoma.training.watchdog import validation_judge
from synthoma.types import Bytes, Floats, Ints

JUDGED = 256
"""Images on each side of the score at a snapshot."""

LEARNED_ROW = 12
"""Pictures of each snapshot in progress.png."""


def train_generator(
    cohort: Cohort, run: Path, config: TrainConfig, report: Report, *, resume: bool = False
) -> Progress:
    """Train a generator into an existing folder.

    Args:
        cohort: where the training split comes from.
        run: folder for config.toml, log.jsonl, checkpoint/, samples/, progress.png and model.safetensors.
        config: the settings; the budget must be given.
        report: told how far it is.
        resume: go on from the newest checkpoint.

    Raises:
        InputError: the cohort has nothing to train on, or lacks the masks that are asked for.
        ConfigError: the model cannot draw images of this size.
    """
    rows = training_rows(cohort, config)
    shape = image_shape(cohort, config)
    slices = TrainingSlices(cohort, rows, with_masks=config.with_masks)
    execution = _execution(config, shape, slices)
    execution.apply()
    write_text(run / "config.toml", config.to_toml())
    task = AdversarialTask(
        config,
        shape,
        slices,
        execution,
        judge=_judge(cohort, rows, config),
        sheet=partial(_save_sheet, run, shape),
        samples=JUDGED,
    )
    budget = Budget(config.images, config.minutes, config.snapshots, config.patience)
    progress = run_loop(task, budget, run, seed=config.seed, keep=config.keep, report=report, resume=resume)
    meta = model_meta(cohort, config, shape, rows, progress.best_images or progress.images)
    save_tensors(run / "model.safetensors", task.finished(), meta)
    return progress


def training_rows(cohort: Cohort, config: TrainConfig) -> Ints:
    """Rows of the training split that can be learned from.

    Raises:
        InputError: there are none, with what to do; or all of them are constant.
        ConfigError: a class that the cohort does not have.
    """
    unknown = sorted(set(config.classes or ()) - set(cohort.classes))
    if unknown:
        raise ConfigError(f"classes of the cohort ({', '.join(cohort.classes)})", unknown[0], "choose among them")
    table = cohort.slices
    keep = (table["split"] == "train") & (table["missing"] == "")
    if config.classes:
        keep &= table["label"].isin(config.classes)
    if config.with_masks and "has_mask" in table:
        keep &= table["has_mask"]
    rows = np.flatnonzero(keep.to_numpy())
    if not len(rows):
        came = f"none of {len(cohort)} (splits: {', '.join(sorted(set(table['split'])))})"
        raise InputError("training slices with all modalities", came, "check the cohort with `synthoma info`")
    looked_at = cohort.images[rows[np.linspace(0, len(rows) - 1, min(len(rows), 64)).astype(int)]]
    if all(np.ptp(image) == 0 for image in looked_at):
        raise InputError("training slices that show something", "constant ones", "look at the cohort's report.html")
    return rows


def image_shape(cohort: Cohort, config: TrainConfig) -> ImageShape:
    """What the generator has to draw.

    Raises:
        InputError: masks are asked for and the cohort has none; or one class only is there to be conditional on.
        ConfigError: the model cannot draw images of this size.
    """
    if config.with_masks and not cohort.labels:
        raise InputError("a cohort with masks", "one without", "leave out --with-masks, or prepare scans with masks")
    if config.conditional and len(cohort.classes) < 2:
        raise InputError("two classes or more", f"{cohort.classes[0]!r} only", "leave out --conditional")
    check_size(cohort.size, seed=config.gan.network == "seed")
    labels = len(cohort.labels) if config.with_masks else 0
    return ImageShape(cohort.size, len(cohort.modalities), labels, len(cohort.classes) if config.conditional else 0)


def model_meta(cohort: Cohort, config: TrainConfig, shape: ImageShape, rows: Ints, images: int) -> dict[str, Any]:
    """What the model file says of itself: all that is needed to use it, and where it came from.

    The groups that it learned from are named, so that an evaluation can refuse to test on them.
    """
    groups = sorted(set(cohort.slices["group"].iloc[rows].astype(str)))
    return {
        "schema": "synthoma.model/1",
        "kind": "generator",
        "model": config.model,
        "network": {name: getattr(config.gan, name) for name in NetworkConfig.model_fields},
        "loss": config.gan.loss,
        "shape": {"size": shape.size, "channels": shape.channels, "labels": shape.labels, "classes": shape.classes},
        "modalities": list(cohort.modalities),
        "labels": {str(value): name for value, name in cohort.labels.items()} if shape.labels else {},
        "classes": list(config.classes or cohort.classes) if not shape.classes else list(cohort.classes),
        "plane": cohort.meta["plane"],
        "prepare": cohort.meta.get("provenance", {}).get("config", {}),
        "images": images,
        "provenance": {
            "config": config.model_dump(mode="json"),
            "cohort": {
                "origin": cohort.origin,
                "slices_sha256": file_digest(cohort.path / "slices.csv"),
                "images_sha256": file_digest(cohort.path / "images.npy"),
            },
            "trained_on": {"slices": len(rows), "groups": groups},
            "software": software(),
        },
    }


def _execution(config: TrainConfig, shape: ImageShape, slices: TrainingSlices) -> Execution:
    """Device and, on a CPU, the fastest settings for this model."""
    name = f"{config.model} {shape} batch {config.gan.batch} {config.gan.model_dump_json()}"

    def trial(execution: Execution) -> None:
        if execution not in tasks:
            tasks[execution] = AdversarialTask(
                config, shape, slices, execution, judge=lambda samples, recent: (0, {}, [])
            )
        tasks[execution].step(0)

    tasks: dict[Execution, AdversarialTask] = {}
    return calibrate(choose_device(config.device), name, trial)


def _judge(cohort: Cohort, rows: Ints, config: TrainConfig) -> Callable[..., tuple[float, dict[str, float], list[str]]]:
    """Judge samples against the validation split, or against the training images where it is too small."""
    table = cohort.slices
    keep = (table["split"] == "validation") & (table["missing"] == "")
    if config.classes:
        keep &= table["label"].isin(config.classes)
    validation = np.flatnonzero(keep.to_numpy())
    held_out = validation if len(validation) >= 8 else rows
    return validation_judge(
        _some(cohort, rows, 2 * JUDGED), _some(cohort, held_out, JUDGED), logits=config.gan.loss.startswith("bce")
    )


def _some(cohort: Cohort, rows: Ints, most: int) -> Floats:
    """First channel of at most ``most`` rows, evenly spread, cut to 0..1."""
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)]
    images: Floats = np.clip(cohort.images[chosen][:, 0].astype(np.float32), 0, 1)
    return images


def _save_sheet(run: Path, shape: ImageShape, images: int, samples: Tensor) -> None:
    """Write the sheet of a snapshot, and join the first row of all sheets into progress.png."""
    folder = run / "samples"
    folder.mkdir(exist_ok=True)
    pictures = [sample_picture(sample, shape) for sample in samples.numpy()]
    Image.fromarray(tiled(pictures, 8)).save(folder / f"images-{images:09d}.png")
    Image.fromarray(tiled(pictures[:LEARNED_ROW], LEARNED_ROW)).save(folder / f"row-{images:09d}.png")
    rows = [np.asarray(Image.open(path)) for path in sorted(folder.glob("row-*.png"))]
    Image.fromarray(tiled(rows, 1)).save(run / "progress.png")


def sample_picture(sample: Floats, shape: ImageShape) -> Bytes:
    """First modality of a sample (planes, S, S) in -1..1 as a picture, with the outlines of its drawn labels."""
    picture = grey((sample[0] + 1) / 2)
    if not shape.labels:
        return np.repeat(picture[..., None], 3, axis=2)
    labels = sample[shape.channels :]
    mask = np.where(labels.max(axis=0) > 0, labels.argmax(axis=0) + 1, 0).astype(np.uint8)
    return outlined(picture, mask)
