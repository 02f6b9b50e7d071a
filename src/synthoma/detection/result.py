"""What ``detect`` leaves of all scans together: detection.json, typed, read and written here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from synthoma.core.artefacts import read_artefact
from synthoma.core.records import Record, known_settings
from synthoma.core.whole_files import write_json
from synthoma.detection.settings import DetectConfig

FILE = "detection.json"
SCHEMA = "synthoma.detection/1"


class ModelIdentity(Record):
    """Which model looked."""

    name: str
    sha256: str = Field(description="of its file")


class Detection(Record):
    """Findings in some scans: what looked at them, and how much was found. Each scan has a file of its own."""

    version: Literal["synthoma.detection/1"] = Field(
        default="synthoma.detection/1", validation_alias="schema", serialization_alias="schema"
    )
    not_for_clinical_use: str = Field(default="", description="what a reader must know")
    model: ModelIdentity = Field(description="the segmenter")
    type_model: ModelIdentity | None = Field(default=None, description="the classifier of types; None without one")
    gate: ModelIdentity | None = Field(default=None, description="the classifier that looks first; None without one")
    modalities: tuple[str, ...] = Field(description="that the model knows")
    targets: tuple[str, ...] = Field(description="that it outlines, from the whole tumour inwards")
    scans: int = Field(description="looked at")
    with_tumour: int = Field(description="of them, said to show tumour")
    skipped: int = Field(description="files or scans that could not be used")
    track_record: tuple[str, ...] = Field(default=(), description="how often the model is wrong in health")
    remarks: tuple[str, ...] = Field(default=(), description="on the folder")
    scan_remarks: tuple[tuple[str, int], ...] = Field(
        default=(), description="on single scans, with the number of scans that each is true of, most frequent first"
    )
    options: DetectConfig = Field(description="without places and processes")
    software: dict[str, str] = Field(description="versions")


def read_detection(path: Path) -> Detection:
    """The findings in a folder (or its detection.json), with checksums and schema compared.

    Raises:
        InputError: damaged, of a version that is not read, or incomplete.
    """
    file = path / FILE if path.is_dir() else path
    return Detection.parse(_migrated(read_artefact(file, SCHEMA)), file)


def write_detection(folder: Path, detection: Detection) -> None:
    """Write detection.json so that it appears whole or not at all."""
    write_json(folder / FILE, detection.content())


def _migrated(content: dict[str, Any]) -> dict[str, Any]:
    """Content as this version writes it. Options that are gone since are left out: nothing here goes by them."""
    options = content.get("options")
    return {**content, "options": known_settings(options, DetectConfig)} if isinstance(options, dict) else content
