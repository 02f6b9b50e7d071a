"""nnU-Net's own check passes, and its regions, splits and voxels are those of the cohort."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

import synthoma
from synthoma.core.errors import InputError
from tests.exports.cohorts import image, mask, patients


def written(cohort_folder: Path, out: Path, **settings: object) -> Path:
    synthoma.export(cohort_folder, out, to="nnunet", name="Gli-oma 1", **settings)
    return out / "Dataset001_Glioma1"


@pytest.mark.parametrize(
    ("labels", "slices"),
    [(None, False), (None, True), ({"1": "core", "2": "oedema", "4": "cavity"}, False), ({"1": "tumour"}, False)],
)
def test_nnunet_finds_nothing_wrong(tmp_path: Path, labels: dict[str, str] | None, slices: bool) -> None:
    verify = pytest.importorskip(
        "nnunetv2.experiment_planning.verify_dataset_integrity", reason="nnU-Net's own check: install nnunetv2"
    )
    patients(tmp_path / "cohort", labels=labels)
    root = written(tmp_path / "cohort", tmp_path / "out", slices=slices)
    verify.verify_dataset_integrity(str(root), 1)
    # And it does look: a label that nobody declared is noticed.
    content = json.loads((root / "dataset.json").read_text())
    content["numTraining"] += 1
    (root / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(AssertionError):
        verify.verify_dataset_integrity(str(root), 1)


def test_nnunet_draws_regions_over_one_another_as_the_mask_was(tmp_path: Path) -> None:
    """What nnU-Net makes of regions: each painted with the number of its place in ``regions_class_order``."""
    cohort = patients(tmp_path / "cohort", labels={"1": "core", "2": "oedema", "3": "enhancing", "4": "cavity"})
    root = written(cohort.path, tmp_path / "out")
    said = json.loads((root / "dataset.json").read_text())
    seg = np.asarray(nibabel.load(root / "labelsTr" / "p0.nii.gz").dataobj)
    assert set(np.unique(seg)) == {0, 1, 2, 3, 4}
    regions = [values for name, values in said["labels"].items() if name != "background"]
    again = np.zeros_like(seg)
    for values, number in zip(regions, said["regions_class_order"], strict=True):
        again[np.isin(seg, values)] = number
    assert np.array_equal(again, seg)
    assert list(said["labels"]) == ["background", "tumour", "core", "enhancing", "cavity"]


def test_voxels_keep_half_precision_and_spacing(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort")
    root = written(cohort.path, tmp_path / "out")
    assert json.loads((root / "dataset.json").read_text())["channel_names"] == {"0": "flair", "1": "t1c"}
    for channel in (0, 1):
        found = nibabel.load(root / "imagesTr" / f"p1_{channel:04d}.nii.gz")
        assert found.get_data_dtype() == np.float32
        assert np.allclose(found.header.get_zooms(), (1.5, 1.5, 4.0))
        assert np.array_equal(np.asarray(found.dataobj).transpose(2, 1, 0), image(cohort, "p1", channel))
        assert found.header["descrip"].item().decode().startswith("SYNTHETIC IMAGE")
    seg = nibabel.load(root / "labelsTs" / "p4.nii.gz")
    assert np.array_equal(np.asarray(seg.dataobj).transpose(2, 1, 0), mask(cohort, "p4"))


def test_labels_become_consecutive(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort", labels={"1": "core", "2": "oedema", "4": "cavity"})
    root = written(cohort.path, tmp_path / "out")
    said = json.loads((root / "dataset.json").read_text())
    assert said["labels"] == {"background": 0, "core": 1, "oedema": 2, "cavity": 3}
    assert "regions_class_order" not in said
    seg = np.asarray(nibabel.load(root / "labelsTr" / "p0.nii.gz").dataobj).transpose(2, 1, 0)
    was = mask(cohort, "p0")
    assert np.array_equal(seg == 3, was == 4)
    assert np.array_equal(seg == 2, was == 2)


@pytest.mark.slow
def test_the_split_keeps_patients(tmp_path: Path) -> None:
    patients(tmp_path / "cohort")
    root = written(tmp_path / "cohort", tmp_path / "out")
    assert json.loads((root / "splits_final.json").read_text()) == [{"train": ["p0", "p1", "p2"], "val": ["p3"]}]
    assert json.loads((root / "dataset.json").read_text())["numTraining"] == 4
    assert sorted(path.name for path in (root / "labelsTs").iterdir()) == ["p4.nii.gz"]
    slices = written(tmp_path / "cohort", tmp_path / "slices", slices=True)
    (fold,) = json.loads((slices / "splits_final.json").read_text())
    assert {name.split("-")[0] for name in fold["val"]} == {"p3"}
    assert len(fold["val"]) == 4


def test_without_a_validation_part_folds_never_part_a_group(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort", ["train"] * 7)
    table = cohort.slices.assign(group=cohort.slices["case"].replace({"p6": "p0"}))
    table.to_csv(cohort.path / "slices.csv", index=False)
    root = written(cohort.path, tmp_path / "out")
    folds = json.loads((root / "splits_final.json").read_text())
    assert len(folds) == 5
    for fold in folds:
        assert ("p0" in fold["val"]) == ("p6" in fold["val"])
        assert sorted(fold["train"] + fold["val"]) == [f"p{number}" for number in range(7)]
    assert sorted(name for fold in folds for name in fold["val"]) == [f"p{number}" for number in range(7)]
    assert not (root / "imagesTs").exists()


def test_what_nobody_outlined_is_no_background(tmp_path: Path) -> None:
    outlined = [case != 1 for case in range(5) for _ in range(4)]
    patients(tmp_path / "cohort", columns={"has_mask": outlined})
    root = written(tmp_path / "cohort", tmp_path / "out")
    assert sorted(path.name for path in (root / "labelsTr").iterdir()) == ["p0.nii.gz", "p2.nii.gz", "p3.nii.gz"]
    patients(tmp_path / "bare", outlined=False)
    with pytest.raises(InputError, match="without any"):
        written(tmp_path / "bare", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_cohort_of_the_test_split_alone_is_refused(tmp_path: Path) -> None:
    patients(tmp_path / "cohort", ["test", "test"])
    with pytest.raises(InputError, match="train or validation"):
        written(tmp_path / "cohort", tmp_path / "out")
