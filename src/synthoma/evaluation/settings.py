"""What is evaluated, and the thresholds: fixed before anything is measured, in a file that the user can read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypedDict

from pydantic import Field, model_validator

from synthoma.core.config import MOST_JOBS, Config, Device
from synthoma.core.fields import said

Preset = Literal["quick", "standard", "full"]


class Thresholds(Config):
    """Where a light changes colour. They are read before anything is measured, and written into evaluation.json."""

    alpha: float = Field(0.05, gt=0, lt=0.5, description="level of significance of every test", examples=[0.01])
    realistic_ratio: float = Field(
        1.22,
        gt=1,
        description="distance of synthetic from real scans over that between real patients: up to here realism is GOOD",
        examples=[1.5],
    )
    unrealistic_ratio: float = Field(
        2.0,
        gt=1,
        description="distance of synthetic from real scans over that between real patients: from here on realism is "
        "POOR",
        examples=[3.0],
    )
    told_apart: float = Field(
        0.8,
        ge=0.5,
        le=1,
        description="AUC of a model that tells synthetic from real: GOOD up to here, if beyond chance",
        examples=[0.7],
    )
    diverse_share: float = Field(
        0.7,
        gt=0,
        le=1,
        description="recall and coverage over those between real scans: from here on diversity is GOOD",
        examples=[0.8],
    )
    poor_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="recall and coverage over those between real scans: up to here diversity is POOR",
        examples=[0.5],
    )
    twins_share: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="share of slices with a near-identical one, beyond that of real slices: from here on diversity is "
        "FAIR",
        examples=[0.1],
    )
    many_twins: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of slices with a near-identical one, beyond that of real slices: from here on diversity is "
        "POOR",
        examples=[0.3],
    )
    copies_share: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="upper bound (95 %) of the share of copies of patients up to which privacy is GOOD",
        examples=[0.02],
    )
    agreement_gap: float = Field(
        0.15,
        ge=0,
        le=1,
        description="how much lower the Dice of synthetic masks may be than that of real ones before realism is POOR",
        examples=[0.1],
    )
    least_effect: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="gain in Dice (or accuracy) that must be detectable before NO EVIDENCE is said",
        examples=[0.03],
    )


class UtilityConfig(Config):
    """The trainings that answer whether it is useful."""

    seeds: int = Field(
        3,
        ge=2,
        le=50,
        description="trainings of each arm, with other weights, draws and patients",
        examples=[5],
        json_schema_extra=said(unit="trainings"),
    )
    steps: int = Field(
        800,
        ge=10,
        description="length of each training, the same in every arm",
        examples=[2000],
        json_schema_extra=said(unit="batches of 16 slices"),
    )
    shares: tuple[float, ...] = Field(
        (0.25, 0.5), description="shares of the real patients on the learning curve", examples=[(0.1, 0.25, 0.5)]
    )
    ratios: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.5, 1.0), min_length=1, description="synthetic slices for each real one in a batch", examples=[(0.25, 1.0)]
    )
    detectors: tuple[Literal["small", "large"], ...] = Field(
        ("small",), min_length=1, description="sizes of detector, small or large or both", examples=[("small", "large")]
    )
    cross: bool = Field(
        True,
        description="train on real, synthetic and combined slices, and test each on all three (3 x 3 table)",
        examples=[False],
    )
    tuned_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="share of the real patients for fine-tuning after synthetic ones",
        examples=[0.25],
    )
    patients: int | None = Field(
        None,
        ge=2,
        description="evaluate as if one had so many real training patients only",
        examples=[10],
        json_schema_extra=said(unset="all"),
    )


class _PresetSettings(TypedDict, total=False):
    limit: int
    halves: int
    faults: bool
    canaries: int
    utility: dict[str, object]


PRESETS: dict[Preset, _PresetSettings] = {
    "quick": {"limit": 1000, "faults": False, "canaries": 200},
    "standard": {"limit": 1000, "faults": True, "canaries": 300},
    "full": {
        "limit": 4000,
        "faults": True,
        "canaries": 500,
        "halves": 200,
        "utility": {
            "seeds": 5,
            "steps": 2000,
            "shares": (0.1, 0.25, 0.5),
            "ratios": (0.25, 0.5, 1.0, 2.0),
            "detectors": ("small", "large"),
        },
    },
}
"""Preset -> settings that differ from the defaults."""


class EvaluateConfig(Config):
    """What is compared, how thoroughly, and by which thresholds it is judged."""

    preset: Preset = Field(
        "quick",
        description="how thorough: quick scores in a minute; standard also trains detectors with and without, up to an "
        "hour; full does more of all",
        examples=["standard"],
    )
    limit: int = Field(
        1000,
        ge=20,
        description="how many of each kind are scored",
        examples=[500],
        json_schema_extra=said(unit="images"),
    )
    halves: int = Field(
        59,
        ge=9,
        description="real-against-real divisions that each score is held against",
        examples=[200],
    )
    splits: int = Field(
        0,
        ge=0,
        le=100,
        description="over how many other divisions of the patients realism and diversity are judged again",
        examples=[5],
        json_schema_extra=said(metavar="K"),
    )
    faults: bool = Field(
        False, description="plant known faults into real images: what would the scores have caught?", examples=[True]
    )
    canaries: int = Field(200, ge=20, description="altered copies that the search for copies must find", examples=[300])
    seed: int = Field(0, description="number that fixes all draws", examples=[1])
    device: Device = "auto"
    jobs: int | None = Field(
        None,
        ge=1,
        le=MOST_JOBS,
        description="trainings at once",
        examples=[4],
        json_schema_extra=said(unset="chosen"),
    )
    phantom: Path | None = Field(
        None,
        description="phantom cohort: what do simulated patients alone teach a detector?",
        examples=["phantom"],
        json_schema_extra=said(unset="not asked", metavar="COHORT"),
    )
    run: Path | None = Field(
        None,
        description="the GAN's run: does its discriminator remember its patients?",
        examples=["run"],
        json_schema_extra=said(unset="not asked", metavar="RUN"),
    )
    cells: Path | None = Field(
        None,
        description="folder of finished trainings, which are never run twice",
        examples=["evaluation.cells"],
        json_schema_extra=said(unset="beside the output", metavar="FOLDER"),
    )
    thresholds: Thresholds = Field(default_factory=Thresholds, description="where a light changes colour")
    utility: UtilityConfig = Field(
        default_factory=UtilityConfig, description="the trainings that answer whether it is useful"
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_the_preset(cls, values: object) -> object:
        """Settings that are not given are those of the preset."""
        if isinstance(values, dict) and "extractor" in values:
            raise ValueError("it is run as a program: name it on the command line, with --extractor, or in Python")
        if not isinstance(values, dict) or values.get("preset", "quick") not in PRESETS:
            return values
        own = PRESETS[values.get("preset", "quick")]
        merged: dict[str, object] = {**own, **values}
        if isinstance(values.get("utility"), dict):
            merged["utility"] = {**own.get("utility", {}), **values["utility"]}
        return merged
