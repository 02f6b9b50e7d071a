"""Training a generator as it was planned: run folder, snapshots, and the finished model."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from synthoma.cohorts.dataset import TrainingSlices, spread
from synthoma.cohorts.leaks import names_of, patients_behind, source_of, trained_on
from synthoma.cohorts.slicing import shown_modality
from synthoma.core.artefacts import sealed
from synthoma.core.errors import ConfigError
from synthoma.core.pictures import grey, outlined, png, tiled
from synthoma.core.provenance import software
from synthoma.core.types import Bytes, Floats, Ints
from synthoma.core.whole_files import write_bytes, write_json
from synthoma.generators.family import GenerativeSetup, GeneratorPlan, GeneratorTask, Judge, Material
from synthoma.generators.plan import held_out_rows
from synthoma.generators.realness import realness_of
from synthoma.generators.recipes import GeneratorTraining
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape
from synthoma.generators.watchdog import JudgedImages, validation_judge
from synthoma.training.bundle import save_tensors
from synthoma.training.device import Execution, calibrate, choose_device, read_execution
from synthoma.training.loop import Budget, Progress, Report, Snapshot, run_loop, spent_since
from synthoma.training.meta import ModelMeta, ModelProvenance
from synthoma.training.runs import EXECUTION, SAMPLES, write_settings
from synthoma.training.team import team

JUDGED = 256
"""Images on each side of the score at a snapshot."""

OWN_PHANTOM = "phantom"
"""Folder in a run for the simulated slices, where none are given."""

LEARNED_ROW = 12
"""Pictures of each snapshot in progress.png."""


def train_generator(
    plan: GeneratorPlan, run: Path, report: Report, *, resume: bool = False, begun: float | None = None
) -> Progress:
    """Train a generator into an existing folder.

    Args:
        plan: what is learned, from what; its settings have a budget.
        run: folder for config.toml, log.jsonl, checkpoint/, samples/, progress.png and model.safetensors.
        report: told how far it is.
        resume: go on from the newest checkpoint.
        begun: when the command began, on the clock of ``time.perf_counter``: a budget in minutes counts from there.

    Raises:
        InputError: simulated slices are not there, or do not fit the cohort.
        ConfigError: the training broke before anything was learned.
    """
    config = plan.config
    material = plan.family.learn_from(plan, config.phantom or run / OWN_PHANTOM)
    execution = _execution(run, plan, material, resume=resume)
    execution.apply()
    write_settings(run, config)
    judge, sheet = _judge(plan), partial(_save_sheet, run, plan.shape)
    task = plan.family.task(GenerativeSetup(plan, material, execution, judge, sheet, JUDGED, held_out_slices(plan)))
    if plan.start is not None:
        task.begin(plan.start)
    budget = budget_of(config, len(plan.rows))
    spent = spent_since(begun, config.minutes)
    progress = run_loop(
        task, budget, run, seed=config.seed, keep=config.keep, report=report, resume=resume, spent=spent
    )
    if not progress.best_images:
        came = f"a training that broke after {progress.images:,} images"
        raise ConfigError("finite losses", came, "use lower learning rates (--set gan.generator_rate=5e-5)")
    # Images of the snapshot that is kept, not of the whole training: that is what the weights have seen.
    meta, finished = model_meta(plan, progress.best_images).changed(material.described), task.finished()
    if (realness := realness_of(plan, material, finished)) is not None:
        meta = meta.changed({"realness": realness.content()})
    save_tensors(run / "model.safetensors", finished, meta.content())
    return progress


def budget_of(config: GeneratorTraining, slices: int) -> Budget:
    """When a training ends that learns from so many slices. By epochs, a snapshot is taken at the end of each."""
    if config.epochs is None:
        return Budget(config.images, config.minutes, config.snapshots, config.patience, slices)
    # One an epoch unless somebody says otherwise: whoever counts in epochs looks at their ends.
    snapshots = config.snapshots if "snapshots" in config.model_fields_set else config.epochs
    return Budget(config.epochs * slices, None, snapshots, config.patience, slices)


def model_meta(plan: GeneratorPlan, images: int) -> ModelMeta:
    """What the model file says of itself: all that is needed to use it, and where it came from.

    The groups and patients that it learned from are named, those at second hand too, so that an evaluation can refuse
    to test on them.
    """
    cohort, config, start = plan.cohort, plan.config, plan.start
    inherited = patients_behind(cohort) | (start.groups if start is not None else frozenset())
    return ModelMeta(
        kind="generator",
        model=config.model,
        network={name: getattr(config.gan, name) for name in NetworkConfig.model_fields},
        loss=config.gan.loss if plan.family.discriminator is not None else plan.family.network,
        shape=asdict(plan.shape),
        modalities=cohort.modalities,
        labels={str(value): name for value, name in cohort.tumour_labels.items()} if plan.shape.labels else {},
        classes=plan.classes,
        plane=cohort.meta.plane,
        prepare=cohort.meta.provenance.config,
        images=images,
        provenance=ModelProvenance(
            # Paths are the user's own business.
            config={key: value for key, value in config.own().items() if key not in ("phantom", "init")},
            cohort=source_of(cohort),
            trained_on=trained_on(len(plan.rows), plan.classes, names_of(cohort, plan.rows), inherited),
            software=dict(software()),
            **({"init_sha256": start.digest} if start is not None else {}),
        ),
    )


def _execution(run: Path, plan: GeneratorPlan, material: Material, *, resume: bool) -> Execution:
    """Device and, on a CPU, the fastest settings for this model; a resumed run keeps what it was begun with."""
    config = plan.config
    device = choose_device(config.device)
    file = run / EXECUTION
    if resume and (begun := read_execution(file)) and begun.device == device:
        return begun
    if team().size > 1:
        chosen = team().execution(device, half=plan.family.half)
        write_json(file, sealed(asdict(chosen)))
        return chosen
    # Learning rates do not change how long a step takes.
    name = f"{plan.shape} {config.gan.model_dump_json(exclude={'generator_rate', 'critic_rate', 'beta1', 'beta2'})}"

    def unscored(samples: Tensor, recent: dict[str, float]) -> Snapshot:
        return Snapshot(0.0, {}, [])

    # What is demanded beside the game costs little, and is left out.
    bare = Material(material.latents)

    def trial(execution: Execution) -> None:
        if execution not in task:
            task.clear()  # networks and moments of one trial at a time
            task[execution] = plan.family.task(GenerativeSetup(plan, bare, execution, unscored))
        task[execution].step(0, 0.0)

    task: dict[Execution, GeneratorTask] = {}
    chosen = calibrate(device, name, trial, bf16=plan.family.half)
    write_json(file, sealed(asdict(chosen)))
    return chosen


def held_out_slices(plan: GeneratorPlan) -> TrainingSlices | None:
    """At most ``JUDGED`` validation slices as those that are learned from; None where there are too few."""
    rows = spread(held_out_rows(plan), JUDGED)
    masks, classes = plan.config.with_masks, plan.classes
    return TrainingSlices(plan.cohort, rows, with_masks=masks, classes=classes) if len(rows) else None


def _judge(plan: GeneratorPlan) -> Judge:
    """Judge samples against the validation split, or against the training images where it is too small."""
    cohort, config = plan.cohort, plan.config
    table, validation = cohort.slices, held_out_rows(plan)

    # One sequence is looked at, the one that an evaluation compares.
    channel = cohort.modalities.index(shown_modality(cohort.modalities))

    def judged(chosen: Ints) -> JudgedImages:
        images = np.clip(cohort.images[chosen][:, channel].astype(np.float32), 0, 1)
        return JudgedImages(images, table["group"].iloc[chosen].astype(str).to_numpy())

    judge = validation_judge(
        # Twice as many: where nobody is held out, one half of the patients stands against the other.
        judged(spread(plan.rows, 2 * JUDGED)),
        judged(spread(validation, JUDGED)) if len(validation) else None,
        logits=config.gan.loss.startswith("bce"),
    )
    return lambda samples, recent: judge(samples[:, channel:], recent)


def _save_sheet(run: Path, shape: ImageShape, images: int, samples: Tensor) -> None:
    """Write the sheet of a snapshot, and join the first row of all sheets into progress.png."""
    folder = run / SAMPLES
    folder.mkdir(exist_ok=True)
    pictures = [sample_picture(sample, shape) for sample in samples.numpy()]
    write_bytes(folder / f"images-{images:09d}.png", png(tiled(pictures, 8)))
    write_bytes(folder / f"row-{images:09d}.png", png(tiled(pictures[:LEARNED_ROW], LEARNED_ROW)))
    rows = [np.asarray(Image.open(path)) for path in sorted(folder.glob("row-*.png"))]
    write_bytes(run / "progress.png", png(tiled(rows, 1)))


def sample_picture(sample: Floats, shape: ImageShape) -> Bytes:
    """First modality of a sample (planes, S, S) in -1..1 as a picture, with the outlines of its drawn labels."""
    picture = grey((sample[0] + 1) / 2)
    if not shape.labels:
        return np.repeat(picture[..., None], 3, axis=2)
    labels = sample[shape.channels :]
    # The highest label above 0, as masks of a cohort are made.
    mask = np.where(labels.max(axis=0) > 0, labels.argmax(axis=0) + 1, 0).astype(np.uint8)
    return outlined(picture, mask)
