"""Prepared cases as files, so that a preparation can go on where it was stopped, or be cut into shares."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import numpy as np

from synthoma._version import __version__
from synthoma.cohorts.settings import PrepareConfig
from synthoma.cohorts.slicing import PreparedCase
from synthoma.core.artefacts import read_json
from synthoma.core.disk import writing
from synthoma.core.parts import Kept
from synthoma.core.provenance import bytes_digest
from synthoma.core.whole_files import write_json
from synthoma.scans.case import Case, Skipped

ARRAYS = ("images", "masks", "thumbnails")
_NOT_OF_A_CASE = {"jobs", "searched", "split", "folds", "split_from", "seed", "augment"}
"""Settings that decide about the cohort as a whole, and change no case."""


def _key(case: Case, config: PrepareConfig, modalities: tuple[str, ...], thumbnails_per_case: int) -> str:
    """What a prepared case is a function of, as a digest: the state of its files and the settings."""
    # Size and time stand for the content: digests would read all scans before the first one is prepared.
    states = [(path.stat().st_size, path.stat().st_mtime_ns) for path in case.sources if path.exists()]
    asked = config.model_dump(mode="json", exclude=_NOT_OF_A_CASE)
    content = joblib.hash((case, modalities, thumbnails_per_case), hash_name="sha1")
    return bytes_digest(json.dumps([__version__, content, asked, states], sort_keys=True).encode())[:32]


def _write(place: Path, prepared: PreparedCase | Skipped, *_: object) -> bool:
    """Arrays as .npy and the rest as JSON. What could not be used is tried again: a disk may have been away."""
    if isinstance(prepared, Skipped):
        return False
    with writing(place):
        for name in ARRAYS:
            np.save(place / f"{name}.npy", getattr(prepared, name), allow_pickle=False)
    rest = {
        "records": [{name: _plain(value) for name, value in record.items()} for record in prepared.records],
        "searched": [int(row) for row in prepared.searched],
        "labels": {str(value): name for value, name in prepared.labels.items()},
        "remarks": prepared.remarks,
    }
    write_json(place / "case.json", rest)
    return True


def _read(place: Path, *_: object) -> PreparedCase | Skipped:
    arrays = {name: np.load(place / f"{name}.npy", allow_pickle=False) for name in ARRAYS}
    rest = read_json(place / "case.json")
    records = [{name: _number(value) for name, value in record.items()} for record in rest["records"]]
    labels = {int(value): name for value, name in rest["labels"].items()}
    return PreparedCase(records=records, searched=rest["searched"], labels=labels, remarks=rest["remarks"], **arrays)


def _plain(value: object) -> object:
    """A cell of the table for JSON, which has no word for what is no number."""
    value = value.item() if isinstance(value, np.generic) else value
    # In words, since JSON as it is written here has no nan, and an empty cell would be another value.
    return {"number": repr(value)} if isinstance(value, float) and not np.isfinite(value) else value


def _number(value: object) -> object:
    return float(value["number"]) if isinstance(value, dict) else value


KEPT_CASES: Kept[PreparedCase | Skipped] = Kept("prepare", _key, _write, _read)
"""How ``prepare`` keeps its cases, see ``core.parts``."""
