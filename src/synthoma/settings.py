"""Settings of one training, whatever kind of model it is of: what `synthoma train` and ``synthoma.train`` take."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from synthoma.core.config import Config
from synthoma.detectors.models import CLASSIFIERS, SEGMENTERS
from synthoma.detectors.training import DetectorTraining
from synthoma.generators.recipes import GeneratorTraining, generators
from synthoma.training.settings import AUTO, Kind, Recipes, model_field, no_such_model


class TrainConfig(GeneratorTraining, DetectorTraining):
    """Settings of one training: those of all models, of generators, and of detectors."""

    model: str = model_field(AUTO)

    @classmethod
    def of_model(cls, name: str) -> tuple[Kind, Config]:
        """Kind and own settings of a model by name.

        Raises:
            ConfigError: no model of that name, with the nearest one.
        """
        if name in generators():
            return GeneratorTraining.of_model(name)
        if name in SEGMENTERS or name in CLASSIFIERS:
            return DetectorTraining.of_model(name)
        raise no_such_model(name, [*generators(), *SEGMENTERS, *CLASSIFIERS])

    @classmethod
    def recipes(cls) -> Recipes:
        """Settings of seed projects, by model."""
        return {**GeneratorTraining.recipes(), **DetectorTraining.recipes()}

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.kind == "generator" and (self.extra or self.patients):
            raise ValueError(
                f"--with and --patients are for detectors, not for {self.model}: give one, as in --model unet-25d"
            )
        if self.kind != "generator" and (self.with_masks or self.conditional):
            raise ValueError(f"--with-masks and --conditional are for generators; this model is a {self.kind}")
        if self.kind != "generator" and self.until_fooled:
            raise ValueError(f"--until-fooled is for GANs; this model is a {self.kind}: see --patience")
        return self
