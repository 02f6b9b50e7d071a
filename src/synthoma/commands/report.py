"""``synthoma report``: the page of an artefact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.options import Open
from synthoma.commands.printing import browse, say

EXAMPLES = ("synthoma report COHORT", "synthoma report found --open")


def run(
    path: Annotated[Path, typer.Argument(help="A cohort, a run, a plan, an evaluation or findings.")],
    open_page: Open = False,
) -> None:
    """Run the command."""
    from synthoma import pipeline

    page = pipeline.report(path)
    say(f"page: {page}")
    if open_page:
        browse(page)
