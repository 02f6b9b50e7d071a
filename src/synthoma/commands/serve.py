"""``synthoma serve``: detection as a service for other programs."""

from __future__ import annotations

import sys
from pathlib import Path

from synthoma.commands.options import FolderOfService, Given, Model, takes
from synthoma.commands.printing import say, tell
from synthoma.commands.progress import as_json
from synthoma.core.errors import ConfigError
from synthoma.service.settings import ServeConfig

EXAMPLES = (
    "synthoma serve -o service",
    "synthoma serve -o service --folder scans/ --token-file token.txt --at-once 2",
)


@takes(
    ServeConfig,
    *("host", "port", "token_file", "folder", "at_once", "waiting", "longest_s", "upload_gib", "keep_hours"),
)
def run(given: Given, output: FolderOfService = Path("service"), model: Model = None) -> None:
    """Run the command."""
    try:
        from synthoma.service.serve import Service
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "synthoma":
            raise
        todo = "install them: pip install 'synthoma[serve]'"
        raise ConfigError("what the service stands on", f"no {error.name}", todo) from None
    from synthoma.training.bundle import shipped_model

    options = ServeConfig.resolve(flags=given)
    service = Service(output, model or shipped_model(), options)

    def ready(address: str) -> None:
        if as_json():
            tell({"address": address, "token": service.token}, sys.stderr)
        shown = "that of the file" if options.token_file else service.token
        say(f"service: {address} (what it answers: {address}/openapi.json)\ntoken: {shown}\nend it with Ctrl-C")

    service.run(ready)
