"""What is written about one scan: findings, mask, probabilities, run lengths, and the picture of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from synthoma.core.types import Array, Bools, tumour_of
from synthoma.core.untrusted import shortened
from synthoma.core.whole_files import write_json
from synthoma.detection.band import Band
from synthoma.detection.coding import to_flat, to_rle
from synthoma.detection.description import describe
from synthoma.detection.detector import Detector
from synthoma.detection.dicom_outputs import DicomOutputs
from synthoma.detection.overlay import MOST_ROWS, chosen_slices, overlay
from synthoma.detection.result import SCHEMA
from synthoma.detection.scan_findings import Description, ScanFindings, write_findings
from synthoma.detection.seen import Seen
from synthoma.detection.settings import DetectConfig
from synthoma.detection.view import FILE as VIEW
from synthoma.detection.view import write_view
from synthoma.detection.words import size_text, track_record
from synthoma.detectors.segmenters.tissues import TissueMap
from synthoma.scans.case import Case, Volume
from synthoma.scans.files import SUFFIXES

MARK = "Synthoma: found by a model, research only, not for clinical use"
"""What a volume says of itself, where there is room for 79 characters."""
NOT_CLINICAL = "Research software. Not a medical device and not for clinical use: no result may guide a patient's care."


def file_names(cases: Sequence[Case]) -> list[str]:
    """One name a case that any file system takes, that leads nowhere else, and that no other case has."""
    used: set[str] = set()
    names = []
    for case in cases:
        plain = name = safe(case.name)
        number = 1
        # File systems of Windows and macOS take names that differ in capitals alone for one.
        while name.lower() in used:
            number += 1
            name = f"{plain}-{number}"
        used.add(name.lower())
        names.append(name)
    return names


def safe(name: str) -> str:
    """A name as part of a file name, without the suffix of a picture or volume."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            break
    return shortened(re.sub(r"[^\w-]+", "_", name).strip("_")) or "scan"


def write_results(folder: Path, name: str, seen: Seen, detector: Detector, options: DetectConfig) -> ScanFindings:
    """Write everything about a scan into an existing empty folder.

    Args:
        folder: where.
        name: of the case in file names.
        seen: the scan with the model's answer.
        detector: the model.
        options: what to write.

    Returns:
        The content of findings.json.
    """
    band = None if options.band is None else Band.of(seen, options.band)
    remarks, facts = list(seen.remarks), describe(seen, band)
    remarks += [] if band is None else band.remarks(seen)
    files = {"mask": _write_mask(folder, name, seen)}
    if options.probabilities:
        files["probabilities"] = _write_probabilities(folder, name, seen)
    if seen.tissues is not None:
        files["tissues"] = _write_tissues(folder, name, seen.tissues, seen)
    DicomOutputs(folder, name, files, remarks).write(seen, facts, band, detector, options)
    if options.overlay:
        files["overlay"] = [_write_overlay(folder, name, seen, facts, detector, band)]
        write_view(folder, seen, three_d=options.three_d, band=band)
        files["view"] = [VIEW]
    if options.saliency:
        from synthoma.detection.saliency import saliency_sheet

        Image.fromarray(saliency_sheet(seen, detector)).save(folder / "saliency.png")
        files["saliency"] = ["saliency.png"]
    if options.rle:
        files["rle"] = ["mask_rle.json"]
        code = {"not_for_clinical_use": NOT_CLINICAL, "order": "z, y, x row-major, numbered from 1"}
        shape = {"shape": list(seen.mask.shape)}
        write_json(folder / "mask_rle.json", {**code, **shape, "rle": to_rle(seen.mask), "flat": to_flat(seen.mask)})
    findings = ScanFindings.model_validate(
        {
            "schema": SCHEMA,
            "not_for_clinical_use": NOT_CLINICAL,
            "case": seen.case.name,
            "model": {"name": detector.name, "sha256": detector.bundle.digest},
            "thresholds": dict(zip(seen.targets, seen.thresholds, strict=True)),
            **facts.content(),
            "files": files,
            "remarks": remarks,
            **({"rle_convention": "pairs 'start length', pixels numbered from 1, row by row"} if seen.pictures else {}),
        }
    )
    write_findings(folder, findings)
    return findings


def _write_mask(folder: Path, name: str, seen: Seen) -> list[str]:
    """The mask on the scan's own grid, and its labels where there are several."""
    if not seen.pictures:
        return [_write_volume(folder, f"{name}_mask", seen.labels, seen)]
    written = _write_pictures(folder, name, "mask", seen.mask.astype(np.uint8) * 255, seen)
    if len(seen.targets) > 1:
        written += _write_pictures(folder, name, "labels", seen.labels, seen)
    return written


def _write_probabilities(folder: Path, name: str, seen: Seen) -> list[str]:
    """Probability of each target: float32 volumes, or pictures in which 255 is 1."""
    written = []
    for target, layers in zip(seen.targets, seen.probabilities, strict=True):
        kind = "probability" if len(seen.targets) == 1 else f"probability_{safe(target)}"
        if seen.pictures:
            written += _write_pictures(folder, name, kind, (layers * 255).round().astype(np.uint8), seen)
        else:
            written.append(_write_volume(folder, f"{name}_{kind}", layers, seen))
    return written


def _write_tissues(folder: Path, name: str, tissues: TissueMap, seen: Seen) -> list[str]:
    """The map of tissues on the scan's own grid; of pictures as grey values of the tissues' numbers."""
    if not seen.pictures:
        return [_write_volume(folder, f"{name}_tissues", tissues.labels, seen)]
    return _write_pictures(folder, name, "tissues", tissues.labels, seen)


def _write_volume(folder: Path, stem: str, voxels: Array, seen: Seen) -> str:
    from synthoma.scans.volumes import write_volume  # SimpleITK is slow to load, and pictures do without

    write_volume(Volume(voxels, seen.study.geometry), folder / f"{stem}.nii.gz", description=MARK)
    return f"{stem}.nii.gz"


def _write_pictures(folder: Path, name: str, kind: str, layers: Array, seen: Seen) -> list[str]:
    """One 8-bit PNG a slice, in the size of its source."""
    written = []
    for z, layer in enumerate(layers):
        stem = name if len(layers) == 1 else _slice_stem(name, seen, z)
        Image.fromarray(layer).save(folder / f"{stem}_{kind}.png")
        written.append(f"{stem}_{kind}.png")
    return written


def _slice_stem(name: str, seen: Seen, z: int) -> str:
    """Name of a slice's files: the case, then the slice; a slice's own name often begins with its case's."""
    own = seen.slice_name(z)
    stem = f"{z:04d}" if own is None else safe(own)
    return stem if stem.startswith(f"{name}_") else f"{name}_{stem}"


def _write_overlay(
    folder: Path, name: str, seen: Seen, facts: Description, detector: Detector, band: Band | None
) -> str:
    found = seen.in_plane(seen.mask)
    truth: Bools | None = None if seen.framing.mask is None else tumour_of(seen.framing.mask)
    blank = np.array([not any(image[z].any() for image in seen.framing.images.values()) for z in range(len(found))])
    known = truth is not None and bool(truth.any())
    rows = chosen_slices(found.sum(axis=(1, 2)), blank, MOST_ROWS - known)
    if truth is not None and known:  # what was missed is worth seeing too
        rows = sorted({*rows, int(truth.sum(axis=(1, 2)).argmax())})
    captions = [_caption(seen, z) for z in rows]
    notes = (*_notes(seen), *_of_band(band), track_record(detector.bundle.content, seen.kind))
    lines = () if band is None else (seen.in_plane(band.outer), seen.in_plane(band.inner))
    sheet = overlay(seen.framing, found, rows, captions, truth, _title(name, facts), notes, lines)
    Image.fromarray(sheet).save(folder / f"{name}_overlay.png", compress_level=3)
    return f"{name}_overlay.png"


def _of_band(band: Band | None) -> list[str]:
    if band is None:
        return []
    low, high = band.limits
    return [f"Amber: the outlines from a probability of {low:g} (outer) and of {high:g} (inner) on."]


def _notes(seen: Seen) -> list[str]:
    """What the reader of the picture must know of it."""
    notes = []
    if seen.guessed is not None:
        guess = seen.guessed.upper()
        notes.append(
            f"The file does not say which sequence it shows; it was taken for {guess}. Else this means little."
        )
    if seen.mask.any() and not seen.has_tumour:
        notes.append("Something was outlined, but no more clearly than in scans without tumour.")
    return notes


def _title(name: str, facts: Description) -> str:
    """The findings in one line."""
    said = "tumour" if facts.has_tumour else "no tumour"
    parts = [f"{said} (chance {facts.probability:.2f}; said from {facts.says_tumour_from:.2f})"]
    if facts.has_mask:
        parts.append(size_text(facts.volume, facts.volume_unit))
        parts.append("at the midline" if facts.side == "midline" else f"on the patient's {facts.side}")
    parts += [f"Dice {score:.2f}" for score in list((facts.dice or {}).values())[:1]]
    return f"{name}:  " + ",  ".join(parts)


def _caption(seen: Seen, z: int) -> str:
    """What stands beside a row of the overlay."""
    number = f"slice {seen.framing.source_slice(z)[1]}\n" if seen.framing.shape[0] > 1 else ""
    return f"{number}p = {seen.slice_chances[z]:.2f}"
