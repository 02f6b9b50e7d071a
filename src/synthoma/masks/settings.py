"""How masks are scored against the truth: the settings of `synthoma evaluate` of two folders of masks."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from synthoma.core.config import Config
from synthoma.core.fields import said


class MasksConfig(Config):
    """What is scored, and how strictly."""

    other: Path | None = Field(
        None,
        description="of masks: another model's predictions, to compare with",
        examples=["other-model"],
        json_schema_extra=said(unset="no comparison", metavar="FOLDER"),
    )
    nested: bool | None = Field(
        None,
        description="of masks: score nested regions (whole tumour, core, enhancing), or each label as it stands",
        examples=[True],
        json_schema_extra=said(unset="decided by what values mean", flag="--nested/--labels"),
    )
    convention: str | None = Field(
        None,
        description="of masks: what values mean on all sides, as of `synthoma prepare`",
        examples=["brats-2023"],
        json_schema_extra=said(unset="read or decided"),
    )
    tolerance: float | None = Field(
        None,
        gt=0,
        description="of masks: distance in mm (without a spacing, in pixels) up to which the surface Dice takes two "
        "surfaces for one",
        examples=[1.0],
        json_schema_extra=said(unit="mm", unset="2"),
    )
    lesion_reach: float | None = Field(
        None,
        ge=0,
        le=50,
        description="of masks: distance by which lesions are dilated before they are matched; BraTS takes 1 for "
        "metastases and meningiomas",
        examples=[1.0],
        json_schema_extra=said(unit="mm", unset="3"),
    )
    small_lesion: float | None = Field(
        None,
        ge=0,
        description="of masks: size up to which a lesion counts for nothing lesion by lesion; BraTS takes 2 for "
        "metastases",
        examples=[2.0],
        json_schema_extra=said(unit="mm3", unset="50"),
    )
    lesion_sizes: tuple[float, ...] | None = Field(
        None,
        description="of masks: volumes that part small from large lesions, where it is told which were found",
        examples=[(0.5, 5.0)],
        json_schema_extra=said(unit="ml", unset="1,10"),
    )

    @field_validator("lesion_sizes")
    @classmethod
    def _rising(cls, sizes: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if sizes is not None and (not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] <= 0):
            raise ValueError("volumes above 0 in rising order, as 1,10")
        return sizes
