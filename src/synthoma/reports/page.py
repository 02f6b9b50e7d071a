"""Filling HTML templates: one file, nothing loaded from elsewhere, readable without scripts, printable."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

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
    environment.filters["with_code"] = _with_code
    return environment


def _with_code(text: str) -> Markup:
    """Escaped text in which what stands between backticks is code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 and number < len(parts) - 1 else escape(part)
        for number, part in enumerate(parts)
    )


def render(template: str, **content: object) -> str:
    """A template of this package filled with ``content``; a name that is missing is an error."""
    return _environment().get_template(template).render(**content)
