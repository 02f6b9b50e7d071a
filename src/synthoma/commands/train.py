"""``synthoma train``: a model from a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthoma.commands.options import (
    Assignments,
    ConfigFile,
    Force,
    Given,
    Listing,
    OutputOfRun,
    PrintConfig,
    Resume,
    Search,
    Summary,
    Track,
    takes,
)
from synthoma.commands.printing import KEPT, say
from synthoma.commands.progress import HOW, shown
from synthoma.commands.stores import follows
from synthoma.core.errors import ConfigError
from synthoma.settings import TrainConfig

if TYPE_CHECKING:
    from synthoma.core.display import Display
    from synthoma.training.tracking import TrackerName

EXAMPLES = (
    "synthoma train lgg -o run --model auto --minutes 10",
    "synthoma train lgg -o run --model wgan-gp --images 100000 --with-masks --set gan.width=48",
    "synthoma train lgg -o run --resume",
    "synthoma train lgg -o search --model unet-25d --minutes 5 --search 20",
    "synthoma train lgg -o detector --model unet-25d --minutes 15 --with synthetic",
    "synthoma train 'phantom://?size=64&modalities=flair&seed=3' -o detector --model unet-25d --images 100000",
)


@takes(
    TrainConfig,
    *("model", "recipe", "minutes", "images", "epochs", "with_masks", "conditional", "phantom", "classes", "limit"),
    *("snapshots", "patience", "until_fooled", "seed", "device", "extra", "init", "patients"),
)
def run(
    given: Given,
    cohort: Annotated[
        str | None,
        typer.Argument(
            metavar="COHORT",
            help="A cohort, whose training split is learned from; or a stream: 'phantom://?size=64&modalities=flair'.",
        ),
    ] = None,
    output: OutputOfRun = None,
    resume: Resume = False,
    search: Search = None,
    track: Track = None,
    summary: Summary = False,
    listing: Listing = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
    print_config: PrintConfig = False,
    force: Force = False,
) -> None:
    """Run the command."""
    if follows():
        HOW.set("quiet")
        KEPT.set([])
    if listing:
        _list_models()
        return
    settings = TrainConfig.resolve(config, assignments or [], given)
    if print_config:
        say(settings.to_toml(), end="")
        return
    if cohort is None:
        raise ConfigError("a cohort", "none", "see `synthoma train --help`")
    from synthoma import pipeline

    if summary:
        _print_summary(cohort, settings)
        return
    if output is None:
        raise ConfigError("a place for the run", "no --output", "add for example -o run")
    from synthoma.core.places import check_apart

    if not resume:
        check_apart(output, [config])
    with shown() as display:
        if search is not None:
            _search(cohort, output, search, settings, display, resume=resume, force=force)
            return
        made = pipeline.train(
            cohort,
            output,
            config=settings,
            resume=resume,
            force=force,
            track=_tracker(track),
            report=display.training,
            progress=display.work,
            tell=lambda needed: say(f"needs {needed.text()}"),
            explain=_explain,
        )
    say(f"model: {made.path / 'model.safetensors'}\npage: {made.path / 'report.html'}")


def _search(
    cohort: str, output: Path, trials: int, settings: TrainConfig, display: Display, *, resume: bool, force: bool
) -> None:
    """Try settings, and say which were best."""
    from synthoma import pipeline

    settings = settings if resume else pipeline.planned(cohort, settings)
    _explain(settings.reasons)
    best = pipeline.search(cohort, output, trials, config=settings, resume=resume, force=force, report=display.training)
    say(f"best settings: {best}\npage: {output / 'report.html'}")
    say(f"train with them: synthoma train {cohort} -o RUN --config {output / 'best.toml'}")


def _tracker(name: str | None) -> TrackerName | None:
    """The tracker of a name.

    Raises:
        ConfigError: there is none of that name.
    """
    known: dict[str, TrackerName] = {"tensorboard": "tensorboard", "mlflow": "mlflow"}
    if name is None or name in known:
        return None if name is None else known[name]
    raise ConfigError("tensorboard or mlflow for --track", repr(name), "choose one of them")


def _explain(reasons: Sequence[str]) -> None:
    """Print why auto chose what it chose."""
    for reason in reasons:
        say(f"auto: {reason}")


def _list_models() -> None:
    """Print the models by kind."""
    from synthoma.detectors.models import CLASSIFIERS, SEGMENTERS
    from synthoma.generators.recipes import generators

    for title, models in (("generators", generators()), ("segmenters", SEGMENTERS), ("classifiers", CLASSIFIERS)):
        say(f"{title}:")
        for name, (text, _) in models.items():
            say(f"  {name:<16} {text}")


def _print_summary(cohort: str, settings: TrainConfig) -> None:
    """Tables of the networks that would be trained."""
    from synthoma import pipeline
    from synthoma.core.progress import silent
    from synthoma.detectors.plan import DetectorPlan
    from synthoma.generators.families import gan_summary
    from synthoma.generators.plan import plan_training
    from synthoma.pipeline.streaming import lesson
    from synthoma.training.layers import layers_of, total

    with lesson(cohort, settings, silent) as taught:
        source = taught.cohort
        settings = pipeline.planned(source, settings)
        if settings.kind == "generator":
            tables = gan_summary(settings.gan, plan_training(source, settings).shape)
        else:
            plan = DetectorPlan(source, settings, taught.stream)
            seen = plan.sources[0].fetch(plan.sources[0].rows[:2]).images
            tables = {settings.kind: layers_of(plan.network("cpu").eval(), seen)}
    for name, layers in tables.items():
        say(f"\n{name}: {total(layers):,} parameters")
        for layer in layers:
            say(f"  {layer.name:<14} {layer.kind:<18} {' x '.join(map(str, layer.shape)):<16} {layer.parameters:>12,}")
