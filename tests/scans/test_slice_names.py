"""Pictures cut from volumes: neighbours stay with one patient; altered copies beside their originals are left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from synthoma.scans.layouts import take_inventory
from tests.scans.writers import voxels, write_picture


def patients_of(folder: Path, names: Sequence[str]) -> dict[str, str | None]:
    """Who the pictures of these names are of."""
    for number, name in enumerate(names):
        write_picture(folder / name, voxels(number, (12, 16), np.uint8))
    return {case.name: case.patient for case in take_inventory(folder).cases}


@pytest.mark.parametrize(
    "style",
    [
        "volume_{}_slice_{}", "P{:03d}_slice_{:03d}", "ID-{}-slice-{}", "AB1{}_{}", "00{}_{:02d}", "scan{}_z{}",
        "brats_{}-axial-{}", "{}_sl{}_flair",
    ],
)  # fmt: skip
def test_slices_of_a_volume_are_one_patient(style: str, tmp_path: Path) -> None:
    names = {style.format(who, k) + ".png": who for who in (1, 2, 3) for k in (10, 11)}
    found = patients_of(tmp_path, list(names))
    assert all(found.values())
    for one, who in names.items():
        for other, whose in names.items():
            assert (found[one] == found[other]) == (who == whose), (one, other)


def test_a_word_in_front_of_a_slice_is_somebody_unless_it_explains_itself(tmp_path: Path) -> None:
    people = patients_of(tmp_path / "a", [f"{who}_slice_{k}.png" for who in ("Mueller", "Schmidt") for k in (1, 2)])
    assert len(set(people.values())) == 2
    classes = patients_of(tmp_path / "b", [f"{name}_slice_{k}.png" for name in ("glioma", "healthy") for k in (1, 2)])
    assert set(classes.values()) == {None}


@pytest.mark.parametrize(
    "names",
    [
        [f"Tr-gl_{k:04d}.png" for k in range(6)], [f"gg ({k}).png" for k in range(6)], [f"y{k}.png" for k in range(6)],
        [f"scan2019_{k}.png" for k in range(6)], [f"T1_{k:03d}.png" for k in range(6)], ["12_1.png", "13_1.png"],
        [f"T{s}_00{k}.png" for s in (1, 2) for k in range(3)], [f"{k}_2020.png" for k in range(6)],
    ],
)  # fmt: skip
def test_numbered_pictures_are_not_slices_of_one(names: list[str], tmp_path: Path) -> None:
    assert set(patients_of(tmp_path, names).values()) == {None}


def test_numbers_that_begin_anew_in_each_class_are_other_people(tmp_path: Path) -> None:
    names = [f"{name}/00{who}_{k}.png" for name in ("glioma", "healthy") for who in (1, 2) for k in (1, 2)]
    assert len(set(patients_of(tmp_path, names).values())) == 4


@pytest.mark.parametrize("folder", ["Augmented Data", "augmented", "aug_images", "train_augmented"])
def test_a_folder_of_altered_copies_beside_their_originals_is_left_out(folder: str, tmp_path: Path) -> None:
    names = [f"{place}/glioma/G{k}.png" for place in ("Raw Data", folder) for k in (1, 2)]
    assert {name.split("/")[0] for name in patients_of(tmp_path / "both", names)} == {"Raw Data"}
    skipped = take_inventory(tmp_path / "both").skipped
    assert [line.kind for line in skipped] == ["folders of altered copies"] * 2
    assert len(patients_of(tmp_path / "alone", names[2:])) == 2
    assert len(take_inventory(tmp_path / "both", masks_wanted=False).cases) == 4
