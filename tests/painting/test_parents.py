"""A painted file knows whose scan it was: prepared or painted again, it stays on the side of its patient."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import synthoma
from synthoma.cohorts.leaks import patients_behind
from synthoma.core.errors import LeakError
from synthoma.detectors.plan import DetectorPlan
from synthoma.painting.scan import Scan
from synthoma.scans.layouts import take_inventory
from synthoma.scans.parents import COLUMN, PARENT
from synthoma.settings import TrainConfig
from tests.painting.test_files import lump, write_scan

PEOPLE = ("BRATS_001", "BRATS_002", "BRATS_003")


@pytest.fixture(scope="module")
def painted(head: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients' scans, each with a tumour, and what was painted beside it."""
    place = tmp_path_factory.mktemp("parents")
    for number, name in enumerate(PEOPLE):
        noise = np.random.default_rng(number).random(head.shape, np.float32)
        images = {key: image * (1 + 0.02 * noise) for key, image in head.images.items()}
        write_scan(place / "in" / name, Scan(images, head.spacing), name, lump(head))
    synthoma.paint(place / "in", place / "out", size_ml="4:6", beside=True, size=32)
    return place


def test_what_is_written_beside_says_who_it_was(painted: Path) -> None:
    for name in PEOPLE:
        [file] = (painted / "out" / "scans").glob(f"{name}*/*.json")
        assert json.loads(file.read_text())[PARENT] == name
    assert set(synthoma.Cohort(painted / "out").slices["group"]) == set(PEOPLE)


@pytest.mark.parametrize("pseudonyms", [False, True])
def test_prepared_again_it_is_kept_from_those_who_are_held_out(
    painted: Path, tmp_path: Path, *, pseudonyms: bool
) -> None:
    """On another grid, under other names of folders, no pixel and no path says so."""
    plain: dict[str, Any] = {"size": 32, "split": (0.34, 0.33, 0.33), "duplicates": False, "merge": "whole-tumour"}
    real = synthoma.prepare(painted / "in", tmp_path / "real", pseudonyms=pseudonyms, **plain)
    for number, folder in enumerate(sorted((painted / "out" / "scans").iterdir())):
        moved = tmp_path / "moved" / f"case{number}"
        shutil.copytree(folder, moved)
        (moved / f"{folder.name}.json").rename(moved / f"{moved.name}.json")
    again = synthoma.prepare(
        tmp_path / "moved", tmp_path / "again", origin="synthetic", pseudonyms=pseudonyms,
        **plain | {"split": (1.0, 0.0, 0.0)},
    )  # fmt: skip
    assert set(again.slices["group"]) == set(real.slices["group"])
    assert patients_behind(again) == set(real.slices["patient"])
    assert set(again.slices[COLUMN]) == set(real.slices["patient"])
    with pytest.raises(LeakError, match="nowhere learned from"):
        DetectorPlan(real, TrainConfig.resolve(flags={"model": "unet-25d", "extra": [again.path]}))


@pytest.mark.parametrize("flat", [False, True])
def test_renamed_folders_and_files_in_one_folder_still_say_who_it_was(
    painted: Path, tmp_path: Path, *, flat: bool
) -> None:
    for number, folder in enumerate(sorted((painted / "out" / "scans").iterdir())):
        shutil.copytree(folder, tmp_path / ("all" if flat else f"case{number}"), dirs_exist_ok=True)
    assert sorted(str(case.patient) for case in take_inventory(tmp_path).cases) == sorted(PEOPLE)
    # Whatever else lies there is of nobody.
    strange = tmp_path / "strange"
    for file in (painted / "in" / PEOPLE[0]).iterdir():
        shutil.copytree(file.parent, strange, dirs_exist_ok=True)
    (strange / "BRATS.json").write_text('{"Software": "other 1", "Parent": "x"}')
    [own] = [case for case in take_inventory(tmp_path).cases if case.sources[0].parent == strange]
    assert COLUMN not in own.facts


@pytest.mark.parametrize("hashes", ["real", "painted"])
def test_hashes_on_one_side_hide_nobody_who_is_held_out(painted: Path, tmp_path: Path, hashes: str) -> None:
    """Of the same people one cohort bears names and the other pseudonyms; their painted slices are known as theirs."""
    plain: dict[str, Any] = {"size": 32, "duplicates": False, "merge": "whole-tumour"}
    made = [
        synthoma.prepare(
            painted / "out" / "scans", tmp_path / "painted", origin="synthetic", pseudonyms=hashes == "painted",
            **plain, split=(1.0, 0.0, 0.0),
        ),
        *(
            synthoma.prepare(
                painted / "in", tmp_path / f"real-{part[0]}", pseudonyms=hashes == "real", **plain, split=part
            )
            for part in ((0.34, 0.33, 0.33), (1.0, 0.0, 0.0))
        ),
    ]  # fmt: skip
    other, held, whole = made
    assert not set(other.slices["group"]) & set(held.slices["group"])
    with pytest.raises(LeakError, match="nowhere learned from"):
        DetectorPlan(held, TrainConfig.resolve(flags={"model": "unet-25d", "extra": [other.path]}))
    plan = DetectorPlan(whole, TrainConfig.resolve(flags={"model": "unet-25d", "extra": [other.path]}))
    assert [source.painted for source in plan.sources] == [False, True]


def test_painted_again_it_is_still_the_first_patient(painted: Path, tmp_path: Path) -> None:
    again = synthoma.paint(painted / "out" / "scans", tmp_path / "twice", size_ml="3:4", beside=True, size=32)
    assert patients_behind(again) == set(PEOPLE)
    assert set(again.slices["group"]) == set(PEOPLE)
    for file in (tmp_path / "twice" / "scans").glob("*/*.json"):
        assert json.loads(file.read_text())[PARENT] in PEOPLE


def test_exported_and_read_again(painted: Path, tmp_path: Path) -> None:
    """What leaves as NIfTI comes back under the same patients, whose names its folders do not bear."""
    synthoma.export(synthoma.Cohort(painted / "out"), tmp_path / "away", to="nifti")
    found = take_inventory(tmp_path / "away")
    assert {case.patient for case in found.cases} == set(PEOPLE)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"Software": "other 1", "Parent": "x"}', '{"Software": "synthoma 1"}',
     '{"Software": "synthoma 1", "Parent": 3}', "[" * 5000],
)  # fmt: skip
def test_a_file_beside_that_says_nothing_changes_nothing(head: Scan, tmp_path: Path, content: str) -> None:
    write_scan(tmp_path / "one", head, "one")
    before = take_inventory(tmp_path / "one").cases
    (tmp_path / "one" / "one.json").write_text(content)
    after = take_inventory(tmp_path / "one").cases
    assert [(case.name, case.patient, case.facts) for case in after] == [
        (case.name, case.patient, case.facts) for case in before
    ]
