"""What is said of a folder before it is read: numbers that a person can check, and warnings that matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthoma import pipeline
from synthoma.cohorts.understanding import held_out, lines_of, understood, unused_classes
from synthoma.core.errors import InputError
from synthoma.scans.layouts import take_inventory
from tests.scans.writers import FLAT, blob, voxels, write_brats_2023, write_nifti, write_picture


def test_numbers_labels_and_what_is_left_aside(tmp_path: Path) -> None:
    write_brats_2023(tmp_path)
    write_nifti(tmp_path / "BraTS-GLI-00002-000" / "BraTS-GLI-00002-000-adc.nii.gz", voxels(9), FLAT)
    facts = understood(take_inventory(tmp_path))
    assert (facts["cases"], facts["patients"], facts["patients with several visits"]) == (3, 2, 1)
    assert facts["modalities"] == {"t1": 3, "t1c": 3, "t2": 3, "flair": 3}
    assert [one["convention"] for one in facts["labels"]] == ["brats-2023", "post-treatment"]
    assert facts["left aside"] == {"another sequence, map or mask": 1}
    text = "\n".join(lines_of(facts))
    for words in ("3 cases of 2 patients, 1 with several visits", "4 cavity", "1 x another sequence", "flair <- "):
        assert words in text


def test_one_patient_or_none_known_is_said(tmp_path: Path) -> None:
    for number in range(2):
        write_nifti(tmp_path / "a" / "sub-01" / f"ses-{number}" / f"sub-01_ses-{number}_flair.nii.gz", voxels(number))
        write_picture(tmp_path / "b" / f"{number}.png", voxels(number, (16, 16), np.uint8))
    one = understood(take_inventory(tmp_path / "a"))["warnings"]
    assert any("nobody is held out" in text and "`patient` in a table" in text for text in one)
    nobody = understood(take_inventory(tmp_path / "b"))["warnings"]
    assert any("nobody knows who is shown in 2 of 2" in text for text in nobody)


@pytest.mark.slow
def test_ambiguous_labels_stop_prepare_with_the_choices(tmp_path: Path) -> None:
    for number in range(3):
        write_nifti(tmp_path / "in" / f"A{number}" / f"A{number}_flair.nii.gz", voxels(number), FLAT)
        write_nifti(tmp_path / "in" / f"A{number}" / f"A{number}_seg.nii.gz", blob(values=(1, 2, 3)), FLAT)
    said = r'the values 1, 2, 3.*convention=NAME.*brats-2023.*msd.*convention="1=oedema,2=core,...'
    with pytest.raises(InputError, match=said):
        pipeline.prepare(tmp_path / "in", tmp_path / "c", size=16, jobs=1)
    assert not (tmp_path / "c").exists()
    given = pipeline.prepare(tmp_path / "in", tmp_path / "c", size=16, jobs=1, convention="msd", duplicates=False)
    merged = pipeline.prepare(tmp_path / "in", tmp_path / "m", size=16, jobs=1, merge="whole-tumour", duplicates=False)
    assert (given.labels, merged.labels) == ({1: "core", 2: "oedema", 3: "enhancing"}, {1: "tumour"})
    spelt = {"convention": "1=oedema,2=core,3=enhancing", "duplicates": False}
    again = pipeline.prepare(tmp_path / "in", tmp_path / "s", size=16, jobs=1, **spelt)
    np.testing.assert_array_equal(given.masks, again.masks)
    np.testing.assert_array_equal(np.asarray(given.masks) > 0, np.asarray(merged.masks) > 0)
    facts = understood(take_inventory(tmp_path / "in"))
    assert facts["labels"][0]["convention"] is None
    assert "NOT KNOWN" in "\n".join(lines_of(facts))


@pytest.mark.parametrize(("groups", "held", "words"), [(20, 8, "enough"), (20, 2, "--split"), (7, 2, "too few")])
def test_whether_usefulness_can_be_tested(groups: int, held: int, words: str) -> None:
    split = ["test"] * held + ["train"] * (groups - held)
    table = pd.DataFrame({"group": [f"g{n}" for n in range(groups)], "split": split, "tumour_pixels": 5})
    text = held_out(table)
    assert f"{held} of {groups}" in text
    assert words in text
    if words == "--split":
        train, *others = (float(share) for share in text.split("--split ")[1].split(" ")[0].split(","))
        assert round(sum(others) * groups) >= 6
        assert train * groups >= 2


@pytest.mark.parametrize(
    ("classes", "drawn", "asked", "said"),
    [
        (["glioma", "meningioma"], [True, True], "auto", True),  # what was asked of the table is lost
        (["g", "g"], [True, False], "auto", True),  # half of the classes are the masks', half the table's
        (["g", "g"], [True, True], "auto", False),
        (["tumour", "healthy"], [True, False], "auto", False),
        (["", ""], [True, True], "auto", False),
        (["glioma", "meningioma"], [False, False], "auto", False),
        (["glioma", "meningioma"], [True, True], "mask", False),
    ],
)
def test_classes_that_masks_overrule_are_said(classes: list[str], drawn: list[bool], asked: str, said: bool) -> None:
    table = pd.DataFrame({"case_label": classes, "has_mask": drawn})
    assert ("--classes folder" in unused_classes(table, asked)) == said
