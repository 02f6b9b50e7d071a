"""What ``detect --tissues`` and ``prepare --strip`` leave on the disk, and that the command and Python agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

import synthoma
from synthoma.commands.app import app
from synthoma.core.tissues import HeadTissue
from synthoma.detection.detector import Detector
from synthoma.detection.scan import look
from synthoma.detection.settings import DetectConfig
from synthoma.detectors.segmenters.tissues import tissues_of, widened_mask
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import simulate
from synthoma.scans.case import Case, Study
from tests.detection.conftest import WriteModel
from tests.scans.writers import write_itk, write_picture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study() -> Study:
    config = PhantomConfig(pixel_mm=2.0, slice_mm=5.0, modalities=("flair",), artefacts=0.0, volume_spread=0.0)
    return simulate(979, 1, config).study


@pytest.fixture(scope="module")
def scan(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scans") / "patient_flair.nii.gz"
    assert study.geometry is not None
    write_itk(path, study.images["flair"], study.geometry)
    return path


def test_a_map_of_tissues_lies_on_the_scan_and_is_told(study: Study, scan: Path, tmp_path: Path) -> None:
    found = synthoma.detect(scan, tmp_path / "out", tissues=True)
    [row] = found.table.to_dict("records")
    [folder] = [path.parent for path in (tmp_path / "out").glob("*/findings.json")]
    [written] = folder.glob("*_tissues.nii.gz")
    image, source = sitk.ReadImage(str(written)), sitk.ReadImage(str(scan))
    np.testing.assert_allclose(image.GetOrigin(), source.GetOrigin(), atol=1e-4)
    alone = tissues_of(study)
    labels = sitk.GetArrayFromImage(image)
    [mask] = (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in folder.glob("*_mask.nii.gz"))
    assert (labels[mask > 0] == HeadTissue.TUMOUR).all()
    assert (labels == alone.labels)[mask == 0].mean() > 0.999
    told = json.loads((folder / "findings.json").read_text())["tissues"]
    assert told["brain_ml"] == pytest.approx(alone.millilitres(alone.mask), rel=0.01)
    assert row["grey_ml"] == pytest.approx((labels == HeadTissue.GREY).sum() * 0.02, rel=0.01)
    assert row["csf_ml"] == pytest.approx(told["volumes_ml"]["ventricles"] + told["volumes_ml"]["outer fluid"], abs=0.2)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "grey matter (estimated)" in page
    assert pd.read_csv(tmp_path / "out" / "index.csv")["brain_ml"].iloc[0] == told["brain_ml"]


def test_the_command_says_what_python_says(scan: Path, tmp_path: Path) -> None:
    asked = ["detect", str(scan), "-o", str(tmp_path / "command"), "--tissues", "--no-overlay"]
    assert CliRunner().invoke(app, asked).exit_code == 0
    synthoma.detect(scan, tmp_path / "python", tissues=True, overlay=False)
    one, other = (pd.read_csv(tmp_path / name / "index.csv") for name in ("command", "python"))
    pd.testing.assert_frame_equal(one, other)
    [a], [b] = (list((tmp_path / name).glob("*/*_tissues.nii.gz")) for name in ("command", "python"))
    assert np.array_equal(
        sitk.GetArrayFromImage(sitk.ReadImage(str(a))), sitk.GetArrayFromImage(sitk.ReadImage(str(b)))
    )


def test_a_picture_has_a_map_but_no_millilitres(study: Study, tmp_path: Path) -> None:
    middle = study.images["flair"][study.images["flair"].shape[0] // 2]
    write_picture(tmp_path / "slice.png", (255 * middle / middle.max()).astype(np.uint8))
    found = synthoma.detect(tmp_path / "slice.png", tmp_path / "out", tissues=True)
    [row] = found.table.to_dict("records")
    assert pd.isna(row["brain_ml"])
    [written] = (tmp_path / "out").glob("*/*_tissues.png")
    assert written.is_file()


def test_a_stripped_cohort_and_what_its_models_see(
    study: Study, scan: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    cohort = synthoma.prepare(scan.parent, tmp_path / "cohort", strip=True, size=64, split=(1, 0, 0))
    assert cohort.meta.provenance.config["strip"] is True
    alone = tissues_of(study)
    shown = float(np.mean(np.asarray(cohort.images[:]) > 0.1))
    whole = synthoma.prepare(scan.parent, tmp_path / "whole", size=64, split=(1, 0, 0))
    assert len(cohort) <= len(whole)
    assert shown != pytest.approx(float(np.mean(np.asarray(whole.images[:]) > 0.1)), abs=0.005)
    detector = Detector.open(write_model(size=64, prepare={"strip": True, "plane": "axial"}))
    assert detector.rule.strip
    case = Case("patient", "patient", ("flair",), lambda: study)
    seen = look(case, detector, DetectConfig(overlay=False))
    keep = widened_mask(alone.mask, alone.spacing, 1.0)
    assert (seen.study.images["flair"][~keep] == study.images["flair"].min()).all()
    noise = replace(study, images={"flair": np.random.default_rng(0).random(study.images["flair"].shape)}, mask=None)
    other = look(Case("noise", "noise", ("flair",), lambda: noise), detector, DetectConfig(overlay=False))
    assert any("no brain was found for sure" in text for text in other.remarks)


def test_a_scan_without_a_brain_is_skipped_and_the_others_are_not(scan: Path, study: Study, tmp_path: Path) -> None:
    assert study.geometry is not None
    folder = tmp_path / "scans"
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
    (folder / "one" / "flair.nii.gz").write_bytes(scan.read_bytes())
    noise = np.random.default_rng(0).integers(0, 900, study.images["flair"].shape).astype(np.int16)
    write_itk(folder / "two" / "flair.nii.gz", noise, study.geometry)
    cohort = synthoma.prepare(folder, tmp_path / "cohort", strip=True, size=64, split=(1, 0, 0), duplicates=False)
    assert cohort.meta.cases == 1
    skipped = pd.read_csv(tmp_path / "cohort" / "skipped.csv")
    assert "no brain was found for sure" in skipped["reason"].iloc[0]
