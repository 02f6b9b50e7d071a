"""From a cohort to the best settings of a model: trials in a folder, which goes on where it was stopped."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.cohorts.cohort import Cohort
from synthoma.core.artefacts import FILE, verified_digest, verify_text
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.outputs import check_output, claimed, filled, write_checksums
from synthoma.core.types import Place
from synthoma.core.untrusted import csv_of_frame
from synthoma.core.whole_files import write_text
from synthoma.pipeline.description import add_search_page
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.training import planned, silent_report
from synthoma.settings import TrainConfig
from synthoma.training.search import JOURNAL, Search, Trial, Value, Vary

if TYPE_CHECKING:
    from synthoma.training.loop import Report

MOST_TRIALS = 10_000


@in_python
def search(
    cohort: Place,
    output: Place,
    trials: int,
    *,
    config: TrainConfig,
    resume: bool = False,
    force: bool = False,
    report: Report = silent_report,
) -> dict[str, Any]:
    """Try settings of a model, each for the whole budget of ``config``, and rank them by validation score.

    Rates, batch and augmentation are varied, and the size of the network; of segmenters the loss too. What ``config``
    says somebody gave stays as it is. The folder is there from the first trial on, and a search that was stopped goes
    on in it.

    Args:
        cohort: what to train on.
        output: folder for search.csv, search.json, best.toml, report.html and one run a trial.
        trials: how many in all.
        config: model, budget and seed of every trial; a search that goes on takes those that it was begun with.
        resume: go on with the trials that are done.
        force: replace an existing search.
        report: told how far each trial is.

    Returns:
        The best trial's number, score and settings.

    Raises:
        ConfigError: Optuna is not installed, nothing is left to vary, or no trial could be trained.
        InputError: nothing to train or to be judged on, or no search there that could go on.
    """
    if not 1 <= trials <= MOST_TRIALS:
        raise ConfigError(f"1 to {MOST_TRIALS:,} trials", str(trials), "give for example --search 20")
    source, folder = Cohort(cohort), Path(output)
    config = _begun(folder, source) if resume else planned(source, config)
    _check(source, config)
    if not resume:
        begun_with = (config.phantom, None if config.init in (None, "phantom") else config.init)
        check_output(folder, force=force, inputs=(source.path, *begun_with))
    space = _space(config)
    Search(space, config.seed)  # says now if it cannot be
    with claimed(folder):
        if not resume:
            _begin(folder, source, config, force=force)
        (folder / FILE).unlink(missing_ok=True)  # from here on its files change
        study = Search(space, config.seed, folder / JOURNAL)
        _write(folder, source, config, study, space, trials)
        ranked = study.run(
            trials,
            partial(_trained, folder, source, config, report),
            lambda known: _write(folder, source, config, study, space, trials),
        )
        for place in set(folder.glob("trial-*")) - {folder / f"trial-{row['trial']:03d}" for row in ranked}:
            shutil.rmtree(place)  # what was killed or broke
        write_checksums(folder)
    return ranked[0]


def _check(source: Cohort, config: TrainConfig) -> None:
    """Raise what speaks against a search before anything is begun."""
    if config.kind == "generator":
        if config.gan.network == "repaint" and config.phantom is None:
            todo = "make some with `synthoma prepare --phantom N` as the cohort was prepared, and give --phantom COHORT"
            raise ConfigError("one set of simulated slices for all trials", "none", todo)
        return
    from synthoma.detectors.plan import DetectorPlan

    if not len(DetectorPlan(source, config).validation):
        todo = "prepare the cohort with a validation share"
        raise InputError("validation slices, by whose score trials are ranked", "none", todo)


def _space(config: TrainConfig) -> list[Vary]:
    from synthoma.detectors.search import detector_space
    from synthoma.generators.search import generator_space

    return generator_space(config) if config.kind == "generator" else detector_space(config)


def _changed(config: TrainConfig, values: Mapping[str, Value]) -> TrainConfig:
    from synthoma.detectors.search import changed_detector
    from synthoma.generators.search import changed_generator

    return changed_generator(config, values) if config.kind == "generator" else changed_detector(config, values)


def _trained(
    folder: Path, source: Cohort, config: TrainConfig, report: Report, values: Mapping[str, Value], number: int
) -> float:
    """The best score of one trial."""
    from synthoma.detectors.plan import DetectorPlan
    from synthoma.detectors.train import train_detector
    from synthoma.generators.plan import plan_training
    from synthoma.generators.train import train_generator
    from synthoma.training.runs import begin_run

    run, changed = folder / f"trial-{number:03d}", _changed(config, values)
    if config.kind == "generator":
        plan = plan_training(source, begin_run(run, source, changed, force=True))
        return train_generator(plan, run, report).best
    detector = DetectorPlan(source, changed)
    return train_detector(detector.within(begin_run(run, source, changed, force=True)), run, report).best


def _begin(folder: Path, source: Cohort, config: TrainConfig, *, force: bool) -> None:
    """Make the folder of a new search and write down what it is begun with."""
    from synthoma.core.artefacts import sealed_text

    with filled(folder, force=force) as partial:
        write_text(partial / "config.toml", sealed_text(config.to_toml()))
        write_text(partial / "search.csv", "trial,score\n")
        from synthoma.training.search_file import SearchMeta, write_search

        write_search(partial, SearchMeta.of(config, verified_digest(source.path / "slices.csv")))


def _begun(folder: Path, source: Cohort) -> TrainConfig:
    """The settings that a search was begun with.

    Raises:
        InputError: there is none, or it was begun on another cohort.
    """
    from synthoma.training.search_file import read_search

    if not (folder / JOURNAL).is_file():
        raise InputError("a search to resume", f"{folder}, which is none", "leave out --resume to begin one")
    if read_search(folder).cohort_sha256 != verified_digest(source.path / "slices.csv"):
        todo = "give the cohort that the search was begun on, or begin another"
        raise InputError("the cohort that the search was begun on", f"another one ({source.path})", todo)
    verify_text(folder / "config.toml")
    return TrainConfig.resolve(folder / "config.toml")


def _write(folder: Path, source: Cohort, config: TrainConfig, study: Search, space: list[Vary], trials: int) -> None:
    """Write down what is known after each trial: table, best settings, importances, page."""
    import pandas as pd  # slow to load, and every command loads this module

    from synthoma.training.search_file import SearchMeta, write_search

    ranked: list[Trial] = study.ranked()
    columns = ["trial", "score", *(one.name for one in space)]
    write_text(folder / "search.csv", csv_of_frame(pd.DataFrame(ranked, columns=columns)))
    if ranked:
        values = {one.name: ranked[0][one.name] for one in space}
        write_text(folder / "best.toml", _changed(config, values).to_toml())
    meta = SearchMeta.of(
        config, verified_digest(source.path / "slices.csv"), wanted=trials, importances=study.importances()
    )
    write_search(folder, meta)
    add_search_page(folder, folder.resolve().name)
