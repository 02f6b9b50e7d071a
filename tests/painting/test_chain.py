"""Cohorts and files painted and cleared: what is written, who is behind it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.cohorts.leaks import held_out_names, patients_behind
from synthoma.core.errors import ConfigError, InputError, LeakError
from synthoma.painting.scan import Scan
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.volumes import read_volume, write_volume

pytestmark = pytest.mark.slow


def test_cohort_is_painted_from_training_patients_alone(simulated: synthoma.Cohort, tmp_path: Path) -> None:
    made = synthoma.paint(simulated, tmp_path / "painted", size_ml=12, beside=True, seed=2)
    assert made.origin == "synthetic"
    assert set(made.slices["split"]) == {"train"}
    behind = patients_behind(made, simulated=True)
    assert behind
    assert not behind & held_out_names(simulated)
    # Slices that were not changed are those of the cohort, bit for bit.
    before = {image.tobytes() for image in simulated.images}
    unchanged = np.flatnonzero(~made.slices["changed"].astype(bool).to_numpy())
    assert len(unchanged)
    assert all(made.images[row].tobytes() in before for row in unchanged)


def test_held_out_patients_are_named_and_never_learned_from(simulated: synthoma.Cohort, tmp_path: Path) -> None:
    made = synthoma.paint(simulated, tmp_path / "held", size_ml=8, beside=True, splits=("validation", "test"))
    assert any("held-out" in remark for remark in made.meta.remarks)
    assert patients_behind(made, simulated=True) & held_out_names(simulated)
    with pytest.raises(LeakError):
        synthoma.train(simulated, tmp_path / "run", model="unet-25d", images=8, extra=(made.path,))


def test_lesions_come_from_training_patients(simulated: synthoma.Cohort, tmp_path: Path) -> None:
    made = synthoma.paint(simulated, tmp_path / "pasted", painter="copy-paste", size_ml=8, beside=True)
    donors = set(made.slices["lesion_of"].dropna().astype(str))
    assert donors
    assert donors <= set(simulated.slices["patient"][simulated.slices["split"] == "train"].astype(str))


def test_removed_cohort_has_no_tumour(simulated: synthoma.Cohort, tmp_path: Path) -> None:
    made = synthoma.remove(simulated, tmp_path / "without")
    assert not made.masks[:].any()
    assert set(made.slices["label"]) == {"healthy"}
    assert made.origin == "synthetic"
    assert patients_behind(made, simulated=True)


def test_files_keep_grid_and_type_and_say_that_they_are_synthetic(head: Scan, tmp_path: Path) -> None:
    sides = (head.spacing[2], head.spacing[1], head.spacing[0])
    geometry = Geometry(sides, (10.0, -20.0, 30.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    (tmp_path / "scans").mkdir()
    for name, image in head.images.items():
        voxels = np.rint(image[:, ::-1, ::-1] / image.max() * 1000).astype(np.int16)
        write_volume(Volume(voxels, geometry), tmp_path / "scans" / f"p1_{name}.nii.gz")
    made = synthoma.paint(tmp_path / "scans", tmp_path / "out", size_ml=10, place="left", size=64)
    assert made.origin == "synthetic"
    assert (made.masks[:] > 0).any()
    assert patients_behind(made)
    (mask,) = (tmp_path / "out" / "scans").rglob("*_seg.nii.gz")
    assert b"SYNTHETIC" in __import__("gzip").decompress(mask.read_bytes())[:348]
    region = read_volume(mask).voxels > 0
    new = read_volume(next((tmp_path / "out" / "scans").rglob("*_flair.nii.gz")))
    old = read_volume(tmp_path / "scans" / "p1_flair.nii.gz")
    assert new.voxels.dtype == old.voxels.dtype
    assert new.geometry == old.geometry
    from scipy import ndimage

    far = ndimage.distance_transform_edt(~region, sampling=head.spacing) > 12
    assert np.array_equal(new.voxels[far], old.voxels[far])
    # This grid runs to the patient's right, so his left lies in the first columns.
    assert np.argwhere(region)[:, 2].mean() < region.shape[2] / 2


def test_settings_that_say_nothing_are_refused(simulated: synthoma.Cohort, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="size ml"):
        synthoma.paint(simulated, tmp_path / "a", size_ml="40:5")
    with pytest.raises(ConfigError, match="a lobe"):
        synthoma.paint(simulated, tmp_path / "a", place="nowhere")
    with pytest.raises(ConfigError, match="cohort with"):
        synthoma.paint(simulated, tmp_path / "a", mask=tmp_path / "mask.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        synthoma.paint(tmp_path / "empty", tmp_path / "a")
    assert not (tmp_path / "a").exists()
