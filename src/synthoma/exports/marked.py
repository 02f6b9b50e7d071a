"""Synthetic slices as files for other tools. Each file says of itself that no patient was imaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from synthoma._version import __version__
from synthoma.cohorts.cohort import Cohort, check_scale
from synthoma.core.errors import ConfigError
from synthoma.core.progress import Progress, silent
from synthoma.core.provenance import bytes_digest
from synthoma.core.types import Bytes, Plane, tumour_of
from synthoma.core.untrusted import csv_text, file_name
from synthoma.core.whole_files import write_json, write_text
from synthoma.exports.cases import kept_every
from synthoma.exports.marks import NOTICE, facts
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.orientation import from_plane
from synthoma.scans.synthetic_marks import NOBODY

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

Format = Literal["png", "nifti", "dicom"]

_LONGEST = 180
"""Bytes of a name; file systems take 255, and a part is added."""


def export(cohort: Cohort, folder: Path, form: Format, progress: Progress = silent) -> None:
    """Write every slice of a synthetic cohort into an existing empty folder.

    - ``png``: ``<class>/<case>_<modality>.png`` and ``<case>_mask.png``, with a notice and the provenance as text
      inside, and ``cases.csv``, from which `synthoma prepare` makes a cohort again.
    - ``nifti``: ``<case>/<case>_<modality>.nii.gz`` and ``_seg.nii.gz``, named as in BraTS, with the notice and the
      provenance in ``<case>.json``. Slices of one case become one volume, in the patient's axes whatever the
      plane; single ones are one slice thick.
    - ``dicom``: ``<case>/<modality>.dcm``, secondary captures of no patient.

    Raises:
        ConfigError: an unknown form, a cohort of real scans, which must not be marked as synthetic, or grey values on
            another scale.
    """
    if form not in ("png", "nifti", "dicom"):
        raise ConfigError("a format: png, nifti, dicom", repr(form), "choose one of them")
    if cohort.origin == "real":
        raise ConfigError("a synthetic or phantom cohort", "one of real scans", "export marks its files as synthetic")
    check_scale(cohort)
    if form == "nifti":
        volumes = _volumes(cohort)
        for done, (case, slices) in enumerate(volumes, start=1):
            _write_nifti(folder, case, cohort, slices)
            progress("writing files", done, len(volumes))
        return
    write_pictures(cohort, folder, form, progress)


def write_pictures(
    cohort: Cohort, folder: Path, form: Literal["png", "dicom"], progress: Progress, *, who: bool = False
) -> None:
    """Write every slice of a cohort, be it real, as pictures; see ``export``.

    Args:
        cohort: which.
        folder: where to.
        form: of the files.
        progress: told how far it is.
        who: say in cases.csv of which patient, group and split each slice is.

    Raises:
        ConfigError: real scans as DICOM, which says in many places that it shows nobody.
    """
    if form == "dicom" and cohort.origin == "real":
        todo = "use --to nifti or png; real scans are in DICOM already where they came from"
        raise ConfigError("a synthetic or phantom cohort", "one of real scans, and DICOM files are marked", todo)
    check_scale(cohort)
    write = _write_png if form == "png" else _write_dicom
    table = cohort.slices
    rows = []
    names = _file_names([str(case) for case in table["case"]], range(len(table)))
    for row, case in enumerate(names):
        label = str(table["label"].iat[row])
        images = {file_name(name): _grey(cohort, row, channel) for channel, name in enumerate(cohort.modalities)}
        mask = np.asarray(cohort.masks[row]) if cohort.labels else None
        place = file_name(label)
        write(folder, case, place, images, mask, facts(cohort, row))
        known = {name: str(table[name].iat[row]) for name in ("patient", "group", "split")} if who else {}
        paths = _paths(case, place, images, mask) if form == "png" else {}
        rows.append({"case": case, "label": label, **known, **paths})
        progress("writing files", row + 1, len(cohort))
    if form == "png":
        write_text(folder / "cases.csv", csv_text(list(rows[0]), rows))


def _file_names(cases: Sequence[str], rows: Sequence[int]) -> list[str]:
    """One name each: its case, with its first row where several have the same case or names that look alike."""
    names = [file_name(case, _LONGEST) for case in cases]
    count = Counter(name.lower() for name in names)
    return [name if count[name.lower()] == 1 else f"{name}-{row:06d}" for name, row in zip(names, rows, strict=True)]


def _volumes(cohort: Cohort) -> list[tuple[str, list[int]]]:
    """Names and rows of the volumes, lowest slice first.

    Slices that do not say where in their case they lie are volumes of their own.
    """
    table = cohort.slices
    numbers = table["slice"].tolist() if "slice" in table else [0] * len(table)
    found: list[list[int]] = []
    for rows in table.groupby(table["case"].astype(str), sort=False).indices.values():
        own = sorted((int(row) for row in rows), key=lambda row: numbers[row])
        found += [own] if len({numbers[row] for row in own}) == len(own) else [[row] for row in own]
    cases = [str(table["case"].iat[rows[0]]) for rows in found]
    return list(zip(_file_names(cases, [rows[0] for rows in found]), found, strict=True))


def _grey(cohort: Cohort, row: int, channel: int) -> Bytes:
    """One modality of a slice in 8 bits: 0 background, 255 bright tissue and above."""
    values = np.clip(np.asarray(cohort.images[row, channel], np.float32), 0, 1)
    return np.asarray((values * 255).round(), dtype=np.uint8)


def _paths(case: str, label: str, images: dict[str, Bytes], mask: Bytes | None) -> dict[str, str]:
    """Columns of cases.csv."""
    paths = {name: f"{label}/{case}_{name}.png" for name in images}
    return {**paths, "mask": f"{label}/{case}_mask.png"} if mask is not None else paths


def _write_png(
    folder: Path, case: str, label: str, images: dict[str, Bytes], mask: Bytes | None, text: dict[str, str]
) -> None:
    (folder / label).mkdir(exist_ok=True)
    content = PngInfo()
    for key, value in text.items():
        content.add_text(key, value)
    for name, image in images.items():
        Image.fromarray(image).save(folder / label / f"{case}_{name}.png", pnginfo=content)
    if mask is not None:
        Image.fromarray(mask).save(folder / label / f"{case}_mask.png", pnginfo=content)


def _write_nifti(folder: Path, case: str, cohort: Cohort, rows: list[int]) -> None:
    from synthoma.scans.volumes import write_volume

    (folder / case).mkdir()
    table = cohort.slices.iloc[rows]
    numbers = table["slice"].to_numpy(np.int64) if len(rows) > 1 else np.zeros(1, np.int64)
    every = kept_every(cohort, (numbers - numbers[0]).tolist())
    places = (numbers - numbers[0]) // every
    # A volume is regular, and a cohort leaves out slices that nobody wanted: there stand black ones.
    depth = int(places[-1]) + 1
    missing = sorted(set(range(depth)) - set(places.tolist()))
    plane: Plane = cohort.meta.plane
    pixel, step = _known(table, "pixel_mm"), every * _known(table, "step_mm")
    spacing = {"axial": (pixel, pixel, step), "coronal": (pixel, step, pixel), "sagittal": (step, pixel, pixel)}[plane]
    parts: dict[str, list[Bytes]] = {
        file_name(name): [_grey(cohort, row, at) for row in rows] for at, name in enumerate(cohort.modalities)
    }
    if cohort.labels:
        parts["seg"] = [np.asarray(cohort.masks[row]) for row in rows]
    for name, slices in parts.items():
        voxels = np.zeros((depth, *slices[0].shape), dtype=np.uint8)
        voxels[places] = slices
        suffix = "t1ce" if name == "t1c" else name  # the name that BraTS gave it
        volume = Volume(from_plane(voxels, plane), Geometry(spacing))
        write_volume(volume, folder / case / f"{case}_{suffix}.nii.gz", description=NOTICE)
    shown = rows[int(table["tumour_pixels"].to_numpy().argmax())]  # what class the patient is, its largest tumour says
    gaps = {"Slices left black": ", ".join(map(str, missing))} if missing else {}
    write_json(folder / case / f"{case}.json", {**facts(cohort, shown), **gaps})


def _known(table: pd.DataFrame, name: str) -> float:
    """A length in mm that the slices of a case agree on; 1 where it is not known."""
    value = table[name].to_numpy(np.float64)[0] if name in table else np.nan
    return float(value) if value > 0 else 1.0


def _write_dicom(
    folder: Path, case: str, label: str, images: dict[str, Bytes], mask: Bytes | None, text: dict[str, str]
) -> None:
    (folder / case).mkdir()
    pictures = {**images, **({"mask": tumour_of(mask).astype(np.uint8) * 255} if mask is not None else {})}
    text = text | {"Content": bytes_digest(b"".join(image.tobytes() for image in pictures.values()))}
    for number, (name, image) in enumerate(pictures.items(), start=1):
        dataset = secondary_capture(image, case, name, number, text)
        dataset.save_as(folder / case / f"{name}.dcm", enforce_file_format=True)


def secondary_capture(image: Bytes, case: str, name: str, number: int, text: dict[str, str]) -> FileDataset:
    """A picture (rows, columns) as a DICOM Secondary Capture (PS3.3 A.8.1) of nobody, marked as synthetic.

    UIDs are hashes of the provenance and the content, so the same image always gets the same file, and others another.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    origin = [text.get("Model", ""), text.get("Seed", ""), text.get("Content", ""), case]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[*origin, name, "instance"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[*origin, "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[*origin, name, "series"])
    dataset.ImageType = ["DERIVED", "SECONDARY", "SYNTHETIC"]
    dataset.Modality, dataset.ConversionType = "OT", "SYN"
    dataset.PatientName, dataset.PatientID = NOBODY, case[:64]
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "SYNTHETIC", number, 1
    # Whoever removes identities says how; of an unpaired part there is no side to tell, and of a picture no way up.
    dataset.DeidentificationMethod, dataset.BodyPartExamined = "synthetic image: no patient was imaged", "BRAIN"
    dataset.PatientOrientation = ""
    dataset.StudyDescription = NOTICE
    dataset.SeriesDescription = f"SYNTHETIC {name.upper()}"[:64]
    dataset.ImageComments = "; ".join(f"{key}: {value}" for key, value in text.items())[:10240]
    dataset.Manufacturer, dataset.ManufacturerModelName = "Synthoma", "synthetic image"
    dataset.SoftwareVersions = __version__
    dataset.BurnedInAnnotation, dataset.PatientIdentityRemoved = "NO", "YES"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.Rows, dataset.Columns = image.shape
    dataset.set_pixel_data(np.ascontiguousarray(image), "MONOCHROME2", 8, generate_instance_uid=False)
    return dataset
