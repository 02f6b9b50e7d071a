"""Settings as TOML: written so that a reader sees what is his, and read back."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from synthoma.core.errors import ConfigError

DEFAULT, DECIDED, GIVEN = "default", "decided", "given"
"""Where the value of a setting comes from. In a file of settings the first two stand behind it as a comment."""

_MARK = re.compile(rf"(\w+) = .*  # ({DEFAULT}|{DECIDED})")
_TABLE = re.compile(r"\[([\w.]+)\]")


def toml_lines(
    values: Mapping[str, object],
    table: str = "",
    meanings: Mapping[str, str] | None = None,
    marks: Mapping[str, str] | None = None,
) -> list[str]:
    """One ``key = value`` line each, then what is nested as tables; a value that is None stands as a comment.

    Args:
        values: plain data.
        table: name of the table that they are in.
        meanings: what the settings do, by "table.key".
        marks: what is said behind a value, by "table.key".
    """
    known, behind, inside = meanings or {}, marks or {}, f"{table}." if table else ""
    lines = []
    for key, value in values.items():
        if value is None:
            lines.append(f"# {key} = (not set{known.get(inside + key, '')})")
        elif not isinstance(value, Mapping):
            mark = f"  # {behind[inside + key]}" if inside + key in behind else ""
            lines.append(f"{key} = {toml_value(value)}{mark}")
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{inside}{key}]", *toml_lines(value, inside + key, known, behind)]
    return lines


def marks_in(text: str) -> dict[str, str]:
    """What a file of settings marks as default or decided, by "key" and "section.key"."""
    found, table = {}, ""
    for line in text.splitlines():
        if (head := _TABLE.fullmatch(line)) is not None:
            table = f"{head[1]}."
        elif (mark := _MARK.fullmatch(line)) is not None:
            found[table + mark[1]] = mark[2]
    return found


def told_apart(text: str) -> dict[str, dict[str, object]] | None:
    """The settings in a file by where they come from: given, decided, default.

    Returns:
        Values by "key" and "section.key"; None where the file marks nothing, as those of earlier versions.

    Raises:
        ConfigError: no TOML.
    """
    # Marks are comments, which the parser of TOML drops.
    marks = marks_in(text)
    if not marks:
        return None
    found: dict[str, dict[str, object]] = {GIVEN: {}, DECIDED: {}, DEFAULT: {}}
    for name, value in _flat(parsed(text, None)):
        found[marks.get(name, GIVEN)][name] = value
    found[DECIDED].pop(DECIDED, None)  # the list of them
    return found


def _flat(values: Mapping[str, object], inside: str = "") -> Iterable[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{inside}{key}.")
        else:
            yield inside + key, value


def toml_value(value: object) -> str:
    """A value as TOML."""
    # Before numbers: in Python, True is a whole number too.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # TOML escapes as JSON does, and DEL too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        # TOML has no null, and no comments inside a table: what is None is decided anew when the file is read.
        known = {key: item for key, item in value.items() if item is not None}
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in known.items()) + " }"
    return str(value)


def parsed(text: str, file: Path | None) -> dict[str, Any]:
    """What a text of TOML says; ``file`` is where it stands.

    Raises:
        ConfigError: it is none.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no TOML, endless digits, nested without end
        came = f"{file or 'text'}: {error}"
        raise ConfigError("a TOML file", came, "see --print-config for a valid one") from None
