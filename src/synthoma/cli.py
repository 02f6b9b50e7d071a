"""The command line: one sentence a command. Everything heavy is imported when a command runs, not before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthoma._version import __version__
from synthoma.errors import ConfigError, SynthomaError

if TYPE_CHECKING:
    from synthoma.data.cohort import Cohort
    from synthoma.data.preparation import Progress

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
Force = Annotated[bool, typer.Option("--force", help="Replace an existing artefact of Synthoma.")]


def main() -> None:
    """Run a command; an error of the input ends in one line and exit code 2."""
    try:
        app()
    except SynthomaError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        sys.stderr.close()
        sys.exit(1)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    """Take the options that stand before a command."""
    if show:
        print(f"synthoma {__version__}")
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
        typer.Option(help="folders | lgg | brats | brats2 | dicom | volumes | table. Recognised if not given."),
    ] = None,
    modalities: Annotated[
        str | None, typer.Option(help="Sequences to stack as channels, for example flair or t1,t1c,t2,flair.")
    ] = None,
    plane: Annotated[str | None, typer.Option(help="axial | sagittal | coronal.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square slices in pixels (default 128).")] = None,
    crop: Annotated[
        bool | None, typer.Option("--crop/--no-crop", help="Crop to the head before resizing (default: crop).")
    ] = None,
    normalise: Annotated[str | None, typer.Option(help="robust | zscore | unit.")] = None,
    merge: Annotated[str | None, typer.Option(help="whole-tumour: one label instead of sub-regions.")] = None,
    classes: Annotated[str | None, typer.Option(help="Class of a slice from: auto | folder | mask.")] = None,
    slices: Annotated[str | None, typer.Option(help="all | tumour: only slices that show tumour.")] = None,
    min_brain: Annotated[float | None, typer.Option(help="Least share of a slice that shows tissue, 0 to 1.")] = None,
    every: Annotated[int | None, typer.Option(help="Keep every k-th slice of a volume.")] = None,
    duplicates: Annotated[
        bool | None, typer.Option("--duplicates/--no-duplicates", help="Search for duplicates (default: search).")
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
    from synthoma.data.settings import PrepareConfig

    names = ["layout", "modalities", "plane", "size", "crop", "normalise", "merge", "classes", "slices", "min_brain"]
    names += ["every", "duplicates", "folds", "split_from", "origin", "pseudonyms", "seed", "jobs"]
    given = locals()
    flags = {name: given[name] for name in names}
    if split is not None:
        flags["split"] = split.split(",")
    about_phantom = [text.removeprefix("phantom.") for text in assignments or [] if text.startswith("phantom.")]
    about_cohort = [text for text in assignments or [] if not text.startswith("phantom.")]
    if phantom is not None and flags["duplicates"] is None:
        flags["duplicates"] = False  # simulated patients are distinct by construction
    settings = PrepareConfig.resolve(config, about_cohort, flags)
    if print_config:
        print(settings.to_toml(), end="")
        return
    if (source is None) == (phantom is None):
        came = "neither" if source is None else "both"
        raise ConfigError("a folder of scans or --phantom N", came, "give exactly one, see `synthoma prepare --help`")
    if output is None:
        raise ConfigError("a place for the cohort", "no --output", "add for example -o cohort")
    from synthoma import pipeline

    with _progress() as progress:
        if source is not None:
            cohort = pipeline.prepare(source, output, config=settings, force=force, progress=progress)
        else:
            from synthoma.phantom import PhantomConfig

            cohort = pipeline.prepare_phantom(
                phantom or 0,
                output,
                phantom=PhantomConfig.resolve(assignments=about_phantom),
                config=settings,
                force=force,
                progress=progress,
            )
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
) -> None:
    """Tell what any artefact or folder of scans is, and where it came from."""
    from synthoma import pipeline

    content = pipeline.describe(path)
    if cases is not None and population is not None:
        from synthoma.data.prevalence import Prevalence

        content["prevalence"] = Prevalence(cases, population).formula()
    if as_json:
        import json

        print(json.dumps(content, indent=2))
        return
    for line in _lines(content):
        print(line)


@app.command(epilog="[bold]Example[/bold]\n\nsynthoma report COHORT")
def report(path: Annotated[Path, typer.Argument(help="A cohort.")]) -> None:
    """Write the self-contained HTML page of an artefact."""
    from synthoma import pipeline

    print(f"page: {pipeline.report(path)}")


@app.command(epilog="[bold]Example[/bold]\n\nsynthoma demo -o demo")
def demo(output: Output = Path("synthoma-demo"), force: Force = False) -> None:
    """Run the chain on simulated patients: nothing to download, no data needed."""
    from synthoma import pipeline

    with _progress() as progress:
        page = pipeline.demo(output, force=force, progress=progress)
    print(f"page: {page}")


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


def _tell(cohort: Cohort) -> None:
    """The summary after ``prepare``."""
    import pandas as pd

    table = cohort.slices
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=["train", "validation", "test"], fill_value=0)
    print(f"{len(cohort):,} slices of {cohort.meta['cases']:,} cases in {cohort.meta['groups']:,} groups, "
          f"{'+'.join(cohort.modalities)}, {cohort.size} px")  # fmt: skip
    print(counts.to_string())
    for name, text in (("skipped.csv", "files were skipped"), ("duplicates.csv", "pairs of duplicates were found")):
        path = cohort.path / name
        lines = len(pd.read_csv(path)) if path.is_file() else 0
        if lines:
            print(f"{lines:,} {text}: see {path}")
    for remark in cohort.meta["remarks"][:5]:
        print(f"note: {remark}")
    if len(cohort.meta["remarks"]) > 5:
        print(f"note: {len(cohort.meta['remarks']) - 5} more, see the page")
    print(f"page: {cohort.path / 'report.html'}")


def _lines(content: dict[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{key}: {', '.join(str(item) for item in value) or 'none'}"
        else:
            yield f"{indent}{key}: {value}"
