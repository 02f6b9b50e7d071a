"""The page of a search: its trials, how they went, which settings matter, and how to train with the best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthoma.reports.figures import Span, lines, spans
from synthoma.reports.page import render
from synthoma.training.search_file import read_search, trials_of
from synthoma.training.settings import SECTION, Kind

SCORES: dict[Kind, str] = {
    "generator": "distance to held-out scans (sliced W2)",
    "segmenter": "1 - mean Dice of the validation patients",
    "classifier": "cross-entropy on the validation split, classes weighing alike",
}


def search_page(folder: Path, name: str) -> str:
    """The page of a search as HTML text."""
    meta, trials = read_search(folder), trials_of(folder)
    varied = [column for column in (trials[0] if trials else {}) if column not in ("trial", "score")]
    importances = [Span(name, share) for name, share in meta.importances.items()]
    return render(
        "search.html",
        title=f"Search {name}",
        meta=meta,
        section=SECTION[meta.kind],
        score=SCORES[meta.kind],
        columns=varied,
        trials=[(row["trial"], row["score"], [row[column] or "none" for column in varied]) for row in trials],
        history=_history(trials, SCORES[meta.kind]),
        importance=spans(importances, "share of the variation of scores"),
        command=f"synthoma train COHORT -o RUN --config {name}/best.toml",
    )


def _history(trials: Sequence[dict[str, str]], label: str) -> str:
    """Scores in the order of the trials, and the best until then, as SVG."""
    scores = sorted((int(row["trial"]), float(row["score"])) for row in trials)
    best = [(number, min(score for _, score in scores[: place + 1])) for place, (number, _) in enumerate(scores)]
    return lines({"trial": scores, "best so far": best}, "trial", label) if scores else ""
