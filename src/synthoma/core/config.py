"""Typed settings: defaults beside what they configure, then a TOML file, then ``key=value``, then flags; last wins."""

from __future__ import annotations

import difflib
import inspect
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from synthoma.core.errors import ConfigError
from synthoma.core.fields import Setting, said, settings_of
from synthoma.core.toml import DECIDED, DEFAULT, GIVEN, marks_in, parsed, toml_value
from synthoma.core.toml import toml_lines as toml_lines

MOST_JOBS = 4096
"""Worker processes; more are a slip of the keyboard."""

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    Field(
        description="what computes: the processor (cpu), an NVIDIA GPU (cuda), an Apple one (mps), or auto for cuda if "
        "it is there and else the processor",
        examples=["cpu"],
    ),
]
Jobs = Annotated[
    int,
    Field(
        ge=0,
        le=MOST_JOBS,
        description="how many work at once; 0 chooses",
        examples=[4],
        json_schema_extra=said(unit="processes"),
    ),
]
"""Settings that several commands have."""


class Config(BaseModel):
    """Base of all settings: immutable, validated, and closed to keys that do not exist.

    ``model_fields_set`` holds what the user gave, in every section, however the rest came about: a model's own
    settings, a preset, a plan.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Say in Python's documentation, too, what the fields say."""
        told = [f"    {name}: {one.sentence()}" for name, one in settings_of(cls).items() if "." not in name]
        if told and cls.__doc__:
            cls.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__), "", "Attributes:", *told])

    @classmethod
    def resolve(
        cls,
        file: Path | None = None,
        assignments: Iterable[str] = (),
        flags: Mapping[str, object] | None = None,
    ) -> Self:
        """Settings from all sources; later ones win.

        Args:
            file: TOML file with any of the fields.
            assignments: ``key=value`` texts; the value is read as TOML, and as plain text where it is none.
            flags: values given by the caller; None means "not given".

        Raises:
            ConfigError: an unknown key (with the nearest known one), a wrong type, a value out of range.
        """
        text = _read(file) if file else ""
        values: dict[str, object] = parsed(text, file) if file else {}
        # Read twice, and not copied: nested tables would be shared, and what is taken out of one be gone from both.
        given: dict[str, object] = parsed(text, file) if file else {}
        marks = marks_in(text)
        for name in marks:
            _take_out(given, name)
        for assignment in assignments:
            _assign(values, assignment)
            _assign(given, assignment)
        # None is no value here: an option that nobody gave must not undo what the file says.
        told = {key: value for key, value in (flags or {}).items() if value is not None}
        values.update(told)
        given.update(told)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            raise _explain(cls, error) from None
        except (TypeError, AttributeError) as error:  # what comes before validation tripped over a value's type
            raise ConfigError("values of the right types", str(error), "see --print-config for valid ones") from None
        _remember(settings, given)
        known = settings.given()
        cls._notice_edits(
            settings, values, [name for name, mark in marks.items() if mark == DEFAULT and name not in known]
        )
        return settings

    @classmethod
    def _notice_edits(cls, settings: Self, values: dict[str, object], marked: list[str]) -> None:
        """What is marked as a default, but is none any more because somebody changed it in the file, was given."""
        if not marked:
            return
        for name in marked:
            _take_out(values, name)
        try:
            usual = cls.model_validate(values)
        except (ValidationError, ConfigError, TypeError, AttributeError):
            return
        for name in marked:
            *parents, leaf = name.split(".")
            here: object = settings
            there: object = usual
            for parent in parents:
                here, there = getattr(here, parent, None), getattr(there, parent, None)
            if isinstance(here, BaseModel) and getattr(here, leaf, None) != getattr(there, leaf, None):
                _set(settings, name)

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """A copy with changes of the program's own: what the user gave stays what the user gave."""
        copy = super().model_copy(update=update, deep=deep)
        # pydantic counts what `update` changes as given.
        copy.model_fields_set.intersection_update(self.model_fields_set)
        return copy

    def own(self) -> dict[str, JsonValue]:
        """The settings as plain data."""
        return self.model_dump(mode="json")

    def given(self) -> set[str]:
        """What the user gave, as "key" and "section.key"."""
        return set(_given(self))

    def decisions(self) -> tuple[str, ...]:
        """What the program decided, as "key" and "section.key"."""
        return ()

    def origins(self) -> dict[str, str]:
        """Where each setting comes from: given, decided or default, by "key" and "section.key"."""
        given, decided = self.given(), self.decisions()
        known = settings_of(type(self))
        return {name: GIVEN if name in given else DECIDED if name in decided else DEFAULT for name in known}

    def to_toml(self) -> str:
        """The resolved settings as TOML, which reads back as the same.

        What is not set (None) stands as a comment, with what it would do; what is a default, or was decided, says so.
        """
        known = settings_of(type(self))
        written = {name for name, setting in known.items() if setting.written}
        values = {name: value for name, value in self.own().items() if value or name not in written}
        meanings = {name: _meaning(setting) for name, setting in known.items()}
        origins = {**self.origins(), **dict.fromkeys(written, DECIDED)}
        marks = {name: origin for name, origin in origins.items() if origin != GIVEN}
        return "\n".join(toml_lines(values, meanings=meanings, marks=marks)) + "\n"


def _meaning(setting: Setting) -> str:
    """What stands behind "not set" in a comment."""
    return f"{f': {setting.unset}' if setting.unset else ''}{f'; {setting.words}' if setting.words else ''}"


def _given(settings: BaseModel, inside: str = "") -> Iterable[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _given(value, f"{inside}{name}.")
        elif name in settings.model_fields_set:
            yield inside + name


def _remember(settings: BaseModel, given: Mapping[str, object]) -> None:
    """Leave in ``model_fields_set`` what was given: validators of the class fill in more."""
    settings.model_fields_set.intersection_update(given)
    for name in type(settings).model_fields:
        inner, below = getattr(settings, name), given.get(name)
        if isinstance(inner, BaseModel) and not isinstance(below, BaseModel):
            _remember(inner, below if isinstance(below, Mapping) else {})


def _set(settings: BaseModel, name: str) -> None:
    """Note that "section.key" was given."""
    first, _, rest = name.partition(".")
    settings.model_fields_set.add(first)
    if rest:
        _set(getattr(settings, first), rest)


def _take_out(values: dict[str, object], name: str) -> None:
    """Remove "section.key" from nested values."""
    first, _, rest = name.partition(".")
    if not rest:
        values.pop(first, None)
    elif isinstance(inner := values.get(first), dict):
        _take_out(inner, rest)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError("a readable settings file", f"{file}: {error.strerror}", "check the path") from None
    except ValueError as error:  # no UTF-8
        raise ConfigError("a TOML file", f"{file}: {error}", "see --print-config for a valid one") from None


def _assign(values: dict[str, object], assignment: str) -> None:
    """Set ``key.sub=value`` in nested ``values``."""
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise ConfigError("key=value", repr(assignment), "write for example --set size=64")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except (ValueError, RecursionError) as error:
        raise ConfigError("a value", f"{key} = {text[:40]}... ({error})", "write it shorter") from None
    *parents, leaf = key.strip().replace("-", "_").split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"settings in {parent!r}", f"{assignment!r} after a value", "give one of both")
        values = inner
    values[leaf] = value


def _explain(cls: type[Config], error: ValidationError) -> ConfigError:
    """The first validation problem in one line, with the nearest known name for a key or word that does not exist."""
    # The first problem alone: what follows is often made by it.
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"]) or cls.__name__
    if problem["type"] == "extra_forbidden":
        known = _names(cls)
        near = difflib.get_close_matches(key, known, n=1)
        todo = f"did you mean {near[0]!r}?" if near else f"known settings: {', '.join(known)}"
        return ConfigError("a known setting", repr(key), todo)
    setting = _named(cls, problem["loc"])
    came = f"{problem.get('input')!r}"
    if setting is None or problem["type"] in ("value_error", "assertion_error"):
        message = problem["msg"].removeprefix("Value error, ")
        return ConfigError(f"a valid value of {key!r}", f"{came} ({message})", "see --print-config")
    near = difflib.get_close_matches(str(problem.get("input")), setting.choices, n=1)
    example = "see --print-config" if setting.example is None else f"write for example {toml_value(setting.example)}"
    todo = f"did you mean {near[0]!r}?" if near else "choose one of them" if setting.choices else example
    return ConfigError(f"{setting.name} as {setting.wanted}", came, todo)


def _named(cls: type[Config], place: tuple[int | str, ...]) -> Setting | None:
    """The setting that a problem is in; behind its name the place may go on, with the number of an item."""
    known = settings_of(cls)
    names = (".".join(map(str, place[:end])) for end in range(len(place), 0, -1))
    return next((known[name] for name in names if name in known), None)


def _names(cls: type[BaseModel]) -> list[str]:
    """All settings as "key" and "key.sub"."""
    names: list[str] = []
    for name, field in cls.model_fields.items():
        inner = field.annotation
        nested = _names(inner) if isinstance(inner, type) and issubclass(inner, BaseModel) else []
        names += [name, *(f"{name}.{sub}" for sub in nested)]
    return names


Settings = TypeVar("Settings", bound=Config)


def settled(kind: type[Settings], config: Settings | None, settings: Mapping[str, object]) -> Settings:
    """The settings of a call: a config, or single ones by name; an opened artefact stands for its folder.

    Raises:
        ConfigError: both, or a setting that does not exist or is out of range.
    """
    if config is not None and settings:
        raise ConfigError("either a config or single settings", "both", "put the settings into the config")
    flags = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in settings.items()}
    return config or kind.resolve(flags=flags)
