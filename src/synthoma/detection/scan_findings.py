"""What ``detect`` leaves of one scan: findings.json, typed, read and written here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.core.artefacts import read_artefact
from synthoma.core.records import Number, Record
from synthoma.core.types import Plane
from synthoma.core.whole_files import write_json
from synthoma.detection.board_records import BandFindings, RanoFindings
from synthoma.detection.brain import TissueFindings
from synthoma.detection.result import SCHEMA, ModelIdentity

FILE = "findings.json"
Side = Literal["left", "right", "midline"]


class Answer(Record):
    """What the model says of the scan as a whole."""

    probability: Number = Field(description="that the scan shows tumour, if half of all scans did; 0..1")
    says_tumour_from: Number = Field(description="probability from which it is said to show one")
    calibrated: bool = Field(description="whether somebody measured what the probability means for such a scan")
    has_tumour: bool
    has_mask: bool = Field(description="whether any pixel was outlined")


class Region(Record):
    """One connected region of what was outlined."""

    volume: Number = Field(description="in the ``volume_unit`` of the whole")
    diameter: Number = Field(description="the largest, in the ``diameter_unit`` of the whole; None in a picture")
    side: Side | None = Field(description="the patient's")
    centroid_voxel: dict[str, Number] = Field(description="mean index by axis (z, y, x)")
    lobe: str | None = Field(default=None, description="an estimate; missing where nobody asked for tissues")


class Measurements(Record):
    """Size and place of what was outlined."""

    volume: Number = Field(description="of the whole tumour, in ``volume_unit``")
    volume_unit: Literal["mm3", "pixels"] = Field(description="pixels where nobody knows how thick a slice is")
    volume_ml: Number = Field(description="None in pixels")
    volumes: dict[str, Number] = Field(description="of each target, in ``volume_unit``")
    regions: int = Field(description="connected regions; touching corners connect")
    largest_region_share: Number = Field(description="0..1, of the whole; None where it is empty")
    diameter: Number = Field(description="largest of a connected region; None in a picture, or where it is empty")
    diameter_in_plane: Number = Field(description="likewise within one slice")
    diameter_unit: Literal["mm", "pixels"]
    diameter_convention: str = Field(description="between which points it is measured")
    centroid_voxel: dict[str, Number] | None = Field(description="mean index by axis (z, y, x); None where it is empty")
    centroid_mm_lps: tuple[Number, ...] | None = Field(description="(x, y, z) in the patient; None where unknown")
    box_voxel: dict[str, tuple[int, int]] | None = Field(description="first and last index by axis; None where empty")


class FoundSlice(Record):
    """A slice in which tumour was outlined."""

    slice: int = Field(description="from 0, as the scan's file holds them")
    name: str | None = Field(default=None, description="of its file; missing where slices are no files")
    probability: Number
    pixels: int = Field(description="outlined")
    rle: str | None = Field(default=None, description="run-length code of its mask; missing but for pictures")


class Place(Record):
    """Where the tumour lies, in which slices, of which type, and what the model saw."""

    side: Side | None = Field(description="the patient's; None where nothing was found")
    left_of_midline: Number = Field(description="as a share of the head's width; negative to the right")
    largest_regions: tuple[Region, ...] = Field(
        default=(), description="each by itself, the largest first, at most twelve; empty in files of earlier versions"
    )
    slice_axis: Literal["z", "y", "x"] = Field(description="along which the slices were looked at")
    index_convention: str
    planes: tuple[Plane, ...] = Field(
        default=(), description="that were looked at, the model's own first; empty in files of earlier versions"
    )
    slices: tuple[FoundSlice, ...] = Field(description="with predicted tumour, in the order of the source")
    slice_probabilities: tuple[Number, ...] = Field(description="of every slice, in the order of the source")
    gate_probabilities: tuple[Number, ...] | None = Field(
        default=None, description="of tumour in every slice by the classifier that looked first; missing without one"
    )
    labels: dict[str, str] = Field(description="what values of the mask mean")
    type: str | None = Field(description="the likeliest kind of tumour; None where no classifier was asked")
    type_probabilities: dict[str, Number] = Field(description="of kinds of tumour; empty where no classifier was asked")
    modalities: tuple[str, ...] = Field(description="that the model was shown")
    missing: tuple[str, ...] = Field(description="that it knows and the scan lacks")
    taken_for: str | None = Field(description="sequence that a picture was taken for without saying so; else None")
    rano: RanoFindings | None = Field(
        default=None, description="perpendicular diameters; missing where a pixel's size is unknown, or nothing found"
    )
    band: BandFindings | None = Field(default=None, description="missing where nobody asked")
    dice: dict[str, Number] | None = Field(default=None, description="by target; missing where the scan has no mask")
    dice_convention: str | None = Field(default=None, description="missing likewise")
    tissues: TissueFindings | None = Field(default=None, description="of the head; missing where nobody asked")


class Description(Place, Measurements, Answer):
    """All that was found in a scan."""


class Head(Record):
    """Which scan, and which model looked at it."""

    version: Literal["synthoma.detection/1"] = Field(
        default="synthoma.detection/1", validation_alias="schema", serialization_alias="schema"
    )
    not_for_clinical_use: str
    case: str
    model: ModelIdentity
    thresholds: dict[str, float] = Field(description="probability from which a pixel belongs to each target")


class Written(Record):
    """What lies beside the file."""

    files: dict[str, tuple[str, ...]] = Field(description="names by what they hold: mask, probabilities, overlay, ...")
    remarks: tuple[str, ...] = Field(description="what a reader should know")
    rle_convention: str | None = Field(default=None, description="missing but for pictures")


class ScanFindings(Written, Description, Head):
    """The content of findings.json. The bases stand in the reverse order of its keys."""


def read_findings(path: Path) -> ScanFindings:
    """The findings in a scan's folder (or its findings.json), with checksums and schema compared.

    Raises:
        InputError: damaged, of a version that is not read, or incomplete.
    """
    file = path / FILE if path.is_dir() else path
    return ScanFindings.parse(read_artefact(file, SCHEMA), file)


def write_findings(folder: Path, findings: ScanFindings) -> None:
    """Write findings.json so that it appears whole or not at all."""
    write_json(folder / FILE, findings.content())
