"""Slices of a cohort as datasets of PyTorch, MONAI and TorchIO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.types import Array, Ints, Plane
from synthoma.scans.orientation import from_plane


class Sample(TypedDict):
    """One slice as ``View.to_torch`` gives it."""

    image: Tensor
    mask: Tensor
    label: int
    row: int


class SliceDataset(Dataset[Any]):
    """See ``view.View.to_torch``."""

    def __init__(self, cohort: Cohort, rows: Ints, transform: Callable[[Sample], Any] | None) -> None:
        self.cohort, self.rows, self.transform = cohort, rows, transform
        number = {name: index for index, name in enumerate(cohort.classes)}
        self.labels = [number.get(name, -1) for name in cohort.slices["label"].iloc[rows]]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Any:
        if not -len(self) <= position < len(self):
            raise IndexError(f"position {position} of {len(self)}")  # ends a plain loop over the dataset
        cohort, row = self.cohort, int(self.rows[position])
        sample: Sample = {
            "image": torch.from_numpy(np.asarray(cohort.images[row], np.float32)),
            "mask": torch.from_numpy(np.asarray(cohort.masks[row], np.int64)),
            "label": self.labels[position],
            "row": row,
        }
        return sample if self.transform is None else self.transform(sample)


def monai_dataset(cohort: Cohort, rows: Ints, transform: Callable[[Mapping[str, Any]], Any] | None) -> Dataset[Any]:
    """See ``view.View.to_monai``."""
    from monai.data import MetaTensor

    def renamed(sample: Sample) -> Any:
        item = {
            "image": MetaTensor(sample["image"]),
            "label": MetaTensor(sample["mask"][None].float()),
            "class": sample["label"],
            "row": sample["row"],
        }
        return item if transform is None else transform(item)

    return SliceDataset(cohort, rows, renamed)


def torchio_subjects(cohort: Cohort, chosen: Ints) -> list[Any]:
    """See ``view.View.to_torchio``."""
    if find_spec("torchio") is None:
        raise ConfigError("TorchIO", "it is not installed", "pip install torchio")
    import torchio

    subjects = []
    for case, rows, spacing in studies(cohort, chosen):
        affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])  # Volumes are LPS, NIfTI and TorchIO RAS.
        parts = {
            name: torchio.ScalarImage(tensor=_volume(cohort.images[rows, at], cohort.meta.plane), affine=affine)
            for at, name in enumerate(cohort.modalities)
        }
        if cohort.labels:
            parts["mask"] = torchio.LabelMap(tensor=_volume(cohort.masks[rows], cohort.meta.plane), affine=affine)
        record = cohort.slices.iloc[rows[0]]
        about = {"name": case, "group": str(record["group"]), "split": str(record["split"])}
        subjects.append(torchio.Subject(**parts, **about))
    return subjects


def studies(cohort: Cohort, chosen: Ints) -> list[tuple[str, list[int], tuple[float, float, float]]]:
    """Name, rows (lowest slice first) and spacing (x, y, z in mm; 1 where unknown) of each study.

    Slices that do not say where in their study they lie are studies of their own.
    """
    table = cohort.slices.iloc[chosen]
    found = []
    numbers = table["slice"] if "slice" in table else table.index.to_series() * 0
    for case, rows in table.groupby(table["case"].astype(str), sort=False).groups.items():
        own = sorted(map(int, rows), key=lambda row: numbers[row])
        parts = [own] if len({numbers[row] for row in own}) == len(own) else [[row] for row in own]
        found += [(str(case), part, _spacing(cohort, part)) for part in parts]
    return found


def _spacing(cohort: Cohort, rows: list[int]) -> tuple[float, float, float]:
    table = cohort.slices
    first = table.iloc[rows[0]]
    pixel, step = (float(first[name]) if name in table and first[name] > 0 else 1.0 for name in ("pixel_mm", "step_mm"))
    if len(rows) > 1 and "slice" in table:
        step *= float(np.median(np.diff(table["slice"].to_numpy()[rows])))
    plane = cohort.meta.plane
    return {"axial": (pixel, pixel, step), "coronal": (pixel, step, pixel), "sagittal": (step, pixel, pixel)}[plane]


def _volume(slices: Array, plane: Plane) -> torch.Tensor:
    """Slices (n, rows, columns) as a volume (1, x, y, z)."""
    kind = np.float32 if slices.dtype == np.float16 else slices.dtype
    return torch.from_numpy(np.ascontiguousarray(from_plane(slices.astype(kind), plane).T)[None])
