"""What ``paint`` and ``remove`` do: their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from synthoma.cohorts.settings import Convention, LayoutOrNone
from synthoma.core.config import Config
from synthoma.core.errors import ConfigError
from synthoma.core.fields import said
from synthoma.painting.dials import Dials, Span, place_of


def _text(value: object) -> object:
    """Numbers and pairs of them, as Python gives them, in the words of the command line."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return ":".join(f"{part:g}" for part in value)
    return value


Dial = Annotated[str | None, BeforeValidator(_text)]
"""A number, or a range A:B from which each tumour draws its own."""

LIMITS: dict[str, tuple[float, float]] = {
    "size_ml": (0.1, 250.0),
    "contrast": (0.1, 2.5),
    "heterogeneity": (0.0, 1.0),
    "oedema": (0.0, 0.95),
    "enhancing": (0.0, 1.0),
    "count": (1.0, 5.0),
    "mass_effect": (0.0, 10.0),
}
"""Least and largest value of each dial."""


def span_of(name: str, text: str) -> Span:
    """The range that a dial's text says.

    Raises:
        ConfigError: no numbers, or beyond the dial's limits.
    """
    low, high = LIMITS[name]
    wanted = f"{name.replace('_', ' ')} as a number or a rising range A:B between {low:g} and {high:g}"
    try:
        values = [float(part) for part in text.split(":")]
    except ValueError:
        raise ConfigError(wanted, repr(text), "write for example 5 or 5:40") from None
    if len(values) > 2 or not all(low <= value <= high for value in values) or values[0] > values[-1]:
        raise ConfigError(wanted, repr(text), "choose values in this range")
    return values[0], values[-1]


class SourceConfig(Config):
    """What both commands are told of the scans that they read."""

    splits: tuple[Literal["train", "validation", "test"], ...] = Field(
        ("train",),
        description="of a cohort, the splits whose patients are taken; whoever is held out is named in the output, "
        "and no training takes it",
        examples=[("train", "test")],
    )
    size: int = Field(
        128,
        ge=16,
        le=1024,
        description="of scans: side of the square slices of the cohort that is written",
        examples=[64],
        json_schema_extra=said(unit="pixels"),
    )
    shown: Literal["all", "changed"] = Field(
        "all",
        description="which slices the cohort holds: all of each scan, or those that were changed",
        examples=["changed"],
    )
    mask: Path | None = Field(
        None,
        description="mask on the grid of the one scan that is given, NIfTI or PNG",
        examples=["drawn.nii.gz"],
        json_schema_extra=said(metavar="FILE"),
    )
    layout: LayoutOrNone = None
    convention: Convention = None

    @property
    def drawn_by(self) -> int | None:
        """The seed of all draws; None where nothing is drawn by chance."""
        return None


class PaintConfig(SourceConfig):
    """Which tumours are put into scans, and where."""

    seed: int = Field(0, description="number that fixes every draw", examples=[1])
    size_ml: Dial = Field(
        None,
        description="volume of a tumour with its oedema; of a single slice, of the ball that it cuts in half",
        examples=["5:40"],
        json_schema_extra=said(unit="ml", metavar="A[:B]", unset="as the training patients have it, or gliomas do"),
    )
    place: str | None = Field(
        None,
        description="a side (left, right), a lobe (frontal, temporal, parietal, occipital, deep, posterior fossa), "
        "both, or x,y,z in mm from the middle of the brain to the left, back and up",
        examples=["left frontal"],
        json_schema_extra=said(unset="as the training patients have it, or anywhere in white matter"),
    )
    grade: Literal["low", "high", "mixed"] = Field(
        "mixed", description="grade of the tumours: high ones have necrosis and an enhancing rim", examples=["high"]
    )
    contrast: Dial = Field(
        "1", description="how far a tumour stands out of the tissue, 1 as in patients", examples=["0.5:1.2"],
        json_schema_extra=said(metavar="A[:B]"),
    )  # fmt: skip
    heterogeneity: Dial = Field(
        "0.3:0.6", description="how uneven a tumour is inside, 0 to 1", examples=["0.2"],
        json_schema_extra=said(metavar="A[:B]"),
    )  # fmt: skip
    oedema: Dial = Field(
        None, description="share of the volume that is oedema around the core, 0 to 0.95", examples=["0.5:0.8"],
        json_schema_extra=said(metavar="A[:B]", unset="as the grade has it"),
    )  # fmt: skip
    enhancing: Dial = Field(
        None, description="share of the core that takes up contrast agent, 0 to 1", examples=["0.3"],
        json_schema_extra=said(metavar="A[:B]", unset="as the grade has it"),
    )  # fmt: skip
    count: Dial = Field(
        "1", description="tumours in a scan, 1 to 5", examples=["1:3"], json_schema_extra=said(metavar="A[:B]")
    )
    mass_effect: Dial = Field(
        "0",
        description="how far tissue around a tumour is pushed outwards, 0 to 10; it changes pixels beyond the margin",
        examples=["2:4"],
        json_schema_extra=said(metavar="A[:B]", unit="mm"),
    )
    painter: Literal["growth", "copy-paste", "gan"] = Field(
        "growth",
        description="growth lets a tumour grow in the scan's own tissue, copy-paste takes lesions of training "
        "patients, gan fills what grew by a network that learned from lesions",
        examples=["gan"],
    )
    model: Path | None = Field(
        None,
        description="of the painter gan: its weights, or a cohort that was painted with --learn",
        examples=["painted"],
        json_schema_extra=said(metavar="FILE", unset="the painter trained on the phantom"),
    )
    learn: int = Field(
        0,
        ge=0,
        le=100_000,
        description="of the painter gan: so many steps of 16 squares it learns from the training patients first",
        examples=[600],
        json_schema_extra=said(unit="steps"),
    )
    shows: Literal["t1", "t1c", "t2", "flair"] | None = Field(
        None,
        description="the sequence that plain pictures show",
        examples=["t1c"],
        json_schema_extra=said(unset="asked"),
    )
    plan: Path | None = Field(
        None,
        description="of a cohort: paint what this plan orders, and as many; it decides about size, place and number",
        examples=["plan"],
        json_schema_extra=said(metavar="PLAN", unset="by the dials"),
    )
    beside: bool = Field(False, description="paint scans too that show a tumour already, away from it", examples=[True])
    copies: int = Field(1, ge=1, le=1000, description="painted versions of each scan", examples=[3])
    like: Path | None = Field(
        None,
        description="cohort whose training patients give sizes, places, brightness and lesions",
        examples=["cohort"],
        json_schema_extra=said(metavar="COHORT", unset="the cohort itself; for scans none"),
    )

    @model_validator(mode="after")
    def _dials_are_right(self) -> Self:
        self.dials()
        if self.painter != "gan" and (self.model is not None or self.learn):
            raise ValueError(f"--model and --learn are for the painter gan, not for {self.painter}: give --painter gan")
        return self

    def dials(self) -> Dials:
        """Them as painters take them.

        Raises:
            ConfigError: a dial out of its range.
        """

        def span(name: str) -> Span | None:
            text = getattr(self, name)
            return None if text is None else span_of(name, text)

        return Dials(
            size_ml=span("size_ml"),
            place=() if self.place is None else place_of(self.place),
            grade=self.grade,
            contrast=span("contrast") or (1.0, 1.0),
            heterogeneity=span("heterogeneity") or (0.3, 0.6),
            oedema=span("oedema"),
            enhancing=span("enhancing"),
            count=span("count") or (1, 1),
            mass_effect_mm=span("mass_effect") or (0.0, 0.0),
        )

    @property
    def drawn_by(self) -> int | None:
        """The seed of all draws."""
        return self.seed


class RemoveConfig(SourceConfig):
    """How tumours are taken out of scans."""

    method: Literal["blend", "mirror", "membrane"] = Field(
        "blend",
        description="blend weighs the mirrored hemisphere and patches of the scan by how well they explain what lies "
        "around the tumour, mirror takes the hemisphere alone, membrane the smoothest filling",
        examples=["mirror"],
    )
    margin: float = Field(
        2.0, ge=0, le=20, description="what is replaced around the mask too", examples=[4.0],
        json_schema_extra=said(unit="mm"),
    )  # fmt: skip
    model: Path | None = Field(
        None,
        description="run of a segmenter that finds the tumour in scans without mask",
        examples=["run"],
        json_schema_extra=said(metavar="RUN", unset="the model trained on the phantom"),
    )
