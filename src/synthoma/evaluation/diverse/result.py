"""What the question "is it diverse?" leaves in evaluation.json."""

from __future__ import annotations

from pydantic import Field

from synthoma.core.records import Record

OVERLAPS = ("recall", "coverage")
"""Scores that say how much of the real variety is reached."""


class TwinPair(Record):
    """Two synthetic slices that are alike."""

    rows: tuple[int, int] = Field(description="of the synthetic cohort")
    correlation: float = Field(description="-1..1")
    mirrored: bool = Field(description="whether one is alike to the other left for right")


class Twins(Record):
    """How many slices have a near-identical one beside them."""

    share: float = Field(description="0..1, of synthetic slices, compared across cases")
    n: int = Field(default=0, description="synthetic slices")
    real_share: float = Field(description="0..1, of real slices, compared across patients")
    real_n: int = Field(default=0, description="real slices")
    within: float | None = Field(
        default=None, description="0..1, of synthetic slices that have a twin of their own simulated patient"
    )
    excess: float = Field(description="share beyond what real slices would have if they were as many")
    alike: float = Field(default=1.0, description="correlation from which slices are twins")
    side: int = Field(default=0, description="pixels of a side of the pictures compared")
    spare: tuple[int, ...] = Field(
        default=(), description="rows of the synthetic cohort that --keep leaves out: among the others are no twins"
    )
    pairs: tuple[TwinPair, ...] = Field(default=(), description="the most alike ones first")
