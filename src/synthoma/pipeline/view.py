"""Some slices of a cohort, for people who look at them and for other libraries that learn from them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synthoma.cohorts.cohort import Cohort, write_rows
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.outputs import new_folder
from synthoma.core.pictures import grey, outlined, png, tiled
from synthoma.core.types import Bytes, Float32, Floats, Ints, Place

if TYPE_CHECKING:
    import pandas as pd
    from torch.utils.data import Dataset

    from synthoma.pipeline.datasets import Sample

SHOWN = 24
"""Slices on a sheet."""
_COLUMNS = 8
_TILE = 64
"""Least side of a picture on a sheet, in pixels."""


@dataclass(frozen=True, eq=False)
class View:
    """Chosen slices of a cohort, in their order.

    Attributes:
        cohort: where from.
        rows: which (N,), positions in the cohort's arrays and in ``cohort.slices``.
    """

    cohort: Cohort
    rows: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"{len(self):,} of {self.cohort!r}"

    @cached_property
    def slices(self) -> pd.DataFrame:
        """Their rows of slices.csv; the index is the position in the cohort."""
        return self.cohort.slices.iloc[self.rows]

    @property
    def patients(self) -> tuple[str, ...]:
        """Whom they show, in the order of first appearance: patients, or groups where no patient is known."""
        return tuple(dict.fromkeys(self.slices["group"].astype(str)))

    @property
    def images(self) -> Float32:
        """Images (N, modalities, size, size), read into memory; 0 is background, 1 the brightest ordinary tissue."""
        return np.asarray(self.cohort.images[self.rows], np.float32)

    @property
    def masks(self) -> Bytes:
        """Masks (N, size, size), read into memory; values as ``cohort.labels`` names them."""
        return np.asarray(self.cohort.masks[self.rows])

    def filter(
        self,
        *,
        split: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        patient: str | Sequence[str] | None = None,
        tumour: bool | None = None,
        where: Callable[[pd.DataFrame], Iterable[bool]] | None = None,
    ) -> View:
        """Those of them that fit everything that is given.

        Args:
            split: "train", "validation" or "test", or several of them.
            label: class or classes.
            patient: patient or patients, as ``patients`` names them.
            tumour: whether the mask shows tumour.
            where: given the table, says of each row whether it is wanted: ``lambda table: table["slice"] > 60``.

        Raises:
            ConfigError: a split, class or patient that the cohort does not have.
        """
        table = self.slices
        keep = np.ones(len(table), dtype=bool)
        for column, wanted in (("split", split), ("label", label), ("group", patient)):
            if wanted is None:
                continue
            names = [wanted] if isinstance(wanted, str) else list(wanted)
            known = set(self.cohort.slices[column].astype(str))
            if strange := [name for name in names if name not in known]:
                shown = ", ".join(sorted(known)[:12])
                raise ConfigError(f"a {column} of the cohort: {shown}", repr(strange[0]), "choose one of them")
            keep &= table[column].astype(str).isin(names).to_numpy()
        if tumour is not None:
            keep &= (table["tumour_pixels"].to_numpy() > 0) == tumour
        if where is not None:
            keep &= np.fromiter(where(table), dtype=bool, count=len(table))
        return View(self.cohort, self.rows[keep])

    def save(self, folder: Place, *, force: bool = False) -> Cohort:
        """Write them as a cohort of their own.

        Raises:
            CohortError: there are none.
            InputError: the place is taken.
        """
        with new_folder(Path(folder), force=force, inputs=(self.cohort.path,)) as partial:
            write_rows(self.cohort, partial, self.rows.tolist(), left_out=len(self.cohort) - len(self))
        return Cohort(folder)

    # To look at -------------------------------------------------------------------------------------------------------

    def show(self, count: int = SHOWN, *, modality: str | None = None, masks: bool = True) -> Image.Image:
        """A sheet of evenly spaced slices.

        Args:
            count: how many at most.
            modality: which sequence; the first where None.
            masks: draw outlines of masks.

        Raises:
            ConfigError: a sequence that the cohort does not have.
            InputError: there are no slices.
        """
        return Image.fromarray(self.sheet(count, modality=modality, masks=masks))

    def sheet(self, count: int = SHOWN, *, modality: str | None = None, masks: bool = True) -> Bytes:
        """The sheet of ``show`` as an array (height, width, 3)."""
        if not len(self):
            raise InputError("slices to show", "none", "filter for others")
        names = self.cohort.modalities
        if modality is not None and modality not in names:
            raise ConfigError(f"a sequence of the cohort: {', '.join(names)}", repr(modality), "choose one of them")
        channel = 0 if modality is None else names.index(modality)
        chosen = np.unique(np.linspace(0, len(self) - 1, max(1, min(count, len(self)))).round().astype(int))
        pictures = [_picture(self.cohort, int(self.rows[at]), channel, masks) for at in chosen]
        return tiled(pictures, min(_COLUMNS, len(pictures)))

    def _repr_html_(self) -> str:
        """What a notebook shows: what it is, and some of it."""
        cohort, table = self.cohort, self.slices
        counts: dict[tuple[str, str], int] = {}
        for pair in zip(table["split"].astype(str), table["label"].astype(str), strict=True):
            counts[pair] = counts.get(pair, 0) + 1
        rows = "".join(
            f"<tr><td>{escape(split)}</td><td>{escape(label)}</td><td>{count:,}</td></tr>"
            for (split, label), count in counts.items()
        )
        about = f"{len(self):,} {cohort.origin} slices of {len(self.patients):,} patients or groups, "
        about += f"{' + '.join(cohort.modalities)}, {cohort.size} px"
        head = f"<p><b>{escape(cohort.path.name)}</b>: {escape(about)}</p>"
        listing = f"<table><tr><th>split</th><th>class</th><th>slices</th></tr>{rows}</table>"
        if not len(self):
            return head
        data = base64.b64encode(png(self.sheet(16))).decode("ascii")
        return f'{head}{listing}<img alt="some of its slices" src="data:image/png;base64,{data}">'

    # For other libraries ----------------------------------------------------------------------------------------------

    def to_torch(self, transform: Callable[[Sample], Any] | None = None) -> Dataset[Any]:
        """A PyTorch dataset, read from the memory maps slice by slice.

        Args:
            transform: given each sample; what it returns is the item.

        Returns:
            Items with image (modalities, size, size) float32, mask (size, size) int64, label (position among
            ``cohort.classes``) and row (position in the cohort).
        """
        from synthoma.pipeline.datasets import SliceDataset

        return SliceDataset(self.cohort, self.rows, transform)

    def to_monai(self, transform: Callable[[Mapping[str, Any]], Any] | None = None) -> Dataset[Any]:
        """A MONAI dataset of dictionaries: image (modalities, size, size) and label, the mask (1, size, size).

        Args:
            transform: as MONAI composes them, given a dictionary with image, label, class and row.
        """
        from synthoma.pipeline.datasets import monai_dataset

        return monai_dataset(self.cohort, self.rows, transform)

    def to_torchio(self) -> list[Any]:
        """TorchIO subjects, one for each study: an image of each sequence (1, x, y, z) and the mask.

        Slices of a study are one volume where they say where they lie; needs ``pip install torchio``.

        Raises:
            ConfigError: TorchIO is not installed.
        """
        from synthoma.pipeline.datasets import torchio_subjects

        return torchio_subjects(self.cohort, self.rows)


def _picture(cohort: Cohort, row: int, channel: int, masks: bool) -> Bytes:
    """A slice as RGB (side, side, 3), at least ``_TILE`` wide."""
    image: Floats = np.asarray(cohort.images[row, channel], np.float32)
    mask = np.asarray(cohort.masks[row]) if masks else np.zeros(image.shape, np.uint8)
    times = -(-_TILE // cohort.size)
    larger = np.ones((times, times), np.uint8)
    return outlined(np.kron(grey(image), larger), np.kron(mask, larger))
