"""Cohorts of patients with several slices, whose voxels are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synthoma.cohorts.cohort import Cohort
from tests.toys import write_cohort

LABELS = {"1": "core", "2": "oedema", "3": "enhancing"}
SPLITS = ("train", "train", "train", "validation", "test")
DEEP, SIZE = 4, 16


def patients(
    folder: Path,
    splits: Sequence[str] = SPLITS,
    *,
    names: Sequence[str] | None = None,
    modalities: Sequence[str] = ("flair", "t1c"),
    labels: dict[str, str] | None = None,
    columns: dict[str, object] | None = None,
    outlined: bool = True,
    **meta: Any,
) -> Cohort:
    """Patients of four slices each: noise in 0..1.2 that half precision holds, and a nested tumour in two slices.

    Every value of ``labels`` is drawn, the largest region first, so that each is seen.
    """
    labels = (LABELS if labels is None else labels) if outlined else {}
    draws = np.random.default_rng(5)
    count = len(splits) * DEEP
    images = draws.uniform(0, 1.2, (count, len(modalities), SIZE, SIZE)).astype(np.float16)
    images[:, :, :, 0] = 0
    masks = np.zeros((count, SIZE, SIZE), np.uint8)
    for at in range(0, count, DEEP):
        down = 2 + at // DEEP
        for inset, value in enumerate(labels):
            masks[at + 1 : at + 3, down + inset : down + 8 - inset, 3 + inset : 11 - inset] = int(value)
    names = names or [f"p{number}" for number in range(len(splits))]
    cohort = write_cohort(
        folder,
        images,
        ["healthy" if not mask.any() else "tumour" for mask in masks],
        masks if outlined else None,
        splits=[split for split in splits for _ in range(DEEP)],
        groups=[name for name in names for _ in range(DEEP)],
        mask_names=labels,
        modalities=list(modalities),
        **{"origin": "phantom", **meta},
    )
    of_cases = {"case": [name for name in names for _ in range(DEEP)], "slice": [*range(DEEP)] * len(splits)}
    of_cases |= {"patient": of_cases["case"]}
    table = cohort.slices.assign(**{**of_cases, "pixel_mm": 1.5, "step_mm": 4.0, **(columns or {})})
    table.to_csv(cohort.path / "slices.csv", index=False)
    return Cohort(cohort.path)


def rows_of(cohort: Cohort, case: str) -> list[int]:
    """Rows of a case, in the order of its slices."""
    return np.flatnonzero((cohort.slices["case"] == case).to_numpy()).tolist()


def image(cohort: Cohort, case: str, channel: int) -> np.ndarray:
    """(slices, rows, columns), as the cohort holds them."""
    return np.asarray(cohort.images[rows_of(cohort, case), channel], np.float32)


def mask(cohort: Cohort, case: str) -> np.ndarray:
    """(slices, rows, columns), as the cohort holds it."""
    return np.asarray(cohort.masks[rows_of(cohort, case)])
