"""The visual Turing test in the browser: blind until its end, no answer lost or changed, scored by the command."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import synthoma
from synthoma.evaluation.readers.answers import read_answers
from synthoma.evaluation.readers.blinded import read_key, read_set
from synthoma.studio.readings import Readings, set_at
from synthoma.studio.refusal import RefusedError
from synthoma.studio.store import Store
from synthoma.studio.studio import Studio
from tests.toys import blobs, write_cohort


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 4 + 4 pictures and 2 repeats for two readers."""
    folder = tmp_path_factory.mktemp("turing")
    write_cohort(folder / "real", blobs(12, 0, 32)[0], splits=["train"] * 4 + ["test"] * 8, origin="real")
    groups = [f"s{number}" for number in range(12)]
    trained = {"trained_on": {"slices": 4, "groups": [f"case-{number:04d}" for number in range(4)]}}
    write_cohort(folder / "drawn", blobs(12, 1, 32)[0], groups=groups, origin="synthetic", provenance=trained)
    synthoma.turing_make(
        folder / "real", folder / "drawn", folder / "set", number=4, repeats=0.25, readers=("Ann", "Bob"), pixels=32
    )
    return folder / "set"


@pytest.fixture
def blinded(made: Path, studio: Studio) -> Path:
    """The set in the workspace."""
    import shutil

    return Path(shutil.copytree(made, studio.places.workspace / "set"))


def shown(visitor: TestClient, reader: str) -> str:
    """The item that a reader is shown; empty where all are answered."""
    page = visitor.get("/read/w/set", params={"reader": reader}).text
    found = re.search(r'name="item" value="(\d+)"', page)
    return found.group(1) if found else ""


def say(visitor: TestClient, csrf: str, reader: str, item: str, answer: str = "real", **more: str) -> int:
    """Answer an item; the status."""
    data = {"csrf": csrf, "reader": reader, "item": item, "answer": answer, **more}
    return int(visitor.post("/answer/w/set", data=data).status_code)


@pytest.mark.slow
def test_a_reader_goes_through_it_in_their_own_order(
    studio: Studio, visitor: TestClient, csrf: str, blinded: Path
) -> None:
    order = read_set(blinded).orders["Ann"]
    for number, item in enumerate(order):
        assert shown(visitor, "Ann") == item
        more = {"confidence": "4", "quality": "2", "remark": '=odd, "edge"', "seconds": "3.25"} if number == 0 else {}
        assert say(visitor, csrf, "Ann", item, "synthetic", **more) == 303
    assert shown(visitor, "Ann") == ""
    assert "10 of 10" in visitor.get("/reading/w/set").text
    files = Readings(Store(studio.store.path), set_at(blinded)).close(studio.places.own / "answers")
    given = read_answers(files, read_set(blinded))
    assert list(given) == ["Ann"]
    first = given["Ann"][order[0]]
    assert (first.choice, first.confidence, first.quality, first.remark) == ("synthetic", 4, (2,), '=odd, "edge"')
    assert first.seconds == pytest.approx(3.2, abs=0.1)
    assert all(answer.choice == "synthetic" for answer in given["Ann"].values())


def test_the_first_answer_counts(studio: Studio, visitor: TestClient, csrf: str, blinded: Path) -> None:
    item = shown(visitor, "Bob")
    assert say(visitor, csrf, "Bob", item, "real") == 303
    assert say(visitor, csrf, "Bob", item, "synthetic") == 303  # a second click goes on
    later = read_set(blinded).orders["Bob"][5]
    assert say(visitor, csrf, "Bob", later) == 409  # it was not shown yet
    files = Readings(studio.store, set_at(blinded)).close(studio.places.own / "answers")
    assert {one.choice for one in read_answers(files, read_set(blinded))["Bob"].values()} == {"real", None}


@pytest.mark.parametrize(
    ("reader", "answer", "more"),
    [
        ("Eve", "real", {}), ("", "real", {}), ("Ann", "left", {}), ("Ann", "", {}),
        ("Ann", "real", {"confidence": "6"}),
        ("Ann", "real", {"quality": "x"}), ("Ann", "real", {"confidence": "²"}),
    ],
)  # fmt: skip
def test_nonsense_is_refused(
    visitor: TestClient, csrf: str, blinded: Path, reader: str, answer: str, more: dict[str, str]
) -> None:
    assert say(visitor, csrf, reader, shown(visitor, "Ann"), answer, **more) in (404, 422)
    assert "0 of 10" in visitor.get("/reading/w/set").text


def test_nobody_learns_the_truth_before_the_end(visitor: TestClient, csrf: str, blinded: Path) -> None:
    assert visitor.get("/file/w/set/key.json").status_code == 403
    key = read_key(blinded, read_set(blinded))
    item = shown(visitor, "Ann")
    for address in ("/reading/w/set", "/read/w/set?reader=Ann", "/turing", "/"):
        text = visitor.get(address).text
        assert all(one.real_case is None or one.real_case not in text for one in key.items)
    sizes = {len(visitor.get("/picture/w/set", params={"item": one.item}).content) for one in key.items}
    assert len(sizes) == 1
    for wrong in ("../key", "999", "", f"{item}.png/.."):
        assert visitor.get("/picture/w/set", params={"item": wrong}).status_code == 404


def test_it_is_scored_once_all_is_answered_or_somebody_says_so(
    studio: Studio, visitor: TestClient, csrf: str, blinded: Path
) -> None:
    assert visitor.post("/score/w/set", data={"csrf": csrf}).status_code == 409
    say(visitor, csrf, "Ann", shown(visitor, "Ann"))
    assert visitor.post("/score/w/set", data={"csrf": csrf}).status_code == 409
    assert studio.store.jobs() == []
    assert visitor.post("/score/w/set", data={"csrf": csrf, "early": "yes"}).status_code == 303
    (job,) = studio.store.jobs()
    assert job.words[:3] == ("turing", "score", str(blinded))
    assert Path(job.words[3]).name == "answers-Ann.csv"
    item = read_set(blinded).orders["Ann"][1]
    assert say(visitor, csrf, "Ann", item) == 409
    assert visitor.get("/read/w/set", params={"reader": "Ann"}).status_code == 409
    assert visitor.post("/score/w/set", data={"csrf": csrf}).status_code == 303  # the same answers again


@pytest.mark.slow
def test_the_result_is_shown(studio: Studio, visitor: TestClient, csrf: str, blinded: Path) -> None:
    for _ in range(10):
        say(visitor, csrf, "Ann", shown(visitor, "Ann"))
    files = Readings(studio.store, set_at(blinded)).close(studio.places.own / "answers")
    result = synthoma.turing_score(blinded, files, studio.places.workspace / "result")
    page = visitor.get("/readers/w/result").text
    assert result.verdict.word in page
    assert "Ann: 4 of 8 right" in page


def test_answers_of_many_at_once_are_all_kept(studio: Studio, blinded: Path) -> None:
    readings = Readings(studio.store, set_at(blinded))
    orders = readings.shown.orders

    def work(reader: str) -> None:
        for item in orders[reader]:
            readings.answer(reader, item, {"answer": "real"})

    threads = [threading.Thread(target=work, args=(reader,)) for reader in orders for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [readings.progress(reader).answered for reader in orders] == [10, 10]
    with pytest.raises(RefusedError):
        readings.progress("Eve")
