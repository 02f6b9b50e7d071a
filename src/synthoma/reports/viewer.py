"""The viewer that turns a scan in 3D (niivue), as text that a page carries inside."""

from __future__ import annotations

import base64
import gzip
from functools import cache
from importlib.resources import files


def viewer_licence() -> str:
    """Its licence, which goes with every copy."""
    return files("synthoma.reports").joinpath("vendor", "LICENSE").read_text(encoding="utf-8")


@cache
def viewer_text() -> str:
    """The library, compressed, base64: no markup can end early by it, and it takes a third of the room."""
    source = files("synthoma.reports").joinpath("vendor", "niivue.umd.js").read_bytes()
    return base64.b64encode(gzip.compress(source, 9, mtime=0)).decode("ascii")
