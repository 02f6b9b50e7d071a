"""DICOM series with a DICOM SEG for each case: synthetic volumes as a viewer or an archive takes them, marked.

Slices are MR Image Storage (PS3.3 A.4), since secondary captures have no place in space and a segmentation (A.51) needs
one. Patient, study and description say that nobody was imaged.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from synthoma._version import __version__
from synthoma.core.errors import ConfigError
from synthoma.core.provenance import bytes_digest
from synthoma.core.types import Bytes
from synthoma.core.untrusted import file_name
from synthoma.exports.cases import Piece, image_of, mask_of
from synthoma.exports.job import Job, suffix
from synthoma.exports.marks import NOTICE, facts
from synthoma.scans.case import Geometry
from synthoma.scans.synthetic_marks import NOBODY

WHITE = 4095
"""Stored value of bright tissue (1): the 12 bits of a scanner; brighter pixels keep their order up to 16 times it."""

SEG = "seg.dcm"


def write(job: Job) -> list[Piece]:
    """Write ``CASE/flair/0001.dcm`` and so on for each sequence, and ``CASE/seg.dcm`` where the mask shows anything.

    Raises:
        ConfigError: a cohort of real scans, since these files say in many places that they show nobody.
    """
    if job.cohort.origin == "real":
        todo = "use --to nifti or png; real scans are in DICOM already where they came from"
        raise ConfigError("a synthetic or phantom cohort", "one of real scans, and DICOM files are marked", todo)
    found = job.volumes()
    for piece in job.each(found):
        _write_case(job, piece)
    return found


def _write_case(job: Job, piece: Piece) -> None:
    """The series of one case, and its segmentation on the first of them."""
    told = facts(job.cohort, piece.shown)
    volumes = {
        name: image_of(job.cohort, piece, channel)
        for name, channel in job.channels().items()
        if name not in piece.missing
    }
    content = bytes_digest(b"".join(volume.voxels.tobytes() for volume in volumes.values()))
    origin = [told.get("Model", ""), told.get("Seed", ""), content, piece.name]
    sources: list[Dataset] = []
    for number, (name, volume) in enumerate(volumes.items(), start=1):
        folder = job.folder / piece.name / suffix(name)
        folder.mkdir(parents=True)
        stored = np.clip(np.rint(volume.voxels * WHITE), 0, 65535).astype(np.uint16)
        series = [
            _slice(plane, Geometry(piece.spacing), at, name, number, piece, origin, told)
            for at, plane in enumerate(stored)
        ]
        for at, dataset in enumerate(series, start=1):
            dataset.save_as(folder / f"{at:04d}.dcm", enforce_file_format=True)
        sources = sources or list(series)
    if piece.outlined and sources:
        mask = mask_of(job.cohort, piece, job.labels).voxels
        if mask.any():
            _write_segmentation(job.folder / piece.name / SEG, sources, mask, job.labels.names, origin)


def _slice(
    plane: NDArray[np.uint16], geometry: Geometry, at: int, name: str, number: int, piece: Piece, origin: list[str],
    told: dict[str, str],
) -> FileDataset:  # fmt: skip
    """One slice (rows, columns) of a series; UIDs are hashes of where the volume comes from and of its content."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[*origin, name, str(at), "instance"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[*origin, "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[*origin, name, "series"])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[*origin, "frame"])
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER", "SYNTHETIC"]
    dataset.Modality = "MR"
    who = file_name(piece.who)[:48] or "case"
    dataset.PatientName, dataset.PatientID = NOBODY, f"SYN {who}"[:64]
    dataset.PatientBirthDate = dataset.PatientSex = dataset.PositionReferenceIndicator = ""
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "SYNTHETIC", number, at + 1
    dataset.DeidentificationMethod, dataset.PatientIdentityRemoved = "synthetic image: no patient was imaged", "YES"
    dataset.BodyPartExamined, dataset.BurnedInAnnotation = "BRAIN", "NO"
    dataset.StudyDescription, dataset.SeriesDescription = NOTICE[:64], f"{name.upper()} SYNTHETIC"[:64]
    dataset.ImageComments = "; ".join(f"{key}: {value}" for key, value in told.items())[:10240]
    dataset.Manufacturer, dataset.ManufacturerModelName = "Synthoma", "synthetic image"
    dataset.SoftwareVersions = __version__
    # No sequence was played out: RM is "research mode", and times that never were stay empty.
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "RM", "NONE", ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = dataset.EchoTime = dataset.EchoTrainLength = None
    x, y, z = geometry.spacing
    dataset.PixelSpacing, dataset.SliceThickness = [f"{y:.8g}", f"{x:.8g}"], f"{z:.8g}"
    dataset.SpacingBetweenSlices = f"{z:.8g}"
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = ["0", "0", f"{z * at:.8g}"]
    dataset.PatientPosition = "HFS"
    dataset.WindowCenter, dataset.WindowWidth = (WHITE + 1) // 2, WHITE + 1
    dataset.set_pixel_data(np.ascontiguousarray(plane), "MONOCHROME2", 16, generate_instance_uid=False)
    return dataset


def _write_segmentation(
    path: Path, sources: list[Dataset], mask: Bytes, names: dict[int, str], origin: list[str]
) -> None:
    """The labels of a mask (z, y, x) as binary segments on a series; those that it does not show are left out."""
    # Heavy, and of no use to whoever exports cohorts without masks.
    from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    shown = {value: name for value, name in names.items() if (mask == value).any()}
    frames = np.stack([(mask == value).astype(np.uint8) for value in shown], axis=-1)
    segments = [
        SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Neoplasm,
            algorithm_type="MANUAL",
            anatomic_regions=[codes.SCT.Brain],
        )
        for number, name in enumerate(shown.values(), start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the empty patient of a synthetic image
        found = Segmentation(
            source_images=sources,
            pixel_array=frames,
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=segments,
            series_instance_uid=generate_uid(entropy_srcs=[*origin, "seg", "series"]),
            series_number=len(sources) + 1,
            sop_instance_uid=generate_uid(entropy_srcs=[*origin, "seg", "instance"]),
            instance_number=1,
            manufacturer="Synthoma",
            manufacturer_model_name="synthetic image",
            software_versions=__version__,
            device_serial_number=bytes_digest(origin[2].encode())[:16],
            content_label="LESION",
            content_description="Mask of a synthetic image",
            series_description="MASK SYNTHETIC",
            omit_empty_frames=True,
        )
        found.save_as(path)
