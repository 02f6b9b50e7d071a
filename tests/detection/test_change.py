"""Two visits: what is called change, what is not, and what cannot be compared."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from synthoma.core.errors import ConfigError
from synthoma.detection.change import judged
from synthoma.detection.change_records import read_changes
from synthoma.detection.detect import detect
from synthoma.detection.repeatability import Deviations, limit_of_change, perturbed_case
from synthoma.detection.settings import DetectConfig
from synthoma.detection.visits import among, with_earlier
from synthoma.detection.words import change_lines
from synthoma.pipeline.description import report
from synthoma.scans import registration
from synthoma.scans.case import Case, Geometry, Inventory, Study, Volume
from synthoma.scans.registration import Registered
from synthoma.scans.rigid import RigidTransform
from tests.detection.conftest import WriteModel
from tests.scans.writers import write_nifti

pytestmark = pytest.mark.slow

MM = Geometry((1.0, 1.0, 3.0))
STILL = RigidTransform((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def head(side: int, at: int = 10) -> np.ndarray:
    """A cube of tumour of 5 slices in a grey head."""
    image = np.zeros((12, 40, 40), np.int16)
    image[1:11, 2:38, 2:38] = 30
    image[3:8, at : at + side, at : at + side] = 100
    return image


@pytest.fixture
def laid_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registration that finds two scans where they are; `tests/scans` test it by itself."""

    def register(fixed: Volume, moving: Volume) -> Registered:
        return Registered(moving, STILL, 0.9, "registered: 90 % of 40 blocks fit", agreed=True)

    monkeypatch.setattr(registration, "register", register)


def compared(
    folder: Path,
    write_model: WriteModel,
    now: np.ndarray,
    before: np.ndarray,
    grids: tuple[Geometry, Geometry] = (MM, MM),
    names: tuple[str, str] = ("a_flair", "a_flair"),
) -> tuple[dict[str, Any], Path]:
    write_nifti(folder / "now" / f"{names[0]}.nii.gz", now, grids[0])
    write_nifti(folder / "before" / f"{names[1]}.nii.gz", before, grids[1])
    options = DetectConfig(before=folder / "before", repeats=3, three_d=False)
    run = write_model(modalities=("flair", "t2"))
    detect(folder / "now", run, folder / "out", options=options)
    content = json.loads((folder / "out" / "changes.json").read_text())
    [change] = content["changes"]
    assert len(table(folder / "out" / "changes.csv")) == max(1, len(change["measures"]))
    return change, folder / "out"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def words(change: Mapping[str, Any]) -> list[str]:
    return [one["word"] for one in change["measures"]]


@pytest.mark.usefixtures("thresholding", "laid_over")
def test_growth_beyond_repeatability_is_called_change(write_model: WriteModel, tmp_path: Path) -> None:
    change, out = compared(tmp_path, write_model, head(20), head(10))
    volume, product = change["measures"]
    # 5 slices of 3 mm: 20 x 20 and 10 x 10 mm.
    assert (volume["before"], volume["now"], volume["percent"]) == (1.5, 6.0, 300.0)
    assert (product["before"], product["now"]) == (pytest.approx(200), pytest.approx(800))
    assert words(change) == ["larger", "larger"]
    assert 0 < volume["limit"] < 4.5
    assert change["comparable"]
    assert change["overlap"] == {"kept_ml": 1.5, "new_ml": 4.5, "gone_ml": 0, "new_lesions": 0, "gone_lesions": 0}
    page = report(out).read_text()
    told = change_lines(read_changes(out))
    assert told[0] == "a-before to a:"
    assert told[1].startswith("  volume (tumour): larger, 1.5 to 6 ml (+300 %), repeatability allows")
    assert "Change between visits" in page
    assert "larger" in page
    assert (out / change["picture"]).is_file()
    assert [row["case"] for row in table(out / "index.csv")] == ["a", "a-before"]
    assert str(tmp_path) not in (out / "detection.json").read_text()


@pytest.mark.usefixtures("thresholding", "laid_over")
def test_the_same_scan_has_not_changed_and_a_rim_more_is_no_change(write_model: WriteModel, tmp_path: Path) -> None:
    change, _ = compared(tmp_path / "same", write_model, head(12), head(12))
    assert words(change) == ["no change", "no change"]
    assert [one["difference"] for one in change["measures"]] == [0, 0]
    grown = head(12)
    grown[5, 22:24, 10:22] = 100
    change, _ = compared(tmp_path / "voxel", write_model, grown, head(12))
    volume = change["measures"][0]
    assert 0 < volume["difference"] < volume["limit"] < 0.3 * volume["before"]
    assert volume["word"] == "no change"


@pytest.mark.usefixtures("thresholding", "laid_over")
def test_a_lesion_elsewhere_is_new_and_the_old_one_gone(write_model: WriteModel, tmp_path: Path) -> None:
    change, _ = compared(tmp_path, write_model, head(10, at=4), head(10, at=24))
    assert (change["overlap"]["new_lesions"], change["overlap"]["gone_lesions"]) == (1, 1)
    assert change["overlap"]["kept_ml"] == 0


@pytest.mark.usefixtures("thresholding", "laid_over")
@pytest.mark.parametrize(
    ("names", "grids", "reason"),
    [
        (("a_flair", "a_t2"), (MM, MM), "different sequences: t2 before, flair now"),
        (("a_flair", "a_flair"), (MM, Geometry((1.0, 1.0, 5.0))), "voxels are of different sizes"),
    ],
)
def test_other_sequences_or_grids_are_not_compared(
    names: tuple[str, str], grids: tuple[Geometry, Geometry], reason: str, write_model: WriteModel, tmp_path: Path
) -> None:
    change, out = compared(tmp_path, write_model, head(20), head(10), grids, names)
    assert not change["comparable"]
    assert reason in change["reasons"][0]
    assert set(words(change)) == {"cannot tell"}
    assert (change["repeats"], change["picture"]) == (0, None)
    assert "cannot tell" in report(out).read_text()


@pytest.mark.usefixtures("thresholding", "laid_over")
def test_visits_given_the_wrong_way_round_have_neither_grown_nor_shrunk(
    write_model: WriteModel, tmp_path: Path
) -> None:
    names = ("sub-a_ses-1_flair", "sub-a_ses-2_flair")
    change, _ = compared(tmp_path / "turned", write_model, head(10), head(20), names=names)
    assert not change["comparable"]
    assert "is the later: ses-2 before, ses-1 now" in change["reasons"][0]
    assert set(words(change)) == {"cannot tell"}
    assert (change["measures"][0]["before"], change["measures"][0]["now"]) == (6.0, 1.5)
    change, out = compared(tmp_path / "right", write_model, head(20), head(10), names=names[::-1])
    assert words(change) == ["larger", "larger"]
    assert "name two" not in (out / "detection.json").read_text()
    _, out = compared(tmp_path / "two", write_model, head(20), head(10), names=("b_flair", "a_flair"))
    assert "though the files name two: a before, b now" in (out / "detection.json").read_text()


@pytest.mark.usefixtures("thresholding")
def test_scans_that_cannot_be_laid_over_one_another_are_not_compared(write_model: WriteModel, tmp_path: Path) -> None:
    # The registration itself: two boxes are no heads.
    change, _ = compared(tmp_path, write_model, head(20), head(10))
    assert not change["comparable"]
    assert "could not be laid over" in change["reasons"][0]
    assert change["overlap"] is None


def case(name: str, patient: str | None = None, visit: str = "") -> Case:
    return Case(name, patient, ("flair",), lambda: Study({"flair": np.zeros((1, 2, 2))}), visit=visit)


def inventory(*cases: Case) -> Inventory:
    return Inventory("volumes", cases)


def named(pairs: tuple[tuple[Case, Case], ...]) -> list[tuple[str, str]]:
    return [(before.name, now.name) for before, now in pairs]


def test_visits_meet_by_patient_and_the_last_earlier_one_counts() -> None:
    now = inventory(case("p1-3", "p1", "3"), case("p2-1", "p2", "1"))
    before = inventory(case("p1-1", "p1", "1"), case("p1-2", "p1", "2"), case("p3-1", "p3"))
    joined, visits = with_earlier(now, before)
    assert named(visits.pairs) == [("p1-2-before", "p1-3")]
    assert visits.unpaired == ("p2-1",)
    assert len({one.name for one in joined.cases}) == 5
    unordered = with_earlier(now, inventory(*before.cases[:2], case("p1-x", "p1", "x"), case("p2-0", "p2", "0")))[1]
    assert named(unordered.pairs) == [("p2-0-before", "p2-1")]
    assert unordered.unpaired == ("p1-3",)
    single = with_earlier(inventory(case("x")), inventory(case("y")))[1]
    assert named(single.pairs) == [("y-before", "x")]
    with pytest.raises(ConfigError, match="earlier scans of the same patients"):
        with_earlier(now, inventory(case("q", "q"), case("r", "r")))


def test_visits_in_one_folder_follow_one_another() -> None:
    cases = case("b", "p", "10"), case("a", "p", "2"), case("c", "p", "11"), case("d", "q", "1"), case("e")
    visits = among(inventory(*cases))
    assert named(visits.pairs) == [("a", "b"), ("b", "c")]
    assert set(visits.unpaired) == {"d", "e"}
    # Of one visit, of nobody, by words whose order is not that of the alphabet, and of studies that say nothing.
    words = [case("a", "p", "pre"), case("b", "p", "post")]
    same, nobody, silent = (
        [case("a", who, when), case("b", who, when)] for who, when in (("p", "1"), (None, ""), ("p", ""))
    )
    for alone in (same, nobody, silent, words):
        with pytest.raises(ConfigError, match="two visits"):
            among(inventory(*alone))


def test_earlier_scans_and_visits_together_are_two_ways() -> None:
    with pytest.raises(ValueError, match="one of before"):
        DetectConfig(before=Path("earlier"), changes=True)


def test_the_limit_is_that_of_few_repeats() -> None:
    before, now = Deviations.of(10.0, [11.0, 9.0, 10.0]), Deviations.of(20.0, [22.0, 22.0, 22.0])
    # Both move up by 2 each time: that is no mean of 22, but a deviation of 2.
    assert (before.squares, now.squares) == (pytest.approx(2 / 3), 4)
    assert limit_of_change(before, now) == pytest.approx(stats.t.ppf(0.975, 3) * (2 / 3 + 4) ** 0.5)
    assert judged("volume (tumour)", 0, 1, 0.5).percent is None
    assert judged("volume (tumour)", 2, 1, 0.5).word == "smaller"


def test_unchanged_tumours_are_called_changed_in_one_of_twenty() -> None:
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(2000):
        before, now = rng.normal(10, 1, 2)
        spread = [Deviations.of(0.0, rng.normal(0, 1, 5).tolist()) for _ in range(2)]
        called += judged("volume", before, now, limit_of_change(*spread)).word != "no change"
    assert 0.02 < called / 2000 < 0.055


def test_a_scan_is_moved_alike_for_the_same_index_and_within_thick_slices() -> None:
    image = np.random.default_rng(0).integers(0, 100, (6, 24, 24)).astype(np.float32)
    image[3:] += 1000
    plain = case("a", "p")
    for spacing, mixes in (((1.0, 1.0, 6.0), False), ((1.0, 1.0, 1.0), True)):
        study = Study({"flair": image}, Geometry(spacing))
        first, again, other = (perturbed_case(plain, study, index).load().images["flair"] for index in (3, 3, 1))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
        # Noise of 2 % of a range of 1,100 is 22: without mixing, slices stay far from 500.
        inner = first[2:4, 6:18, 6:18]
        assert bool(((inner > 250) & (inner < 850)).any()) == mixes
    assert replace(plain, name="b").name == "b"
