"""``synthoma studio``: the whole chain in a browser."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.options import AtOnce, Host, NoOpen, PasswordFile, Port, Workspace
from synthoma.commands.printing import say, tell
from synthoma.commands.progress import as_json
from synthoma.core.errors import ConfigError

EXAMPLES = (
    "synthoma studio",
    "synthoma studio scans/ --workspace study",
    "synthoma studio --no-open --port 8080",
    "synthoma studio --host 0.0.0.0 --password-file password.txt",
)


def run(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[FOLDER]...", help="Folders of scans to choose from; only read.")
    ] = None,
    workspace: Workspace = Path("studio"),
    host: Host = "127.0.0.1",
    port: Port = 8765,
    password_file: PasswordFile = None,
    at_once: AtOnce = 1,
    no_open: NoOpen = False,
) -> None:
    """Run the command."""
    try:
        from synthoma.studio.server import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("synthoma",):
            raise
        todo = "install them: pip install 'synthoma[studio]'"
        raise ConfigError("what the studio stands on", f"no {error.name}", todo) from None

    def ready(address: str) -> None:
        if as_json():
            tell({"address": address, "workspace": str(workspace)}, sys.stderr)
        say(f"studio: {address}\nworkspace: {workspace}\nend it with Ctrl-C; what runs can go on later")
        if not no_open and not webbrowser.open(address):
            say("no browser was found: open the address yourself")

    serve(workspace, folders or [], host=host, port=port, password_file=password_file, at_once=at_once, ready=ready)
