"""DICOM SEG: the mask of a DICOM series as any viewer shows it over that series (PS3.3 A.51), through highdicom.

The file belongs to the user's own study and carries its patient's identity, as its images do.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pydicom
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from pydicom.valuerep import DSfloat

from synthoma._version import __version__
from synthoma.core.errors import InputError, SynthomaError
from synthoma.core.provenance import bytes_digest
from synthoma.core.types import Bools, Bytes
from synthoma.core.whole_files import whole_file
from synthoma.scans.dicom.stack import Series

if TYPE_CHECKING:
    from synthoma.detection.detector import Detector

DESCRIPTION = "Synthoma tumour: RESEARCH ONLY, not for clinical use"
SERIES_NUMBER = 9001
CORRECTED = "Synthoma tumour, CORRECTED BY HAND: RESEARCH ONLY"
CORRECTED_NUMBER = 9002

_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""What every DICOM file has, be it empty (type 2); tools that remove identities often remove the element too."""

_TYPES = {"tumour": codes.SCT.Neoplasm, "core": codes.SCT.Neoplasm, "enhancing": codes.cid7159.EnhancingLesion}
LABELS = {"tumour": "Whole tumour", "core": "Tumour core", "enhancing": "Enhancing tumour"}
"""Names of segments and structures, by target."""


@dataclass(frozen=True)
class _Maker:
    """Who made the regions, as the file names them.

    Attributes:
        name: of the device, and of the algorithm.
        version: of the algorithm.
        serial: of the device.
        kind: whether a person had a part in it (PS3.3 C.8.20.2, Segment Algorithm Type).
        says: Content Description.
        series, number: description and number of the series.
        origin: what makes its instances different from others of the same images and regions.
    """

    name: str
    version: str
    serial: str
    kind: Literal["AUTOMATIC", "SEMIAUTOMATIC"]
    says: str
    series: str
    number: int
    origin: str


def write_segmentation(path: Path, series: Series, regions: Mapping[str, Bools], detector: Detector) -> None:
    """Write regions as the binary segments of a DICOM SEG; the file appears whole or not at all.

    Args:
        path: the file to write.
        series: whose slices the regions lie on, in its order.
        regions: (z, y, x) of each target; those that are empty are left out, and so are empty frames.
        detector: the model, to be named in the file.

    Raises:
        InputError: a series that a segmentation cannot refer to, or no region with content.
        OutputError: the disk is full, or the like.
    """
    digest, name = detector.bundle.digest, f"Synthoma {detector.name}"
    says, version = "Automatic, research only", f"{__version__}, model {digest[:12]}"
    maker = _Maker(name, version, digest[:16], "AUTOMATIC", says, DESCRIPTION, SERIES_NUMBER, digest)
    _write(path, series, regions, maker)


def write_corrected_segmentation(path: Path, series: Series, regions: Mapping[str, Bools], corrected: str) -> None:
    """Write regions that a person corrected as a DICOM SEG: one that says SEMIAUTOMATIC, and by hand.

    Args:
        path: the file to write.
        series: whose slices the regions lie on, in its order.
        regions: (z, y, x) of each, as of ``write_segmentation``.
        corrected: SHA-256 of the mask that was corrected.

    Raises:
        InputError, OutputError: as ``write_segmentation``.
    """
    name, version, says = "Synthoma studio", f"{__version__}, corrected by hand", "Corrected by hand, research only"
    maker = _Maker(name, version, corrected[:16], "SEMIAUTOMATIC", says, CORRECTED, CORRECTED_NUMBER, corrected)
    _write(path, series, regions, maker)


def _write(path: Path, series: Series, regions: Mapping[str, Bools], maker: _Maker) -> None:
    filled = {name: region for name, region in regions.items() if region.any()}
    if not filled:
        raise InputError("a region with content", "none", "a DICOM SEG cannot be empty")
    sources, places = _sources(series)
    # Of a multi-frame file highdicom wants all frames, in its order, be they slices of this series or not.
    count = int(sources[0].get("NumberOfFrames") or 1) if len(sources) == 1 else len(sources)
    frames = np.zeros((count, *series.shape, len(filled)), dtype=np.uint8)
    for number, region in enumerate(filled.values()):
        frames[places, :, :, number] = region
    try:
        with warnings.catch_warnings(), whole_file(path) as partial:
            warnings.simplefilter("ignore")  # they are about the source's headers, and may quote them
            found = _segmentation(sources, frames, list(filled), maker)
            _state_thickness(found, series)
            found.save_as(partial)
    except SynthomaError:
        raise
    except Exception as error:  # highdicom refuses headers in many ways, and its words may quote the patient's
        came = f"headers that highdicom refuses ({type(error).__name__})"
        raise InputError("a series with complete headers", came, "export it again from the archive") from None


def completed_headers(series: Series) -> list[Dataset]:
    """Headers of the files of a series without pixels, each with the elements that every DICOM file has.

    Raises:
        InputError: files that changed since they were listed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            sources: list[Dataset] = [pydicom.dcmread(path, stop_before_pixels=True) for path in series.files]
        except Exception as error:
            raise InputError("the files of the series", f"{type(error).__name__}", "read them again") from None
    for source in sources:
        for keyword in _MAY_BE_EMPTY:
            if keyword not in source:
                setattr(source, keyword, "")
    return sources


def _sources(series: Series) -> tuple[list[Dataset], list[int]]:
    """Headers of the series, and which frame of them each of its planes is.

    Raises:
        InputError: several multi-frame files, or files that changed since they were listed.
    """
    files, sources = series.files, completed_headers(series)
    if len(files) == 1:  # frames of the file that are no slice of this series stay empty, and are left out
        return sources, [plane.frame for plane in series.planes]
    if len(files) != len(series.planes):
        raise InputError("one file a slice, or one for all", f"{len(files)} multi-frame files", "convert the series")
    return sources, list(range(len(files)))


def _segmentation(sources: list[Dataset], frames: Bytes, names: list[str], maker: _Maker) -> Segmentation:
    # The same mask of the same model on the same images is the same instance.
    origin = [maker.origin, str(sources[0].SOPInstanceUID), bytes_digest(np.packbits(frames).tobytes()), __version__]
    algorithm = AlgorithmIdentificationSequence(
        name=maker.name,
        family=codes.cid7162.ArtificialIntelligence,
        version=maker.version,
        source="Synthoma",
    )
    segments = [_segment(number, name, algorithm, maker.kind) for number, name in enumerate(names, start=1)]
    return Segmentation(
        source_images=sources,
        pixel_array=frames,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(entropy_srcs=[*origin, "series"]),
        series_number=maker.number,
        sop_instance_uid=generate_uid(entropy_srcs=[*origin, "instance"]),
        instance_number=1,
        manufacturer="Synthoma",
        manufacturer_model_name=maker.name[:64],
        software_versions=__version__,
        device_serial_number=maker.serial,
        content_label="TUMOUR",
        content_description=maker.says,
        content_qualification="RESEARCH",
        series_description=maker.series,
        omit_empty_frames=True,
    )


def _state_thickness(found: Segmentation, series: Series) -> None:
    """Give the frames the thickness that the standard asks for, and that some sources do not state.

    As far apart as slices lie, so thick are they taken for; a single one whose file says nothing has a width's.
    """
    ends = np.array([series.planes[0].position, series.planes[-1].position])
    step = float(np.linalg.norm(ends[1] - ends[0])) / max(1, len(series.planes) - 1)
    thickness = series.thickness or step or series.spacing[0]
    groups = (*found.SharedFunctionalGroupsSequence, *found.PerFrameFunctionalGroupsSequence)
    for measures in (measure for group in groups for measure in group.get("PixelMeasuresSequence", ())):
        if not measures.get("SliceThickness"):
            measures.SliceThickness = DSfloat(thickness, auto_format=True)


def _segment(number: int, name: str, algorithm: Any, kind: str) -> SegmentDescription:
    """Description of one target."""
    return SegmentDescription(
        segment_number=number,
        segment_label=LABELS.get(name, name)[:64],
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=_TYPES.get(name, codes.SCT.Neoplasm),
        algorithm_type=kind,
        algorithm_identification=algorithm,
        anatomic_regions=[codes.SCT.Brain],
    )
