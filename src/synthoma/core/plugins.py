"""What other packages add to Synthoma, by the entry points that they declare.

A package names what it brings in its pyproject.toml, for example

    [project.entry-points."synthoma.generators"]
    noise = "my_package:FAMILY"

and it is there as if it were part of Synthoma. The groups and what an entry point must name, see docs/extending.md:
``synthoma.generators`` a ``GeneratorFamily``, ``synthoma.layouts`` a ``Layout``, ``synthoma.metrics`` a ``Metric``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from synthoma.core.errors import ConfigError, SynthomaError

Group = Literal["synthoma.generators", "synthoma.layouts", "synthoma.metrics"]


@cache
def plugged_names(group: Group) -> frozenset[str]:
    """Names of what is plugged into a group. Nothing is loaded, so a plug-in may ask while it is."""
    return frozenset(point.name for point in entry_points(group=group))


@cache
def plugged_in(group: Group) -> dict[str, Any]:
    """What is plugged into a group, by the names of the entry points.

    Raises:
        ConfigError: one that cannot be loaded, with its name and reason; or two of one name, with both.
    """
    values: dict[str, str] = {}
    points = entry_points(group=group)
    for point in points:
        # Which of the two is found first depends on the order of folders, so none is chosen.
        if values.setdefault(point.name, point.value) != point.value:
            came = f"{values[point.name]} and {point.value}"
            raise ConfigError(f"one plug-in of {group} called {point.name!r}", came, "uninstall one of the packages")
    found: dict[str, object] = {}
    for point in points:
        # The same entry may be found twice, where a package lies in two folders of the path.
        if point.name in found:
            continue
        try:
            found[point.name] = point.load()
        except Exception as error:  # whatever the code of others raises
            came = f"{point.value} ({type(error).__name__}: {error})"
            todo = "correct it, or uninstall the package that brings it"
            raise ConfigError(f"a plug-in {point.name!r} of {group} that can be loaded", came, todo) from error
    return found


@contextmanager
def using(what: str) -> Iterator[None]:
    """Tell a failure inside the code of another package in one sentence.

    Errors that Synthoma words itself, and those of the disk, pass as they are.

    Raises:
        ConfigError: anything else that goes wrong, with what it was doing.
    """
    try:
        yield
    except (SynthomaError, OSError):
        raise
    except Exception as error:  # whatever the code of others raises
        came, todo = f"{type(error).__name__}: {error}", "correct it, or uninstall the package that brings it"
        raise ConfigError(f"{what} that works", came, todo) from error
