"""``synthoma demo``: the whole chain on simulated patients."""

from __future__ import annotations

from pathlib import Path

from synthoma.commands.options import Force, Open, Output
from synthoma.commands.printing import browse, say
from synthoma.commands.progress import shown

EXAMPLES = ("synthoma demo -o demo",)


def run(output: Output = Path("synthoma-demo"), open_page: Open = False, force: Force = False) -> None:
    """Run the command."""
    from synthoma import pipeline
    from synthoma.evaluation.result import read_evaluation

    with shown() as display:
        page = pipeline.demo(output, force=force, progress=display.work, report=display.training)
    verdict = read_evaluation(page.parent / "evaluation").verdict
    say(f"{verdict.word}: {verdict.because}\nAll patients in it are simulated.\npage: {page}")
    if open_page:
        browse(page)
