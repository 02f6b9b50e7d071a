"""A cohort that lies in memory and in no folder: slices that are made, learned from, and gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.meta import CohortMeta
from synthoma.core.types import Bytes, Float16

if TYPE_CHECKING:
    import pandas as pd


class CohortInMemory(Cohort):
    """Slices with their table, as an opened cohort has them.

    Args:
        meta: what the cohort is; it may be that of more slices than these.
        images: (N, modalities, size, size), float16.
        masks: (N, size, size), uint8.
        table: a row a slice, as ``slices.csv`` has them.
    """

    def __init__(self, meta: CohortMeta, images: Float16, masks: Bytes, table: pd.DataFrame) -> None:
        self.path = Path(meta.provenance.source or "memory")
        self.meta, self.images, self.masks, self.slices = meta, images, masks, table

    def __len__(self) -> int:
        return len(self.images)

    def __getstate__(self) -> dict[str, object]:
        """All of it: no other process could map its pixels."""
        return dict(self.__dict__)
