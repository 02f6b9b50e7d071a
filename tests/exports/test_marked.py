from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import CohortError, ConfigError
from synthoma.core.provenance import file_digest
from synthoma.exports.marked import NOTICE, export
from synthoma.scans.case import Geometry, Study
from synthoma.scans.orientation import to_plane
from tests.toys import blobs, write_cohort

nibabel = pytest.importorskip("nibabel")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Six images of two modalities with masks, in one group each."""
    images, masks = blobs(6, size=32)
    masks[0] = 0
    masks[1:] *= np.array([1, 2, 3, 1, 2], np.uint8)[:, None, None]
    draws = np.random.default_rng(0)
    both = np.stack([images, np.clip(images + draws.uniform(-0.1, 0.1, images.shape), 0, 1)], axis=1)
    return write_cohort(
        tmp_path_factory.mktemp("drawn") / "cohort",
        both,
        ["healthy"] + ["tumour"] * 5,
        masks,
        mask_names={"1": "core", "2": "oedema", "3": "enhancing"},
        origin="synthetic",
        provenance={"model_sha256": "abc123", "seed": 7, "truncation": 0.9},
    )


def exported(cohort: Cohort, folder: Path, form: str) -> Path:
    folder.mkdir()
    export(cohort, folder, form)
    return folder


@pytest.mark.slow
def test_pictures_read_back_as_the_same_cohort(drawn: Cohort, tmp_path: Path) -> None:
    drawn = write_cohort(
        tmp_path / "whole",
        drawn.images[:],
        list(drawn.slices["label"]),
        (drawn.masks[:] > 0).astype(np.uint8),
        mask_names={"1": "tumour"},
        origin="synthetic",
        provenance=drawn.meta.provenance.content(),
    )
    folder = exported(drawn, tmp_path / "png", "png")
    with Image.open(folder / "tumour" / "case-0003_flair.png") as picture:
        assert picture.text["Notice"] == NOTICE
        assert (picture.text["Model"], picture.text["Seed"], picture.text["Class"]) == ("abc123", "7", "tumour")
    again = synthoma.prepare(
        folder,
        tmp_path / "again",
        origin="synthetic",
        size=32,
        crop=False,
        normalise="unit",
        classes="folder",
        split=(1, 0, 0),
        duplicates=False,
        modalities=("flair", "t1"),
    )
    order = [again.slices["case"].tolist().index(case) for case in drawn.slices["case"]]
    assert again.origin == "synthetic"
    assert np.array_equal(again.masks[order], drawn.masks)
    assert again.slices["label"].iloc[order].tolist() == drawn.slices["label"].tolist()
    difference = np.abs(again.images[order].astype(np.float32) - drawn.images[:].astype(np.float32))
    assert difference.max() <= 1 / 255


def test_picture_masks_hold_the_labels_values(drawn: Cohort, tmp_path: Path) -> None:
    folder = exported(drawn, tmp_path / "png", "png")
    for row, case in enumerate(drawn.slices["case"]):
        label = drawn.slices["label"].iloc[row]
        assert np.array_equal(np.asarray(Image.open(folder / label / f"{case}_mask.png")), drawn.masks[row])


def test_volumes_read_back_by_another_library(drawn: Cohort, tmp_path: Path) -> None:
    folder = exported(drawn, tmp_path / "nifti", "nifti")
    case = folder / "case-0002"
    assert sorted(path.name for path in case.iterdir()) == [
        "case-0002.json",
        "case-0002_flair.nii.gz",
        "case-0002_seg.nii.gz",
        "case-0002_t1.nii.gz",
    ]
    volume = np.asarray(nibabel.load(case / "case-0002_flair.nii.gz").dataobj)
    assert volume.shape == (32, 32, 1)
    expected = np.clip(drawn.images[2, 0].astype(np.float32), 0, 1)
    assert np.abs(volume[:, :, 0].T / 255 - expected).max() <= 0.51 / 255
    seg = np.asarray(nibabel.load(case / "case-0002_seg.nii.gz").dataobj)[:, :, 0].T
    assert np.array_equal(seg, drawn.masks[2])
    assert json.loads((case / "case-0002.json").read_text())["Notice"] == NOTICE


@pytest.mark.parametrize(("plane", "spacing"), [("axial", (2, 2, 5)), ("coronal", (2, 5, 2)), ("sagittal", (5, 2, 2))])
def test_slices_of_a_case_become_a_volume_in_the_patients_axes(
    tmp_path: Path, plane: str, spacing: tuple[float, ...]
) -> None:
    """A block near front, left and top, cut into slices of each plane, is near front, left and top again."""
    head = np.zeros((8, 8, 8))  # z, y, x: upwards, backwards, to the left
    head[5:7, 1:3, 4:6] = 1
    study = Study({"flair": head}, Geometry((2.0, 2.0, 2.0)), (head > 0).astype(np.uint8), {1: "tumour"})
    images, mask, _, _ = to_plane(study, plane)
    kept = [0, 1, 2, 3, 4, 5, 7]  # one is left out
    cohort = write_cohort(
        tmp_path / "cohort", images["flair"][kept], masks=mask[kept], mask_names={"1": "tumour"}, plane=plane
    )
    table = cohort.slices.assign(case="one", slice=kept, step_mm=5.0, pixel_mm=2.0)
    table["label"] = np.where(table["tumour_pixels"] > 0, "tumour", "healthy")
    table.to_csv(cohort.path / "slices.csv", index=False)
    folder = exported(Cohort(cohort.path), tmp_path / "nifti", "nifti")
    found = nibabel.as_closest_canonical(nibabel.load(folder / "one" / "one_seg.nii.gz"))
    assert np.allclose(found.header.get_zooms(), spacing)
    voxels = np.asarray(found.dataobj)[::-1, ::-1].transpose(2, 1, 0)  # to the right and front, as nibabel has it
    expected = head.copy()
    black = {"axial": np.s_[6], "coronal": np.s_[:, 6], "sagittal": np.s_[:, :, 6]}[plane]
    expected[black] = 0
    assert np.array_equal(voxels, expected)
    said = json.loads((folder / "one" / "one.json").read_text())
    assert said["Slices left black"] == "6"
    assert said["Class"] == "tumour"


def test_slices_that_are_not_counted_as_they_were_cut_are_all_there(tmp_path: Path) -> None:
    images = np.full((4, 8, 8), 0.5)
    images[:, 2, 2] = (0.2, 0.4, 0.6, 0.8)
    cohort = write_cohort(tmp_path / "cohort", images, origin="synthetic", provenance={"config": {"every": 2}})
    table = cohort.slices.assign(case="one", slice=[0, 2, 3, 4], step_mm=3.0, pixel_mm=1.0)
    table.to_csv(cohort.path / "slices.csv", index=False)
    folder = exported(Cohort(cohort.path), tmp_path / "nifti", "nifti")
    found = nibabel.load(next((folder / "one").glob("*.nii.gz")))
    assert found.shape[2] == 5
    assert sorted(np.asarray(found.dataobj)[2, 2].tolist()) == [0, 51, 102, 153, 204]


def test_dicom_says_that_no_patient_was_imaged(drawn: Cohort, tmp_path: Path) -> None:
    folder = exported(drawn, tmp_path / "dicom", "dicom")
    dataset = pydicom.dcmread(folder / "case-0001" / "flair.dcm")
    assert dataset.SOPClassUID == pydicom.uid.SecondaryCaptureImageStorage
    assert list(dataset.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    assert dataset.PatientBirthDate == dataset.StudyDate == ""
    assert "SYNTHETIC" in str(dataset.PatientName)
    assert NOTICE in dataset.ImageComments
    expected = np.round(np.clip(drawn.images[1, 0].astype(np.float32), 0, 1) * 255)
    assert np.array_equal(dataset.pixel_array, expected)
    mask = pydicom.dcmread(folder / "case-0001" / "mask.dcm")
    assert np.array_equal(mask.pixel_array > 0, drawn.masks[1] > 0)
    assert mask.StudyInstanceUID == dataset.StudyInstanceUID
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in folder.rglob("*.dcm")]
    assert len(set(uids)) == len(uids) == 18
    assert all(uid.is_valid for uid in uids)


@pytest.mark.parametrize("form", ["png", "dicom", "nifti"])
def test_exporting_twice_gives_the_same_bytes(drawn: Cohort, tmp_path: Path, form: str) -> None:
    folders = [exported(drawn, tmp_path / name, form) for name in ("a", "b")]
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*.*")) for folder in folders]
    assert names[0] == names[1]
    assert len(names[0]) > 6
    for name in names[0]:
        assert file_digest(folders[0] / name) == file_digest(folders[1] / name)


def test_other_pixels_get_other_uids(drawn: Cohort, tmp_path: Path) -> None:
    darker = write_cohort(
        tmp_path / "darker",
        drawn.images[:].astype(np.float32) * 0.5,
        list(drawn.slices["label"]),
        origin="synthetic",
        provenance=drawn.meta.provenance.content(),
    )
    one, other = exported(drawn, tmp_path / "a", "dicom"), exported(darker, tmp_path / "b", "dicom")
    name = Path("case-0001") / "flair.dcm"
    for key in ("SOPInstanceUID", "StudyInstanceUID"):
        assert pydicom.dcmread(one / name)[key].value != pydicom.dcmread(other / name)[key].value


def test_real_scans_are_never_marked_as_synthetic(tmp_path: Path) -> None:
    real = write_cohort(tmp_path / "cohort", blobs(2)[0], origin="real")
    with pytest.raises(ConfigError, match="one of real scans"):
        exported(real, tmp_path / "png", "png")
    assert list((tmp_path / "png").iterdir()) == []


def test_an_unknown_form_is_refused(drawn: Cohort, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="png, nifti, dicom"):
        exported(drawn, tmp_path / "jpg", "jpg")


def test_grey_values_on_another_scale_are_refused(tmp_path: Path) -> None:
    settings = {"config": {"normalise": "zscore"}}
    zscored = write_cohort(tmp_path / "cohort", blobs(2)[0], origin="synthetic", provenance=settings)
    with pytest.raises(ConfigError, match="normalised by zscore"):
        exported(zscored, tmp_path / "png", "png")


@pytest.mark.parametrize("form", ["png", "dicom", "nifti"])
def test_names_lead_nowhere_else_and_slices_of_one_case_stay_apart(tmp_path: Path, form: str) -> None:
    cohort = write_cohort(tmp_path / "cohort", blobs(4)[0], ["../../up", "a/b", "..", "plain"])
    text = (cohort.path / "slices.csv").read_text()
    (cohort.path / "slices.csv").write_text(text.replace("case-0001", "x/y").replace("case-0002", "x/y"))
    folder = tmp_path / "deep" / "deeper" / "out"
    folder.parent.mkdir(parents=True)
    exported(Cohort(cohort.path), folder, form)
    suffix = {"png": "*.png", "dicom": "*.dcm", "nifti": "*.nii.gz"}[form]
    assert len(list(folder.rglob(suffix))) == 4
    assert len(list(tmp_path.rglob(suffix))) == 4


def test_dicom_obeys_the_standard(drawn: Cohort, tmp_path: Path, dicom_errors: Callable[[Path], list[str]]) -> None:
    folder = exported(drawn, tmp_path / "out", "dicom")
    found = {path.name: dicom_errors(path) for path in sorted(folder.rglob("*.dcm"))[:3]}
    assert found == {"flair.dcm": [], "mask.dcm": [], "t1.dcm": []}


def test_a_long_name_still_makes_a_file_of_the_standard(
    tmp_path: Path, dicom_errors: Callable[[Path], list[str]]
) -> None:
    from synthoma.exports.marked import secondary_capture

    dataset = secondary_capture(np.zeros((8, 8), np.uint8), "c" * 100, "t" * 64, 1, {"Class": "glioma"})
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert dicom_errors(tmp_path / "a.dcm") == []


def test_volumes_say_that_they_are_synthetic(drawn: Cohort, tmp_path: Path) -> None:
    for path in exported(drawn, tmp_path / "out", "nifti").rglob("*.nii.gz"):
        assert nibabel.load(path).header["descrip"].item().decode() == NOTICE


@pytest.mark.parametrize("form", ["png", "dicom", "nifti"])
def test_a_hostile_cohort_writes_nothing_outside(drawn: Cohort, tmp_path: Path, form: str) -> None:
    """Modalities become names of files: one with a way out of the folder is refused before anything is written."""
    victim = tmp_path / "victim_x.png"
    victim.write_text("precious")
    hostile = write_cohort(
        tmp_path / "hostile", drawn.images[:], list(drawn.slices["label"]), drawn.masks[:], origin="synthetic"
    )
    description = json.loads((hostile.path / "cohort.json").read_text())
    for name in ("../../victim_x", "/x/y", "a/b", "..", "", 5, None, "x\x1b]0;"):
        description["modalities"] = ["flair", name]
        (hostile.path / "cohort.json").write_text(json.dumps(description))
        with pytest.raises(CohortError, match="modalities"):
            Cohort(hostile.path)
    # And behind that door stands a second one.
    hostile.meta = hostile.meta.changed({"modalities": ["flair", "../../victim_x"]})
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    folder = exported(hostile, tmp_path / "out", form)
    assert all(folder in path.parents for path in {path for path in tmp_path.rglob("*") if path.is_file()} - before)
    assert victim.read_text() == "precious"
