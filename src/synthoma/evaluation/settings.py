"""What is evaluated, and the thresholds: fixed before anything is measured, in a file that the user can read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from synthoma.core.config import MOST_JOBS, Config

Preset = Literal["quick", "standard", "full"]


class Thresholds(Config):
    """Where a light changes colour. They are read before anything is measured, and written into evaluation.json."""

    alpha: float = Field(0.05, gt=0, lt=0.5, description="level of every test")
    realistic_ratio: float = Field(1.22, gt=1, description="distance over that between real patients: up to here GOOD")
    unrealistic_ratio: float = Field(2.0, gt=1, description="from here on POOR")
    told_apart: float = Field(
        0.8,
        ge=0.5,
        le=1,
        description="AUC of a model that tells synthetic from real: GOOD up to here, if beyond chance",
    )
    diverse_share: float = Field(
        0.7, gt=0, le=1, description="recall and coverage over real-vs-real: from here on GOOD"
    )
    poor_share: float = Field(0.3, ge=0, le=1, description="up to here POOR")
    twins_share: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="share of slices with a near-identical one, beyond that of real slices: from here on FAIR",
    )
    many_twins: float = Field(0.5, gt=0, le=1, description="from here on POOR")
    copies_share: float = Field(
        0.05, gt=0, lt=1, description="upper bound of the share of copies up to which none is news"
    )
    agreement_gap: float = Field(
        0.15, ge=0, le=1, description="Dice by which synthetic masks may agree less than real ones before POOR"
    )
    least_effect: float = Field(
        0.05, gt=0, lt=1, description="gain in Dice (or accuracy) that must be detectable before NO EVIDENCE is said"
    )


class UtilityConfig(Config):
    """The trainings that answer whether it is useful."""

    seeds: int = Field(3, ge=2, le=50, description="trainings of each arm, with other weights, draws and patients")
    steps: int = Field(800, ge=10, description="batches of 16 slices in each training, the same in every arm")
    shares: tuple[float, ...] = Field((0.25, 0.5), description="shares of the real patients on the learning curve")
    ratios: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.5, 1.0), min_length=1, description="synthetic slices for each real one in a batch"
    )
    detectors: tuple[Literal["small", "large"], ...] = Field(("small",), min_length=1, description="sizes of detector")
    tuned_share: float = Field(0.1, gt=0, le=1, description="real patients for fine-tuning after synthetic ones")
    patients: int | None = Field(None, ge=2, description="use so many of the real training patients as what one has")


PRESETS: dict[Preset, dict[str, Any]] = {
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

    preset: Preset = Field("quick", description="quick: scores; standard: and trained detectors; full: more of all")
    limit: int = Field(1000, ge=20, description="images of each kind that are scored")
    halves: int = Field(59, ge=9, description="real-vs-real divisions that each score is held against")
    splits: int = Field(
        0, ge=0, le=100, description="divisions of the patients over which realism and diversity are judged again"
    )
    faults: bool = Field(False, description="plant known faults into real images: what would the scores have caught?")
    canaries: int = Field(200, ge=20, description="altered copies that the search for copies must find")
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    jobs: int | None = Field(None, ge=1, le=MOST_JOBS, description="trainings at once; chosen if not given")
    phantom: Path | None = Field(None, description="phantom cohort: what simulated patients alone teach")
    run: Path | None = Field(None, description="the GAN's run: its discriminator is asked whom it remembers")
    cells: Path | None = Field(None, description="folder of finished trainings (default: beside the output)")
    thresholds: Thresholds = Field(default_factory=Thresholds)
    utility: UtilityConfig = Field(default_factory=UtilityConfig)

    @model_validator(mode="before")
    @classmethod
    def _start_from_the_preset(cls, values: Any) -> Any:
        """Settings that are not given are those of the preset."""
        if isinstance(values, dict) and "extractor" in values:
            raise ValueError("it is run as a program: name it on the command line, with --extractor, or in Python")
        if not isinstance(values, dict) or values.get("preset", "quick") not in PRESETS:
            return values
        own = PRESETS[values.get("preset", "quick")]
        merged = {**own, **values}
        if isinstance(values.get("utility"), dict):
            merged["utility"] = {**own.get("utility", {}), **values["utility"]}
        return merged
