"""What the field of a setting says about it: words, unit, range, choices, default, example.

A setting is described once, where it is declared::

    size: int = Field(128, ge=16, le=1024, examples=[64], description="side of the square slices",
                      json_schema_extra=said(unit="pixels"))

Help screens, printed settings, error messages, reports and docs/settings.md read it from here.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

_KINDS: dict[type, str] = {bool: "yes or no", int: "whole number", float: "number", str: "text", Path: "path"}
_OPEN = ("0 or more", "1 or more", "above 0")
"""Ranges that go without saying."""

_LEAST = 1e-3
"""Lower limits below it keep values off 0, and are said as that."""


def said(
    *,
    unit: str = "",
    unset: str = "",
    flag: str = "",
    metavar: str = "",
    span: tuple[float, float] | None = None,
    written: bool = False,
) -> dict[str, JsonValue]:
    """What a field cannot say by itself, for its ``json_schema_extra``.

    Args:
        unit: what the number counts ("pixels").
        unset: what happens where it is not set, as a word or two ("all", "recognised").
        flag: its option on the command line, where that is not its name ("--with").
        metavar: what stands for its value in a help screen ("SHARE").
        span: least and largest value, where a validator of the class holds it instead of the field.
        written: the program writes it, nobody sets it.
    """
    told: dict[str, JsonValue] = {"unit": unit, "unset": unset, "flag": flag, "metavar": metavar}
    told |= {"span": [*span] if span else "", "written": written}
    return {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class Setting:
    """One setting, in words.

    Attributes:
        name: "size", or "gan.width" of a section.
        words: what it does.
        kind: what a value is: "whole number", "text", "path".
        base: the Python type of a value, or of each where there are several.
        several: whether it takes several.
        unit: what a number counts; empty where it counts nothing.
        span: its range in words ("16 to 1024"); empty where there is none.
        choices: all values that it can have; none where they are not listed.
        default: the value where nobody sets it.
        unset: what None, or an empty list, stands for.
        example: a value; None where the default says enough.
        flag: its option on the command line, if it has one.
        metavar: what stands for its value in a help screen.
        written: the program writes it, nobody sets it.
    """

    name: str
    words: str
    kind: str
    base: type
    several: bool
    unit: str
    span: str
    choices: tuple[str, ...]
    default: object
    unset: str
    example: object
    flag: str
    metavar: str
    written: bool

    @property
    def range(self) -> str:
        """Range and unit: "16 to 1024 pixels", "in minutes"."""
        if self.unit and (not self.span or self.span.startswith("above")):
            return f"{self.span}, in {self.unit}" if self.span else f"in {self.unit}"
        return f"{self.span} {self.unit}".rstrip()

    @property
    def start(self) -> str:
        """The default in words: "128", "yes", "recognised"."""
        if self.default is None or self.default == ():
            return self.unset or "none"
        return shown(self.default)

    @property
    def wanted(self) -> str:
        """What a value must be, for an error: "one of all, tumour", "a whole number, 16 to 1024 pixels"."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        what = self.kind if self.several or self.base is bool else f"a {self.kind}"
        return f"{what}, {self.range}" if self.range else what

    def sentence(self) -> str:
        """Everything about it in one line, for a help screen."""
        plain = self.span in _OPEN or (not self.span and self.unit in self.words)
        parts = [self.words, "" if plain else self.range]
        if self.choices and not all(choice in self.words for choice in self.choices):
            parts.append(f"{'any' if self.several else 'one'} of {', '.join(self.choices)}")
        if not (self.base is bool and self.default is False):  # a switch that is off says so by not being there
            parts.append(f"default: {self.start}")
        return " ".join(as_sentence(part) for part in parts if part)


def as_sentence(words: str) -> str:
    """Words with a capital letter and a full stop; names of models begin with small letters everywhere."""
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '?')) else '.'}"


def shown(value: object) -> str:
    """A value as a user would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_of(kind: type[BaseModel]) -> dict[str, Setting]:
    """All settings of a class and its sections, by "key" and "section.key"."""
    return dict(_settings(kind))


@lru_cache(maxsize=64)
def _settings(kind: type[BaseModel]) -> tuple[tuple[str, Setting], ...]:
    return tuple((name, _setting(name, field)) for name, field in _fields(kind))


def _fields(kind: type[BaseModel], inside: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _fields(inner, f"{inside}{name}.")
        else:
            yield inside + name, field


def _setting(name: str, field: FieldInfo) -> Setting:
    told = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    base, several, choices = _taken_apart(field.annotation)
    kind = _KINDS.get(base, "text")
    # Paths are given one after the other, as shells complete them; a comma may be part of a name.
    if several and base is not Path:
        inner = get_args(field.annotation)
        many = f"{len(inner)} " if inner and all(one is base for one in inner) else ""
        kind = f"{many}{'name' if base is str else kind}s, with commas between them"
    default = field.get_default(call_default_factory=True)
    limits = {limit: getattr(one, limit) for one in field.metadata for limit in ("gt", "ge", "lt", "le")
              if getattr(one, limit, None) is not None}  # fmt: skip
    if isinstance(span := told.get("span"), list):
        limits = dict(zip(("ge", "le"), span, strict=True))
    return Setting(
        name=name,
        words=field.description or "",
        kind=kind,
        base=base,
        several=several,
        unit=str(told.get("unit", "")),
        span=_span(limits),
        choices=choices,
        default=None if default is PydanticUndefined else default,
        unset=str(told.get("unset", "")),
        example=field.examples[0] if field.examples else None,
        flag=str(told.get("flag", "")) or f"--{name.replace('_', '-')}",
        metavar=str(told.get("metavar", "")),
        written=bool(told.get("written", False)),
    )


def _taken_apart(annotation: object) -> tuple[type, bool, tuple[str, ...]]:
    """Type of one value, whether there are several, and the choices."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _taken_apart(inner[0])
    if origin in (types.UnionType, Union):
        return _taken_apart(next(one for one in inner if one is not types.NoneType))
    if origin is tuple:
        base, _, choices = _taken_apart(inner[0])
        return base, True, choices
    if origin is Literal:
        return type(inner[0]), False, tuple(map(str, inner))
    return annotation if isinstance(annotation, type) else str, False, ()


def _span(limits: Mapping[str, float]) -> str:
    """A range in words."""
    low, high = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))
    off = "gt" in limits or (low is not None and 0 < low < _LEAST)  # the lower limit itself is no value
    first = _number(0 if off and low is not None and low < _LEAST else low)
    if high is None:
        return "" if low is None else f"above {first}" if off else f"{first} or more"
    last = _number(high)
    if low is None:
        return f"below {last}" if "lt" in limits else f"up to {last}"
    if off:
        return f"above {first} and below {last}" if "lt" in limits else f"above {first}, up to {last}"
    return f"from {first} to below {last}" if "lt" in limits else f"{first} to {last}"


def _number(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}" if value >= 10_000 else str(value)
    return f"{value:g}" if isinstance(value, float) else ""
