"""From a folder of scans to a verdict in one go: each step an artefact that can be used, replaced or made by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue

from synthoma.cohorts.cohort import Cohort, is_cohort
from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.artefacts import read_json
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.outputs import check_output
from synthoma.core.places import check_apart
from synthoma.core.progress import Progress
from synthoma.core.records import Record
from synthoma.core.types import Place
from synthoma.core.whole_files import write_json, write_text
from synthoma.pipeline.generation import generate
from synthoma.pipeline.judgement import evaluate
from synthoma.pipeline.preparation import prepare
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.training import telling_training, train

if TYPE_CHECKING:
    from synthoma.evaluation.result import Evaluation
    from synthoma.evaluation.settings import EvaluateConfig
    from synthoma.settings import TrainConfig
    from synthoma.training.loop import Report

SCHEMA = "synthoma.chain/1"
FILE = "chain.json"
COUNT = 500
"""Images that are drawn where no number is given."""

Step = Literal["prepare", "train", "generate", "evaluate"]
STEPS: dict[Step, str] = {
    "prepare": "cohort",
    "train": "run",
    "generate": "synthetic",
    "evaluate": "evaluation",
}
"""Step -> folder of its artefact in the output."""

Announce = Callable[[int, Step, bool], None]
"""Told of each step: its number from 1, its name, and whether it was done before."""


class Chain(Record):
    """What chain.json says: what was asked for, so that the same command goes on and another one is told apart."""

    kind: str = Field(alias="schema")
    source: str = Field(description="name of the folder of scans, or of the cohort")
    asked: dict[Step, dict[str, JsonValue]] = Field(description="settings of each step")


def _told_nobody(number: int, step: Step, done: bool) -> None:
    """Tell nobody which step it is."""


@in_python
def chain(
    folder: Place,
    output: Place,
    *,
    preparation: PrepareConfig | None = None,
    training: TrainConfig | None = None,
    count: int = COUNT,
    evaluation: EvaluateConfig | None = None,
    force: bool = False,
    announce: Announce = _told_nobody,
    tell: Callable[[dict[str, Any]], None] | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Evaluation:
    """Prepare, train, generate and evaluate; what an earlier call has finished is kept, an unfinished training goes on.

    Args:
        folder: scans as ``prepare`` reads them, or a cohort.
        output: gets ``cohort/``, ``run/``, ``synthetic/``, ``evaluation/``, chain.json and report.html.
        preparation: settings of ``prepare``; the usual ones where None.
        training: settings of ``train``; ``auto`` for ten minutes where None.
        count: images that are drawn.
        evaluation: settings of ``evaluate``; the preset quick where None. With other ones than before, the evaluation
            alone is made anew.
        force: begin anew, in place of what is there.
        announce: told of each step.
        tell: given what was understood of the folder, see ``prepare``.
        progress: told how far the work is.
        report: told how far the training is. Where nobody is told of either, both are shown, see ``core.display``.

    Returns:
        The evaluation.

    Raises:
        InputError: what the steps raise; or ``output`` holds other files.
        ConfigError: ``output`` holds a chain that was asked for otherwise.
        LeakError: see ``evaluate``.
    """
    from synthoma.evaluation.result import read_evaluation
    from synthoma.evaluation.settings import EvaluateConfig
    from synthoma.settings import TrainConfig

    source, place = Path(folder), Path(output)
    preparation = preparation or PrepareConfig()
    training = training or TrainConfig()
    evaluation = evaluation or EvaluateConfig()
    given = is_cohort(source)
    if given:
        check_apart(place, [source])
    steps: dict[Step, dict[str, JsonValue]] = {
        "prepare": {} if given else {**preparation.own(), "jobs": 0},
        "train": training.own(),
        "generate": {"count": count, "seed": training.seed},
        "evaluate": evaluation.own(),
    }
    asked = Chain.model_validate({"schema": SCHEMA, "source": source.resolve().name, "asked": steps})
    anew = _begun(place, source, asked, force)
    cohort = source if given else place / STEPS["prepare"]
    run, synthetic, judged = (place / STEPS[step] for step in ("train", "generate", "evaluate"))

    with telling_training(report, progress) as (report, progress):
        done = (cohort / "cohort.json").is_file()
        announce(1, "prepare", done)
        if not done:
            prepare(source, cohort, config=_with_enough_held_out(source, preparation), progress=progress, tell=tell)
        _check_enough(Cohort(cohort))
        done = (run / "model.safetensors").is_file() and (run / "report.html").is_file()
        announce(2, "train", done)
        if not done:
            resume = (run / "run.json").is_file()
            train(cohort, run, config=training, resume=resume, report=report, progress=progress)
        done = (synthetic / "cohort.json").is_file()
        announce(3, "generate", done)
        if not done:
            generate(run, synthetic, count, seed=training.seed, progress=progress)
        done = (judged / "evaluation.json").is_file() and not anew
        announce(4, "evaluate", done)
        if not done:
            evaluate(cohort, synthetic, judged, config=evaluation, force=anew, progress=progress)
            write_json(place / FILE, asked.content())
    result = read_evaluation(judged)
    write_text(place / "report.html", _page(place, cohort, result, asked))
    return result


def _with_enough_held_out(source: Path, preparation: PrepareConfig) -> PrepareConfig:
    """Settings by which as many patients are held out as a test of usefulness takes, where nobody chose a split.

    With few patients the usual share of them is too few, and nobody would learn of it before the end.
    """
    from synthoma.cohorts.splits import LEAST_HELD_OUT
    from synthoma.cohorts.understanding import enough_held_out
    from synthoma.core.pseudonyms import secret_key
    from synthoma.scans.layouts import take_inventory

    if preparation.given() & {"split", "split_from"}:
        return preparation
    cases = take_inventory(source, layout=preparation.layout, key=secret_key(), convention=preparation.convention).cases
    outlined = [case for case in cases if case.has_mask] or cases
    patients = len({case.patient or case.name for case in outlined})
    usual = patients * (1 - preparation.split[0])
    if patients < LEAST_HELD_OUT + 2 or usual >= LEAST_HELD_OUT:
        return preparation
    return preparation.model_copy(update={"split": enough_held_out(patients)})


def _check_enough(cohort: Cohort) -> None:
    """Raise InputError where too few slices are held out to judge by: said now, not after the training."""
    from synthoma.evaluation.comparison import LEAST

    held_out = int((cohort.slices["split"] != "train").sum())
    if held_out < LEAST:
        came = f"{held_out} of {len(cohort):,} slices"
        todo = "add scans, or hold out more with --split 0.5,0.25,0.25 and --force"
        raise InputError(f"at least {LEAST} slices of held-out patients to judge by", came, todo)


def _begun(place: Path, source: Path, asked: Chain, force: bool) -> bool:
    """Begin a chain, or find one to go on with; whether its evaluation has to be made anew.

    Raises:
        InputError: other files are there, or an artefact of another kind.
        ConfigError: it was asked for otherwise.
    """
    file = place / FILE
    if force or not file.is_file():
        check_output(place, force=force, around=(source,))
        if force and place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True, exist_ok=True)
        write_json(file, asked.content())
        return False
    if not any((place / name).exists() for name in STEPS.values()):
        write_json(file, asked.content())  # nothing came of it, as of a misspelt folder: it binds nobody
        return False
    before = Chain.parse(read_json(file), file)
    differing = [f"{step}: {difference}" for step in ("prepare", "train", "generate") if (
        difference := _difference(before.asked.get(step, {}), asked.asked[step]))]  # fmt: skip
    if before.source != asked.source:
        differing.insert(0, f"{before.source} was read, not {asked.source}")
    if differing:
        todo = "give the same settings, choose another output, or begin anew with --force"
        raise ConfigError(f"what {place} was begun with", differing[0], todo)
    return bool(before.asked["evaluate"] != asked.asked["evaluate"]) and (place / STEPS["evaluate"]).exists()


def _difference(before: dict[str, JsonValue], now: dict[str, JsonValue]) -> str:
    """The first setting that differs, in words; empty where none does."""
    for name in sorted({*before, *now}):
        ours, theirs = before.get(name), now.get(name)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            if inner := _difference(ours, theirs):
                return f"{name}.{inner}"
        elif ours != theirs:
            return f"{name} {theirs} where {ours} was given"
    return ""


def _page(place: Path, cohort: Path, result: Evaluation, asked: Chain) -> str:
    """The page that leads to those of the steps."""
    from synthoma.reports.chain_page import chain_page

    own = cohort.resolve().is_relative_to(place.resolve())
    return chain_page(place.resolve().name, asked.source, result, Cohort(cohort), place / STEPS["train"],
                      Cohort(place / STEPS["generate"]), own=own)  # fmt: skip
