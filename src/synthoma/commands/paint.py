"""``synthoma paint``: tumours put into scans."""

from __future__ import annotations

from synthoma.commands.options import OF_SOURCE, Force, Given, Output, ScansOrCohort, takes
from synthoma.commands.printing import say_made
from synthoma.commands.progress import shown
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
    *("painter", "model", "learn", "like", "plan", "shows", "beside", "copies", *OF_SOURCE, "seed"),
)
def run(
    scans: ScansOrCohort,
    output: Output,
    given: Given,
    force: Force = False,
) -> None:
    """Run the command."""
    settings = PaintConfig.resolve(flags=given)
    from synthoma import pipeline

    with shown() as display:
        cohort = pipeline.paint(scans, output, config=settings, force=force, progress=display.work)
    with_tumour = int((cohort.slices["tumour_pixels"] > 0).sum())
    say_made(cohort, f"{cohort.meta.cases} painted scans: {len(cohort):,} slices, {with_tumour:,} with tumour")
