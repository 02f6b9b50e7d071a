"""What lies in a folder, by a look at small files alone: quick, and nothing heavy is loaded for it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from synthoma.core.untrusted import printable
from synthoma.studio.places import UPLOADS, Places
from synthoma.studio.refusal import RefusedError

Kind = Literal[
    "cohort",
    "synthetic",
    "generator",
    "segmenter",
    "classifier",
    "unfinished run",
    "verdict",
    "findings",
    "blinded set",
    "readers",
]

MODEL = "model.safetensors"
_LARGEST = 64 * 2**20
"""Bytes of JSON that are read for a look."""
_MOST = 500
"""Entries of a folder that are listed."""

SCREENS: dict[Kind, str] = {
    "cohort": "cohort", "synthetic": "cohort", "generator": "run", "segmenter": "run", "classifier": "run",
    "unfinished run": "run", "verdict": "evaluation", "findings": "findings",
    "blinded set": "reading", "readers": "readers",
}  # fmt: skip
"""The screen that shows each kind."""

Facts = dict[str, object]


@dataclass(frozen=True)
class Found:
    """An artefact.

    Attributes:
        at: its address.
        name: of its folder, as text.
        kind: what it is.
        said: the most important of it, in a few words.
        written: seconds since 1970.
        page: whether it has a page of its own.
    """

    at: str
    name: str
    kind: Kind
    said: str
    written: float
    page: bool

    @property
    def screen(self) -> str:
        """The address of what shows it."""
        return f"/{SCREENS[self.kind]}/{self.at}"


def artefacts(places: Places) -> list[Found]:
    """What lies directly in the folders that were opened, the newest first."""
    folders = [path for root in places.roots.values() for path in (root, *_entries(root)) if path.is_dir()]
    told = (artefact(places, path) for path in folders if path.name != UPLOADS)
    found = [one for one in told if one is not None]
    return sorted(found, key=lambda one: -one.written)


def artefact(places: Places, path: Path) -> Found | None:
    """What an artefact is; None where there is none, or where it cannot be seen."""
    for name, tell in _TOLD.items():
        if (path / name).is_file() and (said := tell(path)) is not None:
            try:
                at, written = places.address(path), (path / name).stat().st_mtime
            except (RefusedError, OSError):
                return None
            return Found(at, printable(path.name), *said, written, (path / "report.html").is_file())
    return None


def expected(places: Places, at: str, *kinds: Kind) -> tuple[Path, Found]:
    """The artefact at an address, if it is one of these kinds.

    Raises:
        RefusedError: it is another one, or none.
    """
    path = places.find(at)
    found = artefact(places, path)
    if found is None or found.kind not in kinds:
        raise RefusedError(404, " or ".join(kinds), "something else", "choose one at home")
    return path, found


def quoted(at: str) -> str:
    """An address as a part of one in the browser."""
    return quote(at)


def json_of(path: Path) -> Facts:
    """A JSON object; empty where there is none that can be read."""
    try:
        if path.stat().st_size > _LARGEST:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def text(facts: Facts, name: str, most: int = 200) -> str:
    """An entry as text of so many characters at most; empty where there is none."""
    value = facts.get(name, "")
    return str(value)[:most] if isinstance(value, str | int | float) else ""


def number(facts: Facts, name: str) -> float | None:
    """An entry that is a finite number; None where there is none: JSON of other programs may hold NaN."""
    value = facts.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def text_of_any_length(facts: Facts, name: str) -> str:
    """An entry that is a text; empty where there is none."""
    value = facts.get(name)
    return value if isinstance(value, str) else ""


def inner(facts: Facts, name: str) -> Facts:
    """An entry that is an object itself."""
    value = facts.get(name)
    return value if isinstance(value, dict) else {}


def files_of(facts: Facts, most: int = 40) -> list[str]:
    """Names of the files of a finding, none of which leads elsewhere."""
    lists = [one for one in inner(facts, "files").values() if isinstance(one, list)]
    return [str(name) for one in lists for name in one if "/" not in str(name) and str(name) != "view.json"][:most]


def _cohort(path: Path) -> tuple[Kind, str]:
    facts = json_of(path / "cohort.json")
    modalities = facts.get("modalities")
    shown = "+".join(map(str, modalities[:8])) if isinstance(modalities, list) else ""
    kind: Kind = "synthetic" if facts.get("origin") == "synthetic" else "cohort"
    return kind, f"{text(facts, 'slices')} {text(facts, 'origin')} slices, {shown}, {text(facts, 'size')} px"


def _run(path: Path) -> tuple[Kind, str]:
    meta = model_facts(path / "model.safetensors")
    model = text(meta, "model") or text(json_of(path / "run.json"), "model")
    for kind in ("generator", "segmenter", "classifier"):
        if meta.get("kind") == kind:
            return kind, model
    return "unfinished run", f"{model}, not finished"


def model_facts(path: Path) -> Facts:
    """What a model file says of itself: the JSON in front of its weights, which are not read."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > _LARGEST:
                return {}
            header = json.loads(stream.read(length))
            return dict(json.loads(header["__metadata__"]["synthoma"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _verdict(path: Path) -> tuple[Kind, str]:
    said = inner(json_of(path / "evaluation.json"), "verdict")
    return "verdict", text(said, "word")


def _findings(path: Path) -> tuple[Kind, str]:
    facts = json_of(path / "detection.json")
    return "findings", f"{text(facts, 'with_tumour')} of {text(facts, 'scans')} scans said to show tumour"


def _blinded(path: Path) -> tuple[Kind, str]:
    facts = json_of(path / "set.json")
    return "blinded set", f"{text(facts, 'number')} {text(facts, 'design')}, {text(facts, 'sequence')}"


def _readers(path: Path) -> tuple[Kind, str]:
    return "readers", text(inner(json_of(path / "readers.json"), "verdict"), "word")


_TOLD = {
    "cohort.json": _cohort, "run.json": _run, "evaluation.json": _verdict, "detection.json": _findings,
    "set.json": _blinded, "readers.json": _readers,
}  # fmt: skip
"""By the file that tells an artefact."""


@dataclass(frozen=True)
class Entry:
    """A file or folder that can be chosen."""

    at: str
    name: str
    folder: bool


def listing(places: Places, at: str) -> list[Entry]:
    """What a folder holds, in order; hidden things and what leads elsewhere are passed over."""
    found = []
    for path in _entries(places.find(at)):
        try:
            found.append(Entry(places.address(path), printable(path.name), path.is_dir()))
        except RefusedError:
            continue
    return sorted(found, key=lambda one: (not one.folder, one.name))


def title(places: Places, at: str) -> str:
    """An address with the name of its folder in place of its word, for people."""
    word, _, rest = at.partition("/")
    root = places.roots.get(word)
    return "/".join(filter(None, (printable(root.name) if root else "", rest)))


def uploads(places: Places) -> list[Entry]:
    """What was sent, the newest first, by the names that the files came with."""
    folder = places.workspace / UPLOADS
    newest = sorted(_entries(folder), key=lambda path: -path.stat().st_mtime)
    return [Entry(places.address(path), upload_name(places, path), folder=True) for path in newest]


def upload_name(places: Places, path: Path) -> str:
    """What an upload is called: the first of the names that its files came with."""
    labels = json_of(places.own / f"labels-{path.name}.json")
    names = [str(name) for name in labels.values()]
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"{names[0]}{more}" if names else printable(path.name)


def _entries(folder: Path) -> Iterator[Path]:
    """What a folder holds and does not hide."""
    try:
        with os.scandir(folder) as found:
            names = sorted(one.name for one in found if not one.name.startswith("."))[:_MOST]
    except OSError:
        return
    yield from (folder / name for name in names)
