"""Typed settings: defaults beside what they configure, then a TOML file, then ``key=value``, then flags; last wins."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from synthoma.core.errors import ConfigError

MOST_JOBS = 4096
"""Worker processes; more are a slip of the keyboard."""


class Config(BaseModel):
    """Base of all settings: immutable, validated, and closed to keys that do not exist."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def resolve(
        cls,
        file: Path | None = None,
        assignments: Iterable[str] = (),
        flags: Mapping[str, Any] | None = None,
    ) -> Self:
        """Settings from all sources; later ones win.

        Args:
            file: TOML file with any of the fields.
            assignments: ``key=value`` texts; the value is read as TOML, and as plain text where it is none.
            flags: values given by the caller; None means "not given".

        Raises:
            ConfigError: an unknown key (with the nearest known one), a wrong type, a value out of range.
        """
        values: dict[str, Any] = _read_toml(file) if file else {}
        for assignment in assignments:
            _assign(values, assignment)
        values.update({key: value for key, value in (flags or {}).items() if value is not None})
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _explain(cls, error) from None
        except (TypeError, AttributeError) as error:  # what comes before validation tripped over a value's type
            raise ConfigError("values of the right types", str(error), "see --print-config for valid ones") from None

    def to_toml(self) -> str:
        """The resolved settings as TOML; fields that are not set (None) stand as comments, with what they would do."""
        return "\n".join(toml_lines(self.model_dump(mode="json"), meanings=meanings(type(self)))) + "\n"


def toml_lines(values: Mapping[str, Any], table: str = "", meanings: Mapping[str, str] | None = None) -> list[str]:
    """One ``key = value`` line each, then what is nested as tables; a value that is None stands as a comment.

    Args:
        values: plain data.
        table: name of the table that they are in.
        meanings: what the settings do, by "table.key".
    """
    known, inside = meanings or {}, f"{table}." if table else ""
    lines = []
    for key, value in values.items():
        if value is None:
            meaning = known.get(inside + key, "")
            lines.append(f"# {key} = (not set{'; ' if meaning else ''}{meaning})")
        elif not isinstance(value, Mapping):
            lines.append(f"{key} = {_toml_value(value)}")
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{inside}{key}]", *toml_lines(value, inside + key, known)]
    return lines


def meanings(kind: type[BaseModel], inside: str = "") -> dict[str, str]:
    """What each setting does, by "key" and "table.key", where its field says so."""
    found: dict[str, str] = {}
    for name, field in kind.model_fields.items():
        if field.description:
            found[inside + name] = field.description
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= meanings(inner, f"{inside}{name}.")
    return found


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("a readable settings file", f"{file}: {error.strerror}", "check the path") from None
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, endless digits, nested without end
        raise ConfigError("a TOML file", f"{file}: {error}", "see --print-config for a valid one") from None


def _assign(values: dict[str, Any], assignment: str) -> None:
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
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"settings in {parent!r}", f"{assignment!r} after a value", "give one of both")
    values[leaf] = value


def _explain(cls: type[Config], error: ValidationError) -> ConfigError:
    """The first validation problem in one line, with the nearest known name for a key that does not exist."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"]) or cls.__name__
    if problem["type"] == "extra_forbidden":
        known = _names(cls)
        near = difflib.get_close_matches(key, known, n=1)
        todo = f"did you mean {near[0]!r}?" if near else f"known settings: {', '.join(known)}"
        return ConfigError("a known setting", repr(key), todo)
    message = problem["msg"].removeprefix("Value error, ")
    return ConfigError(f"a valid value of {key!r}", f"{problem.get('input')!r} ({message})", "see --print-config")


def _names(cls: type[BaseModel]) -> list[str]:
    """All settings as "key" and "key.sub"."""
    names: list[str] = []
    for name, field in cls.model_fields.items():
        inner = field.annotation
        nested = _names(inner) if isinstance(inner, type) and issubclass(inner, BaseModel) else []
        names += [name, *(f"{name}.{sub}" for sub in nested)]
    return names


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        # TOML has no null, and no comments inside a table: what is None is decided anew when the file is read.
        known = {key: item for key, item in value.items() if item is not None}
        return "{ " + ", ".join(f"{key} = {_toml_value(item)}" for key, item in known.items()) + " }"
    return str(value)
