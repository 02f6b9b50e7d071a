"""What is wrong with a command line, said as every other error is: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
import sys
from typing import Any

import typer

from synthoma.core.errors import ConfigError

USAGE: type[Exception] = typer.BadParameter.__mro__[1]
"""The error of a command line that cannot be read. Typer brings a click of its own in some versions, so it is asked."""


def explained(error: Any) -> ConfigError:
    """A command line that cannot be read, with the nearest known option."""
    context = error.ctx
    # An option without its value is met before there is a context.
    word = context.info_name if context is not None and context.parent is not None else (*sys.argv[1:2], "-")[0]
    command = "synthoma" if word.startswith("-") else f"synthoma {word}"
    todo = f"see `{command} --help`"
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities"):
        known = ["--help", *(name for one in context.command.params for name in (*one.opts, *one.secondary_opts))]
        return ConfigError(f"an option of `{command}`", repr(option), nearest(option, known) or todo)
    if type(error).__name__ == "MissingParameter":
        missing = error.param.metavar or "/".join(error.param.opts)
        return ConfigError(f"{missing} for `{command}`", "none", todo)
    if (parameter := getattr(error, "param", None)) is not None:
        wanted = f"a valid value of {'/'.join(parameter.opts)} ({_plain(error.message)})"
        return ConfigError(wanted, _after(parameter.opts), todo)
    if option is not None:
        return ConfigError(f"a value after {option}", "none", todo)
    came = _plain(error.format_message()).removeprefix("got ")
    return ConfigError(f"a command line of `{command}`", came, todo)


def nearest(name: str, known: list[str]) -> str:
    """A question after the nearest known name; empty where none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _after(flags: list[str]) -> str:
    """What stands behind an option on the command line."""
    for word, after in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        if word in flags:
            return repr(after)
        if word.partition("=")[0] in flags:
            return repr(word.partition("=")[2])
    return "another one"


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")
