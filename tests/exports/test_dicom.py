"""Synthetic volumes as DICOM series with a SEG: read back by pydicom, highdicom, dciodvfy and Synthoma's own reader."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.exports.dicom import WHITE
from synthoma.scans.layouts import take_inventory
from tests.exports.cohorts import image, mask, patients

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return patients(tmp_path_factory.mktemp("dicom") / "cohort", origin="synthetic")


@pytest.fixture(scope="module")
def folder(cohort: Cohort) -> Path:
    out = cohort.path.parent / "out"
    synthoma.export(cohort, out, to="dicom")
    return out


def test_series_hold_the_voxels_in_their_order(cohort: Cohort, folder: Path) -> None:
    for channel, name in enumerate(cohort.modalities):
        files = sorted((folder / "p1" / ("t1ce" if name == "t1c" else name)).glob("*.dcm"))
        slices = sorted(map(pydicom.dcmread, files), key=lambda one: float(one.ImagePositionPatient[2]))
        found = np.stack([one.pixel_array for one in slices]) / WHITE
        assert np.abs(found - np.clip(image(cohort, "p1", channel), 0, None)).max() <= 0.5 / WHITE + 1e-6
        assert {str(one.PatientName) for one in slices} == {"SYNTHETIC^NO PATIENT"}
        assert len({one.SOPInstanceUID for one in slices}) == len(slices)
        assert len({one.SeriesInstanceUID for one in slices}) == 1
        assert all("SYNTHETIC" in one.ImageType for one in slices)


def test_segmentation_lies_on_the_series(cohort: Cohort, folder: Path) -> None:
    import highdicom

    found = highdicom.seg.segread(folder / "p1" / "seg.dcm")
    expected = mask(cohort, "p1")
    sources = [found_.SOPInstanceUID for found_ in _series(folder / "p1")]
    frames = found.get_pixels_by_source_instance(sources, combine_segments=True, ignore_spatial_locations=False)
    assert np.array_equal(frames, expected)
    assert found.FrameOfReferenceUID == pydicom.dcmread(next((folder / "p1").rglob("0001.dcm"))).FrameOfReferenceUID


def test_our_own_reader_finds_images_and_mask(cohort: Cohort, folder: Path) -> None:
    inventory = take_inventory(folder, key=b"k" * 32)
    assert len(inventory.cases) == 5, [(one.path, one.reason) for one in inventory.skipped]
    found = set()
    for case in inventory.cases:
        study = case.load()
        assert set(study.images) == set(cohort.modalities)
        assert study.mask is not None
        found.add((study.mask > 0).tobytes())
    assert found == {(mask(cohort, f"p{number}") > 0).tobytes() for number in range(5)}


def test_the_same_cohort_gives_the_same_files(cohort: Cohort, folder: Path, tmp_path: Path) -> None:
    synthoma.export(cohort, tmp_path / "again", to="dicom")
    for path in folder.rglob("0*.dcm"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(folder)).read_bytes()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian: dicom3tools)")
def test_the_standard_is_kept(folder: Path) -> None:
    for path in (*sorted((folder / "p1").glob("*/0001.dcm")), folder / "p1" / "seg.dcm"):
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
        assert not errors, (path.name, errors)


def _series(case: Path) -> list[pydicom.Dataset]:
    first = sorted(path for path in case.iterdir() if path.is_dir())[0]
    return sorted(map(pydicom.dcmread, first.glob("*.dcm")), key=lambda one: float(one.ImagePositionPatient[2]))
