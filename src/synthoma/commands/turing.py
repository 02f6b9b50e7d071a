"""``synthoma turing``: a blinded set of real and synthetic pictures, and what readers' answers to it are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.mistakes import nearest
from synthoma.commands.options import TAKEN, Force, Given, Key, Open, Output, takes
from synthoma.commands.printing import browse, say
from synthoma.commands.progress import shown
from synthoma.core.errors import ConfigError
from synthoma.evaluation.readers.settings import TuringConfig

EXAMPLES = (
    "synthoma turing make lgg synthetic -o blinded --readers A,B,C",
    "synthoma turing make lgg synthetic -o blinded --design pairs --number 40",
    "synthoma turing score blinded answers-A.csv answers-B.csv answers-C.csv -o readers",
)
ACTIONS = ("make", "score")


@takes(TuringConfig, "design", "number", "repeats", "readers", "sequence", "pixels", "matters", "seed")
def run(
    action: Annotated[str, typer.Argument(metavar="make|score", help="Make a set, or score the answers to one.")],
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="REAL SYNTHETIC | SET ANSWERS...",
            help="To make: a real and a synthetic cohort. To score: the set, and a CSV file for each reader.",
        ),
    ],
    output: Output,
    given: Given,
    key: Key = None,
    force: Force = False,
    open_page: Open = False,
) -> None:
    """Run the command."""
    if action not in ACTIONS:
        raise ConfigError(
            "make or score", repr(action), nearest(action, list(ACTIONS)) or "see `synthoma turing --help`"
        )
    if action == "make":
        _check_none("score", {"--key": key is not None, "--open": open_page})
        _make(paths, output, TuringConfig.resolve(flags=given), force=force)
        return
    flags = TAKEN[run][0].flags()
    _check_none("make", {flags[name]: True for name in given})
    _score(paths, output, key, force=force)
    if open_page:
        browse(output / "report.html")


def _check_none(action: str, given: dict[str, bool]) -> None:
    """Raise ConfigError where something was given that only the other action takes."""
    if useless := [flag for flag, was_given in given.items() if was_given]:
        raise ConfigError(
            f"what `synthoma turing {action}` alone takes to be left out", ", ".join(useless), "leave it out"
        )


def _make(paths: list[Path], output: Path, settings: TuringConfig, *, force: bool) -> None:
    """Make a set, and say what it can show."""
    from synthoma import pipeline
    from synthoma.reports.turing_sheets import power_lines

    if len(paths) != 2:
        raise ConfigError("a real and a synthetic cohort", f"{len(paths)} paths", "see `synthoma turing --help`")
    with shown() as display:
        made = pipeline.turing_make(paths[0], paths[1], output, config=settings, force=force, progress=display.work)
    for line in (*power_lines(made), *made.remarks):
        say(line)
    say(f"for readers: {output / 'images'}, answers-*.csv to fill in, sheet-*.html to print")
    say(f"keep from them: {output / 'key.json'}")


def _score(paths: list[Path], output: Path, key: Path | None, *, force: bool) -> None:
    """Score answers, and print what matters most."""
    from synthoma import pipeline
    from synthoma.reports.turing_page import reader_lines

    if len(paths) < 2:
        raise ConfigError("a set, and answers behind it", f"{len(paths)} paths", "give a CSV file for each reader")
    with shown() as display:
        result = pipeline.turing_score(paths[0], list(paths[1:]), output, key=key, force=force, progress=display.work)
    for line in (*reader_lines(result), *result.remarks):
        say(line)
    say(f"{result.verdict.word}: {result.verdict.text}\npage: {output / 'report.html'}")
