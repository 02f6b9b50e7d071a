"""Options of commands: those of settings, made from the settings' own words, and those that are no settings.

A command names the settings that it takes; type, words, range, choices and default come from their fields::

    @takes(PrepareConfig, "layout", "size")
    def run(source: Path, given: Given, force: Force = False) -> None:
        settings = PrepareConfig.resolve(flags=given)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from synthoma.core.config import Config
from synthoma.core.fields import Setting, settings_of

Command = Callable[..., None]
Given = dict[str, object]
"""Settings that stand on the command line, by name."""

PANEL = "Settings"
SPREAD = ("backend", "scheduler", "address", "job_seconds", "parts", "shard")
"""Settings of every command whose work is spread, of ``FanoutConfig``."""

_METAVARS: dict[type, str] = {Path: "PATH", int: "N", float: "X", str: "TEXT"}


@dataclass(frozen=True)
class Taken:
    """Settings that a command takes as options."""

    config: type[Config]
    names: tuple[str, ...]

    def flags(self) -> dict[str, str]:
        """Their options by name: "size": "--size"."""
        known = settings_of(self.config)
        return {name: known[name].flag for name in self.names}


TAKEN: dict[Command, tuple[Taken, ...]] = {}
"""Command -> what it takes."""


def takes(config: type[Config], *names: str, into: str = "given") -> Callable[[Command], Command]:
    """Give a command an option for each of these settings, in place of its parameter ``into``.

    Values are read as text, so that all of them, from wherever they come, are judged by the settings alone.

    Args:
        config: the settings.
        names: those that get an option, in the order of the help screen.
        into: parameter that gets what was given, by name.
    """
    known = settings_of(config)
    options = {name: _option(known[name]) for name in names}

    def with_options(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True)
        shown = [
            one
            for parameter in own.parameters.values()
            for one in (options.values() if parameter.name == into else (parameter,))
        ]

        def run(**values: object) -> None:
            asked = {name: values.pop(name) for name in names}
            given = {name: _value(known[name], value) for name, value in asked.items() if value not in (None, [])}
            command(**values, **{into: given})

        everything = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in shown]
        run.__signature__ = own.replace(parameters=everything)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in everything}
        TAKEN[run] = (Taken(config, names), *TAKEN.pop(command, ()))
        return run

    return with_options


def _option(setting: Setting) -> inspect.Parameter:
    """The option of a setting."""
    kind: Any = bool if setting.base is bool else Path if setting.base is Path else str
    flag = setting.flag
    if setting.base is bool and setting.default is True:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    option = typer.Option(flag, help=setting.sentence(), metavar=_metavar(setting), rich_help_panel=PANEL)
    kind = list[Path] if setting.several and setting.base is Path else kind
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _metavar(setting: Setting) -> str | None:
    """What stands for a value in the help screen."""
    if setting.base is bool:
        return ""
    usual = "CHOICE" if setting.choices else "A,B,..." if setting.several else _METAVARS[setting.base]
    return setting.metavar or usual


def _value(setting: Setting, value: object) -> object:
    """What was given, as the settings take it."""
    return value.split(",") if setting.several and isinstance(value, str) else value


# Options that are no settings ----------------------------------------------------------------------------------------

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write. It appears only when it is complete.")]
OutputIfAny = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder to write. It appears only when it is complete.")
]
OutputOfRun = Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the run.")]
OutputOfChain = Annotated[
    Path,
    typer.Option("--output", "-o", help="Folder for all that is made. The same command again goes on in it."),
]
OutputOfDetect = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder to write; of a GAN or classifier, a CSV file.")
]
Force = Annotated[bool, typer.Option("--force", metavar="", help="Replace an existing artefact of Synthoma.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="TOML file with any settings.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting by name (docs/settings.md). Can be repeated."),
]
PrintConfig = Annotated[
    bool, typer.Option("--print-config", metavar="", help="Show all settings as a file, and leave.")
]
Open = Annotated[bool, typer.Option("--open", metavar="", help="Open the page in the browser at the end.")]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", metavar="", help="Show no progress, only the result.")]

# prepare
Simulated = Annotated[
    int | None, typer.Option("--phantom", metavar="N", help="Simulate this many patients instead of reading any.")
]

# paint, remove
ScansOrCohort = Annotated[
    list[Path], typer.Argument(metavar="SCAN...|COHORT", help="Scans or folders of them, or a cohort.")
]
OF_SOURCE = ("mask", "splits", "shown", "size", "layout", "convention")
"""Settings of what is read, the same for both."""

# info
Cases = Annotated[float | None, typer.Option(metavar="X", help="Cases in the population, for the prevalence.")]
Population = Annotated[float | None, typer.Option(metavar="X", help="People in the population.")]
Verify = Annotated[
    bool, typer.Option("--verify", metavar="", help="Compare every byte of an artefact with its checksums, and leave.")
]
Diagram = Annotated[
    bool, typer.Option("--diagram", metavar="", help="Draw a run's networks and what flows where, as SVG, and leave.")
]
OutputOfDiagram = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the drawing here, not to the terminal.")
]

# train
Resume = Annotated[bool, typer.Option("--resume", metavar="", help="Go on where an interrupted run stopped.")]
Search = Annotated[
    int | None, typer.Option(metavar="N", help="Try so many settings, each for the budget; needs optuna.")
]
Track = Annotated[
    str | None,
    typer.Option(metavar="CHOICE", help="Send losses, scores and samples on: tensorboard, or mlflow."),
]
Summary = Annotated[bool, typer.Option("--summary", metavar="", help="Show the networks' layers and leave.")]
Listing = Annotated[bool, typer.Option("--list", metavar="", help="Show the models and leave.")]

# evaluate
Extractor = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Python file with features(images): a family of features of your own."),
]
Keep = Annotated[
    Path | None,
    typer.Option(metavar="COHORT", help="Also write the slices looked at, less copies, twins, and masks amiss."),
]
Turing = Annotated[
    Path | None,
    typer.Option(metavar="RESULT", help="What `synthoma turing score` wrote: told beside what is measured."),
]

# turing
Key = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="To score: the set's key.json, where it is kept elsewhere."),
]

# detect
Model = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="A run of `synthoma train`; without it, the model trained on the phantom."),
]

# studio
Workspace = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Where everything is written: what is sent, made, and the jobs.")
]
Host = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where to listen; other than this computer alone needs a password.")
]
Port = Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port to listen at; 0 takes a free one.")]
PasswordFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Ask for the password in its first line, of 10 characters or more.")
]
AtOnce = Annotated[int, typer.Option("--at-once", metavar="N", min=1, max=16, help="Commands that work at a time.")]
NoOpen = Annotated[bool, typer.Option("--no-open", metavar="", help="Do not open the browser.")]

# listen, serve
FolderOfNode = Annotated[
    Path, typer.Option("--output", "-o", help="Folder for studies and the audit log; an earlier one is gone on with.")
]
FolderOfService = Annotated[
    Path, typer.Option("--output", "-o", help="Folder for requests and results; an earlier one is gone on with.")
]
