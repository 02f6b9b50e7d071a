"""Signatures that name each setting, for help(), notebooks and everything else that completes a call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from synthoma.core.config import Config

P = ParamSpec("P")
Result = TypeVar("Result")


def with_settings(kind: type[Config]) -> Callable[[Callable[P, Result]], Callable[P, Result]]:
    """Show the fields of these settings, with their defaults, in place of a function's ``**settings``.

    The function itself stays as it is: a setting that is not given is not passed on, so that given and default
    settings can be told apart.
    """

    def shown(function: Callable[P, Result]) -> Callable[P, Result]:
        own = inspect.signature(function)
        named = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        taken = {one.name for one in named}
        fields = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.get_default(call_default_factory=True),
                annotation=field.annotation,
            )
            for name, field in kind.model_fields.items()
            if name not in taken
        ]
        function.__signature__ = own.replace(parameters=[*named, *fields])  # type: ignore[attr-defined]
        return function

    return shown
