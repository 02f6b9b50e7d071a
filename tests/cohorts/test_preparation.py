"""Cases become a cohort: nothing is lost, nothing leaks, and the pixels are the file's own."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.preparation import choose_modalities, pack
from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.seeding import stream
from synthoma.scans.case import Case, Geometry, Inventory, Skipped, Study

pytestmark = pytest.mark.slow

LABELS = {1: "core", 2: "oedema", 3: "enhancing"}


def scan(
    seed: int, depth: int = 6, side: int = 48, mask: bool = True, modalities: tuple[str, ...] = ("flair",)
) -> Study:
    """A smooth random head with a bright lesion in its middle slices."""
    rng = stream(seed, "test.scan")
    _, y, x = np.indices((depth, side, side))
    head = np.hypot(y - side / 2, x - side / 2) < side * 0.4
    labels = np.zeros((depth, side, side), np.uint8)
    labels[2:4][np.hypot(y - 20, x - 28)[2:4] < 6] = 2
    labels[2:4][np.hypot(y - 20, x - 28)[2:4] < 3] = 1
    images = {}
    for name in modalities:
        texture = ndimage.gaussian_filter(rng.normal(size=labels.shape), (0, 1.5, 1.5)) * 150
        images[name] = np.clip(np.where(head, 90 + texture + 60 * (labels > 0), 0), 0, 255).astype(np.uint8)
    geometry = Geometry((1.0, 1.0, 5.0), (-20.0, -30.0, 10.0))
    return Study(images, geometry, labels if mask else None, LABELS if mask else {})


def fails() -> Study:
    raise InputError("a readable file", "a truncated one", "copy it again")


def crashes() -> Study:
    raise RuntimeError("decoder bug")


def cases(count: int, **options: object) -> list[Case]:
    return [
        Case(f"case-{i}", f"patient-{i}", ("flair",), partial(scan, i, **options), has_mask=True)  # type: ignore[arg-type]
        for i in range(count)
    ]


def packed(folder: Path, found: list[Case], **settings: object) -> Cohort:
    folder.mkdir(parents=True)
    config = PrepareConfig.resolve(flags={"jobs": 1, "size": 48, **settings})
    return pack(Inventory("test", tuple(found)), folder, config, source="test")


def test_pixels_and_masks_are_the_files_own(tmp_path: Path) -> None:
    cohort = packed(tmp_path / "c", cases(4), crop=False)
    for row in range(len(cohort)):
        record = cohort.slices.iloc[row]
        study = scan(int(record["case"].removeprefix("case-")))
        np.testing.assert_array_equal(cohort.original(row)[0].round(), study.images["flair"][record["slice"]])
        assert study.mask is not None
        np.testing.assert_array_equal(cohort.masks[row], study.mask[record["slice"]])
    assert (cohort.slices["label"] == np.where(cohort.slices["tumour_pixels"] > 0, "tumour", "healthy")).all()
    assert cohort.slices["pixel_mm"].eq(1.0).all()
    assert cohort.slices["step_mm"].eq(5.0).all()
    assert cohort.labels == LABELS


def test_same_command_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    found = [*cases(5), Case("bad", "p", ("flair",), fails)]
    packed(tmp_path / "a", found, folds=2)
    packed(tmp_path / "b", found, folds=2, jobs=2)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        digests = {hashlib.sha256((tmp_path / side / name).read_bytes()).hexdigest() for side in "ab"}
        assert len(digests) == 1, name


def test_one_bad_case_does_not_stop_the_others(tmp_path: Path) -> None:
    bad = [Case("broken", "x", ("flair",), fails), Case("bug", "y", ("flair",), crashes)]
    constant = Case("flat", "z", ("flair",), partial(Study, {"flair": np.full((2, 9, 9), 7, np.uint8)}))
    cohort = packed(tmp_path / "c", [bad[0], *cases(3), bad[1], constant])
    assert cohort.meta.cases == 3
    reasons = pd.read_csv(tmp_path / "c" / "skipped.csv").set_index("path")["reason"].to_dict()
    assert reasons["broken"] == "expected a readable file; came a truncated one; copy it again"
    assert "RuntimeError: decoder bug" in reasons["bug"]
    assert "one value everywhere" in reasons["flat"]


def test_nothing_usable_is_an_error_that_gives_the_reasons(tmp_path: Path) -> None:
    def crashes() -> Study:
        raise RuntimeError("decoder bug")

    several = [Case(name, name, ("flair",), load) for name, load in (("a", crashes), ("b", fails), ("c", fails))]
    with pytest.raises(InputError, match=r"copy it again \(2 of them\); .*decoder bug"):
        packed(tmp_path / "c", several)


def test_a_copied_patient_joins_the_group(tmp_path: Path) -> None:
    found = cases(6)
    twin = Case("case-9", "patient-9", ("flair",), partial(scan, 2), has_mask=True)  # patient 2 under another name
    cohort = packed(tmp_path / "c", [*found, twin])
    groups = cohort.slices.groupby("patient")["group"].first()
    assert groups["patient-9"] == groups["patient-2"] == "patient-2"
    assert cohort.meta.groups == 6
    assert cohort.slices.groupby("group")["split"].nunique().eq(1).all()
    pairs = pd.read_csv(tmp_path / "c" / "duplicates.csv")
    assert set(pairs["kind"]) == {"pixels"}


def test_what_the_search_for_duplicates_leaves_out_is_said(tmp_path: Path) -> None:
    def single() -> Study:  # the fifth slice of patient 2, alone, under another name
        study = scan(2)
        return Study({"flair": study.images["flair"][4:5]}, study.geometry)

    found = [*cases(4), Case("single", "somebody", ("flair",), single)]
    few = packed(tmp_path / "few", found, searched=10)  # two of six: the first and the last
    (said,) = [text for text in few.meta.remarks if text.startswith("duplicates")]
    assert "among 9 of 25 slices" in said
    assert few.meta.groups == 5  # which is why it must be said
    advice = re.search(r"--set searched=(\d+) searches all", said)
    assert advice
    # The 25 slices that there are would not do: five of each case, and the longest have six.
    whole = packed(tmp_path / "whole", found, searched=int(advice[1]))
    assert not [text for text in whole.meta.remarks if text.startswith("duplicates")]
    assert whole.meta.groups == 4
    off = packed(tmp_path / "off", found, searched=10, duplicates=False)
    assert not [text for text in off.meta.remarks if text.startswith("duplicates")]
    assert not [*tmp_path.rglob(".thumbnails*")]


def test_sequences_as_slices_are_searched_by_the_first_and_nothing_is_left_out(tmp_path: Path) -> None:
    found = [Case(f"case-{i}", f"patient-{i}", ("t1", "flair"), partial(two_sequences, i)) for i in range(3)]
    cohort = packed(tmp_path / "c", found, classes="sequence")
    assert not [text for text in cohort.meta.remarks if text.startswith("duplicates")]


def test_a_missing_modality_is_an_empty_channel_and_a_note(tmp_path: Path) -> None:
    full = [
        Case(f"c{i}", f"p{i}", ("t1", "flair"), partial(scan, i, modalities=("t1", "flair")), has_mask=True)
        for i in range(2)
    ]
    cohort = packed(tmp_path / "c", [*full, *cases(1)])
    assert cohort.modalities == ("t1", "flair")
    row = cohort.slices.index[cohort.slices["case"] == "case-0"][0]
    assert cohort.slices["missing"][row] == "t1"
    assert not cohort.images[row, 0].any()
    assert cohort.images[row, 1].any()
    assert any("case-0" in remark and "t1" in remark for remark in cohort.meta.remarks)


def test_modalities_that_half_of_the_cases_have_are_chosen() -> None:
    def named(*modalities: str) -> Case:
        return Case("x", None, modalities, fails)

    assert choose_modalities([named("flair", "t1"), named("flair"), named("flair", "t2")]) == ("flair",)
    assert choose_modalities([named("flair", "t1"), named("t1")]) == ("t1", "flair")
    assert choose_modalities([named("t1"), named("t2"), named("flair")]) == ("t1", "t2", "flair")


def test_whole_tumour_merges_the_labels(tmp_path: Path) -> None:
    cohort = packed(tmp_path / "c", cases(3), merge="whole-tumour")
    assert cohort.labels == {1: "tumour"}
    assert set(np.unique(cohort.masks)) == {0, 1}


def test_masks_of_other_meaning_are_skipped_not_mixed(tmp_path: Path) -> None:
    def binary() -> Study:
        study = scan(8)
        assert study.mask is not None
        return Study(study.images, study.geometry, (study.mask > 0).astype(np.uint8), {1: "tumour"})

    cohort = packed(tmp_path / "c", [*cases(3), Case("binary", "b", ("flair",), binary, has_mask=True)])
    assert cohort.meta.cases == 3
    assert "--merge whole-tumour" in (tmp_path / "c" / "skipped.csv").read_text()


def test_an_empty_mask_says_nothing_of_labels(tmp_path: Path) -> None:
    """A scan without tumour comes first, as tumour or not; the regions of the others are kept all the same."""

    def empty() -> Study:
        study = scan(8)
        assert study.mask is not None
        return Study(study.images, study.geometry, np.zeros_like(study.mask), {1: "tumour"})

    first = Case("a-empty", "b", ("flair",), empty, has_mask=True)
    cohort = packed(tmp_path / "c", [first, *cases(3)])
    assert cohort.meta.cases == 4
    assert cohort.labels == LABELS
    assert packed(tmp_path / "d", [first]).labels == {1: "tumour"}


def test_a_crop_that_would_cut_the_mask_is_widened_and_said(tmp_path: Path) -> None:
    """The tumour lies outside of the head that was found: the slice is none of a healthy person."""

    def outside(seed: int) -> Study:
        study = scan(seed)
        mask = np.zeros_like(study.mask)
        mask[3, 1:3, 2:4] = 2
        return Study(study.images, study.geometry, mask, LABELS)

    found = [Case("odd", "odd", ("flair",), partial(outside, 9), has_mask=True), *cases(3)]
    for apart in (False, True):
        cohort = packed(tmp_path / f"c-{apart}", found, apart=apart)
        table = cohort.slices[cohort.slices["case"] == "odd"].set_index("slice")
        assert (table["tumour_pixels"] > 0).tolist() == [False, False, False, True, False, False]
        assert table["label"][3] == "tumour"
        assert (table["box_top"][3], table["box_left"][3]) == (1, 2)
        assert [said for said in cohort.meta.remarks if "widened" in said] == [
            "the crop was widened to hold the mask: odd"
        ]


def test_values_that_a_cohort_cannot_hold_are_clipped_and_said(tmp_path: Path) -> None:
    def glaring() -> Study:
        study = scan(9)
        image = study.images["flair"].astype(np.float64)
        image[3, 24, 24] = 1e30
        return Study({"flair": image}, study.geometry, study.mask, LABELS)

    cohort = packed(tmp_path / "c", [Case("odd", "odd", ("flair",), glaring, has_mask=True), *cases(3)], crop=False)
    assert np.isfinite(cohort.images).all()
    row = int(np.flatnonzero((cohort.slices["case"] == "odd") & (cohort.slices["slice"] == 3))[0])
    assert cohort.images[row, 0, 24, 24] == 65504
    assert [said for said in cohort.meta.remarks if "clipped" in said] == [
        "odd: values of flair beyond what half precision holds were clipped"
    ]


def test_unnamed_mask_values_are_refused(tmp_path: Path) -> None:
    def odd() -> Study:
        study = scan(8)
        mask = np.array(study.mask)
        mask[2, 20, 28] = 9
        return Study(study.images, study.geometry, mask, LABELS)

    packed(tmp_path / "c", [*cases(3), Case("odd", "o", ("flair",), odd, has_mask=True)])
    assert "value 9" in (tmp_path / "c" / "skipped.csv").read_text()


def test_slices_framed_apart_are_those_of_single_pictures(tmp_path: Path) -> None:
    """Heads that become smaller and darker: each fills its square, as if nobody knew that they are one volume."""

    def cone(only: int | None = None) -> Study:
        whole = scan(3)
        z, y, x = np.indices((6, 48, 48))
        head = np.hypot(y - 24, x - 24) < 20 - 2 * z
        image = np.where(head, whole.images["flair"] // (1 + z), 0).astype(np.uint8)
        at = slice(None) if only is None else slice(only, only + 1)
        assert whole.mask is not None
        return Study({"flair": image[at]}, whole.geometry, whole.mask[at], LABELS)

    def loaded(*parts: int | None) -> list[Case]:
        return [Case(f"c-{part}", f"p-{part}", ("flair",), partial(cone, part), has_mask=True) for part in parts]

    other = cases(2)  # a split needs some patients
    apart = packed(tmp_path / "apart", [*loaded(None), *other], apart=True)
    single = packed(tmp_path / "single", [*loaded(*range(6)), *other])
    together = packed(tmp_path / "together", [*loaded(None), *other])
    rows, alone = (cohort.slices["case"].str.startswith("c-").to_numpy() for cohort in (apart, single))
    order = np.argsort(single.slices["case"][alone].to_numpy())
    np.testing.assert_array_equal(apart.images[rows], single.images[alone][order])
    np.testing.assert_array_equal(apart.masks[rows], single.masks[alone][order])
    assert apart.slices["slice"][rows].tolist() == list(range(6))
    filled = (np.asarray(apart.images[rows], np.float32) > 0.02).mean(axis=(1, 2, 3))
    assert filled.min() > 0.65
    assert (np.asarray(together.images[rows], np.float32) > 0.02).mean(axis=(1, 2, 3)).min() < 0.3


def test_slices_are_chosen_as_asked(tmp_path: Path) -> None:
    assert len(packed(tmp_path / "all", cases(3))) == 18
    tumour = packed(tmp_path / "tumour", cases(3), slices="tumour")
    assert len(tumour) == 6
    assert (tumour.slices["tumour_pixels"] > 0).all()
    third = packed(tmp_path / "third", cases(3), every=3)
    assert sorted(set(third.slices["slice"])) == [0, 3]
    with pytest.raises(InputError, match="min-brain"):
        packed(tmp_path / "none", cases(3), min_brain=0.99)


def test_class_comes_from_where_it_is_asked(tmp_path: Path) -> None:
    graded = [
        Case(f"c{i}", f"p{i}", ("flair",), partial(scan, i), label="HGG" if i else "LGG", has_mask=True)
        for i in range(4)
    ]
    assert packed(tmp_path / "auto", graded).classes == ("healthy", "tumour")
    assert packed(tmp_path / "folder", graded, classes="folder").classes == ("HGG", "LGG")
    with pytest.raises(InputError, match="class folder"):
        packed(tmp_path / "nofolder", cases(3), classes="folder")
    unmasked = [Case("u", "u", ("flair",), partial(scan, 1, mask=False))]
    with pytest.raises(InputError, match="mask for every case"):
        packed(tmp_path / "nomask", [*cases(2), *unmasked], classes="mask")


def test_a_class_may_be_called_none(tmp_path: Path) -> None:
    """As a folder of pictures without tumour may be; pandas would read it as nothing."""
    names = ["None", "NA"] * 4
    found = [
        Case(f"c{i}", f"p{i}", ("flair",), partial(scan, i, mask=False), label=name) for i, name in enumerate(names)
    ]
    cohort = packed(tmp_path / "c", found)
    assert cohort.classes == ("NA", "None")
    assert cohort.slices.groupby("case")["label"].first().tolist() == names
    assert cohort.slices["site"].eq("").all()


def test_what_else_is_known_of_a_case_never_takes_the_place_of_what_the_cohort_knows(tmp_path: Path) -> None:
    facts = {"height": 1.78, "has_mask": "no", "pixel_mm": 9.0, "twin": "c7", "fold": "x", "grade": "II"}
    found = [Case(f"c{i}", f"p{i}", ("flair",), partial(scan, i), has_mask=True, facts=facts) for i in range(4)]
    table = packed(tmp_path / "c", found, crop=False).slices
    assert table["height"].eq(48).all()
    assert table["has_mask"].all()
    assert table["pixel_mm"].eq(1.0).all()
    assert table["twin"].eq("").all()
    assert "fold" not in table
    assert {name: table[f"fact_{name}"].iloc[0] for name in list(facts)[:5]} == dict(list(facts.items())[:5])
    assert table["grade"].eq("II").all()


def test_slices_of_a_case_without_a_patient_are_no_copies_of_one_another(tmp_path: Path) -> None:
    """Two slices of one volume may be alike; that says nothing of how patients must be kept apart."""

    def still(seed: int) -> Study:
        study = scan(seed)
        study.images["flair"][4] = study.images["flair"][3]
        return study

    found = [Case(f"c{i}", None, ("flair",), partial(still, i), has_mask=True) for i in range(4)]
    cohort = packed(tmp_path / "c", [*found, Case("c9", None, ("flair",), partial(still, 2), has_mask=True)])
    pairs = pd.read_csv(tmp_path / "c" / "duplicates.csv")
    assert set(pairs["first_source"] + pairs["second_source"]) == {"c2c9"}
    assert cohort.slices.groupby("case")["group"].first()["c9"] == "c2"


def test_folds_keep_groups_whole_and_cover_everyone(tmp_path: Path) -> None:
    cohort = packed(tmp_path / "c", cases(7), folds=3, split=[1, 0, 0])
    assert cohort.slices.groupby("group")["fold"].nunique().eq(1).all()
    assert set(cohort.slices["fold"]) == {0, 1, 2}
    assert set(cohort.slices["split"]) == {"train"}
    folds = json.loads((tmp_path / "c" / "splits_final.json").read_text())
    assert sorted(name for fold in folds for name in fold["val"]) == [f"case-{i}" for i in range(7)]


def test_more_folds_than_groups_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fewer folds"):
        packed(tmp_path / "c", cases(2), folds=3)


def test_pseudonyms_hide_names_and_keep_patients_apart(tmp_path: Path) -> None:
    cohort = packed(tmp_path / "c", cases(3), pseudonyms=True)
    content = b"".join(path.read_bytes() for path in (tmp_path / "c").iterdir())
    assert b"patient-" not in content
    assert b"case-" not in content
    assert cohort.slices["patient"].nunique() == 3


def test_skipped_files_of_the_inventory_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    inventory = Inventory("test", tuple(cases(3)), (Skipped(Path("notes.txt"), "not an image"),), ("a remark",))
    cohort = pack(inventory, folder, PrepareConfig(size=48, jobs=1), source="test")
    assert pd.read_csv(folder / "skipped.csv").to_numpy().tolist() == [["notes.txt", "not an image", "not an image"]]
    assert "a remark" in cohort.meta.remarks


def test_other_planes_have_isotropic_pixels(tmp_path: Path) -> None:
    cohort = packed(tmp_path / "c", cases(3), plane="sagittal", crop=False)
    record = cohort.slices.iloc[0]
    assert (record["rows"], record["columns"]) == (30, 48)  # 6 x 5 mm high, 48 mm wide, at 1 mm
    assert record["pixel_mm"] == 1.0


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'size'"):
        PrepareConfig.resolve(flags={"sise": 64})
    with pytest.raises(ConfigError, match="normalise as one of robust, unit; came 'zscore'"):
        PrepareConfig.resolve(flags={"normalise": "zscore"})


def two_sequences(number: int) -> Study:
    """A scan whose T1 is its FLAIR upside down."""
    study = scan(number)
    flair = study.images["flair"]
    return replace(study, images={"t1": flair[:, ::-1].copy(), "flair": flair})


def test_each_sequence_can_be_a_slice_and_its_class(tmp_path: Path) -> None:
    found = [
        Case(f"case-{i}", f"patient-{i}", ("t1", "flair"), partial(two_sequences, i), has_mask=True) for i in range(6)
    ]
    whole = packed(tmp_path / "whole", found, crop=False)
    cohort = packed(tmp_path / "c", found, crop=False, classes="sequence")
    assert (whole.modalities, cohort.modalities) == (("t1", "flair"), ("image",))
    assert len(cohort) == 2 * len(whole)
    assert set(cohort.classes) == {"t1", "flair"}
    for channel, name in enumerate(whole.modalities):
        rows = cohort.rows(label=name)
        np.testing.assert_array_equal(cohort.images[rows, 0], whole.images[:, channel])
        np.testing.assert_array_equal(cohort.masks[rows], whole.masks)
    assert (cohort.slices.groupby("patient")["split"].nunique() == 1).all()
    np.testing.assert_allclose(cohort.original(1)[0], whole.original(0)[1])
