"""What a phantom cohort is made of: the few knobs a user may turn, each with its unit and range."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.config import Config
from synthoma.core.errors import ConfigError
from synthoma.core.fields import said
from synthoma.core.types import MODALITIES

Lobe = Literal["frontal", "temporal", "parietal", "occipital", "deep", "posterior fossa"]
Side = Literal["left", "right"]
Skull = Literal["whole", "stripped", "mixed"]
Range = tuple[float, float]


class PhantomConfig(Config):
    """Settings of a simulated cohort. Everything that is not here is drawn anew for each patient or site."""

    healthy: float = Field(
        0.0,
        description="share of patients without a tumour",
        examples=[0.2],
        json_schema_extra=said(span=(0.0, 1.0)),
    )
    high_grade: float = Field(
        0.4,
        description="share of the tumour patients whose glioma is of high grade (necrosis, enhancing rim)",
        examples=[0.7],
        json_schema_extra=said(span=(0.0, 1.0)),
    )
    volume_ml: float = Field(
        45.0,
        description="median volume of the whole tumour; the cohort spreads lognormally around it",
        examples=[20.0],
        json_schema_extra=said(unit="ml", span=(0.5, 200.0)),
    )
    volume_spread: float = Field(
        0.85,
        description="how far volumes spread around the median: sigma of the lognormal, 0 for all alike",
        examples=[0.0],
        json_schema_extra=said(span=(0.0, 2.0)),
    )
    lobe: Lobe | None = Field(
        None,
        description="where all tumours start",
        examples=["temporal"],
        json_schema_extra=said(unset="as often in each lobe as gliomas do"),
    )
    side: Side | None = Field(
        None,
        description="the patient's side on which all tumours start",
        examples=["left"],
        json_schema_extra=said(unset="either"),
    )
    skull: Skull = Field(
        "whole",
        description="whole keeps the head, stripped leaves the brain alone, mixed draws either for each site",
        examples=["stripped"],
    )
    slice_mm: float | Range = Field(
        (3.0, 6.0),
        description="distance between slices, or a range from which each site draws its own. Below 1.5 mm the volume "
        "is a true 3D one; above, slices are thick, average over their profile and may leave a gap",
        examples=[5.0],
        json_schema_extra=said(unit="mm", span=(0.5, 10.0)),
    )
    pixel_mm: float = Field(
        1.0,
        description="size of a pixel in the plane",
        examples=[0.5],
        json_schema_extra=said(unit="mm", span=(0.5, 4.0)),
    )
    modalities: tuple[str, ...] = Field(
        MODALITIES, description="which of t1, t1c, t2 and flair to make", examples=[("t1", "flair")]
    )
    plain: bool = Field(
        False,
        description='give each patient one of these modalities alone, drawn at random, under the name "image": beside '
        "pictures that do not say which sequence they show",
        examples=[True],
    )
    sites: int = Field(
        8,
        description="how many scanners there are; each keeps its protocol, intensity scale and faults",
        examples=[3],
        json_schema_extra=said(unit="scanners", span=(1, 10_000)),
    )
    artefacts: float = Field(
        0.2,
        description="chance that a patient moved (ghosts); noise, bias field and blur are always there",
        examples=[0.0],
        json_schema_extra=said(span=(0.0, 1.0)),
    )
    mixture: float = Field(
        0.0,
        description="share of scanners on which the brightness of tissues is drawn at random around the physics: "
        "tumours from hardly brighter than grey matter to far brighter, white-matter lesions as bright as tumours",
        examples=[0.5],
        json_schema_extra=said(span=(0.0, 1.0)),
    )
    margins: float = Field(
        0.0,
        description="share of tumours whose margin is drawn from a wider range: the cortex taken first or spared, "
        "ragged or smooth, the brain changed fully or hardly",
        examples=[0.5],
        json_schema_extra=said(span=(0.0, 1.0)),
    )
    age: Range = Field(
        (18.0, 80.0),
        description="range of ages; atrophy, ventricles and white-matter lesions follow it",
        examples=[(40.0, 70.0)],
        json_schema_extra=said(unit="years", span=(18.0, 100.0)),
    )

    @field_validator("modalities", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        for name, field in type(self).model_fields.items():
            words = field.json_schema_extra
            if not isinstance(words, dict) or not isinstance(span := words.get("span"), list):
                continue
            low, high = (float(str(limit)) for limit in span)
            value = getattr(self, name)
            if name in ("slice_mm", "age"):
                _ordered(name, self.slice_range if name == "slice_mm" else value, low, high)
            else:
                _within(name, value, low, high)
        unknown = [name for name in self.modalities if name not in MODALITIES]
        if unknown or not self.modalities or len(set(self.modalities)) != len(self.modalities):
            came = ", ".join(self.modalities) or "none"
            raise ConfigError(f"one or more different modalities of {', '.join(MODALITIES)}", came, "correct the list")
        return self

    @property
    def slice_range(self) -> Range:
        """``slice_mm`` as a range (low, high) in mm."""
        if isinstance(self.slice_mm, tuple):
            return self.slice_mm
        return (self.slice_mm, self.slice_mm)


class PhantomCohortConfig(PrepareConfig):
    """How a cohort of simulated patients is made: the settings of ``prepare``, and ``phantom``, those of the patients.

    Simulated patients are distinct by construction, so duplicates are searched only on request.
    """

    origin: Literal["phantom"] = Field("phantom", description="what the images are", examples=["phantom"])
    duplicates: bool = Field(
        False,
        description="search for duplicates; simulated patients have none unless they were made twice",
        examples=[True],
    )
    grid: Literal["scanner", "slices"] = Field(
        "scanner",
        description="where tissue is looked up: at each pixel of the scanner, or about where slices have theirs, in a "
        "fraction of the time: the same patients and tumours with another grain of noise",
        examples=["slices"],
    )
    phantom: PhantomConfig = Field(default_factory=PhantomConfig, description="how patients, tumours and scanners vary")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} between {low:g} and {high:g}", f"{value:g}", "choose a value in this range")


def _ordered(name: str, span: Range, low: float, high: float) -> None:
    if len(span) != 2 or not low <= span[0] <= span[1] <= high:
        came = " to ".join(f"{value:g}" for value in span)
        raise ConfigError(f"{name} as (low, high) between {low:g} and {high:g}", came, "choose a rising range")
