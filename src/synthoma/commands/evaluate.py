"""``synthoma evaluate``: a verdict on a synthetic cohort, what a trained model is worth, or how well masks agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from synthoma.commands.options import (
    SPREAD,
    TAKEN,
    Assignments,
    ConfigFile,
    Extractor,
    Force,
    Given,
    Keep,
    Open,
    Output,
    PrintConfig,
    Turing,
    takes,
)
from synthoma.commands.printing import browse, say, share_told
from synthoma.commands.progress import shown
from synthoma.core.errors import ConfigError
from synthoma.core.fanned import FanoutConfig, fanned
from synthoma.evaluation.heldout.settings import HeldOutConfig
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.masks.settings import MasksConfig

EXAMPLES = (
    "synthoma evaluate lgg synthetic -o evaluation",
    "synthoma evaluate lgg synthetic -o evaluation --preset standard --keep synthetic-clean",
    "synthoma evaluate lgg --model detector -o held-out",
    "synthoma evaluate lgg --model detector -o held-out --by site,size --against elsewhere",
    "synthoma evaluate true-masks/ found/ -o scores --other other-model/",
)


@takes(
    MasksConfig,
    *("other", "nested", "convention", "tolerance", "lesion_reach", "small_lesion", "lesion_sizes"),
    into="of_masks",
)
@takes(HeldOutConfig, "model", "part", "by", "against", into="of_model")
@takes(FanoutConfig, *SPREAD, into="of_fan")
@takes(EvaluateConfig, "preset", "phantom", "run", "cells", "splits", "jobs", "device", "seed")
def run(
    real: Annotated[
        Path, typer.Argument(metavar="REAL", help="The cohort that the generator was trained on; or a folder of masks.")
    ],
    output: Output,
    given: Given,
    of_model: Given,
    of_masks: Given,
    of_fan: Given,
    synthetic: Annotated[
        Path | None,
        typer.Argument(metavar="SYNTHETIC", help="A synthetic cohort, from any tool; or predicted masks."),
    ] = None,
    extractor: Extractor = None,
    keep: Keep = None,
    turing: Turing = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    print_config: PrintConfig = False,
    open_page: Open = False,
    force: Force = False,
) -> None:
    """Run the command."""
    settings = EvaluateConfig.resolve(config, assignments or [], given)
    if print_config:
        say(settings.to_toml(), end="")
        return
    from synthoma.core.places import check_apart

    for place in (output, keep, settings.cells):
        if place is not None:
            check_apart(place, [config])
    if of_model:
        others: dict[str, object] = {"--extractor": extractor, "--keep": keep, "--set": assignments}
        others |= {"--config": config, "--turing": turing, "SYNTHETIC": synthetic}
        _check_useful("a model", [*given, *of_masks, *of_fan], others)
        _score_model(real, output, HeldOutConfig.resolve(flags=of_model), settings, force=force)
    elif synthetic is None:
        todo = "name it behind the real one, or give --model RUN to score a trained model"
        raise ConfigError("a synthetic cohort, or predicted masks", "none", todo)
    elif not (real / "cohort.json").is_file() and not (synthetic / "cohort.json").is_file():
        others = {"--extractor": extractor, "--keep": keep, "--turing": turing}
        others |= {"--set": assignments, "--config": config}
        _check_useful("masks", [*given, *of_fan], others)
        scored = MasksConfig.resolve(flags=of_masks)
        _score_masks(real, synthetic, output, scored, seed=settings.seed, force=force)
    else:
        _check_useful("cohorts", [*of_masks], {})
        with fanned(FanoutConfig.resolve(flags=of_fan)) as fan:
            _evaluate(real, synthetic, output, settings, keep, extractor, turing, force)
        if share_told(fan):
            return
    if open_page:
        browse(output / "report.html")


def _check_useful(what: str, given: Sequence[str], others: Mapping[str, object]) -> None:
    """Raise ConfigError where something was given that is of no use for what is looked at; a seed always is."""
    flags = {name: flag for taken in TAKEN[run] for name, flag in taken.flags().items()}
    of_use = ("seed", "device") if what == "a model" else ("seed",)
    useless = [flags[name] for name in given if name not in of_use]
    useless += [flag for flag, value in others.items() if value is not None]
    if useless:
        wanted = f"settings of {what}" + ("" if what == "a model" else ", which these are")
        raise ConfigError(wanted, ", ".join(useless), "leave them out")


def _score_model(cohort: Path, output: Path, asked: HeldOutConfig, settings: EvaluateConfig, *, force: bool) -> None:
    """Score a trained model and print what matters most."""
    from synthoma import pipeline
    from synthoma.reports.model_text import model_lines

    if asked.model is None:
        raise ConfigError("a model to score", "settings of one alone", "add for example --model detector")
    with shown() as display:
        scores = pipeline.evaluate_model(
            cohort,
            asked.model,
            output,
            part=asked.part,
            by=asked.by,
            against=asked.against,
            device=settings.device,
            seed=settings.seed,
            force=force,
            progress=display.work,
        )
    for line in model_lines(scores):
        say(line)
    say(f"page: {output / 'report.html'}\nResearch software, not for clinical use.")


def _score_masks(real: Path, predicted: Path, output: Path, settings: MasksConfig, *, seed: int, force: bool) -> None:
    """Score masks and print what matters most."""
    from synthoma import pipeline
    from synthoma.scans.layouts.listing import counted

    with shown() as display:
        scores = pipeline.score_masks(
            real, predicted, output, **settings.model_dump(), seed=seed, force=force, progress=display.work
        )
    dice, median = (scores["regions"]["whole tumour"]["dice"][name] for name in ("mean", "median"))
    say(f"Dice of {counted(scores['patients'], 'patient')}: mean {_span(dice)}, median {_span(median)}")
    for region in list(scores["regions"])[1:]:
        say(f"Dice of {region}: mean {_span(scores['regions'][region]['dice']['mean'])}")
    say(f"{len(scores['skipped'])} files skipped, {sum(map(len, scores['missing'].values()))} predictions missing")
    for remark in scores["remarks"]:
        say(f"note: {remark}")
    say(f"page: {output / 'report.html'}\nResearch software, not for clinical use.")


def _evaluate(
    real: Path,
    synthetic: Path,
    output: Path,
    settings: EvaluateConfig,
    keep: Path | None,
    extractor: Path | None,
    turing: Path | None,
    force: bool,
) -> None:
    """Judge a synthetic cohort and print lights and verdict."""
    from synthoma import pipeline
    from synthoma.reports.evaluation_text import splits_lines

    with shown() as display:
        result = pipeline.evaluate(
            real,
            synthetic,
            output,
            config=settings,
            keep=keep,
            extractor=extractor,
            turing=turing,
            force=force,
            progress=display.work,
        )
    for light in result.lights:
        say(f"{light.question:<10} {light.state:<12} {light.text}")
    for line in splits_lines(result):
        say(line)
    say(f"{result.verdict.word}: {result.verdict.because}\npage: {output / 'report.html'}")
    if keep is not None:
        where = keep if result.kept else "nothing was written"
        say(f"kept {result.kept} of {result.compared.of_synthetic} synthetic slices: {where}")


def _span(entry: dict[str, Any]) -> str:
    """A figure with its interval; one patient has none."""
    if entry["value"] is None or entry["low"] is None:
        return "none" if entry["value"] is None else f"{entry['value']:.3f}"
    return f"{entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"
