"""Writes src/synthoma/pipeline/keywords.py: the settings of each function as keyword arguments with types.

    python tools/keywords.py           write it
    python tools/keywords.py --check   exit 1 where it is not what the settings say

Editors complete them and type checkers hold calls against them; what they mean stands at the settings themselves.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import types
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.config import Config
from synthoma.core.fanned import FanoutConfig
from synthoma.detection.settings import DetectConfig
from synthoma.evaluation.readers.settings import TuringConfig
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.exports.settings import ExportConfig
from synthoma.painting.settings import PaintConfig, RemoveConfig
from synthoma.phantom import PhantomCohortConfig
from synthoma.planning.settings import PlanConfig
from synthoma.settings import TrainConfig

PLACE = Path(__file__).parents[1] / "src" / "synthoma" / "pipeline" / "keywords.py"
KINDS: dict[str, type[Config]] = {
    "prepare": PrepareConfig,
    "prepare_phantom": PhantomCohortConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "detect": DetectConfig,
    "paint": PaintConfig,
    "remove": RemoveConfig,
    "plan": PlanConfig,
    "export": ExportConfig,
    "turing_make": TuringConfig,
    "workers": FanoutConfig,
}
HEAD = '''"""Settings of the functions as keyword arguments. Made by tools/keywords.py from the settings: edit those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from synthoma.core.config import Config
from synthoma.core.types import Place
'''


def main() -> int:
    """Write the file, or hold it against the settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where it differs")
    wanted = text()
    if parser.parse_args().check:
        return int(PLACE.read_text(encoding="utf-8") != wanted)
    PLACE.write_text(wanted, encoding="utf-8")
    return 0


def text() -> str:
    """The whole file in its standard form."""
    parts = [HEAD, *(_keywords(name, kind) for name, kind in KINDS.items())]
    ruff = Path(sys.executable).with_name("ruff")
    command = [str(ruff), "format", "--stdin-filename", str(PLACE), "-"]
    return subprocess.run(command, input="\n\n".join(parts), capture_output=True, text=True, check=True).stdout


def class_name(function: str) -> str:
    """The name of a function's keywords."""
    return "".join(word.capitalize() for word in function.split("_")) + "Keywords"


def _keywords(function: str, kind: type[Config]) -> str:
    lines = [f"class {class_name(function)}(TypedDict, total=False):", f'    """Fields of ``{kind.__name__}``."""', ""]
    return "\n".join([*lines, *(f"    {name}: {typed(field.annotation)}" for name, field in kind.model_fields.items())])


def typed(annotation: object) -> str:
    """A field's type as a caller may give it: any sequence for a tuple, text for a path, a mapping for a section."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "None"
    if origin is Annotated:
        return typed(inner[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(typed(one) for one in inner))
    if origin is tuple:
        kinds = list(dict.fromkeys(typed(one) for one in inner if one is not Ellipsis))
        return f"Sequence[{' | '.join(kinds)}]"
    if origin is dict:
        return f"Mapping[{', '.join(map(typed, inner))}]"
    if annotation is Path:
        return "Place"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "Config | Mapping[str, object]"
    return annotation.__name__ if isinstance(annotation, type) else "object"


if __name__ == "__main__":
    raise SystemExit(main())
