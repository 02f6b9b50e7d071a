"""``synthoma remove``: tumours taken out of scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.options import Force, Given, Output, takes
from synthoma.commands.printing import say
from synthoma.commands.progress import shown
from synthoma.core.untrusted import visible
from synthoma.painting.settings import RemoveConfig

EXAMPLES = (
    "synthoma remove cohort -o without",
    "synthoma remove patients/ -o without --margin 4",
    "synthoma remove scan.nii.gz -o without --mask drawn.nii.gz --method mirror",
)


@takes(
    RemoveConfig,
    *("mask", "method", "margin", "model", "splits", "shown", "size", "layout", "convention"),
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
    settings = RemoveConfig.resolve(flags=given)
    from synthoma import pipeline

    with shown() as display:
        cohort = pipeline.remove(scans, output, config=settings, force=force, progress=display.work)
    for remark in cohort.meta.remarks:
        say(f"note: {visible(remark)}")

    say(f"{cohort.meta.cases} scans without their tumours: {len(cohort):,} slices")
    say(f"page: {cohort.path / 'report.html'}")
