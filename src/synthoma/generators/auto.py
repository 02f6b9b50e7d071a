"""What `--model auto` trains: chosen from the cohort, the device and the budget, with the reasons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.types import PLAIN_MODALITY, Ints
from synthoma.generators.initial import open_generator
from synthoma.generators.phantomgan.simulated import can_be_simulated, masks_can_be_simulated
from synthoma.generators.recipes import GeneratorTraining, generators
from synthoma.generators.settings import GanConfig
from synthoma.training.bundle import SHIPPED, Bundle
from synthoma.training.device import choose_device, usable_cores
from synthoma.training.settings import AUTO, DEFAULT_MINUTES

MASKED = 0.95
"""Share of the slices that must have masks for masks to be learned with the images: those without are then left out."""

SIMULATING = 1 / 6
"""Share of the budget in which patients are simulated."""

FEWEST, MOST = 24, 600
"""Simulated patients: below it anatomy repeats itself; above it no more were tried.

What repaints learns the slices that it is shown: of 95 patients, those of others come out less real (decision 0019).
"""


Training = TypeVar("Training", bound=GeneratorTraining)


def choose_generator(cohort: Cohort, config: Training, rows: Ints, seconds_a_patient: Callable[[], float]) -> Training:
    """Choose model, masks, simulated patients and size of the networks.

    Args:
        cohort: what will be learned from.
        config: the settings, of which the model is "auto".
        rows: training slices.
        seconds_a_patient: measures how long a core of this machine simulates a patient beside this cohort.

    Returns:
        The settings with a model by name, and the reasons, a sentence each.

    Raises:
        ConfigError: settings that the plan decides, or ones that its model cannot have.
    """
    if config.gan != generators()[AUTO][1]:
        todo = "leave the gan settings to auto, or choose a model by name, see `synthoma train --list`"
        raise ConfigError("auto without gan settings", "some of them", todo)
    table = cohort.slices.iloc[rows]
    reasons = [
        f"{len(rows):,} training slices of {table['group'].nunique()} patients, {'+'.join(cohort.modalities)}, "
        f"{cohort.size} px"
    ]
    begun = open_generator(config.init) if config.init not in (None, SHIPPED) else None
    model, why = _model(cohort, config) if begun is None else _as_begun(begun, Path(str(config.init)))
    reasons.append(why)
    if config.init == SHIPPED and model != "phantom-gan":
        raise ConfigError("a cohort for phantom-gan, the only generator that --init phantom fits", why, "leave it out")
    # What is begun with has its size.
    device = "cpu" if config.init is not None else choose_device(config.device)
    changes: dict[str, object] = {"model": model}
    if begun is not None and begun.meta.shape["labels"]:
        changes["with_masks"] = True
    if model == "phantom-gan":
        # Pictures of any sequence came no nearer to held-out ones with it than from nothing, mostly less near.
        pays = device == "cpu" and cohort.modalities != (PLAIN_MODALITY,)
        if config.init == SHIPPED or (begun is None and pays):
            changes["init"] = SHIPPED
            reasons.append("it begins with what it learned from simulated patients, which is part of synthoma")
        if config.phantom is None and config.simulate is None:
            changes["simulate"] = MOST
            if (minutes := config.minutes or (None if config.budgeted() else DEFAULT_MINUTES)) is not None:
                took = seconds_a_patient()
                # Cores simulate side by side: so many patients fit into that share of the time.
                changes["simulate"] = int(np.clip(60 * minutes * SIMULATING * usable_cores() / took, FEWEST, MOST))
                reasons.append(f"a core simulates a patient in {took:.1f} s here")
            within = ", within the budget" if config.images is None and config.epochs is None else ""
            reasons.append(f"{changes['simulate']} patients are simulated first{within}")
    if begun is None and not config.with_masks and _masks_can_be_learned(cohort, rows, model):
        changes["with_masks"] = True
        cavity = "; the cavities in them are not drawn" if cohort.labels != cohort.tumour_labels else ""
        reasons.append(f"masks are learned with the images: the real slices have them{cavity}")
    gan, grown = _sized(generators()[model][1], device)
    reasons += grown
    settings = config.model_dump(exclude={"gan", "segmenter", "classifier"})
    return type(config).model_validate({**settings, **changes, "gan": gan, "reasons": tuple(reasons)})


def _masks_can_be_learned(cohort: Cohort, rows: Ints, model: str) -> bool:
    """Whether nearly all slices have masks, for phantom-gan with the labels that simulated ones have."""
    labels = tuple(cohort.tumour_labels.values())
    if not labels or (model == "phantom-gan" and not masks_can_be_simulated(labels)):
        return False
    table = cohort.slices
    # Nearly all: slices without a mask are left out of a training with masks, and each costs variety.
    return "has_mask" not in table or bool(table["has_mask"].iloc[rows].fillna(0).astype(bool).mean() >= MASKED)


def _model(cohort: Cohort, config: GeneratorTraining) -> tuple[str, str]:
    """Name of the model, and why."""
    if config.conditional:
        return "dcgan", "dcgan: a class on request (--conditional) is what phantom-gan cannot give"
    if not can_be_simulated(cohort.modalities):
        return "dcgan", "dcgan: there is no simulation of such images for phantom-gan to repaint"
    why = "anatomy and tumours come from simulated patients, so that a few real ones only have to teach their look"
    if cohort.modalities == (PLAIN_MODALITY,):
        why += "; it draws brains with gliomas: if these pictures show anything else, give --model dcgan"
    return "phantom-gan", f"phantom-gan: {why}"


def _as_begun(begun: Bundle, path: Path) -> tuple[str, str]:
    """Name of the model to begin with, whose networks and masks decide, and why."""
    model = str(begun.meta.model)
    return model, f"{model}: what {path.name} is, with which it begins"


def _sized(gan: GanConfig, device: str) -> tuple[dict[str, object], list[str]]:
    """Settings of the networks for a device."""
    if device != "cuda":
        return gan.model_dump(), []
    wide = {"batch": 4 * gan.batch, "width": 2 * gan.width, "critic_width": 2 * gan.critic_width}
    return {**gan.model_dump(), **wide}, ["a GPU: batches of four times, networks of twice the size"]
