"""Synthoma: labelled synthetic brain-tumour MRI from few scans, with the evidence whether it helps.

The words are those of the command line::

    import synthoma

    cohort = synthoma.prepare("scans", "cohort", size=64)
    print(cohort.slices.groupby("split").size())
    synthoma.prepare_phantom(40, "phantom", size=64)
    synthoma.report(cohort.path)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthoma._version import __version__

if TYPE_CHECKING:
    from synthoma.data.cohort import Cohort
    from synthoma.pipeline import describe, prepare, prepare_phantom, report

__all__ = ["Cohort", "__version__", "describe", "prepare", "prepare_phantom", "report"]

_HOMES = {
    "Cohort": "synthoma.data.cohort",
    "describe": "synthoma.pipeline",
    "prepare": "synthoma.pipeline",
    "prepare_phantom": "synthoma.pipeline",
    "report": "synthoma.pipeline",
}


def __getattr__(name: str) -> Any:
    """Import on first use: ``import synthoma`` and ``synthoma --help`` stay quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'synthoma' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
