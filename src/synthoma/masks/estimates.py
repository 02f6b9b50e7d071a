"""Numbers of results that may not be defined, and figures over patients with their intervals."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from synthoma.core.records import Record
from synthoma.metrics import intervals


def _number(value: object) -> object:
    return math.nan if value is None else value


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


Measure = Annotated[
    float,
    BeforeValidator(_number),
    PlainSerializer(_defined, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]}),
]
"""A number; nan where it is not defined, which JSON writes as null."""


class Estimate(Record):
    """A figure over patients, and its 95 % interval."""

    value: Measure = Field(description="the figure of these patients; null where it is not defined")
    low: Measure = Field(description="lower end; null where there is none, as with fewer than two patients")
    high: Measure = Field(description="upper end")
    n: int = Field(description="patients that it stands on")

    @classmethod
    def of(cls, interval: intervals.Interval) -> Estimate:
        """What was computed, as it is written."""
        return cls(value=interval.value, low=interval.low, high=interval.high, n=interval.n)


class Gap(Estimate):
    """Prediction minus other, over the patients that both have."""

    p: Measure = Field(description="two-sided, of the hypothesis that both are equal")

    @classmethod
    def between(cls, gap: intervals.Difference) -> Gap:
        """What was computed, as it is written."""
        return cls(value=gap.value, low=gap.low, high=gap.high, n=gap.n, p=gap.p)
