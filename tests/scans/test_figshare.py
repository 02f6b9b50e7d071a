"""Figshare's MATLAB files: written with h5py as MATLAB 7.3 stores them, and read back."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from synthoma import pipeline
from synthoma.core.errors import InputError
from synthoma.scans.layouts import take_inventory

pytestmark = pytest.mark.slow


def write_mat(path: Path, patient: str, label: int, image: np.ndarray, mask: np.ndarray) -> None:
    """Columns first, text as numbers, behind a block of 512 bytes, as MATLAB does."""
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        group["PID"] = np.array([[ord(letter)] for letter in patient], np.uint16)
        group["label"] = np.array([[float(label)]])
        group["image"] = image.T.astype(np.int16)
        group["tumorMask"] = mask.T.astype(np.uint8)
        group["tumorBorder"] = np.zeros((1, 4))
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(512, b" "))


def test_patients_types_and_outlines(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    written = {}
    for number in range(1, 7):
        image = draws.integers(0, 2000, (20, 24))
        mask = np.zeros((20, 24), np.uint8)
        mask[4:9, 5 + number : 12] = 1
        write_mat(tmp_path / f"{number}.mat", f"MR0{number // 2}", 1 + number % 3, image, mask)
        written[f"{number}.mat"] = (image, mask)
    (tmp_path / "cvind.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    (tmp_path / "7.mat").write_bytes((tmp_path / "1.mat").read_bytes()[:900])
    inventory = take_inventory(tmp_path)
    assert inventory.layout == "figshare"
    assert [item.path.name for item in inventory.skipped] == ["7.mat"]
    assert "cjdata" in inventory.skipped[0].reason
    for case in inventory.cases:
        image, mask = written[case.name]
        number = int(case.name.split(".")[0])
        assert (case.patient, case.label) == (
            f"MR0{number // 2}",
            {1: "meningioma", 2: "glioma", 3: "pituitary"}[1 + number % 3],
        )
        study = case.load()
        np.testing.assert_array_equal(study.images["image"][0], image)
        assert study.mask is not None
        np.testing.assert_array_equal(study.mask[0], mask)
    cohort = pipeline.prepare(tmp_path, tmp_path / "cohort", size=16, duplicates=False, jobs=1)
    assert (cohort.meta.patients, cohort.meta.cases) == (4, 6)
    assert (cohort.slices.groupby("patient")["split"].nunique() == 1).all()


def test_a_huge_matrix_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "1.mat", "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        group["PID"], group["label"] = np.array([[49]], np.uint16), np.array([[1.0]])
        group.create_dataset("image", shape=(2**20, 2**20), dtype=np.int16, chunks=(64, 64))
    case = take_inventory(tmp_path).cases[0]
    with pytest.raises(InputError, match="matrix of numbers"):
        case.load()
