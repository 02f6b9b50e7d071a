"""A mask that a person corrected, as DICOM SEG on the series that was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Bytes, tumour_of
from synthoma.scans.dicom.stack import Series

INNER = ("core", "enhancing")
"""Names of labels that lie inside the tumour, from outside inwards; each segment holds those that come after it."""


def write_corrected(path: Path, series: Series, mask: Bytes, labels: Mapping[int, str], corrected: str) -> None:
    """Write a corrected mask as a DICOM SEG whose segments are those that `detect` writes.

    Args:
        path: the file to write.
        series: whose slices the mask lies on.
        mask: labels (z, y, x), in the order of the series.
        labels: what they mean.
        corrected: SHA-256 of the mask that was corrected.

    Raises:
        InputError: another grid, an empty mask, or a series that a segmentation cannot refer to.
        OutputError: the disk is full, or the like.
    """
    from synthoma.detection.dicom_seg import write_corrected_segmentation  # highdicom is slow to load

    shape = (len(series.planes), *series.shape)
    if mask.shape != shape:
        came = f"{'x'.join(map(str, mask.shape))} for {'x'.join(map(str, shape))} (z, y, x)"
        raise InputError("a mask on the grid of the series", came, "look at the scan again")
    write_corrected_segmentation(path, series, regions_of(mask, labels), corrected)


def regions_of(mask: Bytes, labels: Mapping[int, str]) -> dict[str, Bools]:
    """Regions of a mask that contain one another, as in BraTS; each label by itself where it has no sub-regions."""
    values = {name: value for value, name in labels.items()}
    if not any(name in values for name in INNER):
        return {name: np.asarray(mask == value) for name, value in values.items()}
    inner = [values[name] for name in INNER if name in values]
    found = {name: np.asarray(np.isin(mask, inner[inner.index(values[name]) :])) for name in INNER if name in values}
    return {"tumour": tumour_of(mask), **found}
