"""What an artefact holds, as typed records: read from JSON with every key checked, and written as it was given.

A record is to a result what ``core.config`` is to settings: immutable, and closed to keys that do not exist. A field
that was not given is not written, so that JSON of an earlier version comes out as it went in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from synthoma.core.config import Config
from synthoma.core.errors import InputError


class Record(BaseModel):
    """Base of what artefacts hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def content(self) -> dict[str, Any]:
        """As plain data for JSON: fields that were given, under their names in the file."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    @classmethod
    def parse(cls, content: Mapping[str, object], path: Path) -> Self:
        """A record out of a JSON object.

        Args:
            content: the object.
            path: where it was read, for the error.

        Raises:
            InputError: a key is missing, unknown, or of another type; with the first of them.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            # The first alone: one wrong key makes others wrong, and a page of errors is not read.
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            came = f"{place}: {first['msg']} in {path}"
            raise InputError(f"a complete {path.name}", came, "restore it from a copy, or make it again") from None


Value = TypeVar("Value")


def known_settings(values: Mapping[str, Value], kind: type[Config]) -> dict[str, Value]:
    """Settings that an artefact states, without those that are gone since it was written."""
    return {name: value for name, value in values.items() if name in kind.model_fields}


def _defined(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_defined)]
"""A finite number; None for what is not defined: JSON knows no nan."""


class _EmptyIsNone:
    """JSON writes ``{}`` for a part that has nothing to say; in Python it is None."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: None if value == {} else value,
            handler(source),
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda value, inner: {} if value is None else inner(value), schema=handler(source)
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = dict(handler(schema))
        empty = {"type": "object", "maxProperties": 0}
        found["anyOf"] = [empty if one == {"type": "null"} else one for one in found.get("anyOf", [])]
        return found


Part = TypeVar("Part")
OrEmpty = Annotated[Part | None, _EmptyIsNone()]
"""A part of a record that JSON writes as ``{}`` where it is None."""
