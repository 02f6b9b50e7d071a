"""What Synthoma marked as synthetic comes back as synthetic, or not at all: never as scans of patients."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthoma
from synthoma.core.errors import InputError
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.synthetic_marks import NOT_A_PATIENT, says_synthetic
from synthoma.scans.volumes import write_volume
from tests.exports.cohorts import patients


@pytest.mark.slow
@pytest.mark.parametrize("form", ["nifti", "png", "dicom", "bids"])
def test_exported_synthetic_images_are_no_patients(form: str, tmp_path: Path) -> None:
    synthoma.export(patients(tmp_path / "cohort", origin="synthetic"), tmp_path / "out", to=form)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"says of itself that it is synthetic.*origin=.synthetic"):
        synthoma.prepare(tmp_path / "out", tmp_path / "real", size=16)
    again = synthoma.prepare(tmp_path / "out", tmp_path / "again", size=16, origin="synthetic")
    assert again.origin == "synthetic"
    if form in (
        "nifti",
        "bids",
    ):  # what lies beside the masks says what 1, 2, 3 mean
        assert again.labels == {1: "core", 2: "oedema", 3: "enhancing"}


@pytest.mark.slow
def test_one_marked_file_does_not_stop_the_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, told in enumerate(("", "", NOT_A_PATIENT)):
        voxels = np.zeros((12, 32, 32), np.float32)
        voxels[:, 6:26, 6:26] = rng.random((12, 20, 20)) + 0.5
        (tmp_path / "in").mkdir(exist_ok=True)
        write_volume(Volume(voxels, Geometry((1, 1, 3))), tmp_path / "in" / f"p{number}_flair.nii.gz", description=told)
    cohort = synthoma.prepare(tmp_path / "in", tmp_path / "out", size=16)
    assert sorted(set(cohort.slices["case"])) == ["p0", "p1"]
    assert "says of itself that it is synthetic" in (tmp_path / "out" / "skipped.csv").read_text()


def test_marks_are_read_from_the_first_bytes_of_any_file(tmp_path: Path) -> None:
    plain, marked, damaged = tmp_path / "a.png", tmp_path / "b.nii.gz", tmp_path / "c.nii.gz"
    Image.new("L", (4, 4)).save(plain)
    marked.write_bytes(gzip.compress(b"\0" * 148 + NOT_A_PATIENT.encode() + b"\0" * 200))
    damaged.write_bytes(b"\x1f\x8b" + b"no gzip stream")
    assert not says_synthetic([plain, damaged, tmp_path / "missing"])
    assert says_synthetic([plain, marked])
