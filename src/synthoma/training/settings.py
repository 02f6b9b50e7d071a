"""How a model is trained: budget, seed, device, and the model's own settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from synthoma.core.config import Config, meanings, toml_lines
from synthoma.models.segmenters import FROM_GAN
from synthoma.training.recipes import AUTO, SECTION, ClassifierConfig, GanConfig, Kind, SegmenterConfig, recipe

BEGUN = 0.5
"""Share of the usual learning rate for a segmenter that begins with a trained one, whose knowledge it would lose."""


class TrainConfig(Config):
    """Settings of one training."""

    model: str = Field(AUTO, description="see `synthoma train --list`; auto chooses a generator")
    minutes: float | None = Field(
        None, ge=1e-6, le=525_600, description="budget in minutes of training; 10 if images is not set either"
    )
    images: int | None = Field(None, ge=1, description="budget in images shown; makes a run exact and resumable")
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    with_masks: bool = Field(False, description="generators: draw the label channels together with the modalities")
    conditional: bool = Field(False, description="generators: give the class to generator and discriminator")
    phantom: Path | None = Field(
        None, description="phantom-gan: cohort of simulated slices that are repainted; else its own"
    )
    simulate: int | None = Field(
        None, ge=1, le=100_000, description="phantom-gan without --phantom: simulated patients, else 80"
    )
    extra: tuple[Path, ...] = Field((), description="detectors: cohorts that are learned from too (--with)")
    init: str | None = Field(
        None,
        description="begin with a run or model file (phantom-gan, unet-25d: or `phantom`); else with random weights",
    )
    classes: tuple[str, ...] | None = Field(None, description="train on slices of these classes only; else all")
    limit: int | None = Field(None, ge=1, description="learn from so many random training slices only; else all")
    patients: int | None = Field(
        None, ge=1, description="detectors: learn from so many random training patients; else all"
    )
    snapshots: int = Field(10, ge=1, le=1000, description="how often the run is scored and saved")
    patience: int = Field(0, ge=0, description="stop after so many snapshots without a better score; 0 never")
    keep: int = Field(2, ge=1, description="checkpoints that are kept")
    reasons: tuple[str, ...] = Field((), description="why `auto` chose these settings")
    gan: GanConfig = Field(default_factory=GanConfig)
    segmenter: SegmenterConfig = Field(default_factory=SegmenterConfig)
    classifier: ClassifierConfig = Field(default_factory=ClassifierConfig)

    @property
    def kind(self) -> Kind:
        """What the model is."""
        return recipe(self.model)[0]

    def own(self) -> dict[str, Any]:
        """The settings as plain data, without the sections of other kinds of model."""
        return self.model_dump(mode="json", exclude=set(SECTION.values()) - {SECTION[self.kind]})

    def to_toml(self) -> str:
        """The resolved settings as TOML, without the sections of other kinds of model."""
        return "\n".join(toml_lines(self.own(), meanings=meanings(type(self)))) + "\n"

    @model_validator(mode="before")
    @classmethod
    def _start_from_the_models_own_settings(cls, values: Any) -> Any:
        """Settings that are not given are those of the named model, not of the class."""
        if not isinstance(values, dict):
            return values
        kind, own = recipe(values.get("model", AUTO))
        if values.get("init") and isinstance(own, SegmenterConfig) and own.network not in FROM_GAN:
            own = own.model_copy(update={"rate": BEGUN * own.rate})
        for other, section in SECTION.items():
            if other != kind and isinstance(values.get(section), dict):
                raise ValueError(f"{values.get('model', AUTO)} is a {kind}: its settings are in {SECTION[kind]}")
        given = values.get(SECTION[kind]) or {}
        if isinstance(given, dict):
            values = {**values, SECTION[kind]: {**own.model_dump(), **given}}
        return values

    @model_validator(mode="after")
    def _fitting_together(self) -> Self:
        if self.minutes is not None and self.images is not None:
            raise ValueError("give minutes or images, not both")
        if self.kind == "generator" and (self.extra or self.patients):
            raise ValueError(
                f"--with and --patients are for detectors, not for {self.model}: give one, as in --model unet-25d"
            )
        repaints = self.kind == "generator" and self.gan.network == "repaint"
        if self.kind == "generator" and self.init == "phantom" and not repaints and self.model != AUTO:
            raise ValueError(
                f"--init phantom is for phantom-gan and unet-25d: begin {self.model} with a run of its own kind"
            )
        if repaints and self.conditional:
            raise ValueError(f"{self.model} takes its classes from the simulated slices: leave out --conditional")
        if self.phantom is not None and not repaints and self.model != AUTO:
            raise ValueError("--phantom is for phantom-gan; to begin a detector with the phantom use --init phantom")
        if self.kind != "generator" and (self.with_masks or self.conditional):
            raise ValueError(f"--with-masks and --conditional are for generators; this model is a {self.kind}")
        return self
