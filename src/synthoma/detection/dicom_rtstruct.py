"""RTSTRUCT: outlines of the mask on the slices of a DICOM series, as planning systems read them (PS3.3 A.19).

Outlines run halfway between the centres of pixels inside and outside, so that filling them gives the mask back. The
file belongs to the user's own study and carries its patient's identity, as its images do.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from synthoma._version import __version__
from synthoma.core.errors import InputError, SynthomaError
from synthoma.core.provenance import bytes_digest
from synthoma.core.types import Bools, Floats
from synthoma.core.whole_files import whole_file
from synthoma.detection.detector import Detector
from synthoma.detection.dicom_seg import LABELS, completed_headers
from synthoma.detection.outlines import outlines_of
from synthoma.scans.dicom.stack import Plane, Series

DESCRIPTION = "Synthoma tumour: RESEARCH ONLY, not for clinical use"
SERIES_NUMBER = 9003

_OF_STUDY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDate",
    "StudyTime", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID", "SpecificCharacterSet",
)  # fmt: skip
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, retired: what the sequence of referenced studies has always been filled with."""

_COLOURS = ((60, 210, 100), (235, 60, 50), (90, 170, 255), (238, 190, 96))


def write_structure_set(path: Path, series: Series, regions: Mapping[str, Bools], detector: Detector) -> None:
    """Write regions as the structures of an RTSTRUCT; the file appears whole or not at all.

    Args:
        path: the file to write.
        series: whose slices the regions lie on, in its order.
        regions: (z, y, x) of each target; those that are empty are left out.
        detector: the model, to be named in the file.

    Raises:
        InputError: no region with content, or a series without a frame of reference or with headers that cannot be
            followed.
        OutputError: the disk is full, or the like.
    """
    filled = {name: region for name, region in regions.items() if region.any()}
    if not filled:
        raise InputError("a region with content", "none", "a structure set cannot be empty")
    try:
        with warnings.catch_warnings(), whole_file(path) as partial:
            warnings.simplefilter("ignore")  # they are about the source's headers, and may quote them
            headers = dict(zip(series.files, completed_headers(series), strict=True))
            if not headers[series.planes[0].file].get("FrameOfReferenceUID"):
                came = "a series that states none"
                raise InputError("a frame of reference for outlines", came, "take the DICOM SEG instead")
            _structure_set(series, headers, filled, detector).save_as(partial, enforce_file_format=True)
    except SynthomaError:
        raise
    except Exception as error:  # as of segmentations: its words may quote the patient's headers
        came = f"headers that cannot be followed ({type(error).__name__})"
        raise InputError("a series with complete headers", came, "export it again from the archive") from None


def _structure_set(
    series: Series, headers: Mapping[Path, Dataset], regions: Mapping[str, Bools], detector: Detector
) -> FileDataset:
    first = headers[series.planes[0].file]
    packed = b"".join(np.packbits(region).tobytes() for region in regions.values())
    # The same mask of the same model on the same images is the same instance.
    origin = [detector.bundle.digest, str(first.SOPInstanceUID), bytes_digest(packed), __version__, "rtstruct"]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[*origin, "instance"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword in _OF_STUDY:
        if keyword in first:
            setattr(found, keyword, first[keyword].value)
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.Modality, found.SeriesInstanceUID = "RTSTRUCT", generate_uid(entropy_srcs=[*origin, "series"])
    found.SeriesNumber, found.InstanceNumber, found.SeriesDescription = SERIES_NUMBER, 1, DESCRIPTION
    found.OperatorsName, found.PositionReferenceIndicator = "", ""
    found.Manufacturer, found.ManufacturerModelName = "Synthoma", f"Synthoma {detector.name}"[:64]
    found.SoftwareVersions, found.DeviceSerialNumber = __version__, detector.bundle.digest[:16]
    found.StructureSetLabel, found.StructureSetDate, found.StructureSetTime = "RESEARCH ONLY", "", ""
    found.StructureSetDescription = f"Automatic, model {detector.bundle.digest[:12]}; research only"
    found.ApprovalStatus = "UNAPPROVED"
    found.ReferencedFrameOfReferenceSequence = [_frame(series, headers)]
    numbered = list(enumerate(regions.items(), start=1))
    place = str(first.FrameOfReferenceUID)
    found.StructureSetROISequence = [_roi(number, name, place) for number, (name, _) in numbered]
    found.ROIContourSequence = [_contours(number, region, series, headers) for number, (_, region) in numbered]
    found.RTROIObservationsSequence = [_observation(number) for number, _ in numbered]
    return found


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _frame(series: Series, headers: Mapping[Path, Dataset]) -> Dataset:
    """The images that the outlines lie on, by study and series."""
    first = headers[series.planes[0].file]
    images = [
        _item(ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID)
        for header in headers.values()
    ]
    own = _item(SeriesInstanceUID=first.SeriesInstanceUID, ContourImageSequence=images)
    study = _item(
        ReferencedSOPClassUID=_STUDY_CLASS,
        ReferencedSOPInstanceUID=first.StudyInstanceUID,
        RTReferencedSeriesSequence=[own],
    )
    return _item(FrameOfReferenceUID=first.FrameOfReferenceUID, RTReferencedStudySequence=[study])


def _roi(number: int, name: str, place: str) -> Dataset:
    return _item(
        ROINumber=number,
        ReferencedFrameOfReferenceUID=place,
        ROIName=LABELS.get(name, name)[:64],
        ROIGenerationAlgorithm="AUTOMATIC",
        ROIGenerationDescription="Synthoma, research only",
    )


def _observation(number: int) -> Dataset:
    return _item(ObservationNumber=number, ReferencedROINumber=number, RTROIInterpretedType="", ROIInterpreter="")


def _contours(number: int, region: Bools, series: Series, headers: Mapping[Path, Dataset]) -> Dataset:
    """The outlines of one structure, slice by slice."""
    outlines = [
        _contour(_placed(line, plane, series), plane, headers)
        for plane, layer in zip(series.planes, region, strict=True)
        for line in outlines_of(layer)
    ]
    colour = _COLOURS[(number - 1) % len(_COLOURS)]
    return _item(ROIDisplayColor=list(colour), ContourSequence=outlines, ReferencedROINumber=number)


def _placed(line: Floats, plane: Plane, series: Series) -> Floats:
    """Points (n, 3) in the patient, mm LPS."""
    along_row, down = np.array(series.axes[:3]), np.array(series.axes[3:])
    # Spacings are those of x and y: rows lie a y apart, columns an x.
    rows, columns = line[:, :1] * series.spacing[1] * down, line[:, 1:] * series.spacing[0] * along_row
    placed: Floats = np.array(plane.position) + columns + rows
    return placed


def _contour(points: Floats, plane: Plane, headers: Mapping[Path, Dataset]) -> Dataset:
    header = headers[plane.file]
    image = _item(ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID)
    if int(header.get("NumberOfFrames") or 1) > 1:
        image.ReferencedFrameNumber = plane.frame + 1
    return _item(
        ContourImageSequence=[image],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=len(points),
        # A decimal string holds 16 characters, and a micrometre is exact enough.
        ContourData=[f"{value:.3f}" for value in points.ravel().tolist()],
    )
