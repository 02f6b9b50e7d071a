"""How a model is trained: budget, seed, device, and the model's own settings."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from synthoma.config import Config
from synthoma.training.recipes import GanConfig, generator_config


class TrainConfig(Config):
    """Settings of one training."""

    model: str = Field("dcgan", description="see `synthoma train --list`")
    minutes: float | None = Field(None, gt=0, description="budget in minutes of training")
    images: int | None = Field(None, ge=1, description="budget in images shown; makes a run exact and resumable")
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    with_masks: bool = Field(False, description="draw the label channels together with the modalities")
    conditional: bool = Field(False, description="give the class to generator and discriminator")
    classes: tuple[str, ...] | None = Field(None, description="train on slices of these classes only")
    limit: int | None = Field(None, ge=1, description="learn from so many random training slices only")
    snapshots: int = Field(10, ge=1, le=1000, description="how often the run is scored and saved")
    patience: int = Field(0, ge=0, description="stop after so many snapshots without a better score; 0 never")
    keep: int = Field(2, ge=1, description="checkpoints that are kept")
    gan: GanConfig = Field(default_factory=GanConfig)

    @model_validator(mode="before")
    @classmethod
    def _start_from_the_models_own_settings(cls, values: Any) -> Any:
        """Settings that are not given are those of the named model, not of the class."""
        if isinstance(values, dict):
            given = values.get("gan") or {}
            if isinstance(given, dict):
                own = generator_config(values.get("model", "dcgan")).model_dump()
                values = {**values, "gan": {**own, **given}}
        return values

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.minutes is not None and self.images is not None:
            raise ValueError("give minutes or images, not both")
        return self
