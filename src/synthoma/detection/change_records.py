"""What changed between two visits of a patient: changes.json, typed, read and written here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.core.artefacts import read_artefact
from synthoma.core.records import Number, Record
from synthoma.core.whole_files import write_json
from synthoma.detection.result import ModelIdentity

FILE = "changes.json"
SCHEMA = "synthoma.changes/1"

Word = Literal["larger", "smaller", "no change", "cannot tell"]


class Measure(Record):
    """One size at both visits, and whether it changed."""

    what: str = Field(description="volume, or RANO product, with the target")
    unit: Literal["ml", "mm2"]
    before: Number
    now: Number
    difference: Number = Field(description="now minus before")
    percent: Number = Field(description="of the earlier size; None where that is 0")
    limit: Number = Field(
        description="largest difference that repeatability alone makes; None where nobody measured it"
    )
    word: Word = Field(description="larger or smaller only where the difference exceeds the limit")


class Overlap(Record):
    """Where the tumour lies at both visits, the earlier one moved onto the later one's grid."""

    kept_ml: Number = Field(description="tumour at both")
    new_ml: Number = Field(description="tumour now alone")
    gone_ml: Number = Field(description="tumour before alone")
    new_lesions: int = Field(description="lesions above 50 mm3 that lie 3 mm or more from all earlier ones")
    gone_lesions: int = Field(description="likewise of the earlier ones")


class Change(Record):
    """Two visits of one patient."""

    now: str = Field(description="the later scan, as in index.csv")
    before: str = Field(description="the earlier one")
    comparable: bool
    reasons: tuple[str, ...] = Field(description="why they cannot be compared, where they cannot")
    registration: str = Field(description="how the earlier scan was laid over the later one, and how well that fits")
    repeats: int = Field(description="times that each scan was looked at again")
    measures: tuple[Measure, ...]
    overlap: Overlap | None = Field(description="None where the scans could not be laid over one another")
    picture: str | None = Field(description="file of the picture; None without one")


class Changes(Record):
    """The content of changes.json."""

    version: Literal["synthoma.changes/1"] = Field(
        default="synthoma.changes/1", validation_alias="schema", serialization_alias="schema"
    )
    not_for_clinical_use: str
    model: ModelIdentity
    repeatability: str = Field(description="how it was measured, and what it leaves out")
    changes: tuple[Change, ...]
    unpaired: tuple[str, ...] = Field(description="scans of which no other visit was found")


def read_changes(folder: Path) -> Changes | None:
    """The changes in a folder of findings; None where nobody asked for them.

    Raises:
        InputError: damaged, or of a version that is not read.
    """
    path = folder / FILE
    return Changes.parse(read_artefact(path, SCHEMA), path) if path.is_file() else None


def write_changes(folder: Path, changes: Changes) -> None:
    """Write changes.json so that it appears whole or not at all."""
    write_json(folder / FILE, changes.content())
