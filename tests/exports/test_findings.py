"""Findings go out as masks on the grid of each scan; forms that need the scans are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

import synthoma
from synthoma.core.errors import ConfigError, InputError
from synthoma.detection.detect import detect
from synthoma.detection.settings import DetectConfig
from synthoma.exports.marks import FOUND
from synthoma.exports.names import ABOUT
from tests.detection.conftest import WriteModel, thresholding, write_model
from tests.exports.test_bids import issues

__all__ = ["thresholding", "write_model"]  # fixtures

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 0, 3.0, -20], [0, -1.5, 0, 7], [0, 0, 0, 1]])


@pytest.fixture
def found(tmp_path: Path, write_model: WriteModel, thresholding: None) -> Path:
    """Findings in two volumes that lie obliquely in their files, and in a picture."""
    (tmp_path / "scans").mkdir()
    for name, at in (("one", 8), ("two", 12)):
        voxels = np.full((32, 24, 28), 100, np.int16)
        voxels[at : at + 6, 8:14, 10:16] = 255
        voxels[at + 2 : at + 4, 10:12, 12:14] = 600
        voxels[0, 0, 0] = 0
        nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), tmp_path / "scans" / f"{name}_flair.nii.gz")
    model = write_model(targets=("tumour", "core", "enhancing"))
    detect(tmp_path / "scans", model, tmp_path / "found", options=DetectConfig(overlay=False, device="cpu"))
    return tmp_path / "found"


def masks(found: Path) -> dict[str, nibabel.Nifti1Image]:
    stored = {path.parent.name: nibabel.load(path) for path in found.glob("*/*_mask.nii.gz")}
    assert len(stored) == 2
    assert all(np.asarray(one.dataobj).any() for one in stored.values())
    return stored


@pytest.mark.slow
@pytest.mark.parametrize(("form", "place"), [("nnunet", "{0}.nii.gz"), ("nifti", "{0}/{0}_seg.nii.gz")])
def test_masks_stay_on_their_grid(found: Path, tmp_path: Path, form: str, place: str) -> None:
    said = synthoma.export(found, tmp_path / "out", to=form)
    assert said.counts == {"scans": 2}
    for name, was in masks(found).items():
        again = nibabel.load(tmp_path / "out" / place.format(name))
        assert np.allclose(again.affine, was.affine)
        assert np.array_equal(np.asarray(again.dataobj), np.asarray(was.dataobj))
        assert again.header["descrip"].item().decode() == FOUND
    if form == "nnunet":
        described = json.loads((tmp_path / "out" / "dataset.json").read_text())
        assert described["labels"]["tumour"] == [1, 2, 3]
        assert described["regions_class_order"] == [2, 1, 3]


@pytest.mark.slow
def test_bids_derivatives(found: Path, tmp_path: Path) -> None:
    synthoma.export(found, tmp_path / "out", to="bids")
    subjects = {name: "".join(letter for letter in name if letter.isalnum()) for name in masks(found)}
    for name, was in masks(found).items():
        stem = f"sub-{subjects[name]}"
        again = nibabel.load(tmp_path / "out" / stem / "anat" / f"{stem}_desc-synthoma_dseg.nii.gz")
        assert np.array_equal(np.asarray(again.dataobj), np.asarray(was.dataobj))
    assert json.loads((tmp_path / "out" / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    assert issues(tmp_path / "out") == []


def test_coco_predictions_are_the_slices(found: Path, tmp_path: Path) -> None:
    synthoma.export(found, tmp_path / "out", to="coco")
    said = json.loads((tmp_path / "out" / "predictions.json").read_text())
    pictures = {one["id"]: one for one in said["images"]}
    stored = {name: np.asarray(one.dataobj).transpose(2, 1, 0) for name, one in masks(found).items()}
    again = {name: np.zeros_like(voxels) for name, voxels in stored.items()}
    for entry in said["annotations"]:
        picture = pictures[entry["image_id"]]
        name, _, place = picture["file_name"].removesuffix(".png").rpartition("_")
        # Run lengths by hand: column by column, zeros first.
        runs = entry["segmentation"]["counts"]
        flat = np.repeat(np.arange(len(runs)) % 2, runs)
        region = flat.reshape(entry["segmentation"]["size"], order="F").astype(bool)
        again[name][int(place)][region] = entry["category_id"]
        assert 0 <= entry["score"] <= 1
    for name, voxels in stored.items():
        assert np.array_equal(again[name], voxels)


def test_pictures_go_out_too(tmp_path: Path, write_model: WriteModel, thresholding: None) -> None:
    pixels = np.full((40, 30), 60, np.uint8)
    pixels[10:16, 5:9] = 250
    Image.fromarray(pixels).save(tmp_path / "a.png")
    detect(tmp_path / "a.png", write_model(), tmp_path / "found", options=DetectConfig(overlay=False, device="cpu"))
    drawn = np.asarray(Image.open(next((tmp_path / "found").glob("*/*_mask.png"))))
    assert drawn.any()
    synthoma.export(tmp_path / "found", tmp_path / "coco", to="coco")
    said = json.loads((tmp_path / "coco" / "predictions.json").read_text())
    assert said["annotations"][0]["area"] == (drawn > 0).sum()
    assert (said["images"][0]["width"], said["images"][0]["height"]) == (30, 40)
    synthoma.export(tmp_path / "found", tmp_path / "nifti", to="nifti")
    again = nibabel.load(next((tmp_path / "nifti").glob("*/*_seg.nii.gz")))
    assert np.array_equal(np.asarray(again.dataobj)[:, :, 0].T, drawn > 0)


def test_other_forms_are_refused_with_those_that_work(found: Path, tmp_path: Path) -> None:
    for form in set(ABOUT) - {"nnunet", "nifti", "coco", "bids"}:
        with pytest.raises(ConfigError, match="nnunet, nifti, coco, bids"):
            synthoma.export(found, tmp_path / "out", to=form)
        assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="came slices"):
        synthoma.export(found, tmp_path / "out", to="nnunet", slices=True)


def test_a_way_out_of_the_folder_is_not_followed(found: Path, tmp_path: Path) -> None:
    victim = next(found.glob("*/findings.json"))
    content = json.loads(victim.read_text())
    content["files"]["mask"] = ["../../secret.nii.gz"]
    victim.write_text(json.dumps(content))
    for path in found.rglob("checksums.json"):
        path.unlink()
    with pytest.raises(InputError, match=r"beside findings\.json"):
        synthoma.export(found, tmp_path / "out", to="nnunet")
