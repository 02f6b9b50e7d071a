"""Training a generator on a cohort: checks, run folder, snapshots, and the finished model."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from synthoma.cohorts.cohort import Cohort, check_scale
from synthoma.cohorts.dataset import TrainingSlices, spread
from synthoma.cohorts.leaks import held_out_names, leak_error, names_of, patients_behind
from synthoma.cohorts.slicing import shown_modality
from synthoma.core.artefacts import sealed, verified_digest
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.outputs import write_bytes, write_json
from synthoma.core.pictures import grey, outlined, png, tiled
from synthoma.core.provenance import software
from synthoma.core.seeding import stream
from synthoma.core.types import MODALITIES, Bytes, Floats, Ints
from synthoma.generators.flow.task import FlowTask
from synthoma.generators.gan.dcgan import check_size
from synthoma.generators.gan.task import AdversarialTask
from synthoma.generators.initial import GanStart, gan_start
from synthoma.generators.networks import ImageShape
from synthoma.generators.phantomgan.air import air_of
from synthoma.generators.phantomgan.contrast import LesionContrast, contrasts_of
from synthoma.generators.phantomgan.matching import FEATURES, Matching, heads_of
from synthoma.generators.phantomgan.simulated import (
    SimulatedSlices,
    can_be_simulated,
    kinds_shown,
    masks_can_be_simulated,
    repaintable_slices,
    row_structure,
)
from synthoma.generators.settings import GeneratorTraining, NetworkConfig
from synthoma.generators.task import GenerativeSetup, Judge, copied
from synthoma.generators.watchdog import JudgedImages, validation_judge
from synthoma.training.bundle import save_tensors
from synthoma.training.device import Execution, calibrate, choose_device, read_execution
from synthoma.training.loop import Budget, Progress, Report, Snapshot, run_loop
from synthoma.training.runs import EXECUTION, SAMPLES, write_settings

JUDGED = 256
"""Images on each side of the score at a snapshot."""

HELD_OUT = 8
"""Validation slices below which samples are judged against the training images."""

MATCHED, LOOKED_AT = 2000, 300
"""Real slices that shares are learned from, and whose heads and air are looked at."""

OWN_PHANTOM = "phantom"
"""Folder in a run for the simulated slices, where none are given."""

USUAL_SIZE, USUAL_VOLUME = -4.4, 45.0
"""Mean log share of a slice that a simulated tumour takes, where the median volume is so many ml."""

CHECKED = 1000
"""Slices that are read at once."""

LEARNED_ROW = 12
"""Pictures of each snapshot in progress.png."""


def train_generator(
    cohort: Cohort, run: Path, config: GeneratorTraining, report: Report, *, resume: bool = False, spent: float = 0.0
) -> Progress:
    """Train a generator into an existing folder.

    Args:
        cohort: where the training split comes from.
        run: folder for config.toml, log.jsonl, checkpoint/, samples/, progress.png and model.safetensors.
        config: the settings; the budget must be given.
        report: told how far it is.
        resume: go on from the newest checkpoint.
        spent: seconds of a budget in minutes that went by before, at most half of it.

    Raises:
        InputError: the cohort has nothing to train on, or lacks the masks that are asked for.
        ConfigError: the model cannot draw images of this size, or begin with ``config.init``.
        LeakError: what it would begin with was learned from patients that the cohort holds out.
    """
    rows = training_rows(cohort, config)
    shape = image_shape(cohort, config, rows)
    if (start := begun_with(cohort, config, shape)) is not None:
        config = config.model_copy(update={"gan": config.gan.model_copy(update=start.network)})
    slices = TrainingSlices(cohort, rows, with_masks=config.with_masks, classes=trained_classes(cohort, rows))
    source, matching = matched_source(cohort, config, rows, config.phantom or run / OWN_PHANTOM)
    airs = air_shown(cohort, rows) if source is not None else None
    contrast = contrast_shown(slices, source, config) if source is not None else None
    execution = _execution(run, config, shape, slices, source, airs, resume=resume)
    execution.apply()
    write_settings(run, config)
    judge, sheet = _judge(cohort, rows, config), partial(_save_sheet, run, shape)
    setup = GenerativeSetup(config, shape, slices, execution, judge, sheet, JUDGED, source, airs, contrast)
    task = generator_task(setup)
    if start is not None:
        _load(task, start)
    budget = Budget(config.images, config.minutes, config.snapshots, config.patience)
    # Something must be left to learn in, however slowly patients were simulated.
    spent = min(spent, 30 * config.minutes) if config.minutes is not None else 0.0
    progress = run_loop(
        task, budget, run, seed=config.seed, keep=config.keep, report=report, resume=resume, spent=spent
    )
    if not progress.best_images:
        came = f"a training that broke after {progress.images:,} images"
        raise ConfigError("finite losses", came, "use lower learning rates (--set gan.generator_rate=5e-5)")
    meta = model_meta(cohort, config, shape, rows, progress.best_images)
    if start is not None:
        _inherit(meta, start.groups)
        meta["provenance"]["init_sha256"] = start.digest
    _inherit(meta, patients_behind(cohort))
    if source is not None:
        meta["simulate"], meta["air"] = shown(cohort, rows), airs.tolist() if airs is not None else []
        meta["kinds"] = list(kinds_shown(cohort, rows))
        meta["matching"] = matching.to_meta() if matching is not None else {}
    save_tensors(run / "model.safetensors", task.finished(), meta)
    return progress


def _inherit(meta: dict[str, Any], groups: frozenset[str]) -> None:
    """Name patients that a model learned from at second hand: whoever holds them out must be told."""
    if groups:
        trained = meta["provenance"]["trained_on"]
        trained["groups"] = sorted({*trained["groups"], *groups})
        trained["inherited"] = sorted({*trained.get("inherited", ()), *groups})


def begun_with(cohort: Cohort, config: GeneratorTraining, shape: ImageShape) -> GanStart | None:
    """The trained networks that a generator begins with; None for random ones.

    Raises:
        InputError, ConfigError: no fitting generator there.
        LeakError: it was learned from patients that the cohort holds out.
    """
    if config.init is None:
        return None
    start = gan_start(config.init, config.gan.network, shape, modalities=cohort.modalities, plane=cohort.meta["plane"])
    if shared := sorted(held_out_names(cohort) & start.groups):
        raise leak_error(shared, f"what {config.init} was trained on")
    return start


def _load(task: AdversarialTask | FlowTask, start: GanStart) -> None:
    """Put trained networks into a task that has not begun."""
    task.generator.load_state_dict(start.weights["generator"])
    task.average.load_state_dict(start.weights["generator"])
    if isinstance(task, AdversarialTask):
        task.discriminator.load_state_dict(start.weights["discriminator"])
        task.sound = copied(task.discriminator)
    task.keep_best()


def generator_task(setup: GenerativeSetup) -> AdversarialTask | FlowTask:
    """What trains this model."""
    return FlowTask(setup) if setup.config.gan.network == "flow" else AdversarialTask(setup)


def check_trainable(cohort: Cohort, config: GeneratorTraining) -> None:
    """Raise what ``train_generator`` would raise for this cohort and these settings."""
    rows = training_rows(cohort, config)
    begun_with(cohort, config, image_shape(cohort, config, rows))
    if config.phantom is not None:
        source_slices(cohort, config, rows, config.phantom)
    elif config.gan.network == "repaint":
        _check_simulable(cohort, config)


def _check_simulable(cohort: Cohort, config: GeneratorTraining) -> None:
    """Raise InputError where patients simulated beside this cohort would not fit it."""
    if not can_be_simulated(cohort.modalities):
        todo = "give --model dcgan, or prepare the cohort with --modalities"
        raise InputError(f"modalities among {', '.join(MODALITIES)}", ", ".join(cohort.modalities), todo)
    if config.with_masks and not masks_can_be_simulated(tuple(cohort.tumour_labels.values())):
        todo = "prepare the cohort with --merge whole-tumour, or leave out --with-masks"
        raise InputError("masks that simulated patients have too", ", ".join(cohort.tumour_labels.values()), todo)


def matched_source(
    cohort: Cohort, config: GeneratorTraining, rows: Ints, phantom: Path
) -> tuple[SimulatedSlices | None, Matching | None]:
    """The simulated slices that a phantom-gan repaints, in the shares of the real ones, and those shares.

    Raises:
        InputError: they are not there, were not prepared like the cohort, or show none of its classes.
    """
    if config.gan.network != "repaint":
        return None, None
    source = source_slices(cohort, config, rows, phantom)
    if not config.gan.match:
        return source, None
    matching = Matching.fit(row_structure(cohort, spread(rows, MATCHED)), source.structure())
    source.match(matching)
    return source, matching


def shown(cohort: Cohort, rows: Ints) -> dict[str, Any]:
    """What patients must be like who are simulated beside these slices: settings of a phantom.

    Heads are whole, stripped or mixed. The median volume follows the mean size of the tumours in slices, as far as one
    can be told from the other; ``phantomgan.matching`` does the rest. Beside single pictures, which were cropped one by
    one, simulated slices are cropped so: in the box of a whole head most of them would be too small. The whole cohort
    says what it holds: of few slices of volumes, too, each may be of another patient.
    """
    measured = row_structure(cohort, spread(rows, LOOKED_AT))
    measured = measured[measured[:, FEATURES.index("head area")] > 0]
    if not len(measured):
        return {}
    found: dict[str, Any] = {"skull": heads_of(float(measured[:, FEATURES.index("scalp")].mean()))}
    table = cohort.slices
    pictures = table["case"].is_unique and ("slice" not in table or not table["slice"].any())
    found["apart"] = bool(pictures or cohort.meta.get("provenance", {}).get("config", {}).get("apart"))
    sizes = measured[measured[:, FEATURES.index("tumour")] > 0, FEATURES.index("tumour size")]
    if np.isfinite(sizes).any():
        larger = np.exp(1.5 * (np.nanmean(sizes) - USUAL_SIZE))
        found["volume_ml"] = round(float(USUAL_VOLUME * np.clip(larger, 0.4, 2.5)), 1)
    return found


def air_shown(cohort: Cohort, rows: Ints) -> Floats:
    """Level and grain of the air in each modality of at most 300 of these slices (K, C, 2), see ``air.air_of``."""
    images = np.asarray(cohort.images[spread(rows, LOOKED_AT)], np.float64)
    return np.array([[air_of(part) for part in image] for image in images]).round(4)


def contrast_shown(slices: TrainingSlices, source: SimulatedSlices, config: GeneratorTraining) -> LesionContrast | None:
    """How clearly lesions stand out in at most 2,000 real slices, and how it is to be had from simulated ones."""
    if not (config.gan.contrast and slices.labels):
        return None
    channels = len(slices.cohort.modalities)
    real = spread(np.arange(len(slices)), MATCHED)
    simulated = source.drawn((np.arange(MATCHED) + 0.5) / MATCHED)
    own = contrasts_of(lambda first, last: slices.fetch(real[first:last]).planes(), len(real), channels)
    others = contrasts_of(lambda first, last: source.fetch(simulated[first:last]).planes(), MATCHED, channels)
    return LesionContrast(others, own)


def source_slices(cohort: Cohort, config: GeneratorTraining, rows: Ints, phantom: Path) -> SimulatedSlices:
    """The simulated slices that a phantom-gan repaints.

    Raises:
        InputError: they were not prepared like the cohort, or show none of its classes.
    """
    return repaintable_slices(
        Cohort(phantom),
        size=cohort.size,
        modalities=cohort.modalities,
        plane=cohort.meta["plane"],
        labels=tuple(cohort.tumour_labels.values()) if config.with_masks else (),
        kinds=kinds_shown(cohort, rows),
    )


def training_rows(cohort: Cohort, config: GeneratorTraining) -> Ints:
    """Rows of the training split that can be learned from.

    Raises:
        InputError: there are none, with what to do; all of them are constant; or masks are asked for and none is there.
        ConfigError: a class that the cohort does not have, or grey values on another scale.
    """
    check_scale(cohort)
    if config.with_masks and not cohort.tumour_labels:
        raise InputError("a cohort with masks", "one without", "leave out --with-masks, or prepare scans with masks")
    unknown = sorted(set(config.classes or ()) - set(cohort.classes))
    if unknown:
        raise ConfigError(f"classes of the cohort ({', '.join(cohort.classes)})", unknown[0], "choose among them")
    table, rows = cohort.slices, _learnable(cohort, config, "train")
    if not len(rows):
        came = f"none of {len(cohort)} (splits: {', '.join(sorted(set(table['split'])))})"
        wanted = "training slices with all modalities" + " and a mask" * config.with_masks
        raise InputError(wanted, came, "check the cohort with `synthoma info`")
    if config.limit is not None and config.limit < len(rows):
        rows = np.sort(stream(config.seed, "training.limit").choice(rows, config.limit, replace=False))
    looked_at = cohort.images[spread(rows, 64)]
    if all(np.ptp(image) == 0 for image in looked_at):
        raise InputError("training slices that show something", "constant ones", "look at the cohort's report.html")
    for first in range(0, len(rows), CHECKED):
        part = rows[first : first + CHECKED]
        broken = part[~np.isfinite(cohort.images[part]).all(axis=(1, 2, 3))]
        if len(broken):
            came = f"nan or infinity in row {broken[0]}"
            raise InputError("grey values that are numbers", came, "correct images.npy, or prepare it again")
    return rows


def _learnable(cohort: Cohort, config: GeneratorTraining, split: str) -> Ints:
    """Rows of a split with all modalities, of the classes that are wanted, and with a mask where masks are."""
    table = cohort.slices
    keep = (table["split"] == split) & (table["missing"] == "")
    if config.classes:
        keep &= table["label"].isin(config.classes)
    if config.with_masks and "has_mask" in table:
        keep &= table["has_mask"].fillna(0).astype(bool)
    return np.flatnonzero(keep.to_numpy())


def trained_classes(cohort: Cohort, rows: Ints) -> tuple[str, ...]:
    """The classes of these rows, in the cohort's order."""
    present = set(cohort.slices["label"].iloc[rows])
    return tuple(name for name in cohort.classes if name in present)


def image_shape(cohort: Cohort, config: GeneratorTraining, rows: Ints | None = None) -> ImageShape:
    """What the generator has to draw when it learns from these rows; else from all training rows.

    Raises:
        InputError: one class only is there to be conditional on.
        ConfigError: the model cannot draw images of this size.
    """
    classes = trained_classes(cohort, training_rows(cohort, config) if rows is None else rows)
    if config.conditional and len(classes) < 2:
        came = f"training slices of {' and '.join(classes) or 'none'} only"
        raise InputError("two classes or more", came, "leave out --conditional")
    check_size(cohort.size, fours=config.gan.network in ("seed", "repaint"))
    labels = len(cohort.tumour_labels) if config.with_masks else 0
    return ImageShape(cohort.size, len(cohort.modalities), labels, len(classes) if config.conditional else 0)


def model_meta(cohort: Cohort, config: GeneratorTraining, shape: ImageShape, rows: Ints, images: int) -> dict[str, Any]:
    """What the model file says of itself: all that is needed to use it, and where it came from.

    The groups and patients that it learned from are named, so that an evaluation can refuse to test on them.
    """
    groups = sorted(names_of(cohort, rows))
    classes = list(trained_classes(cohort, rows))
    return {
        "schema": "synthoma.model/1",
        "kind": "generator",
        "model": config.model,
        "network": {name: getattr(config.gan, name) for name in NetworkConfig.model_fields},
        "loss": "flow" if config.gan.network == "flow" else config.gan.loss,
        "shape": {"size": shape.size, "channels": shape.channels, "labels": shape.labels, "classes": shape.classes},
        "modalities": list(cohort.modalities),
        "labels": {str(value): name for value, name in cohort.tumour_labels.items()} if shape.labels else {},
        "classes": classes,
        "plane": cohort.meta["plane"],
        "prepare": cohort.meta.get("provenance", {}).get("config", {}),
        "images": images,
        "provenance": {
            # Paths are the user's own business.
            "config": {key: value for key, value in config.own().items() if key not in ("phantom", "init")},
            "cohort": {
                "origin": cohort.origin,
                "slices_sha256": verified_digest(cohort.path / "slices.csv"),
                "images_sha256": verified_digest(cohort.path / "images.npy"),
            },
            "trained_on": {"slices": len(rows), "classes": classes, "groups": groups},
            "software": software(),
        },
    }


def _execution(
    run: Path,
    config: GeneratorTraining,
    shape: ImageShape,
    slices: TrainingSlices,
    source: SimulatedSlices | None,
    airs: Floats | None,
    *,
    resume: bool,
) -> Execution:
    """Device and, on a CPU, the fastest settings for this model; a resumed run keeps what it was begun with."""
    device = choose_device(config.device)
    file = run / EXECUTION
    if resume and (begun := read_execution(file)) and begun.device == device:
        return begun
    # Learning rates do not change how long a step takes.
    name = f"{shape} {config.gan.model_dump_json(exclude={'generator_rate', 'critic_rate', 'beta1', 'beta2'})}"

    def nobody(samples: Tensor, recent: dict[str, float]) -> Snapshot:
        return Snapshot(0.0, {}, [])

    def trial(execution: Execution) -> None:
        if execution not in task:
            task.clear()  # networks and moments of one trial at a time
            setup = GenerativeSetup(config, shape, slices, execution, nobody, source=source, airs=airs)
            task[execution] = generator_task(setup)
        task[execution].step(0, 0.0)

    task: dict[Execution, AdversarialTask | FlowTask] = {}
    # A velocity and a correction of grey values bear half precision; drawn grey values themselves would come in steps.
    chosen = calibrate(device, name, trial, bf16=config.gan.network in ("flow", "repaint"))
    write_json(file, sealed(asdict(chosen)))
    return chosen


def _judge(cohort: Cohort, rows: Ints, config: GeneratorTraining) -> Judge:
    """Judge samples against the validation split, or against the training images where it is too small."""
    table, validation = cohort.slices, _learnable(cohort, config, "validation")
    validation = validation[table["label"].iloc[validation].isin(trained_classes(cohort, rows)).to_numpy()]

    # One sequence is looked at, the one that an evaluation compares.
    channel = cohort.modalities.index(shown_modality(cohort.modalities))

    def shown(chosen: Ints) -> JudgedImages:
        images = np.clip(cohort.images[chosen][:, channel].astype(np.float32), 0, 1)
        return JudgedImages(images, table["group"].iloc[chosen].astype(str).to_numpy())

    judge = validation_judge(
        shown(spread(rows, 2 * JUDGED)),
        shown(spread(validation, JUDGED)) if len(validation) >= HELD_OUT else None,
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
    mask = np.where(labels.max(axis=0) > 0, labels.argmax(axis=0) + 1, 0).astype(np.uint8)
    return outlined(picture, mask)
