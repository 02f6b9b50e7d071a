"""What becomes one volume, what its files are called, and that no patient is on two sides."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import synthoma
from synthoma.core.errors import InputError, LeakError
from synthoma.exports.cases import distinct, pieces, plain
from synthoma.exports.labels import labels_of
from tests.exports.cohorts import patients
from tests.toys import blobs, write_cohort

pytestmark = pytest.mark.slow


@given(st.lists(st.text(max_size=300), max_size=8), st.booleans())
def test_names_are_safe_and_no_two_are_alike(texts: list[str], ascii_only: bool) -> None:
    names = distinct(texts, ascii_only=ascii_only)
    assert len({name.casefold() for name in names}) == len(texts)
    for name in names:
        assert name
        assert not set(name) & set('/\\.:<>"|?*\0\n ')
        assert len(name.encode()) <= 120
        assert not ascii_only or (name.isascii() and name.isalnum())


def test_names_that_look_alike_on_some_file_system_are_told_apart() -> None:
    assert distinct(["A", "a", "b"]) == ["A-1", "a-2", "b"]
    assert distinct(["é", "e\u0301"]) == ["é-1", "é-2"]
    assert distinct(["a", "A", "a-1"]) == ["a-2", "A-3", "a-1"]
    assert distinct(["../x", "..\\x"]) == ["___x-1", "___x-2"]
    assert plain("ß" * 90) == "ß" * 50


def test_slices_without_places_are_volumes_of_their_own(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort", columns={"slice": [0, 1, 2, 3] * 4 + [7, 7, 8, 9]})
    assert [len(piece.rows) for piece in pieces(cohort)] == [4, 4, 4, 4, 1, 1, 1, 1]
    apart = patients(tmp_path / "apart", columns={"pixel_mm": [1.5] * 16 + [1.5, 1.5, 1.5, 2.0]})
    assert [len(piece.rows) for piece in pieces(apart)] == [4, 4, 4, 4, 1, 1, 1, 1]
    far = patients(tmp_path / "far", columns={"slice": [0, 1, 2, 3] * 4 + [0, 1, 2, 10**9]})
    assert [len(piece.rows) for piece in pieces(far)] == [4, 4, 4, 4, 1, 1, 1, 1]
    for one in (cohort, apart, far):
        assert len({piece.name for piece in pieces(one)}) == 8


def test_a_cohort_by_hand_needs_little(tmp_path: Path) -> None:
    images, masks = blobs(3)
    cohort = write_cohort(tmp_path / "cohort", images, masks=masks, mask_names={"1": "tumour"})
    found = pieces(cohort)
    assert [piece.name for piece in found] == ["case-0000", "case-0001", "case-0002"]
    assert {(piece.spacing, piece.measured, piece.who) for piece in found} == {
        ((1.0, 1.0, 1.0), False, name) for name in ("case-0000", "case-0001", "case-0002")
    }
    for form in ("nnunet", "monai", "torchio", "bids", "nifti", "huggingface", "coco", "yolo", "png", "dicom"):
        said = synthoma.export(cohort, tmp_path / form, to=form)
        assert said.counts == {"train": 3}


def test_no_patient_group_or_case_is_on_two_sides(tmp_path: Path) -> None:
    from synthoma.exports.forms import FORMS

    cohort = patients(tmp_path / "cohort")
    for column in ("patient", "group", "case"):
        table = cohort.slices.assign(**{column: cohort.slices[column].replace({"p3": "p0"})})
        table.to_csv(cohort.path / "slices.csv", index=False)
        for form in FORMS:
            with pytest.raises(LeakError, match="p0"):
                synthoma.export(cohort.path, tmp_path / "out", to=form)
            assert not (tmp_path / "out").exists()


def test_a_split_of_another_name_is_refused(tmp_path: Path) -> None:
    patients(tmp_path / "cohort", ["train", "dev"])
    with pytest.raises(InputError, match="'dev'"):
        synthoma.export(tmp_path / "cohort", tmp_path / "out", to="monai")


def test_a_mask_value_that_nobody_named_is_refused(tmp_path: Path) -> None:
    cohort = patients(tmp_path / "cohort", labels={"1": "core", "7": "other"})
    text = (cohort.path / "cohort.json").read_text().replace('"7": "other"', '"5": "other"')
    (cohort.path / "cohort.json").write_text(text)
    for form in ("nnunet", "coco", "huggingface"):
        with pytest.raises(InputError, match="the value 7"):
            synthoma.export(cohort.path, tmp_path / "out", to=form)
        assert not (tmp_path / "out").exists()


def test_label_names_are_distinct() -> None:
    found = labels_of({3: "Background", 9: "a", 7: "A", 255: "a"})
    assert found.names == {1: "Background 2", 2: "A", 3: "a 2", 4: "a 3"}
    assert found.was == {1: 3, 2: 7, 3: 9, 4: 255}
    assert found.regions() == {}
