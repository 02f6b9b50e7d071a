"""Scans from files: which masks they come with and leave with, several inputs, and masks that users drew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.types import Array
from synthoma.painting.files import write_scans
from synthoma.painting.painters import tissues_of
from synthoma.painting.places import middle_of
from synthoma.painting.scan import Scan, raised
from synthoma.painting.stacks import Changed
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.layouts import take_inventory
from synthoma.scans.volumes import read_volume, write_volume

pytestmark = pytest.mark.slow


def grid_of(head: Scan) -> Geometry:
    return Geometry((head.spacing[2], head.spacing[1], head.spacing[0]), (10.0, -20.0, 30.0))


def write_scan(folder: Path, head: Scan, name: str, mask: Array | None = None) -> Path:
    """FLAIR and T1 of the head, and a mask beside them; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for modality in ("flair", "t1"):
        image = head.images[modality]
        voxels = np.rint(image / image.max() * 1000).astype(np.int16)
        write_volume(Volume(voxels, grid_of(head)), folder / f"{name}_{modality}.nii.gz")
    if mask is not None:
        write_volume(Volume(mask, grid_of(head)), folder / f"{name}_seg.nii.gz")
    return folder


def lump(head: Scan, left: bool = True, values: tuple[int, ...] = (1,)) -> Array:
    """A tumour of some centimetres in one hemisphere: layers of these values."""
    z, y, x = (int(value) for value in middle_of(tissues_of(head.images, head.spacing)))
    x += 10 if left else -18
    mask = np.zeros(head.shape, np.uint8)
    for at, value in enumerate(values):
        mask[z - 1 + at, y - 4 : y + 4, x : x + 8] = value
    return mask


def mask_in(folder: Path, name: str) -> Array:
    [path] = (folder / "scans" / name).glob("*_seg.nii.gz")
    return read_volume(path).voxels


def labels_in(folder: Path, name: str) -> dict[str, str]:
    labels: dict[str, str] = json.loads((folder / "scans" / name / f"{name}.json").read_text())["Labels"]
    return labels


def test_a_tumour_that_nobody_told_apart_does_not_become_core(head: Scan, tmp_path: Path) -> None:
    own = lump(head, values=(1, 1))
    write_scan(tmp_path / "in", head, "ill", own)
    write_scan(tmp_path / "in", head, "well")
    made = synthoma.paint(tmp_path / "in", tmp_path / "out", beside=True, size_ml=6, place="right", size=64)
    for name in ("ill-painted", "well-painted"):
        assert labels_in(tmp_path / "out", name) == {"1": "tumour"}
        assert set(np.unique(mask_in(tmp_path / "out", name)).tolist()) == {0, 1}
    mask = mask_in(tmp_path / "out", "ill-painted")
    assert mask[own > 0].all()
    # What was painted is there too: 6 ml and no more.
    painted = float((mask > 0).sum() - (own > 0).sum()) * np.prod(head.spacing) / 1000
    assert painted == pytest.approx(6, rel=0.05)
    assert made.labels == {1: "tumour"}
    assert made.meta.cases == 2


def test_sub_regions_and_a_cavity_stay_what_they_were(head: Scan, tmp_path: Path) -> None:
    own = lump(head, values=(1, 2, 3, 4))
    write_scan(tmp_path / "in", head, "ill", own)
    made = synthoma.paint(
        tmp_path / "in", tmp_path / "out", beside=True, size_ml=6, place="right", size=64, convention="post-treatment"
    )
    mask = mask_in(tmp_path / "out", "ill-painted")
    assert np.array_equal(mask[own > 0], own[own > 0])
    assert labels_in(tmp_path / "out", "ill-painted") == {"1": "core", "2": "oedema", "3": "enhancing", "4": "cavity"}
    assert made.labels == {1: "core", 2: "oedema", 3: "enhancing", 4: "cavity"}
    # What the masks mean is read from what lies beside them, with nothing further said.
    again = synthoma.prepare(tmp_path / "out" / "scans", tmp_path / "again", origin="synthetic", size=64)
    assert again.labels == made.labels


def test_what_is_left_of_a_tumour_keeps_its_name(head: Scan, tmp_path: Path) -> None:
    one, other = lump(head, values=(1, 1)), lump(head, left=False, values=(1, 1))
    write_scan(tmp_path / "in", head, "ill", one + other)
    write_volume(Volume(one, grid_of(head)), tmp_path / "drawn.nii.gz")
    synthoma.remove(tmp_path / "in", tmp_path / "out", mask=tmp_path / "drawn.nii.gz", size=64)
    assert np.array_equal(mask_in(tmp_path / "out", "ill-removed") > 0, other > 0)
    assert labels_in(tmp_path / "out", "ill-removed") == {"1": "tumour"}


@pytest.mark.parametrize("command", [synthoma.paint, synthoma.remove])
def test_a_scan_whose_mask_cannot_be_used_is_left_out(head: Scan, tmp_path: Path, command: object) -> None:
    # 1 and 2 have several meanings: where the tumour is nobody may guess, nor paint into it.
    assert callable(command)
    write_scan(tmp_path / "in", head, "ill", lump(head, values=(1, 2)))
    with pytest.raises(InputError, match="say it with convention"):
        command(tmp_path / "in", tmp_path / "out", size=64)
    dials = {"beside": True, "size_ml": 6, "place": "right"} if command is synthoma.paint else {}
    command(tmp_path / "in", tmp_path / "said", size=64, convention="brats-2023", **dials)


def test_who_is_painted_once_is_named_though_a_second_copy_fails(head: Scan, tmp_path: Path) -> None:
    folder = write_scan(tmp_path / "in", head, "sub-007")

    def change(number: int, name: str, scan: Scan) -> Changed:
        if number:
            raise InputError("room", "none", "leave it out")
        return Changed(scan.images, np.ones(scan.shape, np.uint8), np.ones(scan.shape, np.bool_), {})

    (tmp_path / "out").mkdir()
    inventory = take_inventory(folder)
    written = write_scans(inventory, tmp_path / "out", "painted", change, copies=2)
    assert len(written.inventory.cases) == 1
    assert written.patients == {inventory.cases[0].patient or inventory.cases[0].name}


def test_scans_of_several_folders(head: Scan, tmp_path: Path) -> None:
    places = [write_scan(tmp_path / name, head, name) for name in ("a", "b")]
    made = synthoma.paint([places[0] / "a_flair.nii.gz", places[1]], tmp_path / "out", size_ml=6, size=64)
    assert set(made.slices["case"]) == {"a-painted", "b-painted"}
    with pytest.raises(InputError, match="several places"):
        take_inventory([places[0] / "a_flair.nii.gz", places[1] / "b_flair.nii.gz"])
    with pytest.raises(ConfigError, match="shown changed"):
        synthoma.remove(places, tmp_path / "removed", shown="changed")


def test_a_drawn_mask_is_put_in_its_place_by_its_header(head: Scan, tmp_path: Path) -> None:
    write_scan(tmp_path / "in", head, "well")
    drawn, grid = lump(head, values=(2, 3, 1)), grid_of(head)
    x, y, z = grid.origin
    sx, _, sz = grid.spacing
    # As 3D Slicer writes it: cut to its box, here above slice 2; and with columns from the other side.
    turned = Geometry(
        grid.spacing, (x + sx * (head.shape[2] - 1), y, z + 2 * sz), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    )
    write_volume(Volume(np.ascontiguousarray(drawn[2:, :, ::-1]), turned), tmp_path / "cut.nii.gz")
    # And beside its scan, where it would be taken for the scan's own.
    write_volume(Volume(drawn, grid), tmp_path / "in" / "well_seg.nii.gz")
    for at, mask in enumerate((tmp_path / "in" / "well_seg.nii.gz", tmp_path / "cut.nii.gz")):
        if at:
            (tmp_path / "in" / "well_seg.nii.gz").unlink()
        synthoma.paint(tmp_path / "in", tmp_path / f"out{at}", mask=mask, size=64)
        assert np.array_equal(mask_in(tmp_path / f"out{at}", "well-painted"), drawn)
    shifted = Geometry(grid.spacing, (x + 40.0, y, z), grid.direction)
    write_volume(Volume(drawn[:, ::-1], shifted), tmp_path / "elsewhere.nii.gz")
    with pytest.raises(InputError):
        synthoma.paint(tmp_path / "in", tmp_path / "no", mask=tmp_path / "elsewhere.nii.gz", size=64)


def test_where_zero_lies_does_not_change_what_a_tumour_looks_like(head: Scan, tmp_path: Path) -> None:
    image = np.rint(head.images["flair"] / head.images["flair"].max() * 1000).astype(np.int16)
    changes = []
    for name, shift in (("usual", 0), ("shifted", -1000)):
        place = tmp_path / name / "p_flair.nii.gz"
        place.parent.mkdir()
        write_volume(Volume((image + shift).astype(np.int16), grid_of(head)), place)
        synthoma.paint(place, tmp_path / f"{name}-out", size_ml=10, place="left", size=64, seed=4)
        folder = tmp_path / f"{name}-out" / "scans" / "p-painted"
        changes.append(read_volume(folder / "p-painted_flair.nii.gz").voxels - (image + shift))
    usual, shifted = (change[change != 0].mean() for change in changes)
    # Oedema is brighter than white matter in FLAIR; air is noise, so that its darkest is not quite the shift.
    assert usual > 50
    assert shifted == pytest.approx(usual, rel=0.1)


def test_what_was_set_to_zero_stays_air_and_values_come_back() -> None:
    brain = np.zeros((4, 10, 10), np.float32)
    brain[:, 2:8, 2:8] = np.linspace(-2, 2, 4 * 36, dtype=np.float32).reshape(4, 6, 6)
    images, floors = raised({"t1": brain, "flair": np.abs(brain)})
    assert set(floors) == {"t1"}
    assert not images["t1"][brain == 0].any()
    assert images["t1"].min() == 0
    shown = np.zeros(brain.shape, np.bool_)
    shown[:, 2:8, 2:8] = True
    scan = Scan(images, (1.0, 1.0, 1.0), floors=floors)
    # The darkest thousandth is cut off.
    assert np.allclose(scan.lowered(images)["t1"][shown], brain[shown], atol=0.02)
    assert images["flair"] is scan.lowered(images)["flair"]
    # Overshoot of a resampling is no other scale.
    ringing = np.where(brain == 0, -0.01, 2 + brain).astype(np.float32)
    assert raised({"t1": ringing}) == ({"t1": ringing}, {})
