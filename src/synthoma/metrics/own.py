"""Scores that other packages add, by the entry points ``synthoma.metrics``; see docs/extending.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from synthoma.core.errors import ConfigError
from synthoma.core.plugins import plugged_in
from synthoma.core.types import Array


@dataclass(frozen=True)
class Metric:
    """A score of synthetic images against real ones.

    Attributes:
        name: its entry point's.
        score: called with real images (N, H, W) and as many synthetic ones, float32 in 0..1 (0 background, 1 bright);
            nan where it cannot be told. It is also called with real images on both sides, for the null.
        worse: which values are bad: "high" or "low".
        source: paper, equation or idea, in a few words for the page.
    """

    name: str
    score: Callable[[Array, Array], float]
    worse: Literal["high", "low"]
    source: str = ""


@cache
def plugged_metrics() -> tuple[Metric, ...]:
    """All of them, in the order of their names.

    Raises:
        ConfigError: a plug-in that cannot be loaded, is no metric, or has a name other than its entry point's.
    """
    found = plugged_in("synthoma.metrics")
    for name, metric in found.items():
        if not isinstance(metric, Metric) or metric.name != name or metric.worse not in ("high", "low"):
            came = f"{name!r} is {type(metric).__name__} {getattr(metric, 'name', '')}".strip()
            raise ConfigError("a Metric with its entry point's name, and worse high or low", came, "correct it")
    return tuple(found[name] for name in sorted(found))
