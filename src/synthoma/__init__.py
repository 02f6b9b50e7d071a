"""Synthoma: labelled synthetic brain-tumour MRI from few scans, with the evidence whether it helps.

The words are those of the command line::

    import synthoma

    synthoma.prepare("scans", "cohort", size=64)
    synthoma.train("cohort", "run", minutes=10)
    synthoma.generate("run", "synthetic", 500)
    synthoma.evaluate("cohort", "synthetic", "evaluation")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthoma._version import __version__

if TYPE_CHECKING:
    from synthoma import pipeline
    from synthoma.cohorts.cohort import Cohort
    from synthoma.pipeline import (
        chain,
        describe,
        detect,
        evaluate,
        evaluate_model,
        export,
        generate,
        judge,
        planned,
        prepare,
        prepare_phantom,
        report,
        score_masks,
        train,
    )

_PIPELINE = (
    "chain",
    "describe",
    "detect",
    "evaluate",
    "evaluate_model",
    "export",
    "generate",
    "judge",
    "planned",
    "prepare",
    "prepare_phantom",
    "report",
    "score_masks",
    "train",
)

__all__ = [
    "Cohort", "__version__", "chain", "describe", "detect", "evaluate", "evaluate_model", "export", "generate",
    "judge", "pipeline", "planned", "prepare", "prepare_phantom", "report", "score_masks", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import on first use: ``import synthoma`` and ``synthoma --help`` stay quick."""
    from importlib import import_module

    if name == "pipeline":
        return import_module("synthoma.pipeline")
    if name in _PIPELINE:
        return getattr(import_module("synthoma.pipeline"), name)
    if name == "Cohort":
        return import_module("synthoma.cohorts.cohort").Cohort
    raise AttributeError(f"module 'synthoma' has no attribute {name!r}")
