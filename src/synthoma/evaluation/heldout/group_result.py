"""What scores by group, and the gap to another cohort, are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthoma.core.records import Record
from synthoma.masks.estimates import Estimate, Gap

By = Literal["site", "sequence", "size"]


class GroupScores(Record):
    """A group of patients, or all of them shown one sequence alone; whole tumour, means over patients."""

    by: By
    group: str = Field(description="site; sequence that was shown; or range of the true volume")
    patients: int
    dice: Estimate
    surface_dice: Estimate
    hd95: Estimate = Field(description="of the patients whose voxels' size is known, mm")
    lesion_dice: Estimate = Field(description="lesion by lesion; likewise")
    gap: Gap = Field(
        description="Dice of the group minus that of all other patients; of a sequence, minus that of the same "
        "patients shown all that they have"
    )


class Shift(Record):
    """The same model on another source: what it loses there."""

    cohort: str = Field(description="name of the other cohort's folder")
    origin: str = Field(description="real, phantom or synthetic")
    patients: int
    slices: int
    dice: Estimate = Field(description="mean over its patients, whole tumour")
    gap: Gap = Field(
        description="mean Dice here minus mean Dice there; patients are not the same, so each side is drawn"
    )
    surface_dice: Estimate
    surface_gap: Gap
