"""DICOM SEG: it lies on its source to the pixel, refers to it, names the model, and keeps the patient to itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from synthoma.detection.detect import detect
from synthoma.detection.settings import DetectConfig
from synthoma.phantom import PhantomConfig, simulate
from synthoma.scans.case import Geometry
from synthoma.training.bundle import shipped_model
from tests.detection.conftest import WriteModel
from tests.detection.test_detect import bright_box, findings
from tests.scans.test_dicom import write_enhanced
from tests.scans.writers import CUBIC, GEOMETRIES, OBLIQUE, SECRETS, write_dicom

PLAIN = DetectConfig(overlay=False)
TURNED = Geometry((1.0, 1.0, 1.0), (5.0, 6.0, 7.0), (-1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, -1.0, 0.0))
ANISOTROPIC = Geometry((0.7, 1.3, 5.5), OBLIQUE.origin, OBLIQUE.direction)


def complete(dataset: Dataset, index: int) -> None:
    """What real series also have."""
    dataset.SliceThickness, dataset.StudyTime, dataset.StudyID = 4, "101112", "7"
    dataset.PatientSex, dataset.SeriesNumber = "F", 3


def written(folder: Path, geometry: Geometry = OBLIQUE, image: np.ndarray | None = None) -> dict[str, Dataset]:
    """A series from an array, and its data sets by SOPInstanceUID; InstanceNumber falls from 6 along the array."""
    image = bright_box((6, 32, 32)) if image is None else image
    write_dicom(folder, image, geometry, change=complete)
    headers = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    return {header.SOPInstanceUID: header for header in headers}


def only(folder: Path) -> Path:
    [path] = [path for path in folder.iterdir() if path.is_dir()]
    return path


@pytest.mark.usefixtures("thresholding")
@pytest.mark.parametrize("geometry", [*GEOMETRIES.values(), TURNED, ANISOTROPIC], ids=[*GEOMETRIES, "turned", "thin"])
def test_the_mask_lies_on_its_source_to_the_pixel(geometry: Geometry, write_model: WriteModel, tmp_path: Path) -> None:
    image = bright_box((6, 32, 32))
    sources = written(tmp_path / "in", geometry, image)
    detect(tmp_path / "in", write_model(), tmp_path / "out", options=PLAIN)
    [path] = only(tmp_path / "out").glob("*_seg.dcm")
    [nifti] = only(tmp_path / "out").glob("*_mask.nii.gz")
    seg, mask = pydicom.dcmread(path), sitk.GetArrayFromImage(sitk.ReadImage(str(nifti))) > 0
    square = geometry.spacing[0] == geometry.spacing[1] == geometry.spacing[2]  # then nothing was interpolated
    overlap = 2 * (mask & (image > 100)).sum() / (mask.sum() + (image > 100).sum())
    assert overlap == 1 if square else overlap > 0.8
    # Plain pydicom: each frame against the source that it names.
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    shared = seg.SharedFunctionalGroupsSequence[0]
    first = next(iter(sources.values()))
    assert seg.FrameOfReferenceUID == first.FrameOfReferenceUID
    np.testing.assert_allclose(
        [float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient],
        [float(v) for v in first.ImageOrientationPatient],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing], [float(v) for v in first.PixelSpacing]
    )
    seen = set()
    for frame, group in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        source = sources[uid]
        position = [float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient]
        np.testing.assert_allclose(position, [float(v) for v in source.ImagePositionPatient], atol=1e-4)
        np.testing.assert_array_equal(frame > 0, mask[6 - source.InstanceNumber])
        assert frame.any(), "no empty frames"
        seen.add(uid)
    assert len(seen) == len(frames) == int(mask.any(axis=(1, 2)).sum())
    [referenced] = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == first.SeriesInstanceUID
    assert seg.StudyInstanceUID == first.StudyInstanceUID
    assert seg.PatientID == first.PatientID
    # highdicom's own reader, by source instance.
    order = [header.SOPInstanceUID for header in sorted(sources.values(), key=lambda one: -one.InstanceNumber)]
    read = highdicom.seg.segread(path).get_pixels_by_source_instance(
        order, combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(read > 0, mask > 0)


@pytest.mark.usefixtures("thresholding")
def test_segments_say_what_they_are_and_who_drew_them(write_model: WriteModel, tmp_path: Path) -> None:
    image = np.full((4, 32, 32), 20, np.int16)
    for value, reach in ((140, 8), (190, 5), (250, 2)):
        image[1:3, 16 - reach : 16 + reach, 16 - reach : 16 + reach] = value
    written(tmp_path / "in", CUBIC, image)
    detect(tmp_path / "in", write_model(targets=("tumour", "core", "enhancing")), tmp_path / "out", options=PLAIN)
    [path] = only(tmp_path / "out").glob("*_seg.dcm")
    seg = pydicom.dcmread(path)
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == [
        "Whole tumour", "Tumour core", "Enhancing tumour"
    ]  # fmt: skip
    first = seg.SegmentSequence[0]
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"
    assert first.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "SCT"
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    assert "unet-25d" in first.SegmentAlgorithmName
    assert (seg.SegmentationType, seg.ContentQualification) == ("BINARY", "RESEARCH")
    assert "not for clinical use" in seg.SeriesDescription
    areas = {}
    for frame, group in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        areas[number] = areas.get(number, 0) + int(frame.sum())
    assert areas == {1: 512, 2: 200, 3: 32}


@pytest.mark.usefixtures("thresholding")
def test_the_reference_is_flair_and_the_patient_stays_inside(
    write_model: WriteModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study, frame = generate_uid(), generate_uid()
    for name, text in (("a", "Ax T1"), ("b", "Ax FLAIR")):
        write_dicom(
            tmp_path / "Zzyzx Quetzal" / name, bright_box((6, 32, 32)), OBLIQUE, description=text, study=study,
            frame=frame, change=complete,
        )  # fmt: skip
    model = write_model(modalities=("t1", "flair"))
    table = detect(tmp_path / "Zzyzx Quetzal", model, tmp_path / "out", options=DetectConfig())
    seg = pydicom.dcmread(tmp_path / "out" / table[0]["dicom_seg"])
    flair = {pydicom.dcmread(path).SOPInstanceUID for path in (tmp_path / "Zzyzx Quetzal" / "b").iterdir()}
    assert {
        item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    } <= flair
    assert seg.PatientName == SECRETS["PatientName"]
    written_text = "".join(
        path.read_text() + path.name for path in (tmp_path / "out").rglob("*") if path.suffix in (".json", ".csv")
    )
    printed = "".join(capfd.readouterr())
    for secret in [*SECRETS.values(), "Zzyzx", "Quetzal", study]:
        assert secret not in written_text + printed + str(table)


def test_a_series_that_cannot_be_used_is_listed_without_names(write_model: WriteModel, tmp_path: Path) -> None:
    good, bad = tmp_path / "in" / "Zzyzx" / "good", tmp_path / "in" / "Zzyzx" / "bad"
    write_dicom(good, bright_box((6, 32, 32)), OBLIQUE, change=complete)
    write_dicom(bad, bright_box((6, 32, 32)), OBLIQUE, change=complete)
    sorted(bad.iterdir(), key=lambda path: pydicom.dcmread(path).InstanceNumber)[2].unlink()
    table = detect(tmp_path / "in", write_model(), tmp_path / "out", options=PLAIN)
    assert len(table) == 1
    text = (tmp_path / "out" / "skipped.csv").read_text()
    assert "1 missing of 6" in text
    assert "Zzyzx" not in text


def test_no_tumour_no_segmentation(write_model: WriteModel, tmp_path: Path) -> None:
    written(tmp_path / "in")
    options = DetectConfig(threshold=0.999, overlay=False)
    detect(tmp_path / "in", write_model(), tmp_path / "out", options=options)
    folder = only(tmp_path / "out")
    assert not list(folder.glob("*.dcm"))
    assert any("no DICOM SEG" in remark for remark in findings(folder)["remarks"])


@pytest.mark.usefixtures("thresholding")
def test_frames_of_one_file_are_referred_to_by_number(write_model: WriteModel, tmp_path: Path) -> None:
    image = bright_box((6, 32, 32)).astype(np.uint16)
    image[2] = 50
    (tmp_path / "in").mkdir()
    write_enhanced(tmp_path / "in", image)
    detect(tmp_path / "in", write_model(modalities=("image",)), tmp_path / "out", options=PLAIN)
    [path] = only(tmp_path / "out").glob("*_seg.dcm")
    seg = pydicom.dcmread(path)
    [source] = [pydicom.dcmread(one) for one in (tmp_path / "in").iterdir()]
    stored = {}
    for frame, group in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        own = source.PerFrameFunctionalGroupsSequence[number - 1].PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(group.PlanePositionSequence[0].ImagePositionPatient, own, atol=1e-4)
        stored[number - 1] = frame
    assert len(stored) == 3
    for number, frame in stored.items():
        overlap = 2 * (frame & (source.pixel_array[number] > 100)).sum() / (frame.sum() + 45)
        assert overlap > 0.75


@pytest.mark.usefixtures("thresholding")
def test_it_can_be_left_out(write_model: WriteModel, tmp_path: Path) -> None:
    written(tmp_path / "in")
    options = DetectConfig(dicom_seg=False, overlay=False)
    detect(tmp_path / "in", write_model(), tmp_path / "out", options=options)
    assert not list(only(tmp_path / "out").glob("*.dcm"))


@pytest.mark.usefixtures("thresholding")
def test_headers_that_highdicom_refuses_cost_only_the_segmentation(write_model: WriteModel, tmp_path: Path) -> None:
    def strange(dataset: Dataset, index: int) -> None:
        complete(dataset, index)
        dataset.PatientSex = "Q"

    write_dicom(tmp_path / "in", bright_box((6, 32, 32)), CUBIC, change=strange)
    detect(tmp_path / "in", write_model(), tmp_path / "out", options=PLAIN)
    told = findings(only(tmp_path / "out"))
    assert any("highdicom refuses" in remark for remark in told["remarks"])
    assert "Zzyzx" not in json.dumps(told)
    assert not list(only(tmp_path / "out").glob("*.dcm"))
    assert told["has_mask"]


@pytest.mark.slow
def test_a_simulated_patient_goes_from_dicom_to_a_segmentation_of_its_tumour(tmp_path: Path) -> None:
    """The whole way with the model inside the package, which never saw this patient."""
    patient = simulate(seed=77, index=2, config=PhantomConfig(slice_mm=5.0, pixel_mm=2.0, modalities=("flair",)))
    image, geometry, truth = patient.study.images["flair"], patient.study.geometry, patient.study.mask
    assert geometry is not None
    assert truth is not None
    scaled = (image * (1000 / image.max())).astype(np.int16)
    write_dicom(tmp_path / "in", scaled, geometry, change=complete)
    [row] = detect(tmp_path / "in", shipped_model(), tmp_path / "out", options=PLAIN)
    assert (row["has_tumour"], row["unit"]) == (True, "mm3")
    [path] = only(tmp_path / "out").glob("*_seg.dcm")
    headers = [pydicom.dcmread(source, stop_before_pixels=True) for source in (tmp_path / "in").iterdir()]
    along = np.cross(*np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3))
    order = sorted(headers, key=lambda one: float(np.array(one.ImagePositionPatient, float) @ along))
    read = highdicom.seg.segread(path).get_pixels_by_source_instance(
        [one.SOPInstanceUID for one in order], combine_segments=True, assert_missing_frames_are_empty=True
    )
    assert 2 * (read.astype(bool) & (truth > 0)).sum() / (read.astype(bool).sum() + (truth > 0).sum()) > 0.7


@pytest.mark.usefixtures("thresholding")
@pytest.mark.parametrize("kind", ["several files", "one file", "identity removed"])
def test_it_obeys_the_standard(
    kind: str, write_model: WriteModel, tmp_path: Path, dicom_errors: Callable[[Path], list[str]]
) -> None:
    if kind == "one file":
        write_enhanced(tmp_path / "in", bright_box((6, 32, 32)))
    else:
        written(tmp_path / "in")
    for path in (tmp_path / "in").iterdir() if kind == "identity removed" else ():
        header = pydicom.dcmread(path)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyTime", "StudyID"):
            if keyword in header:
                delattr(header, keyword)
        header.save_as(path)
    detect(tmp_path / "in", write_model(), tmp_path / "out", options=PLAIN)
    [path] = only(tmp_path / "out").glob("*_seg.dcm")
    assert dicom_errors(path) == []
