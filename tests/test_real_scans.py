"""Every folder of real scans prepares with one plain command. Skipped where SYNTHOMA_TEST_DATA is not set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from PIL import Image

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.scans.layouts import take_inventory

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def lgg(real_scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return synthoma.prepare(real_scans / "lgg", tmp_path_factory.mktemp("lgg") / "c", size=256, crop=False)


def test_lgg_patients_are_whole(lgg: Cohort) -> None:
    assert len(lgg) == 1372
    assert lgg.slices["patient"].nunique() == 40
    assert lgg.slices.groupby("patient")["split"].nunique().eq(1).all()
    assert lgg.modalities == ("t1", "t1c", "flair")
    ill = (lgg.slices["label"] == "tumour").groupby(lgg.slices["split"]).mean()
    assert (ill - ill.mean()).abs().max() < 0.06


def test_lgg_pixels_and_masks_are_the_files_own(lgg: Cohort, real_scans: Path) -> None:
    channel = {"t1": 0, "flair": 1, "t1c": 2}
    table = lgg.slices
    for row in range(len(lgg)):
        source = table["source"].iat[row]
        path = next((real_scans / "lgg" / "kaggle_3m" / table["case"].iat[row]).glob(f"{source}.tif"))
        file, mask = np.asarray(Image.open(path)), np.asarray(Image.open(path.with_name(f"{source}_mask.tif")))
        missing = table["missing"].iat[row].split("+")
        original = lgg.original(row).round()
        for position, name in enumerate(lgg.modalities):
            if name not in missing:
                np.testing.assert_array_equal(original[position], file[..., channel[name]], err_msg=f"{source} {name}")
        np.testing.assert_array_equal(lgg.masks[row] > 0, mask > 0, err_msg=source)


def test_brats_2018(real_scans: Path, tmp_path: Path) -> None:
    cohort = synthoma.prepare(real_scans / "brats18", tmp_path / "c", size=64, every=5)
    assert cohort.meta.patients == 5
    assert cohort.modalities == ("t1", "t1c", "t2", "flair")
    assert cohort.labels == {1: "core", 2: "oedema", 3: "enhancing"}
    assert set(cohort.slices["case_label"]) == {"HGG", "LGG"}
    assert set(np.unique(cohort.masks)) == {0, 1, 2, 3}
    assert cohort.slices["spacing"].eq("1 1 1").all()


def test_brats_2(real_scans: Path, tmp_path: Path) -> None:
    cohort = synthoma.prepare(
        real_scans / "brats2", tmp_path / "c", size=64, every=5, merge="whole-tumour", plane="coronal"
    )
    assert cohort.meta.patients == 2
    assert cohort.labels == {1: "tumour"}
    assert set(cohort.slices["label"]) == {"healthy", "tumour"}


def test_kaggle253_duplicates(real_scans: Path, tmp_path: Path) -> None:
    cohort = synthoma.prepare(real_scans / "kaggle253", tmp_path / "c", size=64)
    assert cohort.slices["label"].value_counts().to_dict() == {"yes": 155, "no": 98}
    assert len(cohort) - cohort.slices["file_sha256"].nunique() == 25
    assert cohort.slices.groupby("group")["split"].nunique().eq(1).all()
    assert 190 <= cohort.meta.groups <= 215  # 210 by plain thumbnails; transforms find more
    assert (tmp_path / "c" / "duplicates.png").is_file()


def test_types_duplicates(real_scans: Path, tmp_path: Path) -> None:
    cohort = synthoma.prepare(real_scans / "types", tmp_path / "c", size=64)
    assert len(cohort) == 569
    assert cohort.classes == ("notumor", "glioma", "meningioma", "pituitary")
    assert abs(cohort.meta.groups - 320) <= 6
    kinds = set(pd.read_csv(tmp_path / "c" / "duplicates.csv")["kind"])
    assert "transformed" in kinds


@pytest.mark.parametrize(("folder", "ending"), [("brats18", "flair.nii.gz"), ("brats2", "mha")])
def test_the_model_inside_outlines_a_volume_on_its_own_grid(
    folder: str, ending: str, real_scans: Path, tmp_path: Path
) -> None:
    case = take_inventory(real_scans / folder).cases[0]
    source = next(path for path in case.sources if path.name.endswith(ending) and "flair" in path.name.lower())
    [row] = synthoma.detect(source, tmp_path / "found").table.to_dict("records")
    mask, scan = sitk.ReadImage(str(tmp_path / "found" / row["mask"])), sitk.ReadImage(str(source))
    assert mask.GetSize() == scan.GetSize()
    for ours, theirs in (
        (mask.GetSpacing(), scan.GetSpacing()),
        (mask.GetOrigin(), scan.GetOrigin()),
        (mask.GetDirection(), scan.GetDirection()),
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    found, truth = sitk.GetArrayFromImage(mask) > 0, case.load().mask
    assert truth is not None
    assert 2 * (found & (truth > 0)).sum() / (found.sum() + (truth > 0).sum()) > 0.4
    assert row["has_tumour"]
