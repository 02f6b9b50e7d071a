"""What every training is told: model, budget, seed, device, what it begins with, and how often it is judged."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from synthoma.core.config import Config, Device
from synthoma.core.errors import ConfigError
from synthoma.core.fields import said

Kind = Literal["generator", "segmenter", "classifier"]
Recipe = Literal["seed", "corrected"]
Recipes = Mapping[str, Mapping[Recipe, tuple[Config, Mapping[str, object]]]]
"""Model -> recipe -> its own settings, and those of the training beside them."""
SECTION: dict[Kind, str] = {"generator": "gan", "segmenter": "segmenter", "classifier": "classifier"}
"""Kind of model -> the section of the settings that concerns it."""

AUTO = "auto"
"""The generator that is planned for each cohort, see ``generators.auto``."""

_WRITTEN = {"reasons", "decided"}

BUDGET = ("minutes", "images", "epochs")
"""Forms of a budget."""

FROM_NOTHING = "none"
"""What is said to begin with random weights where a model would begin with others by itself."""

DEFAULT_MINUTES = 10.0
"""Budget where none is given."""


def model_field(default: str) -> str:
    """The setting that names the model, for a class of trainings that begins with another one."""
    return Field(
        default,
        description="which model, see `synthoma train --list`; auto chooses a generator for the cohort",
        examples=["dcgan"],
        json_schema_extra=said(metavar="NAME"),
    )


class TrainingConfig(Config):
    """Settings that models of every kind have; generators and detectors add their own."""

    model: str = model_field(AUTO)
    recipe: Recipe | None = Field(
        None,
        description="of models named ...-seed: settings of the seed project with its flaws (seed), or without them "
        "(corrected)",
        examples=["seed"],
        json_schema_extra=said(unset="the model's own settings"),
    )
    minutes: float | None = Field(
        None,
        ge=1e-6,
        le=525_600,
        description="budget of the training in minutes",
        examples=[30],
        json_schema_extra=said(unit="minutes", unset="10, if no other budget is given"),
    )
    images: int | None = Field(
        None,
        ge=1,
        description="budget as images shown, which makes a run exact and resumable",
        examples=[100000],
        json_schema_extra=said(unit="images", unset="the minutes decide"),
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="of generators: budget as how often each training slice is shown, with a snapshot after each time",
        examples=[50],
        json_schema_extra=said(unit="epochs", unset="the minutes decide"),
    )
    seed: int = Field(0, description="number that fixes every random draw", examples=[1])
    device: Device = "auto"
    init: str | None = Field(
        None,
        description="begin with a run or a model file; phantom-gan and unet-25d also with `phantom`, which is shipped; "
        "none for random weights",
        examples=["phantom"],
        json_schema_extra=said(unset="phantom for unet-25d of real scans, random weights for others", metavar="RUN"),
    )
    classes: tuple[str, ...] | None = Field(
        None,
        description="train on slices of these classes only, with commas between them",
        examples=["tumour"],
        json_schema_extra=said(unset="all", flag="--class", metavar="A,B,..."),
    )
    limit: int | None = Field(
        None,
        ge=1,
        description="learn from so many random training slices only",
        examples=[500],
        json_schema_extra=said(unit="slices", unset="all"),
    )
    snapshots: int = Field(
        10,
        ge=1,
        le=1000,
        description="how often the run is scored and saved",
        examples=[20],
        json_schema_extra=said(unit="times"),
    )
    patience: int = Field(
        0,
        ge=0,
        description="stop after so many snapshots without a better score; 0 never stops",
        examples=[5],
        json_schema_extra=said(unit="snapshots"),
    )
    keep: int = Field(2, ge=1, description="how many checkpoints are kept", examples=[5])
    reasons: tuple[str, ...] = Field(
        (), description="why `auto` chose these settings", json_schema_extra=said(written=True)
    )
    decided: tuple[str, ...] = Field((), description="settings that `auto` chose", json_schema_extra=said(written=True))

    @classmethod
    def of_model(cls, name: str) -> tuple[Kind, Config]:
        """Kind and own settings of a model by name.

        Raises:
            ConfigError: no such model.
        """
        raise no_such_model(name, ())  # what knows models stands above: generators, detectors

    @classmethod
    def recipes(cls) -> Recipes:
        """Settings of seed projects, by model."""
        return {}

    @classmethod
    def begun(cls, own: Config, values: Mapping[str, object]) -> Config:
        """A model's own settings where these values say that it begins with a trained one."""
        return own

    @property
    def kind(self) -> Kind:
        """What the model is."""
        return self.of_model(self.model)[0]

    def cohorts(self) -> tuple[Path, ...]:
        """Cohorts that are learned from beside the first."""
        return ()

    def own(self) -> dict[str, JsonValue]:
        """The settings as plain data, without the sections of other kinds of model."""
        others = set(SECTION.values()) - {SECTION[self.kind]}
        return self.model_dump(mode="json", exclude=others if self.decided else {*others, "decided"})

    def decisions(self) -> tuple[str, ...]:
        """What `auto` decided, as "key" and "section.key"."""
        return self.decided

    def beside(self, asked: TrainingConfig) -> Self:
        """These settings, made from others that somebody asked for: what is not as asked for, was decided.

        Sizes of the network are held against those of the model that was chosen.
        """
        section = SECTION[self.kind]
        before, after = asked.model_dump(exclude=_WRITTEN), self.model_dump(exclude=_WRITTEN)
        usual, chosen = self.of_model(self.model)[1].model_dump(), after.pop(section)
        changed = [name for name, value in after.items() if name not in SECTION.values() and value != before[name]]
        changed += [f"{section}.{name}" for name, value in chosen.items() if value != usual[name]]
        planned = self.model_copy(update={"decided": tuple(changed)})
        planned.model_fields_set.intersection_update(asked.model_fields_set - set(changed))
        getattr(planned, section).model_fields_set.clear()  # where a plan is made, nobody may give them
        return planned

    @model_validator(mode="before")
    @classmethod
    def _start_from_the_models_own_settings(cls, values: object) -> object:
        """Settings that are not given are those of the named model, not of the class."""
        if not isinstance(values, dict):
            return values
        name = values.get("model", cls.model_fields["model"].default)
        kind, own = cls.of_model(name)
        if (recipe := values.get("recipe")) is not None:
            own, beside = cls._by_recipe(name, recipe)
            spent = values.get("minutes") is not None  # a budget that was given counts, not the seed's
            values = {**{key: value for key, value in beside.items() if key != "images" or not spent}, **values}
        own = cls.begun(own, values)
        for other, section in SECTION.items():
            if other != kind and isinstance(values.get(section), dict):
                raise ValueError(f"{name} is a {kind}: its settings are in {SECTION[kind]}")
        given = values.get(SECTION[kind]) or {}
        if isinstance(given, dict):
            values = {**values, SECTION[kind]: {**own.model_dump(), **given}}
        return values

    @classmethod
    def _by_recipe(cls, name: str, recipe: str) -> tuple[Config, Mapping[str, object]]:
        """Settings of a seed project."""
        known = cls.recipes()
        if name not in known:
            raise ValueError(f"{name} has no recipes: they are for {', '.join(known)}")
        found = {str(key): settings for key, settings in known[name].items()}
        if recipe not in found:
            raise ValueError(f"a recipe is one of {', '.join(found)}")
        return found[recipe]

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.minutes is not None and self.images is not None:
            raise ValueError("give minutes or images, not both")
        if self.epochs is not None and self.budgeted(without=("epochs",)):
            raise ValueError("give minutes, images or epochs, one of them")
        if self.epochs is not None and self.kind != "generator":
            raise ValueError(f"--epochs is for generators; this model is a {self.kind}: give --images or --minutes")
        return self

    def budgeted(self, without: tuple[str, ...] = ()) -> bool:
        """Whether somebody gave a budget, in one of its forms."""
        return any(getattr(self, name) is not None for name in BUDGET if name not in without)

    def budget(self) -> dict[str, float | int | None]:
        """The budget in all its forms, of which one is given at most."""
        return {name: getattr(self, name) for name in BUDGET}


def no_such_model(name: str, known: Iterable[str]) -> ConfigError:
    """What to say of a model that does not exist, with the nearest one."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    todo = f"did you mean {near[0]!r}?" if near else "choose one of them"
    return ConfigError(f"a model: {', '.join(names)}", repr(name), todo)
