"""The page of a whole chain: the verdict, what was made, and the way to the page of each step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthoma.cohorts.cohort import Cohort
from synthoma.evaluation.result import Evaluation
from synthoma.reports.evaluation_page import shown_sides
from synthoma.reports.page import render
from synthoma.reports.wording import sentence
from synthoma.training.bundle import open_model

QUESTIONS = {
    "prepare": "What was read, and can it be trusted?",
    "train": "How did the model learn?",
    "generate": "What do the synthetic images look like?",
    "evaluate": "Realistic, diverse, private, useful?",
}


@dataclass(frozen=True)
class Part:
    """One step and its artefact.

    Attributes:
        step: name of the command.
        question: what its page answers.
        page: where that is, from this page; empty where the artefact lies elsewhere.
        facts: what it holds.
    """

    step: str
    question: str
    page: str
    facts: str


def chain_page(
    name: str, source: str, result: Evaluation, cohort: Cohort, run: Path, synthetic: Cohort, *, own: bool
) -> str:
    """The page as HTML text.

    Args:
        name: of the output folder, beside whose parts the page lies.
        source: name of what was read.
        result: the evaluation.
        cohort: the real cohort.
        run: folder of the generator.
        synthetic: what it drew.
        own: whether the real cohort was made here too, so that its page lies beside this one.
    """
    model = open_model(run).meta
    facts = {
        "prepare": f"{len(cohort):,} slices of {cohort.meta.groups:,} patients or groups, "
        f"{'+'.join(cohort.modalities)}, {cohort.size} px",
        "train": f"{model.model}, best after {model.images:,} images",
        "generate": f"{len(synthetic):,} slices" + (", with masks" if synthetic.tumour_labels else ""),
        "evaluate": f"{result.verdict.word} (preset {result.preset})",
    }
    places = {"prepare": "cohort" if own else "", "train": "run", "generate": "synthetic", "evaluate": "evaluation"}
    parts = [
        Part(step, QUESTIONS[step], f"{place}/report.html" if place else "", facts[step])
        for step, place in places.items()
    ]
    real_tiles, synthetic_tiles = shown_sides(result, cohort, synthetic)
    return render(
        "chain.html",
        title=f"{source}: from scans to a verdict",
        name=name,
        evaluation=result,
        reason=sentence(result.verdict.because),
        parts=parts,
        real_tiles=real_tiles,
        synthetic_tiles=synthetic_tiles,
        outlined=bool(cohort.tumour_labels or synthetic.tumour_labels),
    )
