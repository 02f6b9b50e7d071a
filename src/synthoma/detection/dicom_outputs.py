"""What is written beside the mask of a DICOM series: SEG, SR and RTSTRUCT; a remark where one cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.core.errors import InputError
from synthoma.detection.band import Band
from synthoma.detection.detector import Detector
from synthoma.detection.scan_findings import Description
from synthoma.detection.seen import Seen
from synthoma.detection.settings import DetectConfig
from synthoma.scans.layouts.dicom_loading import reference_series

if TYPE_CHECKING:
    from synthoma.scans.dicom.stack import Series


@dataclass(frozen=True)
class DicomOutputs:
    """Where DICOM files of a scan are written, and what is noted of them.

    Attributes:
        folder: of the scan.
        name: of the case in file names.
        files: names by what they hold; added to.
        remarks: added to where a file cannot be written.
    """

    folder: Path
    name: str
    files: dict[str, list[str]]
    remarks: list[str]

    def write(self, seen: Seen, facts: Description, band: Band | None, detector: Detector, ask: DetectConfig) -> None:
        """Write what the options ask for; nothing where the scan did not come as DICOM."""
        asked = {"SEG": ask.dicom_seg or ask.dicom_sr, "SR": ask.dicom_sr, "RTSTRUCT": ask.dicom_rtstruct}
        series = reference_series(seen.case)
        if series is None or not any(asked.values()):
            return
        if not seen.mask.any():
            first = next(kind for kind, wanted in asked.items() if wanted)
            self.remarks.append(
                f"no DICOM {first}: there is no tumour at this threshold, and a segmentation cannot be empty"
            )
            return
        if asked["SEG"]:
            self._segments(seen, series, band, detector)
        if asked["SR"] and "dicom_seg" in self.files:
            self._report(seen, facts, series, detector)
        if asked["RTSTRUCT"]:
            from synthoma.detection.dicom_rtstruct import write_structure_set

            self._try("RTSTRUCT", "rtstruct", lambda path: write_structure_set(path, series, seen.regions, detector))

    def _segments(self, seen: Seen, series: Series, band: Band | None, detector: Detector) -> None:
        from synthoma.detection.dicom_seg import write_segmentation  # highdicom is slow to load

        self._try("SEG", "seg", lambda path: write_segmentation(path, series, seen.regions, detector))
        if band is not None:
            segments = band.segments()
            self._try("SEG of the band", "band_seg", lambda path: write_segmentation(path, series, segments, detector))

    def _report(self, seen: Seen, facts: Description, series: Series, detector: Detector) -> None:
        from synthoma.detection.dicom_sr import SegmentSizes, write_report

        if facts.volume_unit != "mm3":
            self.remarks.append("no DICOM SR: nobody knows how thick a slice is")
            return
        # In the order of the segments; empty regions have no segment, see ``dicom_seg``.
        sizes = [
            SegmentSizes(
                float(facts.volumes[target] or 0) / 1000, None if facts.rano is None else facts.rano.largest(target)
            )
            for target, region in seen.regions.items()
            if region.any()
        ]
        segmentation = self.folder / f"{self.name}_seg.dcm"
        self._try("SR", "sr", lambda path: write_report(path, segmentation, series, detector, sizes))

    def _try(self, kind: str, ending: str, write: Callable[[Path], None]) -> None:
        """Write one file; say why where that is not possible."""
        try:
            write(self.folder / f"{self.name}_{ending}.dcm")
            self.files[f"dicom_{ending}"] = [f"{self.name}_{ending}.dcm"]
        except InputError as error:
            self.remarks.append(f"no DICOM {kind}: {error}")
