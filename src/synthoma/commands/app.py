"""The commands by name, and what surrounds each: signals, errors, exit codes. A command is loaded when it is called."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Annotated, Any, Literal, NoReturn, TypedDict

import typer
import typer.core
import typer.main

from synthoma._version import __version__
from synthoma.commands.mistakes import USAGE, explained, nearest
from synthoma.commands.printing import say
from synthoma.commands.stores import stored_places
from synthoma.core.errors import COMMAND_LINE, ConfigError, OutputError, SynthomaError

COMMANDS: dict[str, str] = {
    "run": "From a folder of scans to a verdict: prepare, train, generate, evaluate. The same command goes on where it "
    "was stopped.",
    "prepare": "Turn a folder of scans (or simulated patients) into a cohort: checked, split by patient, normalised, "
    "packed.",
    "info": "Tell what any artefact or folder of scans is, and where it came from.",
    "train": "Train a model on a cohort: a generator, a segmenter or a classifier, scored on held-out scans on the "
    "way.",
    "generate": "Draw a labelled synthetic cohort from a trained generator.",
    "paint": "Put tumours into scans: grown in the scan's own tissue, with dials for size, place and look.",
    "remove": "Take tumours out of scans: plausible healthy tissue in their place.",
    "plan": "Which synthetic cases to make: what the training patients lack, how many, and what to expect of it.",
    "evaluate": "Is it realistic, diverse, private and useful? One verdict. Of masks: how well do they agree?",
    "detect": "Find and outline tumours: probability, mask, size and place, picture. Research software, not for "
    "clinical use.",
    "export": "Write a cohort or findings for another tool: nnU-Net, MONAI, TorchIO, BIDS, Hugging Face, COCO, YOLO.",
    "turing": "Can readers tell synthetic pictures from real ones? Make a blinded set of both, and score the answers.",
    "report": "Write the self-contained HTML page of an artefact.",
    "studio": "The whole chain in a browser, on this computer alone: nothing leaves it.",
    "listen": "Be a DICOM node: each study that is sent here is looked at, and what was found is sent on.",
    "serve": "Answer other programs: scans are sent by HTTP, findings and masks fetched.",
    "demo": "Run the chain on simulated patients: nothing to download, no data needed, about three minutes on two "
    "cores.",
}
"""Command -> what it does. Its function is ``run`` in the module of its name, with ``EXAMPLES``."""


class _Style(TypedDict):
    rich_markup_mode: Literal["rich"]
    pretty_exceptions_enable: bool
    add_completion: bool


_STYLE: _Style = {"rich_markup_mode": "rich", "pretty_exceptions_enable": False, "add_completion": False}


class Commands(typer.core.TyperGroup):
    """All commands, of which only the one that is called is loaded: the list of them needs no settings."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the first word names.

        Raises:
            ConfigError: there is none of that name, with the nearest one.
        """
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            todo = nearest(name, list(COMMANDS)) or "see `synthoma --help`"
            raise ConfigError(f"a command: {', '.join(COMMANDS)}", repr(name), todo)
        found, _, rest = super().resolve_command(ctx, args)
        return found, command_of(name), rest


def command_of(name: str) -> Any:
    """A command with all its options."""
    from synthoma.commands.telling import telling

    module = import_module(f"synthoma.commands.{name}")
    alone = typer.Typer(**_STYLE)
    examples = "\n\n".join(("[bold]Examples[/bold]", *module.EXAMPLES))
    alone.command(name, help=COMMANDS[name], epilog=examples)(telling(name, module.run))
    return typer.main.get_command(alone)


app = typer.Typer(
    name="synthoma",
    cls=Commands,
    help="Labelled synthetic brain-tumour MRI from few scans, with the evidence whether it helps. "
    "Research software, not for clinical use.",
    epilog="Start with `synthoma demo`, or `synthoma run FOLDER -o OUTPUT`.",
    no_args_is_help=True,
    **_STYLE,
)


def _not_loaded() -> None:
    """Stand for a command in the list of them."""


for _name, _sentence in COMMANDS.items():
    app.command(_name, help=_sentence)(_not_loaded)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    """Take the options that stand before a command."""
    if show:
        say(f"synthoma {__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command; an error of the input or the disk ends in one line and exit code 2, a signal in 128 + its number.

    Whatever ends it, folders that are not complete are taken away, and workers are ended.
    """
    calls = COMMAND_LINE.set(True)
    try:
        with _stopped_by_signals():
            try:
                code = _run()
            finally:
                sys.stdout.flush()  # a disk that is full is met here, not after the end
        sys.exit(code)
    except SynthomaError as error:
        _leave(error)
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        todo = "check that the disk has room and works, then run the same command again"
        where = f"{error.filename}: " if error.filename else ""
        _leave(OutputError("files that can be read and written", f"{where}{error.strerror or error}", todo))
    finally:
        COMMAND_LINE.reset(calls)


def _run() -> int:
    """Run the command line, and return the exit code.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with stored_places(sys.argv[1:]) as words:
            code = app(words, standalone_mode=False)
    except typer.Abort:
        say("Aborted!", to=sys.stderr)
        return 1
    except USAGE as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the list of commands has been printed
            return 2
        raise explained(error) from None
    return code if isinstance(code, int) else 0


def _leave(error: SynthomaError) -> NoReturn:
    """Say what is wrong, and end with exit code 2 even where standard output cannot be written any more."""
    from synthoma.commands.telling import told_error

    if not told_error(error):
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
