"""A cohort as Python has it: what the folder holds, and what people and other libraries want of it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from synthoma.cohorts import cohort as folders
from synthoma.core.outputs import new_folder
from synthoma.core.types import HEALTHY, Array, Origin, Place
from synthoma.pipeline.view import SHOWN, View

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image
    from torch.utils.data import Dataset

    from synthoma.pipeline.datasets import Sample

SHARES = (0.7, 0.15, 0.15)
"""Of the patients, for training, validation and test, where nobody says."""


class Cohort(folders.Cohort):
    """An opened cohort folder, and views of it.

    Every command takes it in place of its folder, as it takes a path.

    Attributes:
        path: the folder.
        meta: what cohort.json says.

    Example:
        >>> cohort = synthoma.prepare_phantom(2, "phantom", size=64, modalities=("flair",), slices="tumour")
        >>> cohort.filter(split="train", tumour=True).show().save("sheet.png")
    """

    @classmethod
    def from_arrays(
        cls,
        images: Array,
        masks: Array | None = None,
        patients: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        *,
        modalities: Sequence[str] | None = None,
        labels: Mapping[int, str] | None = None,
        split: Sequence[str] | Sequence[float] | None = None,
        origin: Origin | None = None,
        like: Place | None = None,
        normalise: bool = False,
        output: Place | None = None,
        force: bool = False,
        seed: int = 0,
    ) -> Self:
        """Pack arrays as a cohort.

        Args:
            images: (N, S, S), or (N, modalities, S, S): grey values from 0 (background) to 1 (bright tissue) or, of
                8-bit images, to 255.
            masks: (N, S, S) with 0 where there is no tumour; None without masks.
            patients: whom each slice shows (N,): slices of one patient are never separated. None takes each slice for
                a patient of its own.
            classes: class of each slice (N,); None goes by the masks (tumour, healthy), or calls all "unlabelled".
            modalities: names of the channels, such as ("t1", "flair"); None for those of ``like``, or ("image",).
            labels: what mask values mean; None for those of ``like``, or for one value, 1, which is tumour.
            split: a part for each slice ("train", "validation" or "test"), or the three shares of patients; None for
                (0.7, 0.15, 0.15), beside ``like`` all to learn from.
            origin: "real", "phantom" or "synthetic"; None for "real", beside ``like`` "synthetic".
            like: a cohort whose slices these stand for, drawn by another generator at its size and framed as its own
                are; ``prepare`` takes those of another size too.
            normalise: bring grey values onto the scale of cohorts, patient by patient and channel by channel.
            output: the folder to write; None for a temporary one, which goes when the cohort does.
            force: replace a cohort that is there.
            seed: of the split.

        Raises:
            InputError: shapes that do not fit together, values that are no numbers, or a place that is taken.
            ConfigError: images unlike those of ``like``, grey values on another scale, mask values without a meaning,
                or an unknown split.
            LeakError: a split that separates a patient's slices.
        """
        from synthoma.cohorts import arrays
        from synthoma.cohorts.meta import CohortMeta, Provenance
        from synthoma.core.provenance import software
        from synthoma.pipeline.description import add_cohort_page

        model = None if like is None else folders.Cohort(like)
        modalities = modalities or (model.modalities if model is not None else ("image",))
        stack = arrays.stacked(images, len(modalities))
        count, channels, side, _ = stack.shape
        drawn = arrays.drawn(masks, count, side)
        labels = labels or (model.labels if model is not None else None) or None
        known = arrays.meanings(drawn, labels) if masks is not None else {}
        table = arrays.table_of(drawn, patients, classes, masked=masks is not None)
        arrays.split_table(table, split or (SHARES if model is None else ["train"] * count), seed)
        alike = {} if model is None else arrays.framing_of(model, modalities, side, set(table["label"]))
        values = arrays.scaled(stack, table["group"].tolist(), normalise=normalise)
        meta = CohortMeta(
            origin=origin or ("real" if model is None else "synthetic"),
            layout="arrays",
            modalities=tuple(modalities),
            labels={str(value): name for value, name in sorted(known.items())},
            classes=tuple(sorted(set(table["label"]), key=lambda name: (name.lower() not in HEALTHY, name))),
            size=side,
            plane="axial" if model is None else model.meta.plane,
            cases=table["case"].nunique(),
            patients=0 if patients is None else table["patient"].nunique(),
            groups=table["group"].nunique(),
            provenance=Provenance(source="arrays", config=alike, software=dict(software())),
        )
        folder = Path(output) if output is not None else Path(tempfile.mkdtemp(prefix="synthoma-")) / "cohort"
        with new_folder(folder, force=force) as partial:
            with folders.CohortWriter(partial, channels=channels, size=side) as writer:
                writer.add(values.astype(np.float16), drawn, [{}] * count)
                writer.finish(table, meta)
            add_cohort_page(partial, folder.name)
        cohort = cls(folder)
        if output is None:
            weakref.finalize(cohort, shutil.rmtree, folder.parent, ignore_errors=True)
        return cohort

    @property
    def view(self) -> View:
        """All its slices."""
        return View(self, np.arange(len(self), dtype=np.int64))

    @property
    def patients(self) -> tuple[str, ...]:
        """See ``View.patients``."""
        return self.view.patients

    def filter(
        self,
        *,
        split: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        patient: str | Sequence[str] | None = None,
        tumour: bool | None = None,
        where: Callable[[pd.DataFrame], Iterable[bool]] | None = None,
    ) -> View:
        """Those of its slices that fit, see ``View.filter``."""
        return self.view.filter(split=split, label=label, patient=patient, tumour=tumour, where=where)

    def show(self, count: int = SHOWN, *, modality: str | None = None, masks: bool = True) -> Image.Image:
        """A sheet of its slices, see ``View.show``."""
        return self.view.show(count, modality=modality, masks=masks)

    def to_torch(self, split: str | None = None, transform: Callable[[Sample], Any] | None = None) -> Dataset[Any]:
        """Its slices, or those of one split, as a PyTorch dataset; see ``View.to_torch``."""
        return self._part(split).to_torch(transform)

    def to_monai(
        self, split: str | None = None, transform: Callable[[Mapping[str, Any]], Any] | None = None
    ) -> Dataset[Any]:
        """Its slices, or those of one split, as a MONAI dataset; see ``View.to_monai``."""
        return self._part(split).to_monai(transform)

    def to_torchio(self, split: str | None = None) -> list[Any]:
        """Its studies, or those of one split, as TorchIO subjects; see ``View.to_torchio``."""
        return self._part(split).to_torchio()

    def _part(self, split: str | None) -> View:
        return self.view if split is None else self.filter(split=split)

    def _repr_html_(self) -> str:
        return self.view._repr_html_()
