"""What ``synthoma plan`` is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from synthoma.core.config import Config, Device
from synthoma.core.fields import said


class PlanConfig(Config):
    """What counts as rare, how much may be made, and where the expected gain is read from."""

    edges: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (10.0, 40.0),
        min_length=1,
        max_length=6,
        description="volumes at which sizes of tumours are divided, rising; two of them make small, medium and large",
        examples=[(5.0, 20.0, 60.0)],
        json_schema_extra=said(unit="ml", flag="--sizes", metavar="A,B,..."),
    )
    share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="a kind with fewer than this share of its even part of the training patients is rare, and is made "
        "up to it",
        examples=[0.8],
    )
    ratio: float = Field(
        1.0,
        gt=0,
        le=10,
        description="most synthetic cases for each training patient",
        examples=[0.5],
    )
    evaluation: Path | None = Field(
        None,
        description="an evaluation of synthetic slices beside this cohort, with its trainings: the measured gain",
        examples=["evaluation"],
        json_schema_extra=said(unset="nothing is known of the gain, but with --minutes", metavar="EVAL"),
    )
    minutes: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="measure a learning curve: detectors learn from 1/4, 1/2 and all training patients and are asked "
        "about validation patients, again with other seeds until about this time is over",
        examples=[10.0],
        json_schema_extra=said(unit="minutes", unset="no curve"),
    )
    steps: int = Field(
        300,
        ge=10,
        description="length of each training of the learning curve",
        examples=[800],
        json_schema_extra=said(unit="batches of 16 slices"),
    )
    matters: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="gain in Dice (or accuracy) below which synthetic cases are not worth making",
        examples=[0.02],
    )
    seed: int = Field(0, description="number that fixes every draw", examples=[1])
    device: Device = "auto"

    @model_validator(mode="after")
    def _sizes_rise(self) -> Self:
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"sizes rise, {', '.join(f'{edge:g}' for edge in self.edges)} do not: give 10,40")
        return self
