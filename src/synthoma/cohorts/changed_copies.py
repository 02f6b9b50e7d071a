"""Changed copies of training slices (`prepare --augment`): which rows they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synthoma.core.types import Bools

if TYPE_CHECKING:
    import pandas as pd

COPY = "changed_copy"
"""Column of slices.csv: 0 of a slice as it was scanned, else the number of its changed copy."""


def as_scanned(table: pd.DataFrame) -> Bools:
    """Which rows of slices.csv are slices as they were scanned, and no changed copies of one."""
    if COPY not in table:
        return np.ones(len(table), dtype=np.bool_)
    return np.asarray(table[COPY].fillna(0) == 0, dtype=np.bool_)
