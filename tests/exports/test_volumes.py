"""Volumes and their lists, read by MONAI, TorchIO and nibabel, hold the cohort's voxels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

import synthoma
from synthoma.core.errors import ConfigError
from synthoma.exports.marks import NOTICE, REAL
from synthoma.scans.case import Geometry, Study
from synthoma.scans.orientation import to_plane
from tests.exports.cohorts import image, mask, patients
from tests.toys import blobs, write_cohort

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore:NvImgCodec")
def test_monai_loads_the_lists(tmp_path: Path) -> None:
    from monai.data import load_decathlon_datalist
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

    cohort = patients(tmp_path / "cohort")
    synthoma.export(cohort, tmp_path / "out", to="monai")
    load = Compose([LoadImaged(keys=["image", "label"]), EnsureChannelFirstd(keys=["image", "label"])])
    counts = {}
    for part, cases in {"training": ["p0", "p1", "p2"], "validation": ["p3"], "test": ["p4"]}.items():
        entries = load_decathlon_datalist(tmp_path / "out" / "datalist.json", True, part)
        counts[part] = len(entries)
        for case, entry in zip(cases, entries, strict=True):
            found = load(entry)
            assert found["image"].shape == (2, 16, 16, 4)
            for channel in (0, 1):
                assert np.array_equal(found["image"][channel].numpy().transpose(2, 1, 0), image(cohort, case, channel))
            assert np.array_equal(found["label"][0].numpy().transpose(2, 1, 0), mask(cohort, case))
    assert counts == {"training": 3, "validation": 1, "test": 1}


def test_without_masks_monai_learns_classes(tmp_path: Path) -> None:
    from monai.data import load_decathlon_datalist

    images, _ = blobs(4)
    write_cohort(tmp_path / "cohort", images, ["glioma", "healthy", "healthy", "glioma"])
    synthoma.export(tmp_path / "cohort", tmp_path / "out", to="monai")
    entries = load_decathlon_datalist(tmp_path / "out" / "datalist.json", False, "training")
    assert [entry["label"] for entry in entries] == [0, 1, 1, 0]
    said = json.loads((tmp_path / "out" / "datalist.json").read_text())
    assert said["labels"] == {"0": "glioma", "1": "healthy"}
    assert said["validation"] == said["test"] == []


def test_torchio_makes_subjects(tmp_path: Path) -> None:
    torchio = pytest.importorskip("torchio", reason="subjects of TorchIO: install torchio")
    from tests.exports.test_page import snippet

    cohort = patients(tmp_path / "cohort", columns={"missing": ["t1c"] * 4 + [""] * 16})
    synthoma.export(cohort, tmp_path / "out", to="torchio")
    names: dict[str, object] = {}
    exec(compile(snippet("subjects_of"), "export.md", "exec"), names)
    subjects = names["subjects_of"](tmp_path / "out", "train")  # type: ignore[operator]
    assert [subject["name"] for subject in subjects] == ["p0", "p1", "p2"]
    assert "t1c" not in subjects[0]
    assert isinstance(subjects[1], torchio.Subject)
    assert subjects[1].spacing == (1.5, 1.5, 4.0)
    assert np.array_equal(subjects[1]["t1c"].data[0].numpy().transpose(2, 1, 0), image(cohort, "p1", 1))
    assert np.array_equal(subjects[1]["mask"].data[0].numpy().transpose(2, 1, 0), mask(cohort, "p1"))
    assert isinstance(subjects[1]["mask"], torchio.LabelMap)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_volumes_lie_in_the_patients_axes(tmp_path: Path, plane: str) -> None:
    """A block near front, left and top is there again, whatever the plane it was cut in."""
    head = np.zeros((8, 8, 8))  # z, y, x: upwards, backwards, to the left
    head[5:7, 1:3, 4:6] = 1
    study = Study({"flair": head}, Geometry((2.0, 2.0, 2.0)), (head > 0).astype(np.uint8), {1: "tumour"})
    images, cut, _, _ = to_plane(study, plane)
    cohort = write_cohort(tmp_path / "cohort", images["flair"], masks=cut, mask_names={"1": "tumour"}, plane=plane)
    table = cohort.slices.assign(case="one", group="one", slice=range(8), step_mm=5.0, pixel_mm=2.0)
    table.to_csv(cohort.path / "slices.csv", index=False)
    synthoma.export(cohort.path, tmp_path / "out", to="nifti")
    for kind in ("flair", "seg"):
        found = nibabel.as_closest_canonical(nibabel.load(tmp_path / "out" / "one" / f"one_{kind}.nii.gz"))
        assert np.array_equal(np.asarray(found.dataobj)[::-1, ::-1].transpose(2, 1, 0), head)
        expected = {"axial": (2, 2, 5), "coronal": (2, 5, 2), "sagittal": (5, 2, 2)}[plane]
        assert np.allclose(found.header.get_zooms(), expected)


def test_slices_left_out_stay_black_and_are_named(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort", columns={"slice": [2, 4, 8, 10] * 5}, provenance={"config": {"every": 2}})
    synthoma.export(cohort.path, tmp_path / "out", to="nifti")
    found = nibabel.load(tmp_path / "out" / "p0" / "p0_flair.nii.gz")
    assert np.allclose(found.header.get_zooms(), (1.5, 1.5, 8.0))
    voxels = np.asarray(found.dataobj).transpose(2, 1, 0)
    assert np.array_equal(voxels[[0, 1, 3, 4]], image(cohort, "p0", 0))
    assert not voxels[2].any()
    assert json.loads((tmp_path / "out" / "p0" / "p0.json").read_text())["Slices left black"] == "2"
    rows = list(csv.DictReader((tmp_path / "out" / "exported.csv").read_text().splitlines()))
    assert [row["black_slices"] for row in rows] == ["2"] * 5


@pytest.mark.slow
def test_real_scans_are_nowhere_called_synthetic(tmp_path: Path) -> None:
    patients(tmp_path / "cohort", origin="real")
    for form in ("nnunet", "monai", "torchio", "bids", "nifti", "huggingface", "coco", "yolo", "png"):
        synthoma.export(tmp_path / "cohort", tmp_path / form, to=form)
        for path in (tmp_path / form).rglob("*"):
            content = nibabel.load(path).header["descrip"].item() if path.name.endswith(".nii.gz") else b""
            assert path.is_dir() or b"SYNTHETIC" not in content + path.read_bytes(), path
        assert REAL in (tmp_path / form / "README.md").read_text()
    with pytest.raises(ConfigError, match="one of real scans"):
        synthoma.export(tmp_path / "cohort", tmp_path / "dicom", to="dicom")
    assert not (tmp_path / "dicom").exists()


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["phantom", "synthetic"])
def test_every_image_of_nobody_says_so(tmp_path: Path, origin: str) -> None:
    import pydicom
    from PIL import Image

    from synthoma.exports.forms import FORMS

    patients(tmp_path / "cohort", origin=origin)
    for form in FORMS:
        synthoma.export(tmp_path / "cohort", tmp_path / form, to=form)
        seen = 0
        for path in (tmp_path / form).rglob("*.*"):
            if path.name.endswith(".nii.gz"):
                said = nibabel.load(path).header["descrip"].item().decode()
            elif path.suffix == ".png":
                with Image.open(path) as picture:
                    said = picture.text["Notice"]
            elif path.suffix == ".dcm":
                said = pydicom.dcmread(path).StudyDescription
            else:
                continue
            assert said == NOTICE, path
            seen += 1
        assert seen >= 20 or form in ("nnunet", "monai", "torchio", "bids", "nifti")
        assert NOTICE in (tmp_path / form / "README.md").read_text()
        assert json.loads((tmp_path / form / "export.json").read_text())["origin"] == origin
