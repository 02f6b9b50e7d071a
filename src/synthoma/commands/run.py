"""``synthoma run``: from a folder of scans to a verdict, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.cohorts.settings import PrepareConfig
from synthoma.commands.options import Force, Given, Open, OutputOfChain, takes
from synthoma.commands.printing import browse, say, understood
from synthoma.commands.progress import shown
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.generators.request import GenerateConfig
from synthoma.settings import TrainConfig

EXAMPLES = (
    "synthoma run kaggle_3m -o lgg --size 64 --minutes 30",
    "synthoma run BraTS2018 -o brats --modalities flair --slices tumour --merge whole-tumour",
    "synthoma run kaggle_3m -o lgg --size 64 --minutes 30 --preset standard",
)

WORDS = {
    "prepare": "reading the scans",
    "train": "training a generator",
    "generate": "drawing images",
    "evaluate": "judging them",
}


@takes(EvaluateConfig, "preset", into="judged")
@takes(GenerateConfig, "count", into="drawn")
@takes(TrainConfig, "model", "minutes", "images", "device", "seed", into="trained")
@takes(
    PrepareConfig,
    *("layout", "modalities", "plane", "size", "convention", "merge", "classes", "slices", "every", "split"),
    into="prepared",
)
def run(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of scans, or a cohort.")],
    output: OutputOfChain,
    trained: Given,
    prepared: Given,
    drawn: Given,
    judged: Given,
    open_page: Open = False,
    force: Force = False,
) -> None:
    """Run the command."""
    from synthoma import pipeline
    from synthoma.pipeline.chain import COUNT, STEPS

    preparation = PrepareConfig.resolve(flags={**prepared, "seed": trained.get("seed", 0)})
    training = TrainConfig.resolve(flags=trained)
    evaluation = EvaluateConfig.resolve(flags=judged)
    count = GenerateConfig.resolve(flags=drawn).count or COUNT

    def announce(number: int, step: str, done: bool) -> None:
        say(f"{number}/{len(STEPS)} {WORDS[step]}" + (": done before" if done else ""))

    with shown() as display:
        result = pipeline.chain(
            source,
            output,
            preparation=preparation,
            training=training,
            count=count,
            evaluation=evaluation,
            force=force,
            announce=announce,
            tell=understood,
            progress=display.work,
            report=display.training,
        )
    for light in result.lights:
        say(f"{light.question:<10} {light.state:<12} {light.text}")
    say(f"{result.verdict.word}: {result.verdict.because}\npage: {output / 'report.html'}")
    if open_page:
        browse(output / "report.html")
