"""A blinded set gives nothing away, is fair, and shows nobody who was learned from."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthoma
from synthoma.core.errors import ConfigError, InputError, LeakError
from synthoma.evaluation.readers.drawing import quotas_of
from tests.evaluation.readers.conftest import Cohorts, read_set, truth_of
from tests.toys import blobs, write_cohort


def test_pictures_give_nothing_away_but_what_they_show(blinded: Path) -> None:
    files = sorted((blinded / "images").iterdir())
    assert [file.name for file in files] == [f"{number:03d}.png" for number in range(1, 41)]
    assert len({file.stat().st_size for file in files}) == 1
    for file in files:
        with Image.open(file) as image:
            image.load()
            assert (image.mode, image.size, image.info) == ("L", (64, 64), {})
        chunks = file.read_bytes()
        assert not any(name in chunks for name in (b"tEXt", b"iTXt", b"zTXt", b"tIME", b"eXIf"))


def test_what_readers_get_does_not_say_the_truth(blinded: Path) -> None:
    shown = (blinded / "set.json").read_text()
    key = json.loads((blinded / "key.json").read_text())
    assert "seed" not in json.loads(shown)
    for word in ("real_row", "case-00", "synthetic-", key["real"]["images_sha256"], "glioma"):
        assert word not in shown
    first = truth_of(blinded)
    reals = [item for item, one in first.items() if one["truth"] == "real"]
    numbers = np.array([int(item) for item in reals])
    assert numbers.min() < 10 < 30 < numbers.max()  # mixed, not one after the other
    # Scrambled names of rows in the sheets would be as bad.
    assert all(word not in (blinded / "sheet-A.html").read_text() for word in ("case-00", "real_row", "key.json"))


def test_both_sides_are_alike_in_number_and_class(blinded: Path) -> None:
    firsts = [one for one in truth_of(blinded).values() if one["repeats"] is None]
    assert Counter((one["truth"], one["label"]) for one in firsts) == dict.fromkeys(
        ((kind, label) for kind in ("real", "synthetic") for label in ("glioma", "meningioma")), 8
    )
    assert len({one["real_case"] for one in firsts if one["truth"] == "real"}) == 16  # one slice a patient
    assert len({one["synthetic_row"] for one in firsts if one["truth"] == "synthetic"}) == 16


def test_only_held_out_patients_are_shown(blinded: Path, paired: Path) -> None:
    for place in (blinded, paired):
        cases = {one["real_case"] for one in truth_of(place).values()} - {None}
        assert all(int(str(case).removeprefix("case-")) >= 20 for case in cases)


def test_pictures_are_those_of_the_rows_of_the_key(blinded: Path, cohorts: Cohorts) -> None:
    from synthoma.core.pictures import grey

    opened = synthoma.Cohort(cohorts[0]), synthoma.Cohort(cohorts[1])
    for item, one in truth_of(blinded).items():
        row, cohort = (one["real_row"], opened[0]) if one["truth"] == "real" else (one["synthetic_row"], opened[1])
        wanted = Image.fromarray(grey(np.asarray(cohort.images[int(row), 0], np.float32)))
        shown = np.asarray(Image.open(blinded / "images" / f"{item}.png"))
        assert np.array_equal(shown, np.asarray(wanted.resize((64, 64), Image.Resampling.BICUBIC)))


def test_pairs_hold_both_kinds_on_the_sides_of_the_key(paired: Path, cohorts: Cohorts) -> None:
    real = synthoma.Cohort(cohorts[0])
    key = truth_of(paired)
    sides = Counter(one["truth"] for one in key.values() if one["repeats"] is None)
    assert sides == {"left": 6, "right": 6}
    for item, one in key.items():
        picture = np.asarray(Image.open(paired / "images" / f"{item}.png"), np.float64)
        assert picture.shape == (64, 64 + 16 + 64)
        halves = {"left": picture[:, :64], "right": picture[:, -64:]}
        truth = np.kron(np.asarray(real.images[int(one["real_row"]), 0], np.float64), np.ones((2, 2)))
        likeness = {side: np.corrcoef(half.ravel(), truth.ravel())[0, 1] for side, half in halves.items()}
        assert max(likeness, key=lambda side: likeness[side]) == one["truth"]
        if one["repeats"] is not None:
            assert key[one["repeats"]]["truth"] != one["truth"]  # shown the other way round
            assert key[one["repeats"]]["real_row"] == one["real_row"]


def test_each_reader_has_an_order_in_which_repeats_are_far_apart(blinded: Path) -> None:
    shown = read_set(blinded)
    assert list(shown.orders) == ["A", "B", "C"]
    assert len(set(shown.orders.values())) == 3
    twins = [(item, one["repeats"]) for item, one in truth_of(blinded).items() if one["repeats"]]
    assert len(twins) == shown.repeats == 8
    for reader, order in shown.orders.items():
        assert sorted(order) == list(shown.items)
        assert min(abs(order.index(one) - order.index(other)) for one, other in twins) >= 3
        with (blinded / f"answers-{reader}.csv").open() as stream:
            assert [row["item"] for row in csv.DictReader(stream)] == list(order)
        sheet = (blinded / f"sheet-{reader}.html").read_text()
        places = [sheet.index(f'alt="picture {item}"') for item in order]
        assert places == sorted(places)


@pytest.mark.slow
def test_the_same_seed_draws_the_same_set(blinded: Path, cohorts: Cohorts, tmp_path: Path) -> None:
    how = {"number": 16, "repeats": 0.25, "readers": ("A", "B", "C"), "pixels": 64}
    synthoma.turing_make(*cohorts, tmp_path / "again", **how)
    synthoma.turing_make(*cohorts, tmp_path / "other", seed=1, **how)
    for name in ("set.json", "key.json", "images/001.png", "answers-B.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (blinded / name).read_bytes()
    assert truth_of(tmp_path / "other") != truth_of(blinded)


def test_power_is_stated_before(blinded: Path, paired: Path) -> None:
    from synthoma.metrics.signal_detection import power

    assert [one.share for one in read_set(blinded).power] == [
        pytest.approx(power(one.d, 16, 16), abs=1e-4) for one in read_set(blinded).power
    ]
    one = read_set(paired).power[1]
    assert one.share == pytest.approx(power(one.d, 6, 6, side_by_side=True), abs=1e-4)


@pytest.mark.slow
def test_too_few_held_out_patients_are_said_with_what_would_do(cohorts: Cohorts, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"25 slices of class glioma.*20 of 20 held-out patients.*number=40.*prepare"):
        synthoma.turing_make(*cohorts, tmp_path / "set", number=50)
    assert not (tmp_path / "set").exists()
    synthoma.turing_make(*cohorts, tmp_path / "set", number=40, pixels=32)


def test_slices_of_one_patient_are_said(cohorts: Cohorts, tmp_path: Path) -> None:
    images, masks = blobs(60, 0, 32)
    groups = [f"case-{number // 4:04d}" for number in range(60)]
    real = write_cohort(
        tmp_path / "few", images, masks=masks, origin="real", labels=["glioma", "meningioma"] * 30, groups=groups,
        splits=["train"] * 20 + ["test"] * 40, mask_names={"1": "tumour"},
    )  # fmt: skip
    table = real.slices
    assert set(table["group"][table["split"] == "train"]).isdisjoint(table["group"][table["split"] == "test"])
    made = write_cohort(
        tmp_path / "made", *blobs(40, 1, 32)[:1], origin="synthetic", labels=["glioma", "meningioma"] * 20
    )
    found = synthoma.turing_make(real.path, made.path, tmp_path / "set", number=20, pixels=32)
    assert any("20 real pictures are of 10 patients" in text and "up to 2 of one" in text for text in found.remarks)
    assert any("does not say whom its generator learned from" in text for text in found.remarks)


def test_a_generator_that_saw_held_out_patients_is_refused(cohorts: Cohorts, tmp_path: Path) -> None:
    images, masks = blobs(60, 1, 32)
    groups = [f"case-{number:04d}" for number in range(25)]
    seen = write_cohort(
        tmp_path / "seen", images, masks=masks, origin="synthetic", labels=["glioma", "meningioma"] * 30,
        mask_names={"1": "tumour"}, provenance={"trained_on": {"slices": 25, "classes": [], "groups": groups}},
    )  # fmt: skip
    with pytest.raises(LeakError, match="saw 5 of 40 held-out"):
        synthoma.turing_make(cohorts[0], seen, tmp_path / "set", number=16)


def test_cohorts_that_do_not_fit_are_refused(cohorts: Cohorts, tmp_path: Path) -> None:
    real, made = cohorts
    with pytest.raises(InputError, match="give the real one first"):
        synthoma.turing_make(made, real, tmp_path / "set")
    small = write_cohort(
        tmp_path / "small", blobs(40, 1, 16)[0], origin="synthetic", labels=["glioma", "meningioma"] * 20
    )
    with pytest.raises(InputError, match="size 32 of the real and 16"):
        synthoma.turing_make(real, small, tmp_path / "set")
    two = write_cohort(
        tmp_path / "two", np.stack([blobs(40, 1, 32)[0]] * 2, axis=1), origin="synthetic",
        labels=["glioma", "meningioma"] * 20,
    )  # fmt: skip
    with pytest.raises(InputError, match="modalities flair of the real and flair, t1"):
        synthoma.turing_make(real, two, tmp_path / "set")
    with pytest.raises(ConfigError, match="a sequence of the cohorts: flair"):
        synthoma.turing_make(*cohorts, tmp_path / "set", sequence="t1c")
    with pytest.raises(ConfigError, match="readers"):
        synthoma.turing_make(*cohorts, tmp_path / "set", readers=("../A",))
    with pytest.raises(ConfigError, match="readers"):
        synthoma.turing_make(*cohorts, tmp_path / "set", readers=("A", "a"))


def test_an_answered_set_is_never_replaced(blinded: Path, cohorts: Cohorts, tmp_path: Path) -> None:
    shutil.copytree(blinded, tmp_path / "set")
    how = {"number": 16, "pixels": 32}
    synthoma.turing_make(*cohorts, tmp_path / "set", force=True, **how)
    file = tmp_path / "set" / "answers-A.csv"
    file.write_text(file.read_text().replace(",,,,", ",real,,,", 1))
    with pytest.raises(InputError, match="nobody has answered"):
        synthoma.turing_make(*cohorts, tmp_path / "set", force=True, **how)
    assert ",real," in file.read_text()


def test_quotas_are_in_proportion() -> None:
    assert quotas_of(["a"] * 70 + ["b"] * 30, 10) == {"a": 7, "b": 3}
    assert quotas_of(["a"] * 2 + ["b"], 50) == {"a": 33, "b": 17}
    assert quotas_of(["a"] * 99 + ["b"], 10) == {"a": 10}
