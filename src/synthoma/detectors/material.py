"""Which slices a detector learns from, and whether they may be: splits, classes, --with cohorts, scale and leaks."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import held_out_names, leak_error, names_of, patients_behind, shared_names
from synthoma.cohorts.squares import FRAMED
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.seeding import stream
from synthoma.core.types import UNLABELLED, Ints
from synthoma.detectors.seeds import EPOCHS
from synthoma.detectors.training import DetectorTraining
from synthoma.training.settings import Kind

Training = TypeVar("Training", bound=DetectorTraining)


def training_rows(cohort: Cohort, config: DetectorTraining, split: str) -> Ints:
    """Rows of one split that a detector can learn from or be judged on.

    Raises:
        InputError: there are none in the training split, with what to do.
        ConfigError: a class that the cohort does not have.
    """
    unknown = sorted(set(config.classes or ()) - set(cohort.classes))
    if unknown:
        raise ConfigError(f"classes of the cohort ({', '.join(cohort.classes)})", unknown[0], "choose among them")
    table = cohort.slices
    keep = np.array(table["split"] == split)
    if config.classes and (split == "train" or config.kind == "classifier"):  # healthy slices judge a segmenter too
        keep &= table["label"].isin(config.classes).to_numpy()
    if config.kind == "segmenter" and "has_mask" in table:
        keep &= table["has_mask"].fillna(0).astype(bool).to_numpy()
    if config.kind == "classifier":
        keep &= (table["label"] != UNLABELLED).to_numpy()
    rows = np.flatnonzero(keep)
    if split != "train":
        return rows
    if not len(rows):
        came = f"none of {len(cohort)} (splits: {', '.join(sorted(set(table['split'])))})"
        wanted = "training slices with a mask" if config.kind == "segmenter" else "training slices with a class"
        raise InputError(wanted, came, "check the cohort with `synthoma info`")
    if config.patients is not None:
        # Sorted, so that a seed chooses the same patients in whatever order the cohort has them.
        names = sorted(set(table["group"].iloc[rows].astype(str)))
        chosen = stream(config.seed, "training.patients").permutation(len(names))[: config.patients]
        rows = rows[table["group"].iloc[rows].astype(str).isin({names[i] for i in chosen}).to_numpy()]
    if config.limit is not None and config.limit < len(rows):
        rows = np.sort(stream(config.seed, "training.limit").choice(rows, config.limit, replace=False))
    return rows


def seed_budget(cohort: Cohort, config: Training) -> Training:
    """The settings with the seed project's number of epochs as a budget, where its recipe is asked for and no budget.

    An epoch shows as many slices as the training split has: of `resunet-seed` those with tumour.
    """
    if config.recipe != "seed" or config.model not in EPOCHS or config.minutes or config.images:
        return config
    rows = training_rows(cohort, config, "train")
    if config.segmenter.tumour_share == 1:
        rows = rows[cohort.slices["tumour_pixels"].to_numpy()[rows] > 0]
    return config.model_copy(update={"images": EPOCHS[config.model] * max(1, len(rows))})


def classes_of(cohort: Cohort, rows: Ints) -> tuple[str, ...]:
    """Classes of these rows, in the cohort's order.

    Raises:
        InputError: one class only.
    """
    present = set(cohort.slices["label"].iloc[rows])
    classes = tuple(name for name in cohort.classes if name in present)
    if len(classes) < 2:
        came = f"training slices of {' and '.join(classes) or 'none'} only"
        raise InputError("two classes or more", came, "a classifier needs slices of both; see `synthoma info`")
    return classes


def extra_rows(other: Cohort, kind: Kind, classes: tuple[str, ...]) -> Ints:
    """What is taken of a --with cohort: of real scans the training split, of made ones all that is labelled."""
    table = other.slices
    keep = np.array(table["split"] == "train") if other.origin == "real" else np.ones(len(other), dtype=bool)
    if kind == "segmenter" and "has_mask" in table:
        keep &= table["has_mask"].fillna(0).astype(bool).to_numpy()
    if classes:
        keep &= table["label"].isin(classes).to_numpy()
    return np.flatnonzero(keep)


PREPARED_ALIKE = ("plane", *FRAMED)
"""Settings of `synthoma prepare` by which slices mean the same to a network."""


def check_alike(cohort: Cohort, other: Cohort) -> None:
    """Slices of both cohorts must mean the same to a network.

    Raises:
        InputError: they are of another size, or prepared otherwise.
    """
    if other.size != cohort.size:
        todo = f"prepare it with --size {cohort.size}"
        raise InputError(f"a --with cohort of {cohort.size} px", f"{other.path.name}: {other.size} px", todo)
    own, their = (one.meta.provenance.config for one in (cohort, other))
    for key in PREPARED_ALIKE:
        if key in own and key in their and own[key] != their[key]:
            came = f"{other.path.name}: {key} {their[key]}"
            raise InputError(f"a --with cohort with {key} {own[key]}", came, "prepare both alike")


def check_apart(cohort: Cohort, other: Cohort, taken: Ints) -> None:
    """Neither patients that are held out, nor images that a generator made from them, may be learned from.

    Raises:
        LeakError: one is.
    """
    known = set(patients_behind(other, simulated=cohort.origin == "phantom"))
    table = other.slices.iloc[taken]
    if other.origin == "real":
        known |= names_of(other, taken)
    if shared := sorted(shared_names(cohort, held_out_names(cohort), other, known)):
        raise leak_error(shared, other.path.name)
    # By pixels too: collections pass scans on under names of their own.
    if "pixels_sha256" in cohort.slices and "pixels_sha256" in table:
        held = set(cohort.slices["pixels_sha256"][cohort.slices["split"] != "train"].dropna().astype(str)) - {""}
        if same := sorted(held & set(table["pixels_sha256"].dropna().astype(str))):
            raise leak_error(same, f"{other.path.name} (slices with the same pixels)")
