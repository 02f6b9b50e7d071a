"""Errors in the words of who called: options of the command line, or arguments in Python."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

from synthoma.core.errors import COMMAND_LINE, SynthomaError
from synthoma.core.fields import Setting, settings_of

P = ParamSpec("P")
Result = TypeVar("Result")

_SWITCHES = frozenset(("force", "resume"))
"""Arguments that are no settings, and are given or not."""
_OPTION = re.compile(r"(`[^`]*`)|--([a-z][a-z-]*)(?:[ =]([A-Za-z0-9][\w.,=+-]*))?")
_NUMBERS = re.compile(r"\d[\d.]*(e-?\d+)?(,\d[\d.]*)*")


def in_python(function: Callable[P, Result]) -> Callable[P, Result]:
    """Let a function's errors name arguments ("force=True") where Python called it, and options ("--force") else."""
    names = frozenset(inspect.signature(function).parameters)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except SynthomaError as error:
            if not COMMAND_LINE.get():
                error.args = tuple(python_words(part, names) for part in (error.expected, error.came, error.todo))
                error.expected, error.came, error.todo = error.args
            raise

    return called


def python_words(text: str, names: Collection[str] = ()) -> str:
    """A text with arguments in place of options; whole commands in back quotes stay as they are.

    Args:
        text: as an error for the command line has it.
        names: arguments of the function that was called: of several settings with one option, its own is meant.
    """
    return _OPTION.sub(lambda match: _replaced(match, names), text)


def _replaced(match: re.Match[str], names: Collection[str]) -> str:
    quoted, flag, value = match.groups()
    if quoted:
        return str(quoted)
    if flag == "set" and value and "=" in value:
        name, _, given = value.partition("=")
        section, _, rest = name.partition(".")
        return f'{section}={{"{rest}": {_literal(given)}}}' if rest else f"{name}={_literal(given)}"
    if flag == "print-config":
        return f"help(){f' {value}' if value else ''}"
    known = _settings().get(flag, [])
    setting = next((one for one in known if one.name in names), known[0] if known else None)
    name = setting.name if setting is not None else flag.replace("-", "_")
    behind = f" {value}" if value else ""
    if flag in _SWITCHES or (setting is not None and setting.base is bool):
        return f"{name}=True{behind}"
    if value is None or not _is_value(setting, value):
        return name + behind
    end = "." if value.endswith(".") and not value.endswith("...") else ""
    return f"{name}={_literal(value.removesuffix(end))}{end}"


def _is_value(setting: Setting | None, value: str) -> bool:
    """Whether the word behind an option is its value, and not how the sentence goes on."""
    word = value.rstrip(".,")
    known = () if setting is None else (*setting.choices, setting.example)
    return bool(_NUMBERS.fullmatch(word)) or "=" in word or word.isupper() or word in known


def _literal(value: str) -> str:
    """A value as Python writes it."""
    if _NUMBERS.fullmatch(value):
        return f"({value.replace(',', ', ')})" if "," in value else value
    return value if value.isupper() or value in ("True", "False") else f'"{value}"'


@functools.lru_cache(maxsize=1)
def _settings() -> dict[str, list[Setting]]:
    """The settings that an option, without its two hyphens, stands for in one command or another."""
    from synthoma.cohorts.settings import PrepareConfig
    from synthoma.detection.settings import DetectConfig
    from synthoma.evaluation.heldout.settings import HeldOutConfig
    from synthoma.evaluation.readers.settings import TuringConfig
    from synthoma.evaluation.settings import EvaluateConfig
    from synthoma.exports.settings import ExportConfig
    from synthoma.generators.request import GenerateConfig
    from synthoma.masks.settings import MasksConfig
    from synthoma.settings import TrainConfig

    found: dict[str, list[Setting]] = {}
    for kind in (
        PrepareConfig,
        TrainConfig,
        GenerateConfig,
        EvaluateConfig,
        DetectConfig,
        HeldOutConfig,
        MasksConfig,
        ExportConfig,
        TuringConfig,
    ):
        for one in settings_of(kind).values():
            if one.flag:
                found.setdefault(one.flag.removeprefix("--"), []).append(one)
    return found
