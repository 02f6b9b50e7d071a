"""What scores lesion by lesion are: of a patient, and of all of them."""

from __future__ import annotations

from pydantic import Field

from synthoma.core.records import Record
from synthoma.masks.estimates import Estimate, Measure


class FoundLesion(Record):
    """A lesion of the truth."""

    volume: Measure = Field(description="mm3")
    found: bool = Field(description="whether a predicted region meets it, or comes as near as the reach")
    dice: Measure = Field(description="0..1, with all predicted regions that meet it")
    surface_dice: Measure = Field(description="0..1, likewise")
    hd95: Measure = Field(description="mm, likewise; 374 where it was missed")


class LesionScores(Record):
    """A region of one patient lesion by lesion, as BraTS has scored since 2023."""

    dice: Measure = Field(description="mean over lesions and made-up regions, which count 0; 1 where there are neither")
    surface_dice: Measure = Field(description="likewise")
    hd95: Measure = Field(description="mm, likewise; 374 for what was missed or made up, 0 where there is neither")
    lesions: tuple[FoundLesion, ...] = Field(description="of the truth, larger than the least volume")
    small: int = Field(description="lesions up to the least volume, which count for nothing")
    made_up: tuple[float, ...] = Field(description="volume in mm3 of each predicted region that no lesion has")


class FoundBySize(Record):
    """Lesions of the truth of some size."""

    from_ml: float = Field(description="larger than this")
    up_to_ml: float | None = Field(description="up to this; null for the largest")
    lesions: int
    found: Estimate = Field(description="share of them that were found (sensitivity)")
    dice: Estimate = Field(description="mean over these lesions; 0 for those that were missed")


class LesionsOfAll(Record):
    """A region of all patients lesion by lesion; intervals by patient."""

    patients: int = Field(description="patients whose voxels' size is known")
    lesions: int = Field(description="of the truth, larger than the least volume")
    small: int = Field(description="lesions up to the least volume, which count for nothing")
    made_up: int = Field(description="predicted regions that no lesion has")
    dice: Estimate = Field(description="mean over patients of the lesion-wise Dice")
    surface_dice: Estimate = Field(description="likewise")
    hd95: Estimate = Field(description="likewise, mm")
    found: Estimate = Field(description="share of all lesions that were found (sensitivity)")
    made_up_per_scan: Estimate = Field(description="made-up regions in a patient (false positives per scan)")
    by_size: tuple[FoundBySize, ...]
