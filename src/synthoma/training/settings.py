"""What every training is told: model, budget, seed, device, what it begins with, and how often it is judged."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from synthoma.core.config import Config, meanings, toml_lines
from synthoma.core.errors import ConfigError

Kind = Literal["generator", "segmenter", "classifier"]
SECTION: dict[Kind, str] = {"generator": "gan", "segmenter": "segmenter", "classifier": "classifier"}
"""Kind of model -> the section of the settings that concerns it."""

AUTO = "auto"
"""The generator that is planned for each cohort, see ``generators.auto``."""

DEFAULT_MINUTES = 10.0
"""Budget where none is given."""


class TrainingConfig(Config):
    """Settings that models of every kind have; generators and detectors add their own."""

    model: str = Field(AUTO, description="see `synthoma train --list`; auto chooses a generator")
    minutes: float | None = Field(
        None, ge=1e-6, le=525_600, description="budget in minutes of training; 10 if images is not set either"
    )
    images: int | None = Field(None, ge=1, description="budget in images shown; makes a run exact and resumable")
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    init: str | None = Field(
        None,
        description="begin with a run or model file (phantom-gan, unet-25d: or `phantom`); else with random weights",
    )
    classes: tuple[str, ...] | None = Field(None, description="train on slices of these classes only; else all")
    limit: int | None = Field(None, ge=1, description="learn from so many random training slices only; else all")
    snapshots: int = Field(10, ge=1, le=1000, description="how often the run is scored and saved")
    patience: int = Field(0, ge=0, description="stop after so many snapshots without a better score; 0 never")
    keep: int = Field(2, ge=1, description="checkpoints that are kept")
    reasons: tuple[str, ...] = Field((), description="why `auto` chose these settings")

    @classmethod
    def recipe(cls, name: str) -> tuple[Kind, Config]:
        """Kind and own settings of a model by name.

        Raises:
            ConfigError: no such model.
        """
        raise NotImplementedError

    @classmethod
    def begun(cls, own: Config, values: dict[str, Any]) -> Config:
        """A model's own settings where these values say that it begins with a trained one."""
        return own

    @property
    def kind(self) -> Kind:
        """What the model is."""
        return self.recipe(self.model)[0]

    def cohorts(self) -> tuple[Path, ...]:
        """Cohorts that are learned from beside the first."""
        return ()

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
        name = values.get("model", cls.model_fields["model"].default)
        kind, own = cls.recipe(name)
        own = cls.begun(own, values)
        for other, section in SECTION.items():
            if other != kind and isinstance(values.get(section), dict):
                raise ValueError(f"{name} is a {kind}: its settings are in {SECTION[kind]}")
        given = values.get(SECTION[kind]) or {}
        if isinstance(given, dict):
            values = {**values, SECTION[kind]: {**own.model_dump(), **given}}
        return values

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.minutes is not None and self.images is not None:
            raise ValueError("give minutes or images, not both")
        return self


def no_such_model(name: str, known: Iterable[str]) -> ConfigError:
    """What to say of a model that does not exist, with the nearest one."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    todo = f"did you mean {near[0]!r}?" if near else "choose one of them"
    return ConfigError(f"a model: {', '.join(names)}", repr(name), todo)
