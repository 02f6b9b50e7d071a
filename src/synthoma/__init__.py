"""Synthoma: labelled synthetic brain-tumour MRI from few scans, with the evidence whether it helps.

The words are those of the command line::

    import synthoma

    cohort = synthoma.prepare("scans", "cohort", size=64)
    run = synthoma.train(cohort, "run", minutes=10)
    synthetic = synthoma.generate(run, "synthetic", 500)
    evaluation = synthoma.evaluate(cohort, synthetic, "evaluation")
    evaluation.show()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthoma._version import __version__

if TYPE_CHECKING:
    from synthoma import pipeline
    from synthoma.evaluation.result import Evaluation
    from synthoma.pipeline import (
        chain,
        demo,
        describe,
        detect,
        diagram,
        evaluate,
        evaluate_model,
        export,
        generate,
        judge,
        paint,
        plan,
        planned,
        prepare,
        prepare_phantom,
        remove,
        report,
        score_masks,
        search,
        train,
        turing_make,
        turing_score,
        verify,
        workers,
    )
    from synthoma.pipeline.cohort import Cohort
    from synthoma.pipeline.findings import Findings
    from synthoma.pipeline.run import Run
    from synthoma.pipeline.view import View
    from synthoma.planning.result import Plan

_HOMES = {
    "Cohort": "synthoma.pipeline.cohort",
    "Evaluation": "synthoma.evaluation.result",
    "Findings": "synthoma.pipeline.findings",
    "Plan": "synthoma.planning.result",
    "Run": "synthoma.pipeline.run",
    "View": "synthoma.pipeline.view",
}
"""Where the classes are."""

__all__ = [
    "Cohort", "Evaluation", "Findings", "Plan", "Run", "View", "__version__", "chain", "demo", "describe", "detect",
    "diagram", "evaluate", "evaluate_model", "export", "generate", "judge", "paint", "pipeline", "plan", "planned",
    "prepare", "prepare_phantom", "remove", "report", "score_masks", "search", "train", "turing_make", "turing_score",
    "verify", "workers",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import on first use: ``import synthoma`` and ``synthoma --help`` stay quick."""
    from importlib import import_module

    if name == "pipeline":
        return import_module("synthoma.pipeline")
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "synthoma.pipeline")), name)
    raise AttributeError(f"module 'synthoma' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Every public name, those too that are imported on first use."""
    return sorted(__all__)
