"""Layouts of many centres, visits and languages: nobody is split, nobody joined with somebody else, no word misread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from synthoma.scans.case import Case
from synthoma.scans.layouts import take_inventory
from tests.scans.writers import voxels, write_nifti, write_picture

USUAL = {"T1": "t1", "T1c": "t1c", "T2": "t2", "FLAIR": "flair"}


def cases_of(root: Path, names: Sequence[str]) -> list[Case]:
    for number, name in enumerate(names):
        write_nifti(root / f"{name}.nii.gz", voxels(number, (3, 6, 8)))
    return list(take_inventory(root, masks_wanted=False).cases)


@pytest.mark.parametrize(
    "people",
    [
        ["S1-P01", "S1-P02", "S2-P01", "S2-P02"], ["S01_Pat01", "S01_Pat02", "S02_Pat01"], ["S1/P1", "S1/P2", "S2/P1"],
        ["Zentrum1_1", "Zentrum1_2", "Zentrum2_1", "Zentrum2_2"], ["2019_01", "2019_02", "2020_01", "2020_02"],
        ["G2_01", "G2_02", "G3_01", "G3_02"], ["ARM1_01", "ARM1_02", "ARM2_01"],
        ["GBM-2019-1", "GBM-2019-2", "GBM-2020-1"],
    ],
    ids=lambda names: names[0].replace("/", " in "),
)  # fmt: skip
def test_patients_of_several_sites_years_and_grades_are_patients(people: list[str], tmp_path: Path) -> None:
    cases = cases_of(tmp_path, [f"{one}/{word}" for one in people for word in USUAL])
    assert len({case.patient for case in cases}) == len(cases) == len(people)
    assert {tuple(case.modalities) for case in cases} == {("t1", "t1c", "t2", "flair")}


@pytest.mark.parametrize("style", ["{}/T{}/{}", "{}_T{}_{}"])
def test_times_named_t0_t1_t2_are_no_sequences(style: str, tmp_path: Path) -> None:
    names = [style.format(one, time, word) for one in ("P1", "P2", "P3") for time in range(3) for word in USUAL]
    cases = cases_of(tmp_path, names)
    assert len(cases) == 9
    assert len({case.patient for case in cases}) == 3
    for case in cases:
        assert tuple(case.modalities) == ("t1", "t1c", "t2", "flair")
        assert len({str(path.relative_to(tmp_path)).replace("/", "_").split("_")[1] for path in case.sources}) == 1


@pytest.mark.parametrize(
    "series",
    [
        ["t1_mprage_tra_p2_iso", "t1_mprage_tra_p2_iso_Gd", "t2_spc_sag_p2_iso", "t2_spc_da-fl_sag_p2_iso"],
        ["sT1W_3D_TFE", "sT1W_3D_TFE_+C", "T2W_TSE", "VISTA_FLAIR_3D"],
        ["3D_T1", "3D_T1_IV+", "T2_TSE", "FLAIR_3D"],
        ["T1_IV-", "T1_IV+", "T2_TSE", "FLAIR_3D"],
    ],
    ids=lambda names: names[0],
)
def test_series_of_scanners_split_nobody(series: list[str], tmp_path: Path) -> None:
    cases = cases_of(tmp_path, [f"{one}/{name}" for one in ("004", "005") for name in series])
    assert [case.patient for case in cases] == ["004", "005"]
    for case in cases:
        shown = dict(zip((path.name for path in case.sources), case.modalities, strict=True))
        wanted = zip(series, ("t1", "t1c", "t2", "flair"), strict=True)
        assert shown == {f"{name}.nii.gz": sequence for name, sequence in wanted}


def test_an_accelerated_series_alone_is_nobody_and_a_patient_of_that_name_is_somebody(tmp_path: Path) -> None:
    (alone,) = cases_of(
        tmp_path / "a", [f"Huber/{name}" for name in ("t1_mprage_tra_p2_iso", "t2_spc_da-fl_sag_p2_iso")]
    )
    assert (alone.patient, alone.modalities) == ("Huber", ("t1", "flair"))
    assert {case.patient for case in cases_of(tmp_path / "b", ["T1_P2", "FLAIR_P2", "T1_P3", "FLAIR_P3"])} == {
        "P2",
        "P3",
    }


def test_people_who_share_one_folder_stay_apart(tmp_path: Path) -> None:
    names = [f"{site}/{one}_{word}" for site in ("a", "b") for one in ("Anna", "Bea") for word in USUAL]
    cases = cases_of(tmp_path, names)
    assert {len({path.stem.split("_")[0] for path in case.sources}) for case in cases} == {1}


def test_flair_after_the_contrast_agent_makes_no_visit(tmp_path: Path) -> None:
    words = ("T1_pre", "T1_post", "FLAIR_pre", "FLAIR_post", "T2")
    cases = cases_of(tmp_path, [f"{one}_{word}" for one in ("P01", "P02") for word in words])
    assert [tuple(case.modalities) for case in cases] == [("t1", "t1c", "t2", "flair")] * 2


@pytest.mark.parametrize(
    ("style", "grouped"),
    [
        ("Meier{}_Schicht_{}", True), ("Dupont{}-coupe{}", True), ("10{}_flair_{}", True), ("10{}_T1ce_{}", True),
        ("batch{}_{}", False), ("site{}_{}", False), ("G{}_{}", False), ("201{}_{}", False), ("G1{}_{}", True),
    ],
)  # fmt: skip
def test_slices_in_other_words_are_one_patient_and_counted_patients_are_not(
    style: str, grouped: bool, tmp_path: Path
) -> None:
    names = [style.format(who, k) for who in (1, 2, 3) for k in (1, 2, 3)]
    for number, name in enumerate(names):
        write_picture(tmp_path / f"{name}.png", voxels(number, (12, 16), np.uint8))
    people = {case.patient for case in take_inventory(tmp_path).cases}
    assert len(people) == (3 if grouped else 1)
    assert (None in people) != grouped


def test_slices_of_two_days_are_one_patient(tmp_path: Path) -> None:
    names = [f"{who}_{day}_{k}" for who in (101, 102) for day in (20190101, 20200101) for k in (1, 2)]
    for number, name in enumerate(names):
        write_picture(tmp_path / f"{name}.png", voxels(number, (12, 16), np.uint8))
    assert {case.patient for case in take_inventory(tmp_path).cases} == {"101", "102"}
