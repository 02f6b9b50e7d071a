"""The command line: one sentence a command. Everything heavy is imported when a command runs, not before."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO, cast

import typer

from synthoma._version import __version__
from synthoma.core.errors import ConfigError, InputError, OutputError, SynthomaError
from synthoma.core.untrusted import csv_of_frame, visible

if TYPE_CHECKING:
    from synthoma.cohorts.cohort import Cohort
    from synthoma.cohorts.preparation import Progress
    from synthoma.cohorts.settings import PrepareConfig
    from synthoma.phantom import PhantomCohortConfig
    from synthoma.settings import TrainConfig
    from synthoma.training.loop import Report

app = typer.Typer(
    name="synthoma",
    help="Labelled synthetic brain-tumour MRI from few scans, with the evidence whether it helps. "
    "Research software, not for clinical use.",
    epilog="Start with `synthoma demo`, or `synthoma prepare FOLDER -o COHORT`.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write. It appears only when it is complete.")]
LISTED = 12
"""Items of a list that `synthoma info` shows."""

_FLAGS = {"assignments": "set", "nested": "nested/--labels"}
"""Options whose names are not those of their parameters."""
Force = Annotated[bool, typer.Option("--force", help="Replace an existing artefact of Synthoma.")]


def say(text: str, *, end: str = "\n", to: TextIO | None = None) -> None:
    """Print a text; what names in it would make a terminal do is shown instead."""
    print(visible(text, keep="\n\t"), end=end, file=to or sys.stdout, flush=True)


def main() -> None:
    """Run a command; an error of the input or the disk ends in one line and exit code 2, a signal in 128 + its number.

    Whatever ends it, folders that are not complete are taken away, and workers are ended.
    """
    try:
        with _stopped_by_signals():
            try:
                app()
            finally:
                sys.stdout.flush()  # a disk that is full is met here, not after the end
    except SynthomaError as error:
        _leave(error)
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        todo = "check that the disk has room and works, then run the same command again"
        where = f"{error.filename}: " if error.filename else ""
        _leave(OutputError("files that can be read and written", f"{where}{error.strerror or error}", todo))


def _leave(error: SynthomaError) -> NoReturn:
    """Say what is wrong, and end with exit code 2 even where standard output cannot be written any more."""
    say(f"error: {error}", to=sys.stderr)
    with suppress(OSError, ValueError):
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(2)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End as Ctrl-C does on the signals that batch systems and closing terminals send: by an exception, so in order.

    The second one ends the process at once. What was ignored before (`nohup`) stays ignored.
    """

    def stop(number: int, _: object) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        say("stopped: nothing incomplete is left; a training goes on with --resume", to=sys.stderr)
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    """Take the options that stand before a command."""
    if show:
        say(f"synthoma {__version__}")
        raise typer.Exit


@app.command(
    epilog="""
[bold]Examples[/bold]

synthoma prepare kaggle_3m -o lgg --modalities flair --size 64 --slices tumour

synthoma prepare BraTS2018 -o brats --merge whole-tumour --every 3

synthoma prepare --phantom 40 -o phantom --set phantom.skull=stripped
"""
)
def prepare(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[INPUT]", help="Folder of scans, one scan, or a table (CSV, Parquet)."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write. It appears only when it is complete.")
    ] = None,
    phantom: Annotated[int | None, typer.Option(help="Simulate this many patients instead of reading any.")] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="folders | lgg | figshare | dicom | volumes | table. Recognised if not given."),
    ] = None,
    modalities: Annotated[
        str | None, typer.Option(help="Sequences to stack as channels, for example flair or t1,t1c,t2,flair.")
    ] = None,
    plane: Annotated[str | None, typer.Option(help="axial | sagittal | coronal.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square slices in pixels (default 128).")] = None,
    crop: Annotated[
        bool | None, typer.Option("--crop/--no-crop", help="Crop to the head before resizing (default: crop).")
    ] = None,
    normalise: Annotated[str | None, typer.Option(help="robust | unit.")] = None,
    convention: Annotated[
        str | None,
        typer.Option(
            help="What mask values mean: a name such as brats-2023, msd or peds (docs/datasets.md), or "
            "1=oedema,2=core,3=enhancing. Decided from names and values if not given."
        ),
    ] = None,
    merge: Annotated[str | None, typer.Option(help="whole-tumour: one label instead of sub-regions.")] = None,
    classes: Annotated[str | None, typer.Option(help="Class of a slice from: auto | folder | mask.")] = None,
    slices: Annotated[str | None, typer.Option(help="all | tumour: only slices that show tumour.")] = None,
    min_brain: Annotated[float | None, typer.Option(help="Least share of a slice that shows tissue, 0 to 1.")] = None,
    every: Annotated[int | None, typer.Option(help="Keep every k-th slice of a volume.")] = None,
    duplicates: Annotated[
        bool | None,
        typer.Option("--duplicates/--no-duplicates", help="Search for duplicates (default: among real scans)."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Shares of train, validation, test (default 0.7,0.15,0.15).")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Cross-validation folds to write beside the split.")] = None,
    split_from: Annotated[
        Path | None, typer.Option(help="Take the split from a CSV, an nnU-Net splits_final.json or another cohort.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option(help="real | synthetic: what these images are, if another tool made them.")
    ] = None,
    pseudonyms: Annotated[
        bool | None, typer.Option("--pseudonyms", help="Replace names of patients and files by keyed hashes.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the split, and of simulated patients (default 0).")] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes; chosen if not given.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with any of these settings.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting by name. Can be repeated.")
    ] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Show the settings and leave.")] = False,
    force: Force = False,
) -> None:
    """Turn a folder of scans (or simulated patients) into a cohort: checked, split by patient, normalised, packed."""
    names = [
        "layout",
        "modalities",
        "plane",
        "size",
        "crop",
        "normalise",
        "convention",
        "merge",
        "classes",
        "slices",
        "min_brain",
    ]
    names += ["every", "duplicates", "folds", "split_from", "origin", "pseudonyms", "seed", "jobs"]
    given = locals()
    flags = {name: given[name] for name in names}
    if split is not None:
        flags["split"] = split.split(",")
    settings: PrepareConfig
    if phantom is None:
        from synthoma.cohorts.settings import PrepareConfig

        settings = PrepareConfig.resolve(config, assignments or [], flags)
    else:
        from synthoma.phantom import PhantomCohortConfig

        settings = PhantomCohortConfig.resolve(config, assignments or [], flags)
    if print_config:
        say(settings.to_toml(), end="")
        return
    if (source is None) == (phantom is None):
        came = "neither" if source is None else "both"
        raise ConfigError("a folder of scans or --phantom N", came, "give exactly one, see `synthoma prepare --help`")
    if output is None:
        raise ConfigError("a place for the cohort", "no --output", "add for example -o cohort")
    from synthoma import pipeline
    from synthoma.core.outputs import check_apart

    check_apart(output, [config])
    with _progress() as progress:
        if source is not None:
            cohort = pipeline.prepare(
                source, output, config=settings, force=force, progress=progress, tell=_print_understood
            )
        else:
            simulated = cast("PhantomCohortConfig", settings)
            cohort = pipeline.prepare_phantom(phantom or 0, output, config=simulated, force=force, progress=progress)
    _tell(cohort)


@app.command(
    epilog="[bold]Examples[/bold]\n\nsynthoma info COHORT\n\nsynthoma info scans/\n\n"
    "synthoma info COHORT --cases 50000 --population 1417000000"
)
def info(
    path: Annotated[Path, typer.Argument(help="A cohort, a scan, or a folder of scans.")],
    cases: Annotated[float | None, typer.Option(help="Cases in the population, for the prevalence calculator.")] = None,
    population: Annotated[float | None, typer.Option(help="People in the population.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every byte of an artefact with its checksums, and leave.")
    ] = False,
) -> None:
    """Tell what any artefact or folder of scans is, and where it came from."""
    from synthoma import pipeline

    if verify:
        found = pipeline.verify(path)
        if found:
            for line in found[:LISTED]:
                say(f"damaged: {line}")
            todo = "restore them from a copy, or make the artefact again"
            raise InputError(f"{path} as it was written", f"{len(found)} damaged files", todo)
        say("no checksums: an earlier version wrote it" if found is None else "OK: every file is what was written")
        return
    if (cases is None) != (population is None):
        missing = "--cases" if cases is None else "--population"
        raise ConfigError("cases and the population that they are in", f"no {missing}", "give both")
    content = pipeline.describe(path)
    if cases is not None and population is not None:
        from synthoma.cohorts.prevalence import Prevalence

        content["prevalence"] = Prevalence(cases, population).formula()
    if as_json:
        import json

        say(json.dumps(content, indent=2))
        return
    if content.get("kind") == "scans":
        _print_understood(content)
        for remark in content["remarks"]:
            say(f"note: {remark}")
        content = {name: content[name] for name in ("prevalence",) if name in content}
    for line in _lines(content):
        say(line)


@app.command(
    epilog="""
[bold]Examples[/bold]

synthoma train lgg -o run --model auto --minutes 10

synthoma train lgg -o run --model wgan-gp --images 100000 --with-masks --set gan.width=48

synthoma train lgg -o run --resume

synthoma train lgg -o detector --model unet-25d --minutes 15 --with synthetic
"""
)
def train(
    cohort: Annotated[Path | None, typer.Argument(help="A cohort; its training split is learned from.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the run.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Which model, see --list (default auto: chooses a generator).")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget in minutes (default 10).")] = None,
    images: Annotated[int | None, typer.Option(help="Budget in images shown: makes the run exact.")] = None,
    with_masks: Annotated[bool | None, typer.Option("--with-masks", help="Draw the mask with each image.")] = None,
    conditional: Annotated[bool | None, typer.Option("--conditional", help="Draw a class on request.")] = None,
    phantom: Annotated[
        Path | None, typer.Option(help="phantom-gan: the cohort of simulated slices that it repaints.")
    ] = None,
    classes: Annotated[str | None, typer.Option("--class", help="Train on these classes only, with commas.")] = None,
    limit: Annotated[int | None, typer.Option(help="Learn from so many random training slices only.")] = None,
    snapshots: Annotated[int | None, typer.Option(help="How often it is scored and saved (default 10).")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many snapshots without a better score.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random draw (default 0).")] = None,
    device: Annotated[str | None, typer.Option(help="auto | cpu | cuda.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    extra: Annotated[
        list[Path] | None, typer.Option("--with", help="Detectors: learn from this cohort too. Can be repeated.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Begin with a run or a model file; phantom-gan, unet-25d: or `phantom`, shipped. "
            "A segmenter that begins with one learns at half its rate."
        ),
    ] = None,
    patients: Annotated[int | None, typer.Option(help="Detectors: learn from so many random patients only.")] = None,
    search: Annotated[int | None, typer.Option(help="Try so many settings, each for the budget; needs optuna.")] = None,
    summary: Annotated[bool, typer.Option("--summary", help="Show the networks' layers and leave.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show the models and leave.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file with any of these settings.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting by name. Can be repeated.")
    ] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Show the settings and leave.")] = False,
    force: Force = False,
) -> None:
    """Train a model on a cohort: a generator, a segmenter or a classifier, scored on held-out scans on the way."""
    if listing:
        from synthoma.detectors.settings import CLASSIFIERS, SEGMENTERS
        from synthoma.generators.recipes import generators

        for title, models in (("generators", generators()), ("segmenters", SEGMENTERS), ("classifiers", CLASSIFIERS)):
            say(f"{title}:")
            for name, (text, _) in models.items():
                say(f"  {name:<16} {text}")
        return
    from synthoma.settings import TrainConfig

    flags: dict[str, Any] = {
        "model": model, "minutes": minutes, "images": images, "with_masks": with_masks, "conditional": conditional,
        "classes": classes.split(",") if classes else None, "limit": limit, "snapshots": snapshots,
        "patience": patience, "seed": seed, "device": device, "extra": extra or None, "init": init,
        "patients": patients, "phantom": phantom,
    }  # fmt: skip
    settings = TrainConfig.resolve(config, assignments or [], flags)
    if print_config:
        say(settings.to_toml(), end="")
        return
    if cohort is None:
        raise ConfigError("a cohort", "none", "see `synthoma train --help`")
    if summary:
        from synthoma import pipeline

        _print_summary(cohort, pipeline.planned(cohort, settings))
        return
    if output is None:
        raise ConfigError("a place for the run", "no --output", "add for example -o run")
    from synthoma import pipeline
    from synthoma.core.outputs import check_apart

    if not resume:
        check_apart(output, [config])
        settings = pipeline.planned(cohort, settings)
        for reason in settings.reasons:
            say(f"auto: {reason}")
    with _training_progress() as (tell, show):
        if search is not None:
            if resume:
                raise ConfigError("a search that begins anew", "--resume", "leave it out")
            best = pipeline.search(cohort, output, search, config=settings, force=force, report=tell)
            say(f"best settings: {best}")
            return
        run = pipeline.train(cohort, output, config=settings, resume=resume, force=force, report=tell, progress=show)
    say(f"model: {run / 'model.safetensors'}\npage: {run / 'report.html'}")


@app.command(
    epilog="[bold]Examples[/bold]\n\nsynthoma generate run -n 500 -o synthetic --class tumour --seed 1\n\n"
    "synthoma generate run -n 500 -o synthetic --export dicom\n\n"
    "synthoma generate run --patients 20 -o synthetic --export nifti\n\n"
    "synthoma generate run -n 100000 -o part3 --shard 3/8"
)
def generate(
    run: Annotated[Path, typer.Argument(help="A finished run of a generator, or its model.safetensors.")],
    output: Output,
    count: Annotated[int | None, typer.Option("-n", help="Number of images; 500 where nothing is said.")] = None,
    patients: Annotated[
        int | None,
        typer.Option(help="Of a phantom-gan: number of whole patients, slice by slice in one style, in place of -n."),
    ] = None,
    label: Annotated[str | None, typer.Option("--class", help="Class of all images; else all that it knows.")] = None,
    seed: Annotated[int, typer.Option(help="Image i is a function of model, seed and i.")] = 0,
    truncation: Annotated[float, typer.Option(help="Up to 1; less is more typical and less various.")] = 1.0,
    keep_share: Annotated[
        float | None,
        typer.Option(
            "--reject-discriminator",
            metavar="SHARE",
            help="Draw more and keep this share, what the run's own discriminator finds most real.",
        ),
    ] = None,
    shard: Annotated[str, typer.Option(help="i/k: draw the i-th of k parts.")] = "1/1",
    form: Annotated[str | None, typer.Option("--export", help="png | nifti | dicom: write files too.")] = None,
    interpolation: Annotated[bool, typer.Option("--interpolation", help="Write interpolation.png too.")] = False,
    nearest: Annotated[Path | None, typer.Option(help="Real cohort: write nearest.png too.")] = None,
    phantom: Annotated[
        Path | None, typer.Option(help="Of a phantom-gan: the cohort of simulated slices that are repainted.")
    ] = None,
    only_private: Annotated[
        Path | None,
        typer.Option(metavar="COHORT", help="Leave out images that look like copies of its training slices."),
    ] = None,
    force: Force = False,
) -> None:
    """Draw a labelled synthetic cohort from a trained generator."""
    from synthoma import pipeline

    part, _, parts = shard.partition("/")
    if not (part.isdecimal() and parts.isdecimal()):
        raise ConfigError("a shard i/k", repr(shard), "write for example --shard 1/4")
    if form not in (None, "png", "nifti", "dicom"):
        raise ConfigError("an export format: png, nifti or dicom", repr(form), "choose one of them")
    with _progress() as progress:
        cohort = pipeline.generate(
            run,
            output,
            500 if count is None and patients is None else count,
            patients=patients,
            seed=seed,
            label=label,
            truncation=truncation,
            keep_share=keep_share,
            shard=(int(part), int(parts)),
            form=form,  # type: ignore[arg-type]
            interpolation=interpolation,
            nearest=nearest,
            only_private=only_private,
            phantom=phantom,
            force=force,
            progress=progress,
        )
    if only_private is not None:
        drawn = len(cohort) + int(cohort.meta["left_out"])
        say(f"left out {cohort.meta['left_out']} of {drawn:,} as near to training slices as copies are")
    if patients is not None:
        say(f"{cohort.meta['cases']} patients, of {cohort.meta['groups']} simulated ones")
    for remark in cohort.meta["remarks"]:
        say(f"note: {remark}")
    counts = cohort.slices["label"].value_counts()
    each = ", ".join(f"{counts[name]:,} {visible(name)}" for name in cohort.classes if name in counts)
    say(f"{len(cohort):,} synthetic slices: {each}\npage: {cohort.path / 'report.html'}")


@app.command(
    epilog="""
[bold]Examples[/bold]

synthoma evaluate lgg synthetic -o evaluation

synthoma evaluate lgg synthetic -o evaluation --preset standard --keep synthetic-clean

synthoma evaluate true-masks/ found/ -o scores --other other-model/
"""
)
def evaluate(
    real: Annotated[
        Path, typer.Argument(metavar="REAL", help="The cohort that the generator was trained on; or a folder of masks.")
    ],
    synthetic: Annotated[
        Path, typer.Argument(metavar="SYNTHETIC", help="A synthetic cohort, from any tool; or predicted masks.")
    ],
    output: Output,
    other: Annotated[Path | None, typer.Option(help="Masks: another model's predictions, to compare with.")] = None,
    nested: Annotated[
        bool | None,
        typer.Option("--nested/--labels", help="Masks: nested regions, or each label (default: by what values mean)."),
    ] = None,
    convention: Annotated[
        str | None, typer.Option(help="Masks: what values mean on all sides, see `synthoma prepare --help`.")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Masks: of the surface Dice, in mm (default: 2), or pixels without a spacing.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="quick: scores, a minute | standard: and detectors trained both ways, up to an hour | full"),
    ] = None,
    phantom: Annotated[
        Path | None, typer.Option(help="A phantom cohort: what do simulated patients alone teach a detector?")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="The GAN's run: does its discriminator remember its patients?")
    ] = None,
    extractor: Annotated[
        Path | None, typer.Option(help="Python file with features(images): a family of features of your own.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="COHORT", help="Also write the slices looked at, less copies and masks that do not fit."),
    ] = None,
    cells: Annotated[
        Path | None, typer.Option(help="Folder of finished trainings, never run twice (default: beside the output).")
    ] = None,
    splits: Annotated[
        int | None, typer.Option(metavar="K", help="Judge realism and diversity again over K other divisions.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Trainings at once; chosen if not given.")] = None,
    device: Annotated[str | None, typer.Option(help="auto | cpu | cuda.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all draws.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting by name. Can be repeated.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings and thresholds.")] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Show the settings and leave.")] = False,
    force: Force = False,
) -> None:
    """Is it realistic, diverse, private and useful? One verdict. Of masks: how well do they agree?"""
    from synthoma.evaluation.settings import EvaluateConfig

    given = locals()
    names = ("preset", "phantom", "run", "cells", "splits", "jobs", "device", "seed")
    settings = EvaluateConfig.resolve(config, assignments or [], {name: given[name] for name in names})
    if print_config:
        say(settings.to_toml(), end="")
        return
    from synthoma import pipeline
    from synthoma.core.outputs import check_apart

    for place in (output, keep, settings.cells):
        if place is not None:
            check_apart(place, [config])
    masks = not (real / "cohort.json").is_file() and not (synthetic / "cohort.json").is_file()
    of_masks = {"other": other, "nested": nested, "convention": convention, "tolerance": tolerance}
    of_cohorts = {name: given[name] for name in (*names[:-1], "extractor", "keep", "assignments", "config")}
    if useless := [name for name, value in (of_cohorts if masks else of_masks).items() if value is not None]:
        wanted = f"settings of {'masks' if masks else 'cohorts'}, which these are"
        raise ConfigError(wanted, ", ".join(f"--{_FLAGS.get(name, name)}" for name in useless), "leave them out")
    if masks:
        options: dict[str, Any] = {**of_masks, "seed": seed or 0, "force": force}
        with _progress() as progress:
            scores = pipeline.score_masks(real, synthetic, output, progress=progress, **options)
        dice, median = (scores["regions"]["whole tumour"]["dice"][name] for name in ("mean", "median"))
        say(f"Dice of {scores['patients']} patients: mean {_span(dice)}, median {_span(median)}")
        for region in list(scores["regions"])[1:]:
            say(f"Dice of {region}: mean {_span(scores['regions'][region]['dice']['mean'])}")
        say(f"{len(scores['skipped'])} files skipped, {sum(map(len, scores['missing'].values()))} predictions missing")
        say(f"page: {output / 'report.html'}\nResearch software, not for clinical use.")
        return
    from synthoma.reports.evaluation_text import splits_lines

    with _progress() as progress:
        result = pipeline.evaluate(
            real, synthetic, output, config=settings, keep=keep, extractor=extractor, force=force, progress=progress
        )
    for light in result["lights"]:
        say(f"{light['question']:<10} {light['state']:<12} {light['text']}")
    for line in splits_lines(result):
        say(line)
    say(f"{result['verdict']['word']}: {result['verdict']['because']}\npage: {output / 'report.html'}")
    if keep is not None:
        where = keep if result["kept"] else "nothing was written"
        say(f"kept {result['kept']} of {result['compared']['of_synthetic']} synthetic slices: {where}")


@app.command(
    epilog="""
[bold]Examples[/bold]

synthoma detect scan.nii.gz -o found

synthoma detect BraTS2018/ --model run -o found --probabilities

synthoma detect pictures/ --model gan-run -o scores.csv
"""
)
def detect(
    scans: Annotated[
        list[Path], typer.Argument(metavar="SCAN...", help="Pictures, volumes, DICOM series, or folders of them.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write; of a GAN or classifier, a CSV file.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A run of `synthoma train`; without it, the model trained on the phantom.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Probability of tumour, 0 to 1; else the model's.")] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Average with the mirrored slice (default: yes).")
    ] = None,
    type_model: Annotated[
        Path | None, typer.Option("--type", help="A run of a classifier that says which type the tumour is.")
    ] = None,
    shows: Annotated[str | None, typer.Option(help="The sequence that plain pictures show (default flair).")] = None,
    dicom_seg: Annotated[
        bool | None, typer.Option("--dicom-seg/--no-dicom-seg", help="DICOM SEG of a DICOM series (default: yes).")
    ] = None,
    overlay: Annotated[
        bool | None, typer.Option("--overlay/--no-overlay", help="Pictures of scan and mask (default: yes).")
    ] = None,
    saliency: Annotated[bool | None, typer.Option("--saliency", help="Draw what the network looked at.")] = None,
    probabilities: Annotated[
        bool | None, typer.Option("--probabilities", help="Write each pixel's probability.")
    ] = None,
    rle: Annotated[
        bool | None, typer.Option("--rle", help="Write each scan's whole mask as run-length code and flat list.")
    ] = None,
    layout: Annotated[str | None, typer.Option(help="How a folder is arranged. Recognised if not given.")] = None,
    convention: Annotated[
        str | None, typer.Option(help="What values of the scans' own masks mean, see `synthoma prepare --help`.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto | cpu | cuda.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes; chosen if not given.")] = None,
    force: Force = False,
) -> None:
    """Find and outline tumours: probability, mask, size and place, picture. Research software, not for clinical use."""
    from synthoma import pipeline

    given = locals()
    names = [
        "threshold",
        "flip",
        "type_model",
        "shows",
        "dicom_seg",
        "overlay",
        "saliency",
        "probabilities",
        "rle",
        "layout",
        "convention",
    ]
    flags = {name: given[name] for name in [*names, "device", "jobs"]}
    kind = pipeline.kind_of_model(model)
    if kind != "segmenter":
        assert model is not None
        if useless := [name for name, value in flags.items() if value is not None]:
            raise ConfigError(f"settings of a {kind}, which has none here", ", ".join(useless), "leave them out")
        from synthoma.core.outputs import new_file, write_text

        place = None if output is None else new_file(output, force=force, inputs=(*scans, model))
        with _progress() as progress:
            table = pipeline.judge(scans, model, progress=progress)
        say(table.to_string(index=False))
        say("Research software, not for clinical use.")
        if place is not None:
            write_text(place, csv_of_frame(table))
        return
    if output is None:
        raise ConfigError("a place for masks and findings", "no --output", "add for example -o found")
    from synthoma.detection.settings import DetectConfig

    options = DetectConfig.resolve(flags=flags)
    # Not through the pipeline, whose table needs pandas: loading it takes as long as looking at a patient.
    from synthoma.detection.detect import detect as look
    from synthoma.training.bundle import shipped_model

    with _progress() as progress:
        rows = look(scans, model or shipped_model(), output, options=options, force=force, progress=progress)
    _print_findings(rows, output, pipeline.report(output))


@app.command(epilog="[bold]Example[/bold]\n\nsynthoma report COHORT")
def report(path: Annotated[Path, typer.Argument(help="A cohort, a run, an evaluation or findings.")]) -> None:
    """Write the self-contained HTML page of an artefact."""
    from synthoma import pipeline

    say(f"page: {pipeline.report(path)}")


@app.command(epilog="[bold]Example[/bold]\n\nsynthoma demo -o demo")
def demo(output: Output = Path("synthoma-demo"), force: Force = False) -> None:
    """Run the chain on simulated patients: nothing to download, no data needed, about eight minutes on two cores."""
    import json

    from synthoma import pipeline

    with _progress() as progress, _training_progress() as (tell, _):
        page = pipeline.demo(output, force=force, progress=progress, report=tell)
    verdict = json.loads(page.with_name("evaluation.json").read_text(encoding="utf-8"))["verdict"]
    say(f"{verdict['word']}: {verdict['because']}\npage: {page}")


def _print_findings(rows: list[dict[str, Any]], output: Path, page: Path) -> None:
    """What was found, what was skipped, and how far to trust it, in lines that the terminal does not break."""
    import csv
    import json
    import shutil
    import textwrap

    from synthoma.detection.words import remark_lines, skipped_lines, table_lines

    width = max(shutil.get_terminal_size().columns, 40)
    with (output / "skipped.csv").open(encoding="utf-8", newline="") as stream:
        skipped = list(csv.DictReader(stream))
    told = json.loads((output / "detection.json").read_text(encoding="utf-8"))["track_record"]
    records = [line for text in told for line in textwrap.wrap(text, width)]
    for line in (
        *table_lines(rows, width),
        *remark_lines(rows, width),
        *skipped_lines(len(rows), skipped, str(output / "skipped.csv"), width),
        *records,
    ):
        say(line)
    say(f"masks and findings: {output}\npage: {page}\nResearch software, not for clinical use.")


def _span(entry: dict[str, Any]) -> str:
    """A figure with its interval; one patient has none."""
    if entry["value"] is None or entry["low"] is None:
        return "none" if entry["value"] is None else f"{entry['value']:.3f}"
    return f"{entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"


def _print_summary(cohort: Path, settings: TrainConfig) -> None:
    """Tables of the networks that would be trained."""
    from synthoma.cohorts.cohort import Cohort
    from synthoma.detectors.train import DetectorPlan
    from synthoma.generators.families import gan_summary
    from synthoma.generators.plan import plan_training
    from synthoma.training.layers import layers_of, total

    if settings.kind == "generator":
        tables = gan_summary(settings.gan, plan_training(Cohort(cohort), settings).shape)
    else:
        plan = DetectorPlan(Cohort(cohort), settings)
        tables = {
            settings.kind: layers_of(plan.network("cpu").eval(), plan.sources[0].fetch(plan.sources[0].rows[:2]).images)
        }
    for name, layers in tables.items():
        say(f"\n{name}: {total(layers):,} parameters")
        for layer in layers:
            say(f"  {layer.name:<14} {layer.kind:<18} {' x '.join(map(str, layer.shape)):<16} {layer.parameters:>12,}")


@contextmanager
def _training_progress() -> Iterator[tuple[Report, Progress]]:
    """A bar for a training: share of the budget, time left, images a second, losses; warnings above it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("training  "), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn()]
    with Progress(*columns, TextColumn("{task.fields[said]}"), console=Console(stderr=True)) as bars:
        tasks: list[Any] = []
        told: set[str] = set()

        def tell(progress: Any, share: float, recent: dict[str, float]) -> None:
            if not tasks:
                tasks.append(bars.add_task("training", total=1.0, said=""))
            names = {
                "images_per_second": "images/s",
                "loss": "loss",
                "d_loss": "D",
                "g_loss": "G",
                "d_real": "D(real)",
                "d_fake": "D(fake)",
            }
            said = "  ".join(f"{title} {recent[name]:.3g}" for name, title in names.items() if name in recent)
            bars.update(tasks[0], completed=min(share, 1.0), said=f"{progress.images:,} images  {said}")
            for text in progress.events:
                if text not in told:
                    told.add(text)
                    bars.console.print(f"[yellow]warning:[/yellow] {escape(visible(text))}", highlight=False)

        def show(text: str, done: int, total: int) -> None:
            if not tasks:
                tasks.append(bars.add_task("training", total=1.0, said=""))
            bars.update(tasks[0], said=f"first, patients are simulated: {done} of {total}")

        yield tell, show


@contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar on the terminal, one line for each kind of work; silent where the output is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show(text: str, done: int, total: int) -> None:
            if text not in tasks:
                for task in tasks.values():  # one kind of work has ended when the next begins
                    bars.update(task, completed=bars.tasks[task].total)
                tasks[text] = bars.add_task(text, total=total)
            bars.update(tasks[text], completed=done, total=total)

        yield show


def _print_understood(facts: dict[str, Any]) -> None:
    """What was understood of a folder of scans."""
    from synthoma.cohorts.understanding import lines_of

    for line in lines_of(facts):
        say(line)


def _print_skipped(listing: Path) -> None:
    """How many files were not used, by kind."""
    import csv
    from collections import Counter

    with listing.open(encoding="utf-8", newline="") as stream:
        kinds = Counter(row["kind"] for row in csv.DictReader(stream))
    if kinds:
        say(f"{kinds.total():,} files or studies were not used: see {listing}")
    for kind, count in kinds.most_common(LISTED):
        say(f"  {count:>6} x {kind}")


def _tell(cohort: Cohort) -> None:
    """The summary after ``prepare``."""
    import pandas as pd

    table = cohort.slices
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=["train", "validation", "test"], fill_value=0)
    say(f"{len(cohort):,} slices of {cohort.meta['cases']:,} cases in {cohort.meta['groups']:,} groups, "
          f"{'+'.join(cohort.modalities)}, {cohort.size} px")  # fmt: skip
    say(counts.to_string())
    _print_skipped(cohort.path / "skipped.csv")
    path = cohort.path / "duplicates.csv"
    if lines := len(pd.read_csv(path)) if path.is_file() else 0:
        say(f"{lines:,} pairs of duplicates were found: see {path}")
    for remark in cohort.meta["remarks"][:5]:
        say(f"note: {remark}")
    if len(cohort.meta["remarks"]) > 5:
        say(f"note: {len(cohort.meta['remarks']) - 5} more, see the page")
    say(f"page: {cohort.path / 'report.html'}")


def _lines(content: dict[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list):
            more = f", and {len(value) - LISTED} more (--json shows all)" if len(value) > LISTED else ""
            yield f"{indent}{key}: {', '.join(map(str, value[:LISTED])) or 'none'}{more}"
        else:
            yield f"{indent}{key}: {value}"
