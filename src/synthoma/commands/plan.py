"""``synthoma plan``: which synthetic cases to make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.options import Force, Given, OutputIfAny, takes
from synthoma.commands.printing import say
from synthoma.commands.progress import shown
from synthoma.core.untrusted import visible
from synthoma.planning.settings import PlanConfig

EXAMPLES = (
    "synthoma plan cohort",
    "synthoma plan cohort -o plan --minutes 10",
    "synthoma plan cohort -o plan --evaluation evaluation --ratio 0.5",
    "synthoma paint cohort --plan plan -o painted --beside",
)


@takes(PlanConfig, "minutes", "evaluation", "edges", "share", "ratio", "matters", "steps", "seed", "device")
def run(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="Of real or simulated patients.")],
    given: Given,
    output: OutputIfAny = None,
    force: Force = False,
) -> None:
    """Run the command."""
    settings = PlanConfig.resolve(flags=given)
    from synthoma import pipeline
    from synthoma.reports.plan_page import plan_lines

    with shown() as display:
        found = pipeline.plan(cohort, output, config=settings, force=force, progress=display.work)
    for line in plan_lines(found):
        say(visible(line))
    if output is not None:
        say(f"page: {output / 'report.html'}")
