"""The wall: what is changed is written down, taken back, and saved as a cohort of its own; nothing in silence."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from starlette.testclient import TestClient

from synthoma.cohorts.changed import Change
from synthoma.cohorts.cohort import Cohort
from synthoma.studio.edits import Edits
from synthoma.studio.store import Store
from synthoma.studio.studio import Studio
from tests.toys import blobs, write_cohort


@pytest.fixture
def cohort(studio: Studio) -> Path:
    """Eight slices of four patients."""
    images, masks = blobs(8, 0, 32)
    groups = [f"p{number // 2}" for number in range(8)]
    write_cohort(
        studio.places.workspace / "toy", images, masks=masks, groups=groups, splits=["train"] * 6 + ["test"] * 2
    )
    return studio.places.workspace / "toy"


def change(visitor: TestClient, csrf: str, do: str, *rows: int, **more: str) -> int:
    """Do something on the wall; the status."""
    data = {"csrf": csrf, "do": do, "row": [str(row) for row in rows], **more}
    return int(visitor.post("/change/w/toy", data=data).status_code)


def test_changes_are_kept_shown_and_taken_back(studio: Studio, visitor: TestClient, csrf: str, cohort: Path) -> None:
    before = (cohort / "slices.csv").read_bytes()
    assert change(visitor, csrf, "out", 0, 3) == 303
    assert change(visitor, csrf, "class", 5, new="glioma") == 303
    page = visitor.get("/cohort/w/toy").text
    assert page.count('class="out"') == 2
    assert "1 slice: class glioma; 2 slices left out" in page
    assert visitor.get("/cohort/w/toy", params={"mark": "changed"}).text.count("<figcaption>") == 3
    assert (cohort / "slices.csv").read_bytes() == before
    last = Edits(Store(studio.store.path), cohort).all()[-1].number  # as after a start anew
    assert change(visitor, csrf, "undo", last=str(last)) == 303
    assert change(visitor, csrf, "undo", last=str(last)) == 409  # it is another's that is the last now
    assert [one.change for one in Edits(studio.store, cohort).all()] == [Change("leave out", (0, 3))]


@pytest.mark.slow
def test_it_is_saved_as_a_cohort_of_its_own(studio: Studio, visitor: TestClient, csrf: str, cohort: Path) -> None:
    assert visitor.post("/save/w/toy", data={"csrf": csrf}).status_code == 409
    change(visitor, csrf, "group", 0)
    change(visitor, csrf, "split", 2, to="validation")
    answer = visitor.post("/save/w/toy", data={"csrf": csrf, "name": "../../clean"})
    assert answer.headers["location"] == "/cohort/w/clean"
    made = Cohort(studio.places.workspace / "clean")
    assert made.slices["group"].tolist() == ["p1"] * 2 + ["p2"] * 2 + ["p3"] * 2
    assert made.slices["split"].tolist() == ["validation"] * 2 + ["train"] * 2 + ["test"] * 2
    assert (made.path / "report.html").is_file()
    assert len(Cohort(cohort)) == 8
    assert "not saved yet" not in visitor.get("/cohort/w/toy").text


@pytest.mark.parametrize(
    ("do", "rows", "more"),
    [
        ("out", (), {}), ("out", (8,), {}), ("nonsense", (1,), {}), ("class", (1,), {"new": "<b>x</b>"}),
        ("split", (1,), {"to": "--force"}), ("class", (1,), {}), ("undo", (), {"last": "1; DROP TABLE edits"}),
    ],
)  # fmt: skip
def test_nonsense_is_refused(
    studio: Studio, visitor: TestClient, csrf: str, cohort: Path, do: str, rows: tuple[int, ...], more: dict[str, str]
) -> None:
    assert change(visitor, csrf, do, *rows, **more) in (400, 409, 422)
    assert Edits(studio.store, cohort).all() == []


def test_another_table_has_no_changes(studio: Studio, visitor: TestClient, csrf: str, cohort: Path) -> None:
    change(visitor, csrf, "out", 0)
    table = cohort / "slices.csv"
    table.write_bytes(table.read_bytes() + b"\n")
    assert Edits(studio.store, cohort).all() == []  # rows may mean other slices


@pytest.mark.slow
def test_two_people_lose_nothing(studio: Studio, cohort: Path) -> None:
    def work(first: int) -> None:
        for _ in range(20):
            Edits(studio.store, cohort).add(Change("leave out", (first,)))

    threads = [threading.Thread(target=work, args=(row,)) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    edits = Edits(studio.store, cohort).all()
    assert len({one.number for one in edits}) == 80


def test_the_nearest_scan_stands_beside(studio: Studio, visitor: TestClient) -> None:
    # No two are alike: squares are each other's copies, shifted, and which of those is nearest is rounding.
    images = gaussian_filter(np.random.default_rng(0).uniform(size=(8, 32, 32)), (0, 2, 2)) - 0.1
    write_cohort(studio.places.workspace / "scans", images, splits=["train"] * 6 + ["test"] * 2)
    write_cohort(studio.places.workspace / "drawn", images[[3, 1]], origin="synthetic")
    page = visitor.get("/cohort/w/drawn", params={"beside": "w/scans"}).text
    first, second = page.index("/thumb/w/scans?row=3&"), page.index("/thumb/w/scans?row=1&")
    assert first < second
    write_cohort(studio.places.workspace / "larger", np.zeros((2, 16, 16)))
    assert visitor.get("/cohort/w/drawn", params={"beside": "w/larger"}).status_code == 422
    assert visitor.get("/cohort/w/drawn", params={"beside": "../secret"}).status_code == 403


def test_suspicious_slices_and_duplicates_are_found(studio: Studio, visitor: TestClient, cohort: Path) -> None:
    import pandas as pd

    table = pd.read_csv(cohort / "slices.csv")
    table["look_at"], table["twin"] = ["", "text"] + [""] * 6, ["t1", "t2", "", "", "t1", "", "", "t2"]
    table.to_csv(cohort / "slices.csv", index=False)
    assert visitor.get("/cohort/w/toy", params={"mark": "odd"}).text.count("<figcaption>") == 1
    page = visitor.get("/cohort/w/toy", params={"mark": "twins"}).text
    places = [page.index(f'name="row" value="{row}"') for row in (0, 4, 1, 7)]
    assert places == sorted(places)
