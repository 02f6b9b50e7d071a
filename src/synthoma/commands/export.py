"""``synthoma export``: a cohort, findings or a model for another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.options import Force, Given, Output, takes
from synthoma.commands.printing import say
from synthoma.commands.progress import shown
from synthoma.exports.names import ABOUT
from synthoma.exports.settings import ExportConfig

EXAMPLES = (
    "synthoma export cohort --to nnunet -o nnunet --name Glioma",
    "synthoma export synthetic --to yolo -o yolo --sequences flair,t1c,t2",
    "synthoma export found --to coco -o coco",
    "synthoma export run --to onnx -o onnx",
)


@takes(ExportConfig, "to", "name", "number", "slices", "sequences", "boxes")
def run(
    path: Annotated[Path, typer.Argument(help="A cohort, findings of `synthoma detect`, or a run.")],
    output: Output,
    given: Given,
    force: Force = False,
) -> None:
    """Run the command."""
    settings = ExportConfig.resolve(flags=given)
    from synthoma import pipeline

    with shown() as display:
        found = pipeline.export(path, output, config=settings, force=force, progress=display.work)
    about = ABOUT[settings.to]
    say(f"{settings.to}: {', '.join(f'{count:,} {name}' for name, count in found.counts.items())}")
    say(f"{found.notice}\n{about.reader}: {found.how.replace('OUT', str(output))}")
