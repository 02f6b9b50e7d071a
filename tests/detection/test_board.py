"""What a tumour board reads of a scan: RANO diameters, the band, RTSTRUCT; each read back by somebody else."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from synthoma.core.errors import InputError
from synthoma.core.types import Float32
from synthoma.detection.detect import detect
from synthoma.detection.detector import Detector
from synthoma.detection.outlines import outlines_of
from synthoma.detection.settings import DetectConfig
from synthoma.pipeline.description import report
from synthoma.scans.case import Geometry
from synthoma.scans.dicom.masks import mask_of, read_dicom_mask
from synthoma.scans.dicom.structure_sets import filled
from synthoma.scans.layouts import take_inventory
from synthoma.scans.layouts.dicom_loading import reference_series
from tests.detection.conftest import WriteModel
from tests.detection.test_dicom_seg import ANISOTROPIC, TURNED, complete, only
from tests.scans.writers import CUBIC, OBLIQUE, write_dicom, write_nifti

pytestmark = pytest.mark.slow

KEY = b"k" * 32
NESTED = ("tumour", "core", "enhancing")


def scan(shape: tuple[int, int, int] = (8, 32, 32)) -> np.ndarray:
    """A head with an enhancing ring around a dark hole, inside something wider."""
    image = np.full(shape, 30, np.int16)
    image[2:6, 8:24, 6:26] = 70
    image[3:5, 10:20, 10:20] = 80
    image[3:5, 12:18, 11:17] = 100
    image[3:5, 14:16, 13:15] = 30
    return image


@pytest.fixture
def sloped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector whose probability of tumour is the brightness itself."""

    def probabilities(self: Detector, pixels: Float32, step_mm: float | None = None, *, flip: bool = False) -> Float32:
        return np.repeat(pixels.max(axis=1, keepdims=True), self.shape.targets, axis=1)

    monkeypatch.setattr(Detector, "probabilities", probabilities)


def mask_file(folder: Path) -> np.ndarray:
    [path] = folder.glob("*_mask.nii.gz")
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.mark.usefixtures("thresholding")
@pytest.mark.parametrize("geometry", [CUBIC, OBLIQUE, TURNED, ANISOTROPIC], ids=["cubic", "oblique", "turned", "thin"])
def test_a_structure_set_gives_the_mask_back(
    geometry: Geometry, write_model: WriteModel, tmp_path: Path, dicom_errors: Callable[[Path], list[str]]
) -> None:
    write_dicom(tmp_path / "in", scan(), geometry, change=complete)
    options = DetectConfig(overlay=False, dicom_rtstruct=True)
    detect(tmp_path / "in", write_model(targets=NESTED), tmp_path / "out", options=options)
    found = only(tmp_path / "out")
    [path] = found.glob("*_rtstruct.dcm")
    assert dicom_errors(path) == []
    [case] = take_inventory([tmp_path / "in"], key=KEY, masks_wanted=False).cases
    series = reference_series(case)
    assert series is not None
    labels, names = read_dicom_mask(mask_of(path, KEY), series)
    truth = mask_file(found)
    assert set(names.values()) == {"core", "oedema", "enhancing"}
    assert (labels > 0).any()
    # The hole inside the ring is one in both, and every voxel has its label.
    np.testing.assert_array_equal(labels, truth)
    dataset = pydicom.dcmread(path)
    slices = [contour for roi in dataset.ROIContourSequence for contour in roi.ContourSequence]
    # One outline a slice of each region: the hole is joined to the ring around it.
    assert [contour.ContourGeometricType for contour in slices] == ["CLOSED_PLANAR"] * (4 + 2 + 2)
    assert [roi.ROIName for roi in dataset.StructureSetROISequence] == [
        "Whole tumour", "Tumour core", "Enhancing tumour",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_outlines_of_any_mask_fill_to_the_mask(seed: int) -> None:
    mask = np.random.default_rng(seed).random((13, 17)) > 0.3 + 0.05 * seed
    lines = [line[:, ::-1] for line in outlines_of(mask)]
    np.testing.assert_array_equal(filled(lines, mask.shape), mask)
    assert outlines_of(np.zeros((4, 4), bool)) == []


@pytest.mark.usefixtures("thresholding")
def test_diameters_stand_in_findings_table_page_and_report(write_model: WriteModel, tmp_path: Path) -> None:
    write_dicom(tmp_path / "in", scan(), Geometry((1.0, 1.0, 3.0)), change=complete)
    detect(tmp_path / "in", write_model(targets=NESTED), tmp_path / "out", options=DetectConfig(dicom_sr=True))
    found = only(tmp_path / "out")
    rano = json.loads((found / "findings.json").read_text())["rano"]
    whole = next(one for one in rano["lesions"] if one["target"] == "tumour")
    # 16 x 20 mm: a diagonal of 25.6, and across it 16 x 25.6 / 20.
    assert whole["largest_mm"] == pytest.approx(656**0.5, abs=1e-3)
    assert whole["perpendicular_mm"] == pytest.approx(16 * 656**0.5 / 20, abs=1e-3)
    assert (whole["measurable"], rano["axis"]) == (True, "z")
    assert rano["sum_mm2"] == {"tumour": whole["product_mm2"], "enhancing": 0}
    with (tmp_path / "out" / "rano.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["target"] for row in rows] == ["tumour", "enhancing"]
    assert float(rows[0]["product_mm2"]) == whole["product_mm2"]
    page = report(tmp_path / "out").read_text()
    assert "26 × 20 mm = 525 mm²" in page
    assert "not measurable" in page
    [path] = found.glob("*_sr.dcm")
    groups = highdicom.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    told = [{one.name.meaning: float(one.value) for one in group.get_measurements()} for group in groups]
    assert told[0]["Long Axis"] == pytest.approx(whole["largest_mm"], abs=0.01)
    assert told[0]["Product of long and short axis"] == pytest.approx(whole["product_mm2"], abs=0.01)
    assert "Long Axis" not in told[1]  # the core is no target of its own
    assert "Short Axis" in told[2]


@pytest.mark.usefixtures("sloped")
def test_the_band_lies_around_the_mask_and_becomes_two_segments(write_model: WriteModel, tmp_path: Path) -> None:
    write_dicom(tmp_path / "in", scan(), CUBIC, change=complete)
    detect(tmp_path / "in", write_model(), tmp_path / "out", options=DetectConfig(band=(0.4, 0.7)))
    found = only(tmp_path / "out")
    findings = json.loads((found / "findings.json").read_text())
    band = findings["band"]
    assert (band["outer_from"], band["inner_from"]) == (0.4, 0.7)
    assert band["outer_volume"] >= findings["volume"] > band["inner_volume"] > 0
    seg = highdicom.seg.segread(found / findings["files"]["dicom_band_seg"][0])
    assert [one.segment_label for one in seg.SegmentSequence] == [
        "Outer outline (probability from 0.4)", "Inner outline (probability from 0.7)",
    ]  # fmt: skip
    voxel = float(np.prod(CUBIC.spacing))
    order = [pydicom.dcmread(path).SOPInstanceUID for path in sorted((tmp_path / "in").iterdir())]
    pixels = seg.get_pixels_by_source_instance(order, assert_missing_frames_are_empty=True)
    assert [float((pixels[..., at] > 0).sum()) * voxel for at in (0, 1)] == pytest.approx(
        [band["outer_volume"], band["inner_volume"]]
    )
    assert "inner and outer outline" in report(tmp_path / "out").read_text()
    options = DetectConfig(band=(0.1, 0.3), overlay=False)
    [row] = detect(tmp_path / "in", write_model(), tmp_path / "low", options=options)
    assert "the mask, from a probability of 0.5 on, lies within the inner outline of the band 0.1 to 0.3" in row["told"]


@pytest.mark.parametrize("band", [(0.7, 0.4), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5)])
def test_a_band_that_is_none_is_refused(band: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="lower one first"):
        DetectConfig(band=band)


@pytest.mark.usefixtures("thresholding")
def test_what_has_no_size_has_no_diameters_and_what_is_no_dicom_no_outlines(
    write_model: WriteModel, tmp_path: Path
) -> None:
    write_nifti(tmp_path / "in" / "a.nii.gz", np.zeros((8, 32, 32)) + np.arange(32) / 100, CUBIC)
    write_nifti(tmp_path / "in" / "b_flair.nii.gz", scan(), CUBIC)
    options = DetectConfig(overlay=False, dicom_rtstruct=True, dicom_sr=True, threshold=0.99)
    rows = detect(tmp_path / "in", write_model(), tmp_path / "out", options=options)
    assert len(rows) == 2
    assert not list((tmp_path / "out").rglob("*.dcm"))


@pytest.mark.usefixtures("thresholding")
def test_a_series_without_a_frame_of_reference_has_no_structure_set(write_model: WriteModel, tmp_path: Path) -> None:
    def change(dataset: pydicom.Dataset, index: int) -> None:
        complete(dataset, index)
        if "FrameOfReferenceUID" in dataset:
            del dataset.FrameOfReferenceUID

    write_dicom(tmp_path / "in", scan(), CUBIC, change=change)
    options = DetectConfig(overlay=False, dicom_rtstruct=True, dicom_seg=False)
    [row] = detect(tmp_path / "in", write_model(), tmp_path / "out", options=options)
    assert "no DICOM RTSTRUCT: expected a frame of reference" in row["remarks"]
    assert InputError.__name__ not in row["remarks"]
