"""Synthetic slices as files for other tools. Each file says of itself that no patient was imaged."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from synthoma._version import __version__
from synthoma.data.case import Geometry, Volume
from synthoma.data.cohort import Cohort
from synthoma.errors import ConfigError
from synthoma.provenance import bytes_digest, write_json
from synthoma.types import Bytes

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

Format = Literal["png", "nifti", "dicom"]
NOTICE = "SYNTHETIC IMAGE - NOT A PATIENT - NOT FOR DIAGNOSIS"

Progress = Callable[[str, int, int], None]


def export(cohort: Cohort, folder: Path, form: Format, progress: Progress = lambda text, done, total: None) -> None:
    """Write every slice of a synthetic cohort into an existing empty folder.

    - ``png``: ``<class>/<case>_<modality>.png`` and ``<case>_mask.png``, with a notice and the provenance as text
      inside, and ``cases.csv``, from which `synthoma prepare` makes a cohort again.
    - ``nifti``: ``<case>/<case>_<modality>.nii.gz`` and ``_seg.nii.gz``, one slice thick, named as in BraTS, with the
      notice and the provenance in ``<case>.json``.
    - ``dicom``: ``<case>/<modality>.dcm``, secondary captures of no patient.

    Raises:
        ConfigError: an unknown form, or a cohort of real scans: those must not be marked as synthetic.
    """
    writers = {"png": _write_png, "nifti": _write_nifti, "dicom": _write_dicom}
    if form not in writers:
        raise ConfigError(f"a format: {', '.join(writers)}", repr(form), "choose one of them")
    if cohort.origin == "real":
        raise ConfigError("a synthetic or phantom cohort", "one of real scans", "export marks its files as synthetic")
    table = cohort.slices
    rows = []
    for row, case in enumerate(_file_names(cohort)):
        label = str(table["label"].iat[row])
        images = {name: _grey(cohort, row, channel) for channel, name in enumerate(cohort.modalities)}
        mask = np.asarray(cohort.masks[row]) if cohort.labels else None
        place = _safe(label)
        writers[form](folder, case, place, images, mask, _text(cohort, row))
        rows.append({"case": case, "label": label, **_paths(case, place, images, mask)})
        progress("exporting", row + 1, len(cohort))
    if form == "png":
        with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _safe(name: str) -> str:
    """A name as one that any file system takes, and that leads nowhere else."""
    return re.sub(r"[^\w -]", "_", name).strip() or "_"


def _file_names(cohort: Cohort) -> list[str]:
    """One name a slice: its case, with its row where cases have several slices or names that look alike."""
    names = [_safe(str(case)) for case in cohort.slices["case"]]
    count = Counter(name.lower() for name in names)
    return [name if count[name.lower()] == 1 else f"{name}-{row:06d}" for row, name in enumerate(names)]


def _grey(cohort: Cohort, row: int, channel: int) -> Bytes:
    """One modality of a slice in 8 bits: 0 background, 255 bright tissue and above."""
    values = np.clip(np.asarray(cohort.images[row, channel], np.float32), 0, 1)
    return np.asarray((values * 255).round(), dtype=np.uint8)


def _text(cohort: Cohort, row: int) -> dict[str, str]:
    """What each file says of itself."""
    provenance: dict[str, Any] = cohort.meta.get("provenance", {})
    names = {"Model": "model_sha256", "Seed": "seed", "Truncation": "truncation"}
    known = {title: provenance.get(name) for title, name in names.items()}
    case = str(cohort.slices["case"].iat[row])
    return {
        "Notice": NOTICE,
        "Software": f"synthoma {__version__}",
        "Origin": cohort.origin,
        "Case": case,
        "Class": str(cohort.slices["label"].iat[row]),
        **{name: str(value) for name, value in known.items() if value is not None},
    }


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


def _write_nifti(
    folder: Path, case: str, label: str, images: dict[str, Bytes], mask: Bytes | None, text: dict[str, str]
) -> None:
    from synthoma.data.volumes import write_volume

    (folder / case).mkdir()
    for name, array in {**images, **({"seg": mask} if mask is not None else {})}.items():
        suffix = "t1ce" if name == "t1c" else name  # the name that BraTS gave it
        volume = Volume(array[None], Geometry((1.0, 1.0, 1.0)))
        write_volume(volume, folder / case / f"{case}_{suffix}.nii.gz")
    write_json(folder / case / f"{case}.json", text)


def _write_dicom(
    folder: Path, case: str, label: str, images: dict[str, Bytes], mask: Bytes | None, text: dict[str, str]
) -> None:
    (folder / case).mkdir()
    pictures = {**images, **({"mask": (mask > 0).astype(np.uint8) * 255} if mask is not None else {})}
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
    dataset.PatientName, dataset.PatientID = "SYNTHETIC^NO PATIENT", case[:64]
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "", number, 1
    dataset.StudyDescription = NOTICE
    dataset.SeriesDescription = f"SYNTHETIC {name.upper()}"
    dataset.ImageComments = "; ".join(f"{key}: {value}" for key, value in text.items())[:10240]
    dataset.Manufacturer, dataset.ManufacturerModelName = "Synthoma", "synthetic image"
    dataset.SoftwareVersions = __version__
    dataset.BurnedInAnnotation, dataset.PatientIdentityRemoved = "NO", "YES"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.Rows, dataset.Columns = image.shape
    dataset.set_pixel_data(np.ascontiguousarray(image), "MONOCHROME2", 8, generate_instance_uid=False)
    return dataset
