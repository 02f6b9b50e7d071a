"""Cohorts of one kind put together as one, such as those that a generator drew for the orders of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.core.errors import InputError

_COPIED = 512  # slices copied at once


def write_joined(
    parts: Sequence[tuple[str, Cohort]], folder: Path, remarks: Sequence[str] = (), **known: object
) -> None:
    """Write several cohorts as one into an existing, empty folder.

    Cases, patients and groups of each get its name in front: those of two parts never are the same.

    Args:
        parts: a short name, and a cohort; all made by one model, which the new cohort then says of itself.
        folder: where to.
        remarks: put before those of the parts.
        known: entries of provenance that hold for the whole.

    Raises:
        InputError: none, or of different size, sequences or labels.
    """
    import pandas as pd

    if not parts:
        raise InputError("cohorts to put together", "none", "give one or more")
    first = parts[0][1]
    alike = {(part.size, part.modalities, tuple(part.labels.items()), part.meta.plane) for _, part in parts}
    if len(alike) > 1:
        raise InputError(
            "cohorts of one size, with the same sequences and labels", "different ones", "prepare them alike"
        )
    tables = []
    with CohortWriter(folder, channels=len(first.modalities), size=first.size) as writer:
        for name, part in parts:
            table = part.slices.copy()
            for column in ("case", "patient", "group"):
                # Nobody stays nobody: a prefix alone would make all unknown patients one.
                table[column] = [f"{name}-{text}" if text else "" for text in table[column].astype(str)]
            for start in range(0, len(part), _COPIED):
                rows = np.arange(start, min(start + _COPIED, len(part)))
                writer.add(part.images[rows], part.masks[rows], [{}] * len(rows))
            tables.append(table)
        whole = pd.concat(tables, ignore_index=True)
        present = set(whole["label"])
        classes = [*dict.fromkeys(name for _, part in parts for name in part.classes if name in present)]
        told = [*remarks, *dict.fromkeys(text for _, part in parts for text in part.meta.remarks)]
        writer.finish(
            whole,
            first.meta.changed(
                {
                    "classes": classes,
                    "cases": whole["case"].nunique(),
                    "patients": len(set(whole["patient"]) - {""}),
                    "groups": whole["group"].nunique(),
                    "remarks": told,
                    "provenance": {**first.meta.provenance.content(), **known},
                }
            ),
        )
