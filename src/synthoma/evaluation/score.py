"""A score beside what chance gives, and a figure with its interval: what most parts of an evaluation are made of."""

from __future__ import annotations

from pydantic import Field

from synthoma.core.records import Number, Record


class Score(Record):
    """A score of synthetic against held-out slices, beside its null.

    p is the share of null values at least as bad, one added on both sides, so that it is never 0. ratio is the value
    over the worse of the two medians: held-out patients may by chance lie far from all others, and those that are
    synthetic need not be nearer to them than real ones are.
    """

    value: Number = Field(description="the score, in its own unit; None where it cannot be computed")
    null: tuple[float, ...] = Field(description="scores of real patients against other real ones; empty without a null")
    null_median: Number = Field(description="median of ``null``; None without one")
    others: tuple[float, ...] = Field(
        default=(), description="scores of other real patients against the same held-out ones"
    )
    others_median: Number = Field(default=None, description="median of ``others``; None where there are none")
    ratio: Number = Field(description="value over the worse median; None where that is 0 or the score may be negative")
    p: Number = Field(description="0..1, chance of a score as bad; None without a null")
    n: int = Field(description="slices on each side")
    low: Number = Field(default=None, description="lower end of the 95 % interval; missing where none was asked for")
    high: Number = Field(default=None, description="upper end of the 95 % interval")


Scores = dict[str, Score]
"""Scores by name."""

Families = dict[str, Scores]
"""Scores by family of features, and by name."""


class Estimate(Record):
    """A mean with its 95 % interval."""

    value: Number = Field(description="the mean, in the score's unit")
    low: Number = Field(description="lower end; None where it is not defined")
    high: Number = Field(description="upper end; None where it is not defined")
    n: int = Field(description="slices or patients that it is a mean of")
