"""From a cohort to a trained model."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from synthoma.cohorts import cohort as folders
from synthoma.core.artefacts import FILE
from synthoma.core.config import settled
from synthoma.core.disk import disk_refused, output_error
from synthoma.core.display import shown
from synthoma.core.errors import ConfigError, OutputError
from synthoma.core.outputs import claimed, write_checksums
from synthoma.core.plugins import using
from synthoma.core.progress import Progress, silent
from synthoma.core.resources import check_disk, check_memory
from synthoma.core.seeding import stream_key
from synthoma.core.types import Place
from synthoma.core.whole_files import sweep
from synthoma.phantom.stream import is_address
from synthoma.pipeline.cohort import Cohort
from synthoma.pipeline.description import add_run_page
from synthoma.pipeline.keywords import TrainKeywords
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.run import Run
from synthoma.pipeline.signature import with_settings
from synthoma.pipeline.simulation import SIMULATED_PATIENTS, look_of, simulate_beside
from synthoma.pipeline.streaming import Lesson, lesson
from synthoma.settings import TrainConfig

if TYPE_CHECKING:
    from synthoma.core.resources import Needs
    from synthoma.detectors.plan import DetectorPlan
    from synthoma.detectors.streamed import Stream
    from synthoma.generators.family import GeneratorPlan
    from synthoma.training.loop import Progress as Trained
    from synthoma.training.loop import Report
    from synthoma.training.tracking import Follower, TrackerName


def silent_report(progress: object, share: float, recent: dict[str, float]) -> None:
    """Tell nobody how far a training is."""


@contextmanager
def telling_training(report: Report | None, progress: Progress | None) -> Iterator[tuple[Report, Progress]]:
    """Whom a training is told to: the caller's own functions, or where there are none, whoever looks."""
    if report is not None or progress is not None:
        yield report or silent_report, progress or silent
        return
    with shown() as display:
        yield display.training, display.work


@with_settings(TrainConfig)
@in_python
def train(
    cohort: Place,
    run: Place,
    *,
    config: TrainConfig | None = None,
    resume: bool = False,
    force: bool = False,
    track: TrackerName | None = None,
    report: Report | None = None,
    progress: Progress | None = None,
    tell: Callable[[Needs], None] = lambda needed: None,
    explain: Callable[[Sequence[str]], None] = lambda reasons: None,
    **settings: Unpack[TrainKeywords],
) -> Run:
    """Train a model on a cohort's training split.

    A phantom-gan that is given no simulated slices gets its own, in ``phantom/`` of the run.

    Args:
        cohort: the cohort, or its folder; or the address of a stream of simulated patients, such as
            ``"phantom://?size=64&modalities=flair&seed=3"``, see ``phantom.StreamConfig``.
        run: folder for config.toml, log.jsonl, checkpoint/, samples/, model.safetensors and report.html.
        config: the settings; or give single ones by name (``model="dcgan", minutes=10``).
        resume: go on where an interrupted run stopped, with the settings that it was begun with.
        force: replace an existing run.
        track: send losses, scores and samples to TensorBoard (``tensorboard/`` in the run) or MLflow as well.
        report: told about once a second how far it is.
        progress: told how far the simulation of patients is, where there is one. Where nobody is told of either, both
            are shown, see ``core.display``.
        tell: given what the training needs, estimated, before it begins.
        explain: given why ``auto`` chose what it chose.
        settings: fields of ``TrainConfig``.

    Returns:
        The run, opened; it stands for its folder wherever a path is taken.

    Raises:
        InputError: nothing to train on, masks missing, an existing run, or another cohort on resuming.
        ConfigError: an unknown model or setting, or a size that the model cannot draw.
    """
    from synthoma.training.bundle import SHIPPED
    from synthoma.training.runs import check_begun, check_run_place
    from synthoma.training.settings import FROM_NOTHING
    from synthoma.training.team import teamed
    from synthoma.training.tracking import check_tracker

    start = time.perf_counter()
    if track is not None:
        check_tracker(track)
    config = settled(TrainConfig, config, settings)
    # A run can be resumed from anywhere.
    begun = config.init if config.init in (None, SHIPPED, FROM_NOTHING) else str(Path(str(config.init)).resolve())
    places = {"extra": tuple(path.resolve() for path in config.extra), "init": begun}
    config = config.model_copy(update={**places, "phantom": config.phantom.resolve() if config.phantom else None})
    read = () if is_address(cohort) else (Path(cohort),)
    with (
        telling_training(report, progress) as (report, progress),
        teamed(Path(run), resume=resume, cuda=config.device == "cuda") as (folder, resume),
    ):
        # Before patients are simulated, where some are.
        check_begun(folder) if resume else check_run_place(folder, config, read, force=force)
        with lesson(cohort, None if resume else config, progress) as taught, claimed(folder):
            follow = partial(_followed, track, report)
            _train(taught, folder, config, resume, force, follow, progress, tell, explain, start)
    return Run(run)


def _train(
    taught: Lesson, folder: Path, config: TrainConfig, resume: bool, force: bool,
    follow: Callable[[Path], AbstractContextManager[Report]], progress: Progress, tell: Callable[[Needs], None],
    explain: Callable[[Sequence[str]], None], start: float,
) -> None:  # fmt: skip
    """``train`` in a folder that is claimed, from a cohort or stream that is open."""
    from synthoma.detectors.material import seed_budget
    from synthoma.training.checkpoint import FOLDER as CHECKPOINTS
    from synthoma.training.runs import SAMPLES, begin_run, continue_run
    from synthoma.training.team import MARK, mark_begun

    source, stream = taught.cohort, taught.stream
    address = None if stream is None else stream.address
    config = continue_run(folder, source, config, address) if resume else seed_budget(source, planned(source, config))
    _check_team(config)
    # What is wrong is said before anything is written, or an old run is replaced.
    explain(config.reasons)
    plan = _plan(source, config, stream)
    tell(_checked_needs(plan, folder))
    if not resume:
        plan = plan.within(begin_run(folder, source, config, force=force, stream=address))
        mark_begun(folder)
    (folder / FILE).unlink(missing_ok=True)  # from here on its files change
    for place in (folder, folder / CHECKPOINTS, folder / SAMPLES):  # what a killed run left
        sweep(place)
    try:
        with follow(folder) as told:
            _learn(plan, folder, told, progress, resume=resume, begun=start)
        (folder / MARK).unlink(missing_ok=True)
        add_run_page(folder, folder.resolve().name)
        write_checksums(folder)
    except (OSError, OutputError) as error:
        words = map(shlex.quote, ("synthoma", "train", taught.place, "-o", str(folder), "--resume"))
        raise out_of_room(error, folder, f"go on from the last checkpoint with `{' '.join(words)}`") from error


@contextmanager
def _followed(track: TrackerName | None, report: Report, folder: Path) -> Iterator[Report]:
    """Whom a training in this folder is told to, with the tracker where there is one."""
    from synthoma.training.tracking import following

    with following(track, folder) as follower:
        yield report if follower is None else _both(report, follower)


def _check_team(config: TrainConfig) -> None:
    """Raise ConfigError where several processes could not train this together."""
    from synthoma.generators.families import check_shared
    from synthoma.training.team import team

    if team().size == 1:
        return
    if config.kind == "generator":
        check_shared(config.gan)
    if config.images is None and config.epochs is None:
        todo = "give for example --images 200000: by the clock each process would stop at another step"
        raise ConfigError("a budget in images, for torchrun", "one in minutes", todo)


def _both(report: Report, follower: Follower) -> Report:
    """Tell the user, and let a tracker look at what was written."""

    def tell(progress: Trained, share: float, recent: dict[str, float]) -> None:
        report(progress, share, recent)
        follower.look()

    return tell


def _learn(
    plan: GeneratorPlan | DetectorPlan, folder: Path, report: Report, progress: Progress, *, resume: bool, begun: float
) -> None:
    """Train what was planned, simulating patients first where they are to be repainted."""
    from synthoma.detectors.train import train_detector
    from synthoma.generators.family import GeneratorPlan
    from synthoma.generators.settings import NETWORKS
    from synthoma.generators.train import OWN_PHANTOM, train_generator

    if not isinstance(plan, GeneratorPlan):
        whole = _with_simulated(plan, folder, progress)
        try:
            train_detector(whole, folder, report, resume=resume, begun=begun)
        finally:
            if whole.streamed is not None:
                whole.streamed.close()
        return
    if plan.family.repaints and plan.config.phantom is None and not (folder / OWN_PHANTOM).exists():
        _simulate_for(plan, folder / OWN_PHANTOM, progress)
    own = plan.family.network in NETWORKS
    with nullcontext() if own else using(f"a plugged-in generator {plan.family.network!r}"):
        train_generator(plan, folder, report, resume=resume, begun=begun)


def _with_simulated(plan: DetectorPlan, folder: Path, progress: Progress) -> DetectorPlan:
    """The same plan with the patients that are simulated for it, in ``phantom/`` of the run, to learn from too."""
    from synthoma.detectors.plan import DetectorPlan
    from synthoma.generators.phantomgan.material import simulation_settings
    from synthoma.generators.train import OWN_PHANTOM

    config, own = plan.config, folder / OWN_PHANTOM
    count = getattr(config, "simulate", None) or 0
    if not count:
        return plan
    if not own.exists():
        cohort, seed = plan.cohort, stream_key(config.seed, "training.phantom")
        simulate = simulation_settings(cohort, plan.sources[0].rows)
        simulate_beside(look_of(cohort), cohort.meta.provenance.config, simulate, own, count, seed, progress)
    return DetectorPlan(plan.cohort, config.model_copy(update={"extra": (*config.extra, own)}), plan.stream)


def _simulate_for(plan: GeneratorPlan, folder: Path, progress: Progress) -> None:
    """Simulate the patients whose slices a generator will repaint."""
    from synthoma.generators.phantomgan.material import simulation_settings

    cohort, config = plan.cohort, plan.config
    prepared, simulate = cohort.meta.provenance.config, simulation_settings(cohort, plan.rows)
    patients, seed = config.simulate or SIMULATED_PATIENTS, stream_key(config.seed, "training.phantom")
    simulate_beside(look_of(cohort), prepared, simulate, folder, patients, seed, progress)


def out_of_room(error: OSError | OutputError, place: Path, go_on: str) -> OSError | OutputError:
    """The same failure with words for how to go on after it; of another kind of error, the error itself."""
    if not disk_refused(error):
        return error
    found = error if isinstance(error, OutputError) else output_error(place, error)
    return OutputError(found.expected, found.came, f"make room there, then {go_on}")


def _plan(source: folders.Cohort, config: TrainConfig, stream: Stream | None = None) -> GeneratorPlan | DetectorPlan:
    from synthoma.detectors.plan import DetectorPlan
    from synthoma.generators.plan import plan_training

    return plan_training(source, config) if config.kind == "generator" else DetectorPlan(source, config, stream)


def _needs(plan: GeneratorPlan | DetectorPlan) -> Needs:
    from synthoma.generators.families import gan_summary
    from synthoma.generators.family import GeneratorPlan
    from synthoma.training.estimate import training_needs
    from synthoma.training.layers import layers_of
    from synthoma.training.settings import DEFAULT_MINUTES

    config = plan.config
    if isinstance(plan, GeneratorPlan):
        gan = plan.config.gan
        networks = {name: rows for name, rows in gan_summary(gan, plan.shape).items() if name != "combined"}
        batch = gan.batch
    else:
        seen = plan.sources[0].fetch(plan.sources[0].rows[:2]).images
        networks = {plan.kind: layers_of(plan.network("cpu").eval(), seen)}
        batch = plan.learner.batch
    minutes = DEFAULT_MINUTES if config.minutes is None and config.images is None else config.minutes
    return training_needs(networks, batch, config.keep, None if minutes is None else 60 * minutes)


def _checked_needs(plan: GeneratorPlan | DetectorPlan, folder: Path) -> Needs:
    """What a training needs, estimated from its networks; refused where this machine cannot hold it.

    Raises:
        InputError: it has less memory than the training needs.
        OutputError: the disk has less room than its checkpoints take.
    """
    from synthoma.training.device import choose_device
    from synthoma.training.settings import SECTION

    needed, section = _needs(plan), SECTION[plan.config.kind]
    if (stream := getattr(plan, "stream", None)) is not None:
        needed = replace(needed, memory=needed.memory + stream.memory(plan.cohort))
    if choose_device(plan.config.device) == "cpu":
        todo = f"use smaller batches (--set {section}.batch=8), narrower networks or smaller slices"
        check_memory(needed.memory, "this training", todo)
    check_disk(needed.disk, folder, "its checkpoints", "make room there, or keep fewer with --set keep=1")
    return needed


@in_python
def planned(cohort: Place, config: TrainConfig) -> TrainConfig:
    """The settings that a model stands for on this cohort, with ``reasons``; those that somebody gave as they are.

    Raises:
        InputError: nothing to train on.
        ConfigError: settings that auto decides.
    """
    from synthoma.generators.auto import choose_generator
    from synthoma.generators.plan import training_rows
    from synthoma.pipeline.few_patients import plan_segmenter
    from synthoma.training.settings import AUTO, FROM_NOTHING

    source = cohort if isinstance(cohort, folders.Cohort) else Cohort(cohort)
    if config.model == AUTO:
        rows = training_rows(source, config)
        return choose_generator(source, config, rows, lambda: _seconds_a_patient(source, config)).beside(config)
    if config.kind == "segmenter":
        found = plan_segmenter(source, config, lambda: _seconds_a_patient(source, config))
        config = found if found is config else found.beside(config)
    return config.model_copy(update={"init": None}) if config.init == FROM_NOTHING else config


def _seconds_a_patient(source: folders.Cohort, config: TrainConfig) -> float:
    """How long one core of this machine takes to simulate a patient beside a cohort."""
    from synthoma.phantom import phantom_beside, prepared_patient

    prepared, times = phantom_beside(look_of(source), source.meta.provenance.config or {}), []
    for _ in range(2):  # the first reads the template too
        start = time.perf_counter()
        prepared_patient(config.seed, 0, prepared)
        times.append(time.perf_counter() - start)
    return min(times)
