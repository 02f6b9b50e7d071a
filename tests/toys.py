"""Cohorts of simple pictures, and trainings of them that take seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.generators import train as generators
from synthoma.generators.plan import plan_training
from synthoma.generators.train import train_generator
from synthoma.settings import TrainConfig
from synthoma.training.device import Execution
from synthoma.training.loop import Progress

ONE = Execution("cpu", 1, channels_last=False, bf16=False)
SMALL = {"width": 8, "critic_width": 8, "latent": 8, "batch": 8}


def write_cohort(
    folder: Path,
    images: np.ndarray,
    labels: Sequence[str] | None = None,
    masks: np.ndarray | None = None,
    *,
    splits: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    mask_names: dict[str, str] | None = None,
    **meta: Any,
) -> Cohort:
    """Images (N, S, S) or (N, C, S, S) in 0..1 as a cohort; one group and training slice each, where not said."""
    images = images[:, None] if images.ndim == 3 else images
    count, channels, size = len(images), images.shape[1], images.shape[-1]
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"case-{i:04d}" for i in range(count)]
    labels = list(labels) if labels is not None else ["tumour"] * count
    table = pd.DataFrame(
        {
            "case": names,
            "group": list(groups) if groups is not None else names,
            "split": list(splits) if splits is not None else "train",
            "label": labels,
            "has_mask": masks is not None,
            "missing": "",
        }
    )
    if masks is None:
        masks = np.zeros((count, size, size), np.uint8)
    table["tumour_pixels"] = (masks > 0).sum(axis=(1, 2))
    known = {
        "origin": "phantom",
        "modalities": ["flair", "t1", "t2", "t1c"][:channels],
        "labels": mask_names or {},
        "classes": sorted(set(labels)),
        "size": size,
    }
    with CohortWriter(folder, channels=channels, size=size) as writer:
        writer.add(images, masks, [{} for _ in names])
        writer.finish(table, known | meta)
    return Cohort(folder)


def halves(count: int, seed: int = 0, size: int = 16) -> tuple[np.ndarray, list[str]]:
    """Pictures whose left or right half is bright, by 0.5..0.9, and which half."""
    draws = np.random.default_rng(seed)
    sides = draws.integers(0, 2, count)
    images = np.full((count, size, size), 0.05)
    for image, side in zip(images, sides, strict=True):
        image[:, side * size // 2 : (side + 1) * size // 2] = draws.uniform(0.5, 0.9)
    return images, [("left", "right")[side] for side in sides]


def blobs(count: int, seed: int = 0, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of a bright square on grey, with the square as mask."""
    draws = np.random.default_rng(seed)
    images = draws.uniform(0.15, 0.25, (count, 1, 1)) * np.ones((count, size, size))
    masks = np.zeros((count, size, size), np.uint8)
    side = size // 3
    for image, mask in zip(images, masks, strict=True):
        down, right = draws.integers(1, size - side - 1, 2)
        image[down : down + side, right : right + side] = draws.uniform(0.7, 0.95)
        mask[down : down + side, right : right + side] = 1
    return images, masks


def unheard(progress: Progress, share: float, recent: dict[str, float]) -> None:
    """Tell nobody."""


def train_toy(
    cohort: Cohort,
    run: Path,
    *,
    report: Any = unheard,
    resume: bool = False,
    execution: Execution = ONE,
    judged: int = 32,
    **settings: Any,
) -> Progress:
    """Train without measuring which settings are fastest, and judge few samples."""
    run.mkdir(parents=True, exist_ok=True)
    settings.setdefault("model", "dcgan")
    settings["gan"] = {**({} if settings["model"] == "dcgan-seed" else SMALL), **settings.get("gan", {})}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generators, "calibrate", lambda device, name, trial, bf16: execution)
        patch.setattr(generators, "JUDGED", judged)
        plan = plan_training(cohort, TrainConfig.resolve(flags=settings))
        return train_generator(plan, run, report, resume=resume)
