"""How a blinded set of pictures is made: the settings of `synthoma turing make`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from synthoma.core.config import Config
from synthoma.core.errors import ConfigError
from synthoma.core.fields import said
from synthoma.core.untrusted import check_names

Design = Literal["single", "pairs"]


class TuringConfig(Config):
    """What readers are shown, and what is stated before they begin."""

    design: Design = Field(
        "single",
        description="single: one picture at a time, real or synthetic? pairs: a real one beside a synthetic one, which "
        "is real?",
        examples=["pairs"],
    )
    number: int = Field(
        50, ge=4, le=2000, description="pictures of each kind, or pairs, without repeats", examples=[40]
    )
    repeats: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of them that is shown again, unannounced, for self-agreement",
        examples=[0.2],
    )
    readers: tuple[str, ...] = Field(
        ("A",),
        min_length=1,
        max_length=100,
        description="names of the readers: each gets an order, a sheet and a file for the answers",
        examples=[["A", "B", "C"]],
    )
    sequence: str | None = Field(
        None,
        description="which sequence is shown",
        examples=["t1c"],
        json_schema_extra=said(unset="FLAIR, or the first"),
    )
    pixels: int = Field(
        256,
        ge=16,
        le=2048,
        description="side of a picture; slices are enlarged by the whole number that comes nearest, and never made "
        "smaller",
        examples=[384],
        json_schema_extra=said(unit="pixels"),
    )
    matters: float = Field(
        0.5,
        gt=0,
        le=5,
        description="the least d' that would matter: an interval below it is called too small to matter; it is fixed "
        "before anybody answers",
        examples=[0.8],
    )
    seed: int = Field(0, ge=0, description="of everything that is drawn", examples=[7])

    @field_validator("readers")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            check_names(names, "readers", "--readers", ConfigError)
        except ConfigError as error:
            raise ValueError(f"{error.expected}, not {error.came}") from None
        return names
