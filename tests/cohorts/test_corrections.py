"""What a person corrects of what was understood reaches the cohort, and what cannot be meant is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.corrections import (
    Correction,
    corrected,
    corrections_text,
    parts_by_hand,
    read_corrections,
    remaining_shares,
)
from synthoma.core.errors import ConfigError, InputError, LeakError
from synthoma.pipeline.preparation import prepare, prepare_phantom
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.layouts import take_inventory
from synthoma.scans.volumes import write_volume


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients with FLAIR and T1: balls of noise."""
    folder = tmp_path_factory.mktemp("scans")
    draws = np.random.default_rng(5)
    z, y, x = np.mgrid[-1:1:6j, -1:1:40j, -1:1:40j]
    ball = z**2 + y**2 + x**2 < 0.8
    for index in range(6):
        (folder / f"p{index}").mkdir()
        for name in ("flair", "t1"):
            voxels = (ball * draws.uniform(100, 300, ball.shape)).astype(np.float32)
            write_volume(Volume(voxels, Geometry((4.0, 4.0, 8.0))), folder / f"p{index}" / f"p{index}_{name}.nii.gz")
    return folder


def made(scans: Path, tmp_path: Path, *corrections: Correction, **settings: object) -> Cohort:
    """A cohort with corrections."""
    file = tmp_path / "corrections.csv"
    file.write_text(corrections_text(corrections), encoding="utf-8")
    options = {"size": 32, "every": 4, "duplicates": False, "jobs": 1, "corrections": file, **settings}
    return prepare(scans, tmp_path / "cohort", **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_corrections_reach_the_cohort(scans: Path, tmp_path: Path) -> None:
    cohort = made(
        scans, tmp_path, Correction("*", sequences={"t1": "t1c"}), Correction("p0", leave_out=True),
        Correction("p2", patient="p1"), Correction("p3", label="glioma", split="test"),
    )  # fmt: skip
    table = cohort.slices
    assert cohort.modalities == ("t1c", "flair")
    assert set(table["case"]) == {"p1", "p2", "p3", "p4", "p5"}
    assert set(table["group"][table["case"] == "p2"]) == {"p1"}
    assert set(table["case"][table["split"] == "test"]) == {"p3"}  # nobody else is drawn for it
    assert set(table["label"][table["case"] == "p3"]) == {"glioma"}
    assert any("1 cases left out, 1 cases of another patient" in text for text in cohort.meta.remarks)
    assert "corrections" not in cohort.meta.provenance.config


def test_a_renamed_sequence_holds_the_same_voxels(scans: Path) -> None:
    inventory = take_inventory(scans)
    swapped = corrected(inventory, [Correction("*", sequences={"t1": "flair", "flair": "t1"})])
    before, after = inventory.cases[0].load(), swapped.cases[0].load()
    assert np.array_equal(before.images["t1"], after.images["flair"])
    assert np.array_equal(before.images["flair"], after.images["t1"])
    only = corrected(inventory, [Correction("*", sequences={"t1": "-"})]).cases[0]
    assert only.modalities == ("flair",)
    assert list(only.load().images) == ["flair"]


@pytest.mark.slow
def test_pseudonyms_keep_the_part_that_was_chosen(scans: Path, tmp_path: Path) -> None:
    cohort = made(scans, tmp_path, Correction("p3", split="test"), pseudonyms=True)
    held = cohort.slices[cohort.slices["split"] == "test"]
    assert held["case"].nunique() == 1
    assert "p3" not in (cohort.path / "slices.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("correction", "said"),
    [
        (Correction("p77"), "p77"), (Correction("*", leave_out=True), "left"),
        (Correction("p1", sequences={"t1": "flair"}), "flair twice in p1"),
        (Correction("*", sequences={"t1": "-", "flair": "-"}), "left"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(scans: Path, correction: Correction, said: str) -> None:
    with pytest.raises(InputError, match=said):
        corrected(take_inventory(scans), [correction])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing"), ("patient\nx\n", "patient"), ("case,case\na,b\n", "case, case"), ("case\np1\np1\n", "again"),
        ("case,split\np1,tset\n", "tset"), ("case,leave_out\np1,maybe\n", "maybe"), ("case,mood\np1,x\n", "mood"),
        ("case,sequences\np1,t1\n", "'t1'"), ("case,sequences\np1,t1=t9\n", "t1=t9"), ("case,patient\np1\n", "row 2"),
        ('case\n"p1', "corrections"), ("case,sequences\np1,t1=t2 t1=t1c\n", "t1=t1c"), ("case,patient\n,x\n", "none"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "c.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_corrections(file)


@pytest.mark.slow
@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40))
def test_names_survive_the_file(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    file = tmp_path_factory.mktemp("names") / "c.csv"
    one = Correction(name, patient=name, split="validation", sequences={"t2": "-"})
    file.write_text(corrections_text([one]), encoding="utf-8")
    assert read_corrections(file) == [one]


def test_groups_have_one_part() -> None:
    assert parts_by_hand(["a", "a", "b"], ["", "test", None]) == {"a": "test"}
    with pytest.raises(LeakError, match="a in test and train"):
        parts_by_hand(["a", "a"], ["test", "train"])
    assert remaining_shares((0.7, 0.15, 0.15), {"a": "test"}) == [0.7, 0.15, 0.0]
    assert remaining_shares((0.0, 0.5, 0.5), {"a": "test", "b": "validation"}) == [1.0, 0.0, 0.0]


def test_simulated_patients_need_no_corrections(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="corrections"):
        prepare_phantom(2, tmp_path / "p", corrections=tmp_path / "c.csv")
