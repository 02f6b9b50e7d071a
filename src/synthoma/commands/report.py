"""``synthoma report``: the page of an artefact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.printing import say

EXAMPLES = ("synthoma report COHORT",)


def run(path: Annotated[Path, typer.Argument(help="A cohort, a run, an evaluation or findings.")]) -> None:
    """Run the command."""
    from synthoma import pipeline

    say(f"page: {pipeline.report(path)}")
