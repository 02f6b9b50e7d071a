"""The folder of a run: begun once, never overwritten by accident, continued only with what it was begun with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from synthoma.cohorts.cohort import Cohort
from synthoma.core.artefacts import check_schema, read_json, sealed, sealed_text, unsealed, verify_text
from synthoma.core.errors import InputError
from synthoma.core.outputs import check_output, filled
from synthoma.core.provenance import file_digest
from synthoma.core.records import Record
from synthoma.core.whole_files import write_json, write_text
from synthoma.training.settings import DEFAULT_MINUTES, TrainingConfig

FILE = "run.json"
SETTINGS = "config.toml"
SCHEMA = "synthoma.run/1"
SAMPLES = "samples"
EXECUTION = "execution.json"

Training = TypeVar("Training", bound=TrainingConfig)


class RunMeta(Record, extra="allow"):
    """What a run was begun with: the content of run.json, beside its own checksum."""

    schema_: str = Field(SCHEMA, alias="schema", description="name and version of this form")
    model: str = Field(description="its name, as `synthoma train --list` has it")
    cohort_sha256: str | None = Field(None, description="SHA-256 of the cohort's slices.csv")
    others_sha256: dict[str, str | None] = Field(
        default_factory=dict, description="the same of further cohorts, by their place; null where there is none"
    )
    init_sha256: str | None = Field(None, description="file of the model that it begins with; null for random weights")
    stream: str | None = Field(None, description="address of the simulated patients who come in the course of it")


def read_run(run: Path) -> RunMeta:
    """What a run was begun with, as it says itself, its checksum compared.

    Raises:
        InputError: nothing readable there, or not what was written.
    """
    path = run / FILE
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(error.expected, f"{error.came}, which is damaged", error.todo) from None
    return RunMeta.parse(unsealed(content, path), path)


def begin_run(run: Path, cohort: Cohort, config: Training, *, force: bool, stream: str | None = None) -> Training:
    """Make the folder of a new run and write down what it is begun with.

    Args:
        run: the folder.
        cohort: what it will be trained on.
        config: the settings; without a budget it gets ten minutes.
        force: replace an existing run.
        stream: address of the simulated patients who come in the course of it, of whom the cohort holds the first.

    Raises:
        InputError: the folder exists and holds something, or what the run begins with.
    """
    check_run_place(run, config, (cohort.path,), force=force)
    if not config.budgeted():
        config = config.model_copy(update={"minutes": DEFAULT_MINUTES})
    begun = RunMeta(
        schema=SCHEMA,
        model=config.model,
        cohort_sha256=_digest(cohort.path),
        others_sha256={str(place): _digest(place) for place in config.cohorts()},
        init_sha256=_init_digest(config),
        **({} if stream is None else {"stream": stream}),
    )
    # Its content is known for a run's from the beginning, or --force would not replace it.
    with filled(run, force=force) as partial:
        write_json(partial / FILE, sealed(begun.content()))
        write_settings(partial, config)
    return config


def check_run_place(run: Path, config: TrainingConfig, read: Iterable[Path], *, force: bool) -> None:
    """Raise InputError where a run may not be begun: other files are there, a run, or what it begins with or reads."""
    if (run / FILE).is_file() and not force:
        todo = "continue it with --resume, replace it with --force, or choose another name"
        raise InputError("a new folder for the run", f"{run}, which exists", todo)
    check_output(run, force=force, inputs=(*read, *_begun_with(config)))


def continue_run(run: Path, cohort: Cohort, config: Training, stream: str | None = None) -> Training:
    """Settings of a run that is to go on. Only its budget may be changed; ``stream`` is that of ``begin_run``.

    Raises:
        InputError: no run there, or it was begun on another cohort or stream, or with other synthetic or simulated
            ones.
    """
    begun = check_begun(run)
    if begun.stream != stream:
        names = [f"the stream {name}" if name else "a cohort in a folder" for name in (begun.stream, stream)]
        todo = "give what the run was begun with, or begin another run"
        raise InputError(f"what the run was begun on, {names[0]}", names[1], todo)
    if begun.cohort_sha256 != _digest(cohort.path):
        todo = "give the cohort that the run was begun with, or begin another run"
        raise InputError("the cohort that the run was begun on", f"another one ({stream or cohort.path})", todo)
    old = type(config).resolve(run / SETTINGS)
    for place in old.cohorts():
        if begun.others_sha256.get(str(place)) != _digest(place):
            todo = "prepare it again as it was (the same command and seed), or begin another run"
            raise InputError("the cohort that the run was begun with", f"{place}, which has changed", todo)
    # Its networks, and the patients behind them, are read from it again.
    if begun.init_sha256 is not None and begun.init_sha256 != _init_digest(old):
        todo = "put it back as it was, or begin another run"
        raise InputError("the model that the run was begun with", f"{old.init}, which has changed or is gone", todo)
    return old.model_copy(update=config.budget()) if config.budgeted() else old


def check_begun(run: Path) -> RunMeta:
    """What a run was begun with.

    Raises:
        InputError: there is no run, or it is damaged, so that it cannot go on.
    """
    path = run / FILE
    if not path.is_file():
        raise InputError("a run to resume", f"{run}, which is none", "leave out --resume to begin one")
    check_schema(read_json(path), SCHEMA, path)
    begun = read_run(run)
    if absent := {"cohort_sha256", "others_sha256"} - begun.model_fields_set:
        came = f"no {' and no '.join(sorted(absent))} in {path}"
        raise InputError(f"a complete {FILE}", came, "restore it from a copy, or begin another run")
    verify_text(run / SETTINGS)
    return begun


def verify_begun(run: Path) -> list[str]:
    """What is wrong with a run that is not finished, a line each."""
    from synthoma.training.checkpoint import verify_checkpoints  # loads torch, as what follows
    from synthoma.training.device import read_execution

    found = verify_checkpoints(run)
    for check in (check_begun, lambda place: read_execution(place / EXECUTION)):
        try:
            check(run)
        except InputError as error:
            found.append(str(error))
    return found


def write_settings(run: Path, config: TrainingConfig) -> None:
    """Write the settings that a run is continued with, with their checksum."""
    write_text(run / SETTINGS, sealed_text(config.to_toml()))


def _begun_with(config: TrainingConfig) -> tuple[Path, ...]:
    """All artefacts that a run needs to begin."""
    from synthoma.training.bundle import SHIPPED

    started = () if config.init in (None, SHIPPED) else (Path(config.init),)
    return (*config.cohorts(), *started)


def _init_digest(config: TrainingConfig) -> str | None:
    """SHA-256 of the model file that the run begins with; None for random weights, or where it is gone."""
    if config.init is None:
        return None
    from synthoma.training.bundle import SHIPPED, model_file, shipped_model

    if config.init == SHIPPED:
        path = shipped_model("generator" if config.kind == "generator" else "segmenter")
    else:
        path = model_file(Path(config.init))
    return file_digest(path) if path.is_file() else None


def _digest(cohort: Path) -> str | None:
    table = cohort / "slices.csv"
    return file_digest(table) if table.is_file() else None
