"""DICOM SR: volume and RANO diameters of each segment as a structured report (PS3.16, TID 1500), through highdicom.

A report refers to the DICOM SEG of the same scan, and so to its images. Viewers and archives show it as a table.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from synthoma._version import __version__
from synthoma.core.errors import InputError, SynthomaError
from synthoma.core.whole_files import whole_file
from synthoma.detection.board_records import RanoLesion
from synthoma.detection.detector import Detector
from synthoma.detection.dicom_seg import completed_headers
from synthoma.scans.dicom.stack import Series

DESCRIPTION = "Synthoma tumour sizes: RESEARCH ONLY, not for clinical use"
SERIES_NUMBER = 9002
_MILLILITRE = Code("ml", "UCUM", "milliliter")
_MILLIMETRE, _SQUARE = Code("mm", "UCUM", "millimeter"), Code("mm2", "UCUM", "square millimeter")
_LONG, _SHORT = Code("103339001", "SCT", "Long Axis"), Code("103340004", "SCT", "Short Axis")
_PRODUCT = Code("PRODUCT", "99SYNTHOMA", "Product of long and short axis")
_RESEARCH = (Code("RESEARCH", "99SYNTHOMA", "Use of this report"), Code("ONLY", "99SYNTHOMA", "Research only"))
"""A coded remark in each group: software that shows measurements alone shows it with them."""


@dataclass(frozen=True)
class SegmentSizes:
    """Sizes of a segment.

    Attributes:
        millilitres: its volume.
        rano: its lesion with the largest product of diameters; None where none was measured.
    """

    millilitres: float
    rano: RanoLesion | None


def write_report(
    path: Path, segmentation: Path, series: Series, detector: Detector, sizes: Sequence[SegmentSizes]
) -> None:
    """Write volume and RANO diameters of each segment as a structured report; the file appears whole or not at all.

    Args:
        path: the file to write.
        segmentation: the DICOM SEG to refer to, as ``dicom_seg.write_segmentation`` wrote it.
        series: whose slices it lies on.
        detector: the model, to be named in the file.
        sizes: of each segment, in its order.

    Raises:
        InputError: headers that a report cannot be made of.
        OutputError: the disk is full, or the like.
    """
    try:
        with warnings.catch_warnings(), whole_file(path) as partial:
            warnings.simplefilter("ignore")  # they are about the source's headers, and may quote them
            mask = hd.seg.segread(segmentation)
            sources = completed_headers(series)
            _report(mask, sources, detector, sizes).save_as(partial)
    except SynthomaError:
        raise
    except Exception as error:  # as of segmentations: the words of highdicom may quote the patient's headers
        came = f"headers that highdicom refuses ({type(error).__name__})"
        raise InputError("a series with complete headers", came, "export it again from the archive") from None


def _measurements(size: SegmentSizes) -> list[Measurement]:
    """Volume, and the two diameters with their product where they were measured (CID 7470)."""
    found = [Measurement(name=codes.SCT.Volume, value=round(size.millilitres, 3), unit=_MILLILITRE)]
    if size.rano is not None:
        found += [
            Measurement(name=name, value=round(float(value or 0), 2), unit=unit)
            for name, value, unit in (
                (_LONG, size.rano.largest_mm, _MILLIMETRE),
                (_SHORT, size.rano.perpendicular_mm, _MILLIMETRE),
                (_PRODUCT, size.rano.product_mm2, _SQUARE),
            )
        ]
    return found


def _report(
    mask: hd.seg.Segmentation, sources: list[Dataset], detector: Detector, sizes: Sequence[SegmentSizes]
) -> Comprehensive3DSR:
    observer = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=generate_uid(entropy_srcs=[detector.bundle.digest, "device"]),
            name=f"Synthoma {detector.name}"[:64],
            manufacturer_name="Synthoma",
            model_name=f"{__version__}, model {detector.bundle.digest[:12]}",
        ),
    )
    algorithm = AlgorithmIdentification(
        name=f"Synthoma {detector.name}", version=f"{__version__}, model {detector.bundle.digest[:12]}"
    )
    groups = []
    for number, size in enumerate(sizes, start=1):
        label = str(mask.get_segment_description(number).segment_label)
        # The same segment of the same mask is the same finding, whoever asks again.
        tracked = generate_uid(entropy_srcs=[str(mask.SOPInstanceUID), str(number)])
        groups.append(
            VolumetricROIMeasurementsAndQualitativeEvaluations(
                # Not from_segmentation(): it fails where all frames share one segment.
                referenced_segment=ReferencedSegment(
                    sop_class_uid=mask.SOPClassUID,
                    sop_instance_uid=mask.SOPInstanceUID,
                    segment_number=number,
                    source_series=SourceSeriesForSegmentation(str(sources[0].SeriesInstanceUID)),
                ),
                tracking_identifier=TrackingIdentifier(uid=tracked, identifier=label),
                finding_type=codes.SCT.Neoplasm,
                finding_sites=[FindingSite(anatomic_location=codes.SCT.Brain)],
                algorithm_id=algorithm,
                measurements=_measurements(size),
                qualitative_evaluations=[QualitativeEvaluation(name=_RESEARCH[0], value=_RESEARCH[1])],
            )
        )
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=Code("726534006", "SCT", "MR imaging of brain"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    origin = [str(mask.SOPInstanceUID), __version__]
    return Comprehensive3DSR(
        evidence=[mask, *sources],
        content=content,
        series_instance_uid=generate_uid(entropy_srcs=[*origin, "report", "series"]),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(entropy_srcs=[*origin, "report"]),
        instance_number=1,
        manufacturer="Synthoma",
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=DESCRIPTION,
    )
