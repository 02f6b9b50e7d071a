"""Scans that are finished are not looked at again: those of a full disk lie beside the output, others in parts."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from synthoma._version import __version__
from synthoma.core.artefacts import faults, read_json, sealed, unsealed
from synthoma.core.disk import writing
from synthoma.core.errors import InputError
from synthoma.core.own_files import KEPT
from synthoma.core.parts import Kept
from synthoma.core.places import resolved
from synthoma.core.provenance import bytes_digest
from synthoma.core.whole_files import write_json
from synthoma.detection.rows import PictureRow, ScanRow
from synthoma.detection.settings import DetectConfig
from synthoma.scans.case import Case, Skipped
from synthoma.training.bundle import model_file, open_model

ROWS = KEPT
"""Folder of what the tables will say of each scan, while there are no tables yet."""

SCAN = "scan"
"""A scan's own folder, among the parts."""

Result = tuple[ScanRow, list[PictureRow]]
"""A scan's row of index.csv, and those of pictures.csv."""


def place_of(output: Path) -> Path:
    """Where the finished scans of an output are kept."""
    place = resolved(output)
    return place.with_name(f"{place.name}.unfinished")


def key_of(case: Case, name: str, model: str, options: DetectConfig) -> str:
    """What a scan's result is a function of, as a digest: model, options, name, and the state of its files."""
    other = [model_file(run) for run in options.classifiers]
    states = [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in (*case.sources, *other)]
    asked = options.model_dump(mode="json", exclude={"jobs"})
    return bytes_digest(json.dumps([__version__, model, asked, case.name, name, states]).encode())


def note(folder: Path, name: str, key: str, result: Result) -> None:
    """Write down what the tables will say of a scan whose own folder is finished."""
    (folder / ROWS).mkdir(exist_ok=True)
    write_json(folder / ROWS / f"{name}.json", sealed({"key": key, "row": result[0], "pictures": result[1]}))


def taken(kept: Path, folder: Path, name: str, key: str) -> Result | None:
    """Move a scan's result from what was kept into ``folder``; None where it is not there, damaged, or another one."""
    note = kept / ROWS / f"{name}.json"
    with suppress(InputError, OSError, KeyError):
        content = unsealed(read_json(note), note)
        # None is not enough: a folder without checksums cannot be known to be whole.
        if content["key"] == key and faults(kept / name) == []:
            result = content["row"], content["pictures"]
            (kept / name).rename(folder / name)
            return result
    return None


def of_call(case: Case, name: str, model: Path, folder: Path, options: DetectConfig, *_: object) -> str:
    """The key of a scan that ``many.detect_case`` looks at: what stays the same wherever it is looked at."""
    return key_of(case, name, _digest(model), options)[:32]


def write(place: Path, result: Result | Skipped, case: Case, name: str, model: Path, folder: Path, *_: object) -> bool:
    """Keep a scan's folder and rows in ``place``. What could not be used is tried again: a disk may have been away."""
    if isinstance(result, Skipped):
        return False
    with writing(place):
        shutil.copytree(folder / name, place / SCAN, copy_function=_linked)
    write_json(place / "rows.json", sealed({"row": result[0], "pictures": result[1]}))
    return True


def read(place: Path, case: Case, name: str, model: Path, folder: Path, *_: object) -> Result | Skipped:
    """A scan's rows from ``place``, with its folder in that of the output."""
    content = unsealed(read_json(place / "rows.json"), place / "rows.json")
    if not (folder / name).exists():
        with writing(folder / name):
            shutil.copytree(place / SCAN, folder / name, copy_function=_linked)
    return content["row"], content["pictures"]


def _linked(source: str, target: str) -> str:
    """Give a file a second name where the disk can, so that it takes no room twice; its content never changes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def _digest(model: Path) -> str:
    file = model_file(model)
    return _digest_of(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _digest_of(file: Path, _written: int) -> str:
    return open_model(file).digest


KEPT_SCANS: Kept[Result | Skipped] = Kept("detect", of_call, write, read)
"""How ``detect`` keeps its scans where it is told to, see ``core.parts``."""


def keep(folder: Path, kept: Path) -> None:
    """Move all finished scans out of a folder that will be given up."""
    finished = [note for note in sorted((folder / ROWS).glob("*.json")) if (folder / note.stem).is_dir()]
    if not finished or (kept.exists() and not (kept / ROWS).is_dir()):  # which is somebody else's
        return
    with suppress(OSError):
        (kept / ROWS).mkdir(parents=True, exist_ok=True)
        for note in finished:
            shutil.rmtree(kept / note.stem, ignore_errors=True)
            (folder / note.stem).rename(kept / note.stem)
            # The note last: a scan without one was perhaps not moved whole, and is looked at again.
            note.replace(kept / ROWS / note.name)
