"""Generators by name, and the settings of their training. Networks are loaded when one is built, not here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from synthoma.core.config import Config
from synthoma.core.errors import ConfigError
from synthoma.core.fields import said
from synthoma.core.plugins import plugged_in
from synthoma.generators.autoencoders.models import MODELS as AUTOENCODERS
from synthoma.generators.flow.models import MODELS as FLOW
from synthoma.generators.gan.models import MODELS as GAN
from synthoma.generators.phantomgan.models import MODELS as PHANTOM
from synthoma.generators.settings import GanConfig
from synthoma.training.settings import AUTO, Kind, Recipes, TrainingConfig, no_such_model

_PLANNED = ("looks at cohort, device and minutes, and chooses among the others", GanConfig())


def generators() -> dict[str, tuple[str, GanConfig]]:
    """Name -> what it is, and its settings: those of the package, then those plugged in.

    Raises:
        ConfigError: a plug-in that cannot be loaded, or is no family.
    """
    added: dict[str, tuple[str, GanConfig]] = {}
    for name, family in plugged_in("synthoma.generators").items():
        if not isinstance(getattr(family, "models", None), Mapping):
            came = f"{name!r} names {type(family).__name__}"
            raise ConfigError("a GeneratorFamily behind each entry point of synthoma.generators", came, "correct it")
        added |= family.models
    return {AUTO: _PLANNED, **GAN, **PHANTOM, **FLOW, **AUTOENCODERS, **added}


SEEDS: Recipes = {
    "dcgan-seed": {
        # 3,750 steps an epoch are left from another data set (60,000 / 16); ten epochs in batches of 4.
        "seed": (GAN["dcgan-seed"][1], {"images": 150_000}),
        "corrected": (
            GanConfig(network="seed", label_smoothing=0.1, augment=("mirror", "translation"), augment_probability=0.5),
            {},
        ),
    }
}
"""Model -> recipe -> its settings, and those of the training beside them."""


class GeneratorTraining(TrainingConfig):
    """Settings of the training of a generator."""

    with_masks: bool = Field(False, description="of generators: draw the mask with each image", examples=[True])
    conditional: bool = Field(False, description="of generators: draw a class on request", examples=[True])
    phantom: Path | None = Field(
        None,
        description="cohort of simulated slices that phantom-gan repaints",
        examples=["phantom"],
        json_schema_extra=said(unset="patients of its own", metavar="COHORT"),
    )
    simulate: int | None = Field(
        None,
        ge=0,
        le=100_000,
        description="how many patients of its own phantom-gan simulates, or unet-25d learns from beside the real ones",
        examples=[200],
        json_schema_extra=said(unit="patients", unset="80; 60 for unet-25d of real scans"),
    )
    until_fooled: int = Field(
        0,
        ge=0,
        description="of GANs: stop after so many snapshots in a row at which D cannot tell; 0 never stops",
        examples=[3],
        json_schema_extra=said(unit="snapshots"),
    )
    gan: GanConfig = Field(default_factory=GanConfig, description="what is told to a generator")

    @classmethod
    def of_model(cls, name: str) -> tuple[Kind, Config]:
        """Kind and own settings of a generator by name.

        Raises:
            ConfigError: no generator of that name, with the nearest one.
        """
        if name not in (known := generators()):
            raise no_such_model(name, known)
        return "generator", known[name][1]

    @classmethod
    def recipes(cls) -> Recipes:
        """Settings of seed projects, by model."""
        return SEEDS

    def cohorts(self) -> tuple[Path, ...]:
        """Cohorts that are learned from beside the first."""
        return (*super().cohorts(), *([self.phantom] if self.phantom else []))

    @model_validator(mode="after")
    def _of_a_generator(self) -> Self:
        repaints = self.kind == "generator" and self.gan.network == "repaint"
        if self.kind == "generator" and self.init == "phantom" and not repaints and self.model != AUTO:
            raise ValueError(
                f"--init phantom is for phantom-gan and unet-25d: begin {self.model} with a run of its own kind"
            )
        if repaints and self.simulate == 0:
            raise ValueError(f"{self.model} repaints simulated patients: ask for one or more with simulate")
        if repaints and self.conditional:
            raise ValueError(f"{self.model} takes its classes from the simulated slices: leave out --conditional")
        if self.phantom is not None and not repaints and self.model != AUTO:
            raise ValueError("--phantom is for phantom-gan; to begin a detector with the phantom use --init phantom")
        return self
