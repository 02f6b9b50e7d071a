"""What the tables say of a scan: its row of index.csv, and one of pictures.csv for each picture."""

from __future__ import annotations

from typing import TypedDict

from synthoma.detection.overlay import NOTICE
from synthoma.detection.scan_findings import ScanFindings
from synthoma.detection.seen import Seen
from synthoma.scans.case import Case
from synthoma.scans.layouts.dicom_loading import reference_series

COLUMNS = (
    "case", "probability", "has_tumour", "type", "volume", "unit", "volume_ml", "diameter", "diameter_unit", "side",
    "dice", "lobe", "brain_ml", "grey_ml", "white_ml", "csf_ml", "midline_shift_mm",
    "taken_for", "mask", "overlay", "dicom_seg", "findings", "image_path", "predicted_mask", "has_mask",
    "remarks", "notice",
)  # fmt: skip
RANO_COLUMNS = (
    "case", "target", "lesion", "largest_mm", "perpendicular_mm", "product_mm2", "measurable", "slice", "volume_ml",
    "notice",
)  # fmt: skip
PICTURE_COLUMNS = ("case", "slice", "image_path", "predicted_mask", "has_mask", "probability", "notice")


class ScanRow(TypedDict):
    """A scan in index.csv.

    Not in it: ``told`` (its remarks one by one), ``single`` (whether it is a picture) and ``rano`` (its lesions).
    """

    case: str
    probability: float | None
    has_tumour: bool
    type: str
    volume: float | None
    unit: str
    volume_ml: float | None
    diameter: float | None
    diameter_unit: str
    side: str
    dice: float | None
    lobe: str
    brain_ml: float | None
    grey_ml: float | None
    white_ml: float | None
    csf_ml: float | None
    midline_shift_mm: float | None
    mask: str
    overlay: str
    dicom_seg: str
    findings: str
    image_path: str
    predicted_mask: str
    has_mask: int
    taken_for: str
    remarks: str
    told: tuple[str, ...]
    single: bool
    rano: list[RanoRow]
    notice: str


class RanoRow(TypedDict):
    """A lesion in rano.csv."""

    case: str
    target: str
    lesion: int
    largest_mm: float | None
    perpendicular_mm: float | None
    product_mm2: float | None
    measurable: bool
    slice: int
    volume_ml: float | None
    notice: str


class PictureRow(TypedDict):
    """A slice that is a picture in pictures.csv."""

    case: str
    slice: int
    image_path: str
    predicted_mask: str
    has_mask: int
    probability: float | None
    notice: str


def scan_row(case: Case, name: str, findings: ScanFindings, seen: Seen) -> ScanRow:
    """A scan's row of index.csv; paths are below the output folder."""
    files = findings.files

    def first(kind: str) -> str:
        return f"{name}/{files[kind][0]}" if files.get(kind) else ""

    diameter = findings.diameter
    scores = findings.dice or {}
    tissues = findings.tissues
    sizes = {} if tissues is None else tissues.volumes_ml
    fluids = [sizes.get(name) for name in ("ventricles", "outer fluid")]
    return {
        "case": case.name,
        "probability": findings.probability,
        "has_tumour": findings.has_tumour,
        "type": findings.type or "",
        "volume": findings.volume,
        "unit": findings.volume_unit,
        "volume_ml": findings.volume_ml,
        "diameter": findings.diameter_in_plane if diameter is None else diameter,
        "diameter_unit": findings.diameter_unit,
        "side": findings.side or "",
        "dice": next(iter(scores.values()), None),
        "lobe": "; ".join(f"{one.side or ''} {one.lobe}".strip() for one in findings.largest_regions if one.lobe),
        "brain_ml": None if tissues is None else tissues.brain_ml,
        "grey_ml": sizes.get("grey matter"),
        "white_ml": sizes.get("white matter"),
        "csf_ml": None if tissues is None else round(sum(size or 0.0 for size in fluids), 1),
        "midline_shift_mm": None if tissues is None else tissues.midline_shift_mm,
        "mask": first("mask"),
        "overlay": first("overlay"),
        "dicom_seg": first("dicom_seg"),
        "findings": f"{name}/findings.json",
        "image_path": _image_path(case, seen, 0),
        "predicted_mask": _code(findings, 0) if seen.pictures and len(seen.labels) == 1 else "",
        "has_mask": int(findings.has_mask),
        "taken_for": findings.taken_for or "",
        "remarks": "; ".join(findings.remarks),
        "told": tuple(findings.remarks),
        "single": seen.kind == "picture",
        "rano": rano_rows(case, findings),
        "notice": NOTICE,
    }


def rano_rows(case: Case, findings: ScanFindings) -> list[RanoRow]:
    """A row of rano.csv for each lesion, that of the largest product first in each target."""
    if findings.rano is None:
        return []
    rows: list[RanoRow] = []
    for one in findings.rano.lesions:
        before = sum(row["target"] == one.target for row in rows)
        rows.append(
            {
                "case": case.name,
                "target": one.target,
                "lesion": before + 1,
                "largest_mm": one.largest_mm,
                "perpendicular_mm": one.perpendicular_mm,
                "product_mm2": one.product_mm2,
                "measurable": one.measurable,
                "slice": one.slice,
                "volume_ml": one.volume_ml,
                "notice": NOTICE,
            }
        )
    return rows


def picture_rows(case: Case, findings: ScanFindings, seen: Seen) -> list[PictureRow]:
    """A row of pictures.csv for each slice that is a picture."""
    if not seen.pictures:
        return []
    return [
        {
            "case": case.name,
            "slice": z,
            "image_path": _image_path(case, seen, z),
            "predicted_mask": _code(findings, z),
            "has_mask": int(bool(seen.mask[z].any())),
            "probability": findings.slice_probabilities[z],
            "notice": NOTICE,
        }
        for z in range(len(seen.labels))
    ]


def _code(findings: ScanFindings, z: int) -> str:
    """Run-length code of a slice's mask."""
    return next((one.rle or "" for one in findings.slices if one.slice == z), "")


def _image_path(case: Case, seen: Seen, z: int) -> str:
    """The file of a slice as the user named it. Paths of DICOM files often carry patients' names, and stay out."""
    if not case.sources or reference_series(case):
        return ""
    return str(case.sources[z] if seen.slice_name(z) is not None and z < len(case.sources) else case.sources[0])
