"""Changed copies of training slices, written down: for trainings of other tools, which change nothing themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from synthoma.cohorts.changed_copies import COPY
from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.core.seeding import stream_key
from synthoma.core.types import Bytes, Float32
from synthoma.detectors.augment import augment_scans
from synthoma.detectors.learning import AugmentConfig

_WRITTEN = 512


def write_with_copies(
    cohort: Cohort,
    folder: Path,
    copies: int,
    *,
    seed: int = 0,
    strength: AugmentConfig | None = None,
    progress: Callable[[str, int, int], None] = lambda text, done, total: None,
) -> None:
    """Write a cohort with changed copies of its training slices behind it into an existing, empty folder.

    A copy keeps patient, group, class and split of its slice, so that no patient gets onto two sides; it has no
    geometry of its own. Validation and test slices have none: scores are of scans.

    Args:
        cohort: what is copied.
        folder: where to.
        copies: of each training slice. Copy k of a slice is the same however many there are.
        seed: of the changes.
        strength: how strongly slices are changed, as in the training of detectors.
        progress: told how far it is.
    """
    import pandas as pd

    table = cohort.slices.assign(**{COPY: 0})
    rows = cohort.rows(split="train")
    strength = strength or AugmentConfig()
    added = []
    with CohortWriter(folder, channels=len(cohort.modalities), size=cohort.size) as writer:
        for _, images, masks in cohort.batches(_WRITTEN):
            writer.add(images, masks, [{}] * len(images))
        for copy in range(1, copies + 1):
            for done, row in enumerate(rows.tolist()):
                draws = torch.Generator().manual_seed(stream_key(seed, f"prepare.augment.{copy}", row) % 2**63)
                image, mask = changed(np.asarray(cohort.images[row], np.float32), cohort.masks[row], strength, draws)
                writer.add(image[None], mask[None], [{}])
                if not done % 100:
                    progress("making changed copies", len(rows) * (copy - 1) + done, len(rows) * copies)
                added.append({"tumour_pixels": int(np.isin(mask, list(cohort.tumour_labels)).sum())})
            progress("making changed copies", len(rows) * copy, len(rows) * copies)
        # What places a slice in its scan, or names its pixels, is not true of a copy.
        lost = [name for name in table if str(name).startswith(("box_", "pixels_sha", "file_sha", "twin", "look_at"))]
        behind = [table.iloc[rows].drop(columns=lost).assign(**{COPY: copy}) for copy in range(1, copies + 1)]
        joined = pd.concat([table, *behind], ignore_index=True)
        if added:
            joined.loc[len(table) :, "tumour_pixels"] = [one["tumour_pixels"] for one in added]
        remark = f"{len(added):,} slices are changed copies of training slices ({COPY} in slices.csv)"
        writer.finish(joined, cohort.meta.changed({"remarks": [*cohort.meta.remarks, remark]}))


def changed(image: Float32, mask: Bytes, strength: AugmentConfig, draws: torch.Generator) -> tuple[Float32, Bytes]:
    """One changed copy of a slice (C, S, S) and its mask (S, S); no value appears that the mask does not have.

    Values of the mask are moved as nested regions (all from the first value on, from the second on, ...): what touches
    still does, and no third value appears between two.
    """
    values = [int(value) for value in np.unique(mask) if value]
    planes = np.stack([mask >= value for value in values]) if values else np.zeros((0, *mask.shape), bool)
    images, moved = augment_scans(
        torch.from_numpy(image.copy())[None],
        torch.from_numpy(planes.astype(np.float32))[None],
        strength,
        draws,
        len(image),
    )
    result = np.zeros_like(mask)
    # From the outermost region in: each covers what lies inside it in the one before.
    for value, plane in zip(values, moved[0].numpy(), strict=True):
        result[plane > 0] = value
    return images[0].numpy(), result
