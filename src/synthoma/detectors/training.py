"""Settings of the training of a detector, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from synthoma.core.config import Config
from synthoma.core.fields import said
from synthoma.detectors.models import CLASSIFIERS, SEGMENTERS
from synthoma.detectors.seeds import SEEDS
from synthoma.detectors.settings import FROM_GAN, ClassifierConfig, SegmenterConfig
from synthoma.training.settings import FROM_NOTHING, Kind, Recipes, TrainingConfig, model_field, no_such_model

BEGUN = 0.5
"""Share of the usual learning rate for a segmenter that begins with a trained one, whose knowledge it would lose."""


class DetectorTraining(TrainingConfig):
    """Settings of the training of a detector: a segmenter or classifier."""

    model: str = model_field("unet-25d")
    extra: tuple[Path, ...] = Field(
        (),
        description="of detectors: learn from this cohort too; may be given several times",
        examples=["synthetic"],
        json_schema_extra=said(flag="--with", metavar="COHORT"),
    )
    patients: int | None = Field(
        None,
        ge=1,
        description="of detectors: learn from so many random training patients only",
        examples=[20],
        json_schema_extra=said(unit="patients", unset="all"),
    )
    segmenter: SegmenterConfig = Field(default_factory=SegmenterConfig, description="what is told to a segmenter")
    classifier: ClassifierConfig = Field(default_factory=ClassifierConfig, description="what is told to a classifier")

    @classmethod
    def of_model(cls, name: str) -> tuple[Kind, Config]:
        """Kind and own settings of a detector by name.

        Raises:
            ConfigError: no detector of that name, with the nearest one.
        """
        if name in SEGMENTERS:
            return "segmenter", SEGMENTERS[name][1]
        if name in CLASSIFIERS:
            return "classifier", CLASSIFIERS[name][1]
        raise no_such_model(name, [*SEGMENTERS, *CLASSIFIERS])

    @classmethod
    def recipes(cls) -> Recipes:
        """Settings of seed projects, by model."""
        return SEEDS

    @classmethod
    def begun(cls, own: Config, values: Mapping[str, object]) -> Config:
        """A segmenter that begins with a trained one learns at half its usual rate."""
        if (
            values.get("init") not in (None, FROM_NOTHING)
            and isinstance(own, SegmenterConfig)
            and own.network not in FROM_GAN
        ):
            return own.model_copy(update={"rate": BEGUN * own.rate})
        return super().begun(own, values)

    def cohorts(self) -> tuple[Path, ...]:
        """Cohorts that are learned from beside the first."""
        return (*super().cohorts(), *self.extra)
