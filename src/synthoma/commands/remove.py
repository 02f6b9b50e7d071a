"""``synthoma remove``: tumours taken out of scans."""

from __future__ import annotations

from synthoma.commands.options import OF_SOURCE, Force, Given, Output, ScansOrCohort, takes
from synthoma.commands.printing import say_made
from synthoma.commands.progress import shown
from synthoma.painting.settings import RemoveConfig

EXAMPLES = (
    "synthoma remove cohort -o without",
    "synthoma remove patients/ -o without --margin 4",
    "synthoma remove scan.nii.gz -o without --mask drawn.nii.gz --method mirror",
)


@takes(
    RemoveConfig,
    *("method", "margin", "model", *OF_SOURCE),
)
def run(
    scans: ScansOrCohort,
    output: Output,
    given: Given,
    force: Force = False,
) -> None:
    """Run the command."""
    settings = RemoveConfig.resolve(flags=given)
    from synthoma import pipeline

    with shown() as display:
        cohort = pipeline.remove(scans, output, config=settings, force=force, progress=display.work)
    say_made(cohort, f"{cohort.meta.cases} scans without their tumours: {len(cohort):,} slices")
