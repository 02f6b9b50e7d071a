"""``synthoma prepare``: scans or simulated patients to a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from synthoma.cohorts.settings import PrepareConfig
from synthoma.commands.options import (
    SPREAD,
    Assignments,
    ConfigFile,
    Force,
    Given,
    OutputIfAny,
    PrintConfig,
    Simulated,
    takes,
)
from synthoma.commands.printing import say, share_told, skipped, understood
from synthoma.commands.progress import shown
from synthoma.core.errors import ConfigError
from synthoma.core.fanned import FanoutConfig, fanned

if TYPE_CHECKING:
    from synthoma.cohorts.cohort import Cohort
    from synthoma.phantom import PhantomCohortConfig

EXAMPLES = (
    "synthoma prepare kaggle_3m -o lgg --modalities flair --size 64 --slices tumour",
    "synthoma prepare BraTS2018 -o brats --merge whole-tumour --every 3",
    "synthoma prepare kaggle253 -o pictures --recipe dcgan-seed --augment 4",
    "synthoma prepare hospital/ -o brains --strip",
    "synthoma prepare my-gan/samples --like cohort -o synthetic",
    "synthoma prepare --phantom 40 -o phantom --set phantom.skull=stripped",
    "synthoma prepare BraTS2018 -o brats --parts brats.parts --shard 3/16",
)


@takes(
    PrepareConfig,
    *(
        "recipe",
        "layout",
        "modalities",
        "plane",
        "size",
        "crop",
        "strip",
        "fitting",
        "tile",
        "normalise",
        "convention",
    ),
    *(
        "merge",
        "classes",
        "slices",
        "min_brain",
        "every",
        "augment",
        "duplicates",
        "split",
        "folds",
        "split_from",
        "corrections",
    ),
    *("like", "framed", "origin", "pseudonyms", "seed", "jobs"),
)
@takes(FanoutConfig, *SPREAD, into="of_fan")
def run(
    given: Given,
    of_fan: Given,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="INPUT", help="Folder of scans, one scan, or a table (CSV, Parquet); arrays (.npy, .npz)."
        ),
    ] = None,
    output: OutputIfAny = None,
    phantom: Simulated = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    print_config: PrintConfig = False,
    force: Force = False,
) -> None:
    """Run the command."""
    settings = PrepareConfig.resolve(config, assignments or [], given) if phantom is None else None
    if settings is None:
        from synthoma.phantom import PhantomCohortConfig

        settings = PhantomCohortConfig.resolve(config, assignments or [], given)
    if print_config:
        say(settings.to_toml(), end="")
        return
    if (source is None) == (phantom is None):
        came = "neither" if source is None else "both"
        raise ConfigError("a folder of scans or --phantom N", came, "give exactly one, see `synthoma prepare --help`")
    if output is None:
        raise ConfigError("a place for the cohort", "no --output", "add for example -o cohort")
    from synthoma import pipeline
    from synthoma.core.places import check_apart

    check_apart(output, [config])
    with fanned(FanoutConfig.resolve(flags=of_fan)) as fan, shown() as display:
        if source is not None:
            cohort = pipeline.prepare(
                source, output, config=settings, force=force, progress=display.work, tell=understood
            )
        else:
            simulated = cast("PhantomCohortConfig", settings)
            cohort = pipeline.prepare_phantom(
                phantom or 0, output, config=simulated, force=force, progress=display.work
            )
    if not share_told(fan):
        _tell(cohort)


def _tell(cohort: Cohort) -> None:
    """The summary after ``prepare``."""
    import pandas as pd

    table = cohort.slices
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=["train", "validation", "test"], fill_value=0)
    say(f"{len(cohort):,} slices of {cohort.meta.cases:,} cases in {cohort.meta.groups:,} groups, "
          f"{'+'.join(cohort.modalities)}, {cohort.size} px")  # fmt: skip
    say(counts.to_string())
    skipped(cohort.path / "skipped.csv")
    path = cohort.path / "duplicates.csv"
    if lines := len(pd.read_csv(path)) if path.is_file() else 0:
        say(f"{lines:,} pairs of duplicates were found: see {path}")
    for remark in cohort.meta.remarks[:5]:
        say(f"note: {remark}")
    if len(cohort.meta.remarks) > 5:
        say(f"note: {len(cohort.meta.remarks) - 5} more, see the page")
    say(f"page: {cohort.path / 'report.html'}")
