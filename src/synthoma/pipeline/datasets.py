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
from synthoma.core.types import Ints
from synthoma.exports.cases import image_of, mask_of, pieces
from synthoma.exports.labels import labels_of
from synthoma.scans.case import Volume


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

    wanted = {int(row) for row in chosen}
    labels = labels_of(cohort.labels)
    subjects = []
    for whole in pieces(cohort):
        if (piece := whole.only(wanted)) is None:
            continue
        affine = np.diag([-piece.spacing[0], -piece.spacing[1], piece.spacing[2], 1.0])  # ours are LPS, TorchIO's RAS
        parts = {
            name: torchio.ScalarImage(tensor=_tensor(image_of(cohort, piece, at)), affine=affine)
            for at, name in enumerate(cohort.modalities)
        }
        if cohort.labels:
            parts["mask"] = torchio.LabelMap(tensor=_tensor(mask_of(cohort, piece, labels)), affine=affine)
        subjects.append(torchio.Subject(**parts, name=piece.case, group=piece.group, split=piece.split))
    return subjects


def _tensor(volume: Volume) -> Tensor:
    """A volume as (1, x, y, z)."""
    return torch.from_numpy(np.ascontiguousarray(volume.voxels.T)[None])
