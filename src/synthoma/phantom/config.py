"""What a phantom cohort is made of: the few knobs a user may turn, each with its unit and range."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.config import Config
from synthoma.core.errors import ConfigError
from synthoma.core.types import MODALITIES

Skull = Literal["whole", "stripped", "mixed"]
Range = tuple[float, float]


class PhantomConfig(Config):
    """Settings of a simulated cohort. Everything that is not here is drawn anew for each patient or site.

    Attributes:
        healthy: share of patients without a tumour, 0 to 1.
        high_grade: share of the tumour patients whose glioma is of high grade (necrosis, enhancing rim), 0 to 1.
        volume_ml: median volume of the whole tumour in ml; the cohort spreads lognormally around it (sigma 0.85).
        skull: ``whole`` keeps the head, ``stripped`` leaves the brain alone, ``mixed`` draws either for each site.
        slice_mm: distance between slices in mm, or a range from which each site draws its own. Below 1.5 mm the
            volume is a true 3D one; above, slices are thick, average over their profile and may leave a gap.
        pixel_mm: in-plane size of a pixel in mm.
        modalities: which of t1, t1c, t2 and flair to make.
        plain: give each patient one of these modalities alone, drawn at random, under the name "image": beside
            pictures that do not say which sequence they show.
        sites: number of scanners in the cohort; each keeps its protocol, intensity scale and faults.
        artefacts: chance that a patient moved (ghosts), 0 to 1; noise, bias field and blur are always there.
        age: range of ages in years; atrophy, ventricles and white-matter lesions follow it.
    """

    healthy: float = 0.0
    high_grade: float = 0.4
    volume_ml: float = 45.0
    skull: Skull = "whole"
    slice_mm: float | Range = (3.0, 6.0)
    pixel_mm: float = 1.0
    modalities: tuple[str, ...] = MODALITIES
    plain: bool = False
    sites: int = 8
    artefacts: float = 0.2
    age: Range = (18.0, 80.0)

    @field_validator("modalities", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        for name in ("healthy", "high_grade", "artefacts"):
            _within(name, getattr(self, name), 0.0, 1.0)
        _within("volume_ml", self.volume_ml, 0.5, 200.0)
        _within("pixel_mm", self.pixel_mm, 0.5, 4.0)
        _within("sites", self.sites, 1, 10_000)
        _ordered("slice_mm", self.slice_range, 0.5, 10.0)
        _ordered("age", self.age, 18.0, 100.0)
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

    origin: Literal["phantom"] = "phantom"
    duplicates: bool = False
    phantom: PhantomConfig = Field(default_factory=PhantomConfig)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} between {low:g} and {high:g}", f"{value:g}", "choose a value in this range")


def _ordered(name: str, span: Range, low: float, high: float) -> None:
    if len(span) != 2 or not low <= span[0] <= span[1] <= high:
        came = " to ".join(f"{value:g}" for value in span)
        raise ConfigError(f"{name} as (low, high) between {low:g} and {high:g}", came, "choose a rising range")
