"""The chain in one page: each function is one command, and reads and writes artefacts only."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from synthoma.cohorts.cohort import Cohort, is_cohort
from synthoma.cohorts.preparation import Progress, pack
from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.artefacts import FILE, faults, verified_digest, verify_text
from synthoma.core.artefacts import verify as check_file
from synthoma.core.config import Config
from synthoma.core.errors import ConfigError, InputError, OutputError
from synthoma.core.outputs import (
    check_apart,
    check_output,
    claimed,
    disk_refused,
    new_folder,
    output_error,
    renew_checksums,
    sweep,
    write_bytes,
    write_checksums,
    write_json,
    write_text,
)
from synthoma.core.pseudonyms import secret_key
from synthoma.core.seeding import stream_key
from synthoma.core.types import PLAIN_MODALITY, Floats
from synthoma.core.untrusted import csv_of_frame
from synthoma.scans.case import Inventory

if TYPE_CHECKING:
    import pandas as pd

    from synthoma.detection.settings import DetectConfig
    from synthoma.evaluation.result import Evaluation
    from synthoma.evaluation.settings import EvaluateConfig
    from synthoma.generators.export import Format
    from synthoma.generators.family import GeneratorPlan
    from synthoma.phantom import Look, PhantomCohortConfig
    from synthoma.settings import TrainConfig
    from synthoma.training.bundle import Bundle
    from synthoma.training.loop import Report

Settings = TypeVar("Settings", bound=Config)

DEMO = "synthoma.demo/1"
DEMO_PATIENTS = 40
DEMO_MINUTES = 4.0

MOST_TRIALS = 10_000
MOST_PATIENTS = 1_000_000
"""Patients that one phantom cohort can have."""

SIMULATED_PATIENTS = 80
"""Patients simulated where nobody says how many: always so many, or an image would depend on how many are drawn.

Where more whole patients than these are drawn without a simulated cohort, it does.
"""

SIMULATED = "simulated"
"""Folder of what is simulated for one command and thrown away after it."""


def _silent(text: str, done: int, total: int) -> None:
    """Tell nobody how far the work is."""


def _unheard(progress: object, share: float, recent: dict[str, float]) -> None:
    """Tell nobody how far a training is."""


def prepare(
    folder: Path | str,
    output: Path | str,
    *,
    config: PrepareConfig | None = None,
    force: bool = False,
    progress: Progress = _silent,
    tell: Callable[[dict[str, Any]], None] | None = None,
    **settings: Any,
) -> Cohort:
    """Read a folder (or one file, or a table) of scans and pack it as a cohort.

    Args:
        folder: what to read.
        output: the cohort folder to write; it appears only when it is complete.
        config: the settings; or give single ones by name (``size=64, modalities=("flair",)``).
        force: replace an existing cohort.
        progress: told how far the work is.
        tell: given what was understood of the folder before it is read, see ``understanding.understood``.
        settings: fields of ``PrepareConfig``.

    Returns:
        The cohort, opened.

    Raises:
        InputError: nothing there can be used, or the output place is taken.
        ConfigError: a setting that does not exist or is out of range.
        LeakError: a prescribed split separates a group.
    """
    from synthoma.cohorts.understanding import understood
    from synthoma.scans.layouts import take_inventory

    config = _resolve(PrepareConfig, config, settings)
    source = Path(folder)
    with new_folder(Path(output), force=force, inputs=(config.split_from,), around=(source,)) as partial:
        progress("looking", 0, 1)
        inventory = take_inventory(source, layout=config.layout, key=secret_key(), convention=config.convention)
        check_apart(Path(output), (place for case in inventory.cases for place in case.sources))
        hidden = inventory.layout == "dicom" or config.pseudonyms
        if tell is not None:
            tell(understood(inventory))
        pack(inventory, partial, config, source="hidden" if hidden else source.name, progress=progress)
        _add_report(partial, Path(output).name)
    return Cohort(output)


def prepare_phantom(
    patients: int,
    output: Path | str,
    *,
    config: PhantomCohortConfig | None = None,
    force: bool = False,
    progress: Progress = _silent,
    **settings: Any,
) -> Cohort:
    """Simulate patients and pack them as a cohort of origin 'phantom'; needs no data.

    Args:
        patients: how many; patient i is the same whatever their number.
        output: the cohort folder to write.
        config: the settings of ``prepare``, and in ``phantom`` how patients, tumours and scanners vary; or give single
            ones by name. ``seed`` also draws the patients.
        force: replace an existing cohort.
        progress: told how far the work is.
        settings: fields of ``PhantomCohortConfig``.

    Raises:
        ConfigError: a setting that does not exist or is out of range.
        InputError: the output place is taken.
    """
    from synthoma.phantom import PhantomCohortConfig, phantom_cases

    if not 1 <= patients <= MOST_PATIENTS:
        raise ConfigError(f"1 to {MOST_PATIENTS:,} phantom patients", str(patients), "give such a number")
    config = _resolve(PhantomCohortConfig, config, settings)
    cases = phantom_cases(patients, config.seed, config.phantom)
    with new_folder(Path(output), force=force, inputs=(config.split_from,)) as partial:
        pack(Inventory("phantom", tuple(cases)), partial, config, source=f"{patients} simulated", progress=progress)
        _add_report(partial, Path(output).name)
    return Cohort(output)


def train(
    cohort: Path | str | Cohort,
    run: Path | str,
    *,
    config: TrainConfig | None = None,
    resume: bool = False,
    force: bool = False,
    report: Report = _unheard,
    progress: Progress = _silent,
    **settings: Any,
) -> Path:
    """Train a model on a cohort's training split.

    A phantom-gan that is given no simulated slices gets its own, in ``phantom/`` of the run.

    Args:
        cohort: the cohort, or its folder.
        run: folder for config.toml, log.jsonl, checkpoint/, samples/, model.safetensors and report.html.
        config: the settings; or give single ones by name (``model="dcgan", minutes=10``).
        resume: go on where an interrupted run stopped, with the settings that it was begun with.
        force: replace an existing run.
        report: told about once a second how far it is.
        progress: told how far the simulation of patients is, where there is one.
        settings: fields of ``TrainConfig``.

    Returns:
        The run's folder.

    Raises:
        InputError: nothing to train on, masks missing, an existing run, or another cohort on resuming.
        ConfigError: an unknown model or setting, or a size that the model cannot draw.
    """
    from synthoma.detectors.train import DetectorPlan, train_detector
    from synthoma.generators.family import GeneratorPlan
    from synthoma.generators.plan import plan_training
    from synthoma.generators.train import OWN_PHANTOM, train_generator
    from synthoma.settings import TrainConfig
    from synthoma.training.bundle import SHIPPED
    from synthoma.training.checkpoint import FOLDER as CHECKPOINTS
    from synthoma.training.runs import SAMPLES, begin_run, check_begun, check_run_place, continue_run

    config = _resolve(TrainConfig, config, settings)
    # A run can be resumed from anywhere.
    begun = config.init if config.init in (None, SHIPPED) else str(Path(str(config.init)).resolve())
    places = {"extra": tuple(path.resolve() for path in config.extra), "init": begun}
    config = config.model_copy(update={**places, "phantom": config.phantom.resolve() if config.phantom else None})
    source = cohort if isinstance(cohort, Cohort) else Cohort(cohort)
    for name in ("images.npy", "masks.npy"):  # of any size: what would be learned from them is not cheap
        verified_digest(source.path / name)
    folder = Path(run)
    check_begun(folder) if resume else check_run_place(folder, source, config, force=force)
    with claimed(folder):
        config = continue_run(folder, source, config) if resume else planned(source, config)
        # What is wrong is said before anything is written, or an old run is replaced.
        plan = plan_training(source, config) if config.kind == "generator" else DetectorPlan(source, config)
        if not resume:
            plan = plan.within(begin_run(folder, source, config, force=force))
        (folder / FILE).unlink(missing_ok=True)  # from here on its files change
        for place in (folder, folder / CHECKPOINTS, folder / SAMPLES):  # what a killed run left
            sweep(place)
        spent = 0.0
        try:
            if isinstance(plan, GeneratorPlan):
                if plan.family.repaints and plan.config.phantom is None and not (folder / OWN_PHANTOM).exists():
                    start = time.perf_counter()
                    _simulate_for(plan, folder / OWN_PHANTOM, progress)
                    spent = time.perf_counter() - start
                train_generator(plan, folder, report, resume=resume, spent=spent)
            else:
                train_detector(plan, folder, report, resume=resume)
            _add_run_page(folder, folder.resolve().name)
            write_checksums(folder)
        except (OSError, OutputError) as error:
            words = map(shlex.quote, ("synthoma", "train", str(source.path), "-o", str(folder), "--resume"))
            raise _out_of_room(error, folder, f"go on from the last checkpoint with `{' '.join(words)}`") from error
    return folder


def _simulate_for(plan: GeneratorPlan, folder: Path, progress: Progress) -> None:
    """Simulate the patients whose slices a generator will repaint."""
    from synthoma.generators.phantomgan.material import simulation_settings

    cohort, config = plan.cohort, plan.config
    prepared, simulate = cohort.meta.provenance.config, simulation_settings(cohort, plan.rows)
    patients, seed = config.simulate or SIMULATED_PATIENTS, stream_key(config.seed, "training.phantom")
    _simulate_beside(_look_of(cohort), prepared, simulate, folder, patients, seed, progress)


def _look_of(cohort: Cohort) -> Look:
    """What simulated slices must have in common with those of a cohort."""
    from synthoma.phantom import Look

    meta = cohort.meta
    return Look(meta.modalities, meta.labels, meta.size, meta.plane)


def _out_of_room(error: OSError | OutputError, place: Path, go_on: str) -> OSError | OutputError:
    """The same failure with words for how to go on after it; of another kind of error, the error itself."""
    if not disk_refused(error):
        return error
    found = error if isinstance(error, OutputError) else output_error(place, error)
    return OutputError(found.expected, found.came, f"make room there, then {go_on}")


def planned(cohort: Path | str | Cohort, config: TrainConfig) -> TrainConfig:
    """The settings that the model "auto" stands for on this cohort, with ``reasons``; others as they are.

    Raises:
        InputError: nothing to train on.
        ConfigError: settings that auto decides.
    """
    from synthoma.generators.auto import choose_generator
    from synthoma.generators.plan import training_rows
    from synthoma.training.settings import AUTO

    if config.model != AUTO:
        return config
    source = cohort if isinstance(cohort, Cohort) else Cohort(cohort)
    rows = training_rows(source, config)
    return choose_generator(source, config, rows, lambda: _seconds_a_patient(source, config)).beside(config)


def _seconds_a_patient(source: Cohort, config: TrainConfig) -> float:
    """How long one core of this machine takes to simulate a patient beside a cohort."""
    from synthoma.phantom import phantom_beside, phantom_cases

    (patient,) = phantom_cases(1, config.seed, phantom_beside(_look_of(source), {}).phantom)
    times = []
    for _ in range(2):  # the first reads the template too
        start = time.perf_counter()
        patient.load()
        times.append(time.perf_counter() - start)
    return min(times)


def _simulate_beside(
    look: Look,
    prepared: Mapping[str, Any],
    simulate: Mapping[str, Any],
    folder: Path,
    patients: int,
    seed: int,
    progress: Progress,
) -> None:
    """Simulate patients whose slices look like those of a real cohort as far as preparation goes.

    They are others than those of any phantom cohort that somebody prepared: it may be the one that is learned from,
    and hold some of its patients out.
    """
    from synthoma.phantom import phantom_beside

    config = phantom_beside(look, prepared, **simulate)
    config = config.model_copy(update={"seed": seed % 2**31})
    prepare_phantom(patients, folder, config=config, progress=progress)


def search(
    cohort: Path | str,
    output: Path | str,
    trials: int,
    *,
    config: TrainConfig,
    force: bool = False,
    report: Report = _unheard,
) -> dict[str, Any]:
    """Try settings of a generator, each for the whole budget of ``config``, and rank them by validation score.

    Args:
        cohort: what to train on.
        output: folder for search.csv and one run a trial.
        trials: how many.
        config: model, budget and seed of every trial.
        force: replace an existing search.
        report: told how far each trial is.

    Returns:
        The best trial's number, score and settings.

    Raises:
        ConfigError: Optuna is not installed.
    """
    import pandas as pd

    from synthoma.generators.plan import plan_training
    from synthoma.generators.search import search_settings
    from synthoma.generators.train import train_generator
    from synthoma.training.bundle import SHIPPED
    from synthoma.training.runs import begin_run

    if config.kind != "generator":
        raise ConfigError(
            "a generator to search settings of", f"the {config.kind} {config.model}", "leave out --search"
        )
    if not 1 <= trials <= MOST_TRIALS:
        raise ConfigError(f"1 to {MOST_TRIALS:,} trials", str(trials), "give for example --search 20")
    source = Cohort(cohort)
    config = planned(source, config)
    if config.gan.network == "repaint" and config.phantom is None:
        todo = "make some with `synthoma prepare --phantom N` as the cohort was prepared, and give --phantom COHORT"
        raise ConfigError("one set of simulated slices for all trials", "none", todo)
    begun_with = (config.phantom, None if config.init in (None, SHIPPED) else config.init)
    with new_folder(Path(output), force=force, inputs=(source.path, *begun_with)) as partial:

        def one(changed: TrainConfig, number: int) -> float:
            run = partial / f"trial-{number:03d}"
            plan = plan_training(source, begin_run(run, source, changed, force=False))
            return train_generator(plan, run, report).best

        ranked = search_settings(config, trials, one)
        write_text(partial / "search.csv", csv_of_frame(pd.DataFrame(ranked)))
        write_text(partial / "config.toml", config.to_toml())
    return ranked[0]


def generate(
    run: Path | str,
    output: Path | str,
    count: int | None = None,
    *,
    patients: int | None = None,
    seed: int = 0,
    label: str | None = None,
    truncation: float = 1.0,
    keep_share: float | None = None,
    shard: tuple[int, int] = (1, 1),
    form: Format | None = None,
    interpolation: bool = False,
    nearest: Path | str | None = None,
    only_private: Path | str | None = None,
    phantom: Path | str | None = None,
    force: bool = False,
    progress: Progress = _silent,
) -> Cohort:
    """Draw a labelled synthetic cohort from a trained generator.

    Args:
        run: the run, or its model file.
        output: the cohort folder to write.
        count: number of single images (in all shards together).
        patients: in their place, number of whole patients, for a phantom-gan: all slices of a simulated one that show
            a class which was learned, repainted in one style.
        seed: image or patient i is a function of (model, seed, i), and of the simulated cohort where one is repainted
            (of a model file without its run, and more than 80 patients: also of their number).
        label: class of all images; else the model's classes come in turn.
        truncation: factor on the latents, at most 1; less is more typical and less various.
        keep_share: draw more, and keep this share, the images that the run's own discriminator finds most real.
        shard: (i, k) draws the i-th of k parts of exactly the rows that one run would give.
        form: also write files: png, nifti or dicom, into ``export_<form>/``.
        interpolation: also write interpolation.png, strips between pairs of latents.
        nearest: real cohort; also write nearest.png, images beside the nearest real slices of their class.
        only_private: real cohort that the generator learned from; images that are as near to one of its training
            slices as altered copies are, are drawn and left out, and of whole patients all that have such a slice.
        phantom: cohort of simulated slices that a phantom-gan repaints, prepared as the model's cohort was.
        force: replace an existing cohort.
        progress: told how far it is.

    Raises:
        InputError: no finished generator there, or the output place is taken.
        ConfigError: an unknown class, or numbers out of range.
    """
    from synthoma.generators.export import export
    from synthoma.generators.gan.rejection import Rejection
    from synthoma.generators.phantomgan.patients import check_patients, generate_patients
    from synthoma.generators.sampling import Sampler, check_request, generate_cohort
    from synthoma.generators.sheets import interpolation_sheet, nearest_sheet
    from synthoma.training.bundle import open_model

    # Before patients are simulated, which takes a minute.
    bundle = open_model(Path(run), "generator")
    if (wanted := count if patients is None else patients) is None or None not in (count, patients):
        came = "both" if wanted is not None else "neither"
        raise ConfigError("a number of images, or of patients", came, "give one of them")
    option = "-n" if patients is None else "--patients"
    check_request(bundle, wanted, label=label, truncation=truncation, shard=shard, option=option)
    if patients is not None:
        check_patients(bundle)
        if label is not None:
            todo = "leave out --class, or draw single slices with -n"
            raise ConfigError("whole patients, with the slices that they have", f"--class {label}", todo)
    if only_private is not None and shard[1] > 1:
        todo = "draw the shards without it, or all images in one go"
        raise ConfigError("all images, to tell which are too near to a patient's", "a shard of them", todo)
    with new_folder(Path(output), force=force, inputs=(run, phantom, nearest, only_private)) as partial:
        new = max(SIMULATED_PATIENTS, patients or 0)
        simulated = phantom if phantom is not None else _own_phantom(Path(run), bundle, partial, new, seed, progress)
        sampler = Sampler.open(Path(run), Cohort(simulated) if simulated is not None else None, label)
        rejection = None if keep_share is None else Rejection.open(sampler, keep_share, truncation)
        place = partial if only_private is None else partial / "drawn"
        place.mkdir(exist_ok=True)
        common: dict[str, Any] = {"seed": seed, "truncation": truncation, "shard": shard, "progress": progress}
        if patients is not None:
            cohort = generate_patients(sampler, place, wanted, **common)
        else:
            cohort = generate_cohort(sampler, place, wanted, label=label, rejection=rejection, **common)
        if only_private is not None:
            cohort = _without_copies(Cohort(only_private), cohort, partial)
            shutil.rmtree(place)
        if form is not None:
            (partial / f"export_{form}").mkdir()
            export(cohort, partial / f"export_{form}", form, progress)
        if interpolation:
            write_bytes(partial / "interpolation.png", interpolation_sheet(sampler, seed))
        if nearest is not None:
            write_bytes(partial / "nearest.png", nearest_sheet(cohort, Cohort(nearest)))
        shutil.rmtree(partial / SIMULATED, ignore_errors=True)
        _add_report(partial, Path(output).name)
    return Cohort(output)


def _own_phantom(run: Path, bundle: Bundle, folder: Path, patients: int, seed: int, progress: Progress) -> Path | None:
    """Simulated slices for a generator that repaints: those of its run, or of so many new patients; None for others.

    Raises:
        ConfigError: the model does not say how to simulate them.
    """
    from synthoma.generators.sampling import repaints_slices
    from synthoma.generators.train import OWN_PHANTOM
    from synthoma.phantom import Look

    if not repaints_slices(bundle):
        return None
    meta = bundle.meta
    if (own := (run if run.is_dir() else run.parent) / OWN_PHANTOM).is_dir():
        return own
    if meta.simulate is None:
        todo = "give --phantom COHORT (made by `synthoma prepare --phantom N` with the size of the model's images)"
        raise ConfigError("simulated slices to repaint", "none", todo)
    place = folder / SIMULATED
    look = Look(meta.modalities, meta.labels, meta.shape["size"], meta.plane or "axial")
    key = stream_key(seed, "synthesis.phantom")
    _simulate_beside(look, meta.prepare, meta.simulate, place, patients, key, progress)
    return place


def _without_copies(real: Cohort, drawn: Cohort, folder: Path) -> Cohort:
    """The drawn cohort less what was taken for copies of training slices, written into ``folder``."""
    from synthoma.cohorts.cohort import write_rows
    from synthoma.evaluation.comparison import compare
    from synthoma.evaluation.private.privacy import blind, copies

    found = copies(compare(real, drawn, limit=len(drawn)))
    if found.word == "CANNOT TELL" and (why := blind(found)):
        todo = "leave out --only-private, and look at the nearest pairs yourself (--nearest)"
        raise InputError("a search that can tell copies from other scans", why, todo)
    flagged = set(found.quarantine)
    if drawn.meta.provenance.drawn == "patients":
        # A volume with a hole in it is none.
        cases = drawn.slices["case"].tolist()
        touched = {cases[row] for row in flagged}
        flagged = {row for row, case in enumerate(cases) if case in touched}
    kept = [row for row in range(len(drawn)) if row not in flagged]
    write_rows(drawn, folder, kept, left_out=len(flagged))
    return Cohort(folder)


def evaluate(
    real: Path | str,
    synthetic: Path | str,
    output: Path | str,
    *,
    config: EvaluateConfig | None = None,
    keep: Path | str | None = None,
    extractor: Path | str | None = None,
    force: bool = False,
    progress: Progress = _silent,
    **settings: Any,
) -> Evaluation:
    """Score a synthetic cohort against a real one, and write evaluation.json, the report and the cards.

    Args:
        real: the real cohort, with its splits.
        synthetic: the synthetic cohort, of any origin.
        output: the folder to write. Trainings of the presets standard and full are kept beside it, in
            ``<output>.cells``, and never run twice.
        config: the settings; or give single ones by name (``preset="standard"``).
        keep: also write the synthetic cohort without the slices that were taken for copies, and without those whose
            masks do not fit their images; nothing is written where none is left ("kept" of what is returned is 0).
        extractor: Python file with ``features(images) -> (N, D)``, as one more family of features. It is run, so a
            settings file cannot name it.
        force: replace an earlier evaluation.
        progress: told how far the work is.
        settings: fields of ``EvaluateConfig``.

    Returns:
        The evaluation, as evaluation.json holds it; ``.content()`` is the same as plain data.

    Raises:
        InputError: cohorts that cannot be compared, too few images, or a place that is taken.
        LeakError: the generator saw held-out groups.
    """
    from synthoma.cohorts.cohort import write_rows
    from synthoma.evaluation.evaluate import evaluate as score
    from synthoma.evaluation.result import rows_to_keep, write_evaluation
    from synthoma.evaluation.settings import EvaluateConfig
    from synthoma.reports.evaluation_page import write_reports

    config = _resolve(EvaluateConfig, config, settings)
    ours, theirs = Cohort(real), Cohort(synthetic)
    target = Path(output)
    cells = config.cells or target.with_name(f"{target.resolve().name}.cells")
    read = (ours.path, theirs.path, config.phantom, config.run, extractor)
    check_apart(cells, read)
    if keep is not None:
        check_output(Path(keep), force=force, inputs=(*read, target, cells))  # said now, not after an hour
    kept: list[int] = []
    go_on = f"run the same command again: what was trained is kept in {cells}"
    try:
        with new_folder(target, force=force, inputs=(*read, cells)) as partial:
            own = None if extractor is None else Path(extractor)
            opinion = _discriminator(ours, theirs, config) if config.run is not None else None
            result = score(ours, theirs, config, cells, discriminator=opinion, extractor=own, progress=progress)
            if keep is not None:
                # Only slices that were looked at can be kept.
                kept = rows_to_keep(result)
                result = result.model_copy(update={"kept": len(kept)})
            write_evaluation(partial, result)
            write_reports(partial, result, ours, theirs)
        go_on = f"run the same command again with --force: the evaluation in {target} is whole, {keep} is missing"
        if keep is not None and kept:
            with new_folder(Path(keep), force=force, inputs=read) as clean:
                write_rows(theirs, clean, kept, left_out=len(theirs) - len(kept))
                _add_report(clean, Path(keep).name)
    except OutputError as error:
        raise _out_of_room(error, target, go_on) from error
    return result


def _discriminator(real: Cohort, synthetic: Cohort, config: EvaluateConfig) -> tuple[Floats, Floats]:
    """What the GAN's discriminator thinks of the training and of the held-out slices that are compared."""
    from synthoma.evaluation.comparison import compare
    from synthoma.generators.judge import judge_slices

    assert config.run is not None
    comparison = compare(real, synthetic, limit=config.limit, seed=config.seed)
    rows = comparison.training_rows, comparison.held_out_rows
    return judge_slices(config.run, real, rows[0]), judge_slices(config.run, real, rows[1])


def kind_of_model(model: Path | str | None) -> str:
    """What a model is: "generator", "segmenter" or "classifier"; without one, the shipped segmenter is meant.

    Raises:
        InputError: no model there.
    """
    if model is None:
        return "segmenter"
    from synthoma.training.bundle import open_model

    return str(open_model(Path(model)).meta.kind)


def detect(
    scans: Path | str | Sequence[Path | str],
    output: Path | str,
    *,
    model: Path | str | None = None,
    config: DetectConfig | None = None,
    force: bool = False,
    progress: Progress = _silent,
    **settings: Any,
) -> pd.DataFrame:
    """Find and outline tumours in scans: findings, masks in the scans' own geometry, pictures, DICOM SEG.

    Args:
        scans: files or folders: pictures, volumes, DICOM series, or any layout that ``prepare`` reads.
        output: the folder to write; see ``detection.many.detect_all`` for what it holds.
        model: a run that trained a segmenter, or its model file; None for the shipped one, trained on the phantom.
        config: the settings; or give single ones by name (``threshold=0.4``).
        force: replace an earlier result.
        progress: told how far the work is.
        settings: fields of ``DetectConfig``.

    Returns:
        One row a scan, as in index.csv.

    Raises:
        InputError: not a segmenter, nothing that can be used, or the output place is taken.
        ConfigError: a setting that the model or this computer cannot follow.
    """
    import pandas as pd

    from synthoma.detection.detect import detect as look
    from synthoma.detection.many import COLUMNS
    from synthoma.detection.settings import DetectConfig
    from synthoma.training.bundle import shipped_model

    config = _resolve(DetectConfig, config, settings)
    rows = look(
        scans, shipped_model() if model is None else model, output, options=config, force=force, progress=progress
    )
    report(output)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def score_masks(
    truth: Path | str,
    predictions: Path | str,
    output: Path | str,
    *,
    other: Path | str | None = None,
    nested: bool | None = None,
    convention: str | None = None,
    tolerance: float | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress = _silent,
) -> dict[str, Any]:
    """Score anyone's masks against the truth, and write scores.json and report.html.

    Args:
        truth: a folder of masks, or one file; files meet by name.
        predictions: the same for the predictions, for example what ``detect`` wrote.
        output: the folder to write.
        other: another model's predictions, for a paired comparison by patient.
        nested: score nested regions (True) or labels as they stand (False); None decides by what values mean.
        convention: what values mean on all sides: a name, or 1=oedema,2=core,3=enhancing; else read or decided.
        tolerance: of the surface Dice in mm, or in pixels where no spacing is known; 2 where None.
        seed: of the bootstrap.
        force: replace an earlier result.
        progress: told how far it is.

    Returns:
        The content of scores.json, see ``masks.scores.score_arrays``.

    Raises:
        InputError: nothing that matches, values above 4 where nested regions are asked for, or the output place is
            taken.
        ConfigError: a tolerance that is not above 0.
    """
    from synthoma.masks.scores import score_masks as score
    from synthoma.reports.scores_page import scores_page

    if tolerance is not None and not tolerance > 0:
        raise ConfigError("a tolerance above 0", f"{tolerance:g}", "give mm, for example 1")
    options: dict[str, Any] = {"nested": nested, "convention": convention, "seed": seed, "progress": progress}
    if tolerance is not None:
        options["tolerance"] = tolerance
    if other is not None:
        options["other"] = Path(other)
    with new_folder(Path(output), force=force, inputs=(truth, predictions, other)) as partial:
        result = score(Path(truth), Path(predictions), **options)
        write_json(partial / "scores.json", result)
        write_text(partial / "report.html", scores_page(result))
    return result


def judge(images: Path | str | Sequence[Path | str], run: Path | str, *, progress: Progress = _silent) -> pd.DataFrame:
    """What a GAN's discriminator or a classifier thinks of images, prepared as the model's cohort was.

    Args:
        images: a folder, a file, or several files of one folder.
        run: of the GAN or classifier, or its model file.
        progress: told how far it is.

    Returns:
        One row a slice: source, slice, label, and the probability of being real (0 fake, 1 real) or the critic's
        score, and which of them it is; of a classifier, the probability of each class and the likeliest one.

    Raises:
        InputError: nothing readable, or a segmenter in ``run``.
    """
    import tempfile

    from synthoma.generators.judge import judge_images
    from synthoma.scans.layouts import take_inventory
    from synthoma.training.bundle import open_model

    bundle = open_model(Path(run))
    meta = bundle.meta
    if meta.kind == "segmenter":
        raise InputError("a generator or a classifier", "a segmenter", "use detect")
    names: tuple[str, ...] = ("crop", "normalise", "plane")
    known = {name: meta.prepare[name] for name in names if name in meta.prepare}
    paths = [Path(images)] if isinstance(images, Path | str) else [Path(image) for image in images]
    if len(paths) > 1 and (any(path.is_dir() for path in paths) or len({path.parent for path in paths}) > 1):
        raise InputError("one folder, or files of one folder", f"{len(paths)} places", "put them into one folder")
    inventory = take_inventory(paths, key=secret_key(), masks_wanted=False)
    # A picture that does not say what it shows may stand for the only modality of a model.
    plain = len(meta.modalities) == 1 and all(case.modalities == (PLAIN_MODALITY,) for case in inventory.cases)
    modalities = [PLAIN_MODALITY] if plain else meta.modalities
    config = PrepareConfig.resolve(
        flags={
            "size": meta.shape["size"],
            "modalities": modalities,
            "duplicates": False,
            "split": (1, 0, 0),
            **known,
        }
    )
    with tempfile.TemporaryDirectory() as place:
        cohort = pack(inventory, Path(place), config, source="judged", progress=progress)
        table = cohort.slices[["source", "slice", "label"]].copy()
        if meta.kind == "generator":
            scores, kind = judge_images(Path(run), cohort.images[:].astype("float32"))
            return table.assign(score=scores, kind=kind)
        from synthoma.detection.classes import Classifier

        chances = Classifier.open(Path(run)).of_cohort(cohort)
    for number, name in enumerate(meta.classes):
        table[f"p_{name}"] = chances[:, number].round(4)
    return table.assign(predicted=[meta.classes[row.argmax()] for row in chances])


def report(artefact: Path | str) -> Path:
    """Write the self-contained HTML page of a cohort, a run or findings into its folder and return the page's path.

    Raises:
        InputError: the folder is no artefact that has a page.
    """
    path = Path(artefact)
    if is_cohort(path):
        _add_report(path, path.resolve().name)
    elif (path / "model.safetensors").is_file() or (path / "run.json").is_file():
        _add_run_page(path, path.resolve().name)
    elif (path / "detection.json").is_file():
        from synthoma.reports.findings_page import findings_page

        write_text(path / "report.html", findings_page(path, path.resolve().name))
        renew_checksums(path, "report.html")
    elif (path / "evaluation.json").is_file() or (path / "scores.json").is_file():
        pass  # its page was written with it, from cohorts that may have moved since
    else:
        raise InputError("a cohort, a run, an evaluation or findings", str(path), "see `synthoma info PATH`")
    return path / "report.html"


def describe(path: Path | str) -> dict[str, Any]:
    """What an artefact, a scan or a folder of scans is, as plain data; of a run also which settings somebody gave.

    Raises:
        InputError: there is nothing that can be understood, or it is damaged.
    """
    from synthoma.core.toml import told_apart
    from synthoma.reports.described import described
    from synthoma.training.runs import SETTINGS
    from synthoma.training.settings import SECTION

    content, settings = described(Path(path)), Path(path) / SETTINGS
    if content.get("kind") in (*SECTION, "unfinished run") and settings.exists():
        check_file(settings)
        verify_text(settings)
        if (told := told_apart(settings.read_text(encoding="utf-8"))) is not None:
            content["settings"] = told
    return content


def verify(path: Path | str) -> list[str] | None:
    """Whether an artefact holds what was written, every byte of it.

    Args:
        path: the artefact, a model file, or a folder of finished trainings.

    Returns:
        What is wrong, a line each; None where nothing there has checksums, as in artefacts of earlier versions.

    Raises:
        InputError: there is no artefact, or its checksums are damaged.
    """
    from synthoma.training.bundle import load_tensors

    path = Path(path)
    if path.suffix == ".safetensors" and path.is_file():
        return [] if load_tensors(path).sealed else None
    if not path.is_dir():
        raise InputError("an artefact", f"nothing at {path}" if not path.exists() else str(path), "give its folder")
    if (path / FILE).is_file() or not (path / "run.json").is_file():
        return faults(path)
    # A run that is not finished: each of its files stands for itself.
    from synthoma.training.runs import verify_begun

    return verify_begun(path)


def demo(output: Path | str, *, force: bool = False, progress: Progress = _silent, report: Report = _unheard) -> Path:
    """The chain on simulated patients: phantom cohort, generator with masks, synthetic cohort, evaluation.

    Returns:
        The path of the evaluation's page.
    """
    with new_folder(Path(output), force=force) as partial:
        settings: dict[str, Any] = {"size": 64, "modalities": ("flair",), "slices": "tumour", "merge": "whole-tumour"}
        prepare_phantom(DEMO_PATIENTS, partial / "phantom", progress=progress, **settings)
        train(partial / "phantom", partial / "run", model="dcgan", minutes=DEMO_MINUTES, with_masks=True, report=report)
        generate(partial / "run", partial / "synthetic", 500, progress=progress)
        evaluate(partial / "phantom", partial / "synthetic", partial / "evaluation", progress=progress)
        parts = ["phantom", "run", "synthetic", "evaluation"]
        write_json(partial / "demo.json", {"schema": DEMO, "artefacts": parts})
    return Path(output) / "evaluation" / "report.html"


def _resolve(kind: type[Settings], config: Settings | None, settings: dict[str, Any]) -> Settings:
    if config is not None and settings:
        raise ConfigError("either a config or single settings", "both", "put the settings into the config")
    return config or kind.resolve(flags=settings)


def _add_report(folder: Path, name: str) -> None:
    from synthoma.reports.cohort_page import cohort_page, pair_sheet

    cohort = Cohort(folder)
    write_text(folder / "report.html", cohort_page(cohort, name))
    written = ["report.html"]
    if sheet := pair_sheet(cohort):
        write_bytes(folder / "duplicates.png", sheet)
        written.append("duplicates.png")
    renew_checksums(folder, *written)


def _add_run_page(run: Path, name: str) -> None:
    from synthoma.detectors.summary import detector_summary
    from synthoma.generators.families import gan_summary
    from synthoma.generators.settings import NetworkConfig
    from synthoma.generators.shape import ImageShape
    from synthoma.reports.run_page import detector_page, run_page
    from synthoma.training.bundle import fitting, open_model

    meta = open_model(run).meta
    with fitting("a model"):
        if meta.kind == "generator":
            tables = gan_summary(NetworkConfig.model_validate(meta.network), ImageShape(**meta.shape))
            page = run_page(run, name, meta, dict(tables))
        else:
            page = detector_page(run, name, meta, detector_summary(meta))
    write_text(run / "report.html", page)
    renew_checksums(run, "report.html")
