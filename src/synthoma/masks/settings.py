"""How masks are scored against the truth: the settings of `synthoma evaluate` of two folders of masks."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

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
