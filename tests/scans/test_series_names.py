"""Volumes named after their series, as converters of DICOM name them: sequences, and whose they are."""

from __future__ import annotations

import re

import pytest

from synthoma.scans.names import read_part
from synthoma.scans.paths import Source
from synthoma.scans.studies import sort_into_studies
from tests.scans.test_sequence_names import IN_THE_FIELD, WRITTEN, rows

UNSURE = {"T1 +/- C", "T1-C", "T1 pós"}
"""In the name of a file a minus joins words, and the slash and the accent of a description are lost."""


@pytest.mark.parametrize(("description", "sequence"), rows(IN_THE_FIELD) + rows(WRITTEN))
def test_a_volume_named_after_its_series_is_no_other_sequence(description: str, sequence: str) -> None:
    """A name may say nothing, and what is another sequence may be left aside; none is taken for what it is not."""
    stem = re.sub(r"[^A-Za-z0-9+*.-]+", "_", description).strip("_")
    for name in (stem, f"7_{stem}", f"Anna_{stem}_20240102_7"):
        part = read_part(name)
        if part.role == "image" and description not in UNSURE:
            assert part.sequence == sequence, name


@pytest.mark.parametrize(
    ("name", "role", "sequence"),
    [
        ("4_Ax_T2_FLAIR", "image", "flair"), ("3D_SAG_T2_FLAIR", "image", "flair"), ("+C_Ax_T1", "image", "t1c"),
        ("Gad_Ax_T1", "image", "t1c"), ("T1_FSPGR_POST", "image", "t1c"), ("T1_C-", "image", "t1"),
        ("t2_spc_da-fl_sag_p2_iso", "image", "flair"), ("Ax_T2_STAR", "other", None), ("CT_reg_T1", "other", None),
        ("SUB_AX_T1", "other", None), ("T2W_FFE", "other", None), ("t2_fl2d_tra_hemo", "other", None),
        ("T1_T2_ratio", "other", None), ("T1_mapping", "other", None), ("T1post_minus_T1pre", "other", None),
        # words that only look like those of a scanner
        ("sub_T1", "image", "t1"), ("KM_T1", "image", "t1"), ("no_ax_t1", "image", "t1"), ("T1_B12", "image", "t1"),
        ("CONTR_01_T1", "image", "t1"), ("T1_CONT_01", "image", "t1"), ("T1_to_FLAIR", "image", "t1"),
        ("T2_reg_T1", "image", "t2"), ("P1-T1-C", "image", "t1c"), ("T1c_pre", "image", "t1c"),
        ("T1_processed", "image", "t1"), ("T1k", "image", "t1c"),
    ],
)  # fmt: skip
def test_words_around_a_sequence(name: str, role: str, sequence: str | None) -> None:
    part = read_part(name)
    assert part.role == role
    assert role == "other" or part.sequence == sequence


def studies_of(paths: list[str]) -> set[tuple[str | None, str, tuple[str, ...]]]:
    """Patient, visit and sequences of the studies that these files are."""
    sources = [Source(tuple(path.split("/")[:-1]), path.split("/")[-1], index) for index, path in enumerate(paths)]
    studies, _ = sort_into_studies(sources, lambda source: "image")
    return {(study.patient, study.visit, tuple(sorted(study.images))) for study in studies}


SERIES = ["AX_FLAIR", "Ax_T1", "Ax_T2_FSE", "Ax_T1_POST", "Ax_DWI", "Sag_T1"]
FOUR = ("flair", "t1", "t1c", "t2")


@pytest.mark.parametrize("first", [2, 9, 301])
def test_numbers_of_series_are_neither_patients_nor_visits(first: int) -> None:
    """`dcm2niix -f %s_%p` and `%p_%s`, in a folder for each patient and in one folder alone."""
    step = 100 if first > 100 else 1
    numbered = [(name, first + step * k) for k, name in enumerate(SERIES)]
    for names in ([f"{k}_{name}" for name, k in numbered], [f"{name}_{k}" for name, k in numbered]):
        both = [f"{patient}/{name}" for patient in ("Anna", "Bert") for name in names]
        assert studies_of(both) == {("Anna", "", FOUR), ("Bert", "", FOUR)}
        assert studies_of(names) == {(None, "", FOUR)}


def test_times_of_studies_are_visits() -> None:
    """`dcm2niix -f %p_%t_%s`, with and without the patient's name in front."""
    when = {"Anna": ("20200101120000", "20210101130000"), "Bert": ("20210305093000",)}
    wanted = {(patient, time, FOUR) for patient, times in when.items() for time in times}
    for front in ("", "{}_"):
        assert wanted == studies_of([
            f"{patient}/{front.format(patient)}{name}_{time}_{k}"
            for patient, times in when.items() for time in times for k, name in enumerate(SERIES, 2)
        ])  # fmt: skip


def test_words_of_a_scanner_in_a_patients_folder_are_nobodys_name() -> None:
    files = ["AX_FLAIR", "Ax_T1_Eq_1", "Ax_T2_e1", "Ax_T1_POST_ND"]
    assert studies_of([f"{patient}/{name}" for patient in ("Anna", "Bert") for name in files]) == {
        ("Anna", "", FOUR), ("Bert", "", FOUR),
    }  # fmt: skip
    assert studies_of([f"Anna/{name}" for name in files]) == {("Anna", "", FOUR)}


@pytest.mark.parametrize(
    ("paths", "patients"),
    [
        (["site/Anna_T1", "site/Bert_FLAIR", "site/Carl_T2"], 3),
        (["siteA/Anna_T1", "siteA/Bert_FLAIR", "siteB/Carl_T1", "siteB/Dora_FLAIR"], 4),
        (["a/Anna_T1", "a/Anna_FLAIR", "a/Bert_T1", "b/Anna_T1", "b/Carl_FLAIR"], 3),
        (["1_T1", "2_T1", "3_T1"], 3),
        (["1_T1", "2_FLAIR"], 2),
        ([f"{k:03d}_{('T1', 'T2', 'FLAIR')[k % 3]}" for k in range(30)], 30),
        (["1_T1", "1_T2", "1_FLAIR", "2_T1", "2_T2", "2_FLAIR"], 2),
    ],
)
def test_people_of_one_folder_stay_apart(paths: list[str], patients: int) -> None:
    assert len({patient for patient, _, _ in studies_of(paths)}) == patients


def masks_of(names: dict[str, str]) -> list[tuple[list[str], list[str]]]:
    """Masks and remarks of the studies that files of these names and contents are."""
    sources = [Source(("P01",), name, index) for index, name in enumerate(names)]
    studies, _ = sort_into_studies(sources, lambda source: "mask" if names[source.stem] == "mask" else "image")
    return [([mask.stem for mask in study.masks], study.remarks) for study in studies]


@pytest.mark.parametrize("name", ["cerebellum_mask", "cerebrum_seg", "optic_chiasm_label", "CTV", "PTV_mask", "ITV"])
def test_masks_of_organs_and_of_margins_are_no_tumours(name: str) -> None:
    assert masks_of({"T1c": "image", "FLAIR": "image", name: "mask"}) == [([], [])]


def test_a_lesion_is_not_the_organ_that_it_lies_in() -> None:
    assert masks_of({"T1c": "image", "FLAIR": "image", "Rt_Cerebellum": "mask"})[0][0] == ["Rt_Cerebellum"]


@pytest.mark.parametrize("names", [("ET", "WT"), ("ET", "TC", "WT"), ("P01_et", "P01_wt")])
def test_the_whole_tumour_comes_before_its_parts(names: tuple[str, ...]) -> None:
    [(masks, remarks)] = masks_of({"T1c": "image", "FLAIR": "image", **dict.fromkeys(names, "mask")})
    assert masks == [names[-1]]
    assert not any("one part" in remark for remark in remarks)


@pytest.mark.parametrize(("name", "part"), [("enhancing_seg", "enhancing"), ("tumor_core_mask", "core"), ("seg", "")])
def test_a_mask_of_one_part_is_told(name: str, part: str) -> None:
    [(masks, remarks)] = masks_of({"T1c": "image", "FLAIR": "image", name: "mask"})
    assert masks == [name]
    assert [part in remark for remark in remarks] == [True] * bool(part)


def people(names: list[str], places: tuple[str, ...] = ("T1", "FLAIR")) -> dict[str, str | None]:
    """Who the files of these names in both sequences are of."""
    paths = [f"{name}_{sequence}" for name in names for sequence in places]
    sources = [Source((), path, index) for index, path in enumerate(paths)]
    studies, _ = sort_into_studies(sources, lambda source: "image")
    found = {source.stem.rsplit("_", 1)[0]: study.patient for study in studies for source in study.images.values()}
    assert set(found) == set(names)
    return found


@pytest.mark.parametrize(
    "visits",
    [
        ("_01", "_02"), ("-1", "-2", "-3"), ("a", "b"), ("_0", "_1"), ("_200203", "_211114"),
        ("_03022020", "_14112021"), ("_03.02.2020", "_14.11.2021"), ("_20200203101112", "_20211114101112"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bases", [("0001", "0002", "0003"), ("AB01", "CD02", "EF07"), ("X_0012", "X_0034", "X_0056")])
def test_endings_that_several_names_share_are_visits(bases: tuple[str, ...], visits: tuple[str, ...]) -> None:
    found = people([f"{base}{visit}" for base in bases for visit in visits])
    for base in bases:
        assert len({found[f"{base}{visit}"] for visit in visits}) == 1
    assert len(set(found.values())) == len(bases)


@pytest.mark.parametrize(
    "names",
    [
        ["AB_12", "CD_13", "EF_14"], ["Basel_01", "Basel_02", "Wien_01", "Wien_02"],
        ["site1_01", "site1_02", "site2_01"],
        [f"study1_{k:02d}" for k in range(1, 9)], [f"GBM2_{k}" for k in (4, 17, 33, 60)], ["10_21", "10_35", "11_20"],
        ["0001", "0002", "0003"], ["AB01x", "AB01y"], [f"set1_{k}" for k in range(5)] + [f"set2_{k}" for k in range(5)],
    ],
)  # fmt: skip
def test_endings_of_other_kinds_are_people(names: list[str]) -> None:
    assert len(set(people(names).values())) == len(names)


@pytest.mark.parametrize("style", ["{who}/{phase}/{sequence}", "{who}_{phase}_{sequence}", "{who}/{sequence}_{phase}"])
def test_pre_and_post_of_every_sequence_are_visits(style: str) -> None:
    """An operation lies between; a T1 after it was taken for one with contrast agent, and both FLAIR mixed."""
    paths = [
        style.format(who=who, phase=phase, sequence=sequence)
        for who in ("Anna", "Bert") for phase in ("pre", "post") for sequence in ("T1", "T2", "FLAIR")
    ]  # fmt: skip
    wanted = {(who, phase, ("flair", "t1", "t2")) for who in ("Anna", "Bert") for phase in ("pre", "post")}
    assert studies_of(paths) == wanted
    alone = [path for path in paths if ("T1" in path) or ("pre" in path and "FLAIR" in path)]
    if style != "{who}/{phase}/{sequence}":
        assert studies_of(alone) == {("Anna", "", ("flair", "t1", "t1c")), ("Bert", "", ("flair", "t1", "t1c"))}
