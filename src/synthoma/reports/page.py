"""Filling HTML templates: one file, nothing loaded from elsewhere, readable without scripts, printable."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from synthoma._version import __version__


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("synthoma.reports", "templates"),
        autoescape=True,  # file names are the user's and may hold anything
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = __version__
    environment.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    environment.filters["count"] = lambda number: f"{number:,}"
    return environment


def render(template: str, **content: Any) -> str:
    """A template of this package filled with ``content``; a name that is missing is an error."""
    return _environment().get_template(template).render(**content)
