"""``synthoma paint``: tumours put into scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.options import Force, Given, Output, takes
from synthoma.commands.printing import say
from synthoma.commands.progress import shown
from synthoma.core.untrusted import visible
from synthoma.painting.settings import PaintConfig

EXAMPLES = (
    "synthoma paint cohort -o painted --beside --size-ml 5:40",
    "synthoma paint healthy/ -o painted --grade high --place 'left frontal' --copies 3",
    "synthoma paint scan.nii.gz -o painted --mask drawn.nii.gz",
    "synthoma paint cohort -o painted --painter copy-paste --beside",
    "synthoma paint cohort --plan plan -o painted --beside",
    "synthoma paint cohort -o painted --painter gan --learn 600 --beside",
)


@takes(
    PaintConfig,
    *("size_ml", "place", "grade", "contrast", "heterogeneity", "oedema", "enhancing", "count", "mass_effect"),
    *(
        "mask",
        "painter",
        "model",
        "learn",
        "like",
        "plan",
        "shows",
        "beside",
        "copies",
        "splits",
        "shown",
        "size",
        "layout",
        "convention",
        "seed",
    ),
)
def run(
    scans: Annotated[
        list[Path], typer.Argument(metavar="SCAN...|COHORT", help="Scans or folders of them, or a cohort.")
    ],
    output: Output,
    given: Given,
    force: Force = False,
) -> None:
    """Run the command."""
    settings = PaintConfig.resolve(flags=given)
    from synthoma import pipeline

    with shown() as display:
        cohort = pipeline.paint(scans, output, config=settings, force=force, progress=display.work)
    for remark in cohort.meta.remarks:
        say(f"note: {visible(remark)}")
    table = cohort.slices
    with_tumour = int((table["tumour_pixels"] > 0).sum())
    say(f"{cohort.meta.cases} painted scans: {len(cohort):,} slices, {with_tumour:,} with tumour")
    say(f"page: {cohort.path / 'report.html'}")
