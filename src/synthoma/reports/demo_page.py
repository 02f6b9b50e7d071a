"""The page of the demonstration: simulated scans beside synthetic ones, the verdict, and a tumour that was found."""

from __future__ import annotations

from pathlib import Path

from synthoma.cohorts.cohort import Cohort
from synthoma.evaluation.result import Evaluation
from synthoma.reports.evaluation_page import shown_sides
from synthoma.reports.finding_cards import cards
from synthoma.reports.page import render
from synthoma.reports.viewer import viewer_licence, viewer_text
from synthoma.reports.wording import sentence
from synthoma.training.bundle import open_model


def demo_page(
    name: str, result: Evaluation, hospital: Cohort, synthetic: Cohort, run: Path, found: Path, truth_ml: float
) -> str:
    """The page as HTML text.

    Args:
        name: of the output folder, beside whose parts the page lies.
        result: the evaluation.
        hospital: the simulated patients that play the few scans.
        synthetic: what was drawn.
        run: folder of the generator.
        found: folder of the findings in the one further patient.
        truth_ml: how large that patient's tumour is.
    """
    (place,) = sorted(path.relative_to(found).as_posix() for path in found.glob("*/findings.json"))
    (card,) = cards(found, [(place, "")])
    real_tiles, synthetic_tiles = shown_sides(result, hospital, synthetic)
    return render(
        "demo.html",
        title="Synthoma: what it does, on patients that do not exist",
        name=name,
        evaluation=result,
        reason=sentence(result.verdict.because),
        patients=hospital.meta.groups,
        slices=len(hospital),
        images=open_model(run).meta.images,
        drawn=len(synthetic),
        real_tiles=real_tiles,
        synthetic_tiles=synthetic_tiles,
        card=card,
        number=1,
        truth=f"{truth_ml:.1f} ml",
        viewer=viewer_text() if card.small else "",
        licence=viewer_licence(),
    )
