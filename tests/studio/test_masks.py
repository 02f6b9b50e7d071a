"""A mask that a person corrected lies on the scan's own grid, beside the one that the model made, which stays."""

from __future__ import annotations

import errno
import json
import math
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from synthoma.core.types import Array
from synthoma.scans.case import Direction, Geometry, Volume
from synthoma.scans.volumes import read_volume, write_volume
from synthoma.studio.studio import Studio

TURNED: Direction = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((1.0, 2.0, 3.0), (-40.0, 12.5, 7.0), TURNED)


def write(path: Path, voxels: Array, grid: Geometry = GRID) -> Path:
    """A volume in a file."""
    write_volume(Volume(voxels, grid), path)
    return path


@pytest.fixture
def finding(studio: Studio) -> Path:
    """Findings of one scan of 5 x 6 x 7 voxels, with a probability that rises."""
    folder = studio.places.workspace / "found" / "p1"
    folder.mkdir(parents=True)
    mask = np.zeros((5, 6, 7), np.uint8)
    mask[2, 3, 4] = 1
    write(folder / "p1_mask.nii.gz", mask)
    write(folder / "p1_probability.nii.gz", np.linspace(0, 1, 210, dtype=np.float32).reshape(5, 6, 7))
    files = {
        "mask": ["p1_mask.nii.gz"],
        "probabilities": ["p1_probability.nii.gz", "../../x.nii.gz"],
        "view": ["view.json"],
    }
    facts = {
        "case": "p1",
        "has_tumour": True,
        "files": files,
        "labels": {"1": "<b>tumour</b>"},
        "thresholds": {"t": 0.5},
    }
    (folder / "findings.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder.parent / "detection.json").write_text("{}", encoding="utf-8")
    return folder


def send(visitor: TestClient, csrf: str, content: bytes) -> tuple[int, dict[str, object]]:
    """Send a mask as the page does."""
    answer = visitor.post(
        "/correct/w/found/p1", files={"mask": ("../../evil.nii", content)},
        headers={"x-csrf": csrf, "accept": "application/json"},
    )  # fmt: skip
    return answer.status_code, answer.json()


def test_a_drawn_mask_is_saved_on_the_grid_of_the_scan(visitor: TestClient, csrf: str, finding: Path) -> None:
    drawn = np.zeros((5, 6, 7), np.uint8)
    drawn[1:3, 3, 4] = 1
    before = (finding / "p1_mask.nii.gz").read_bytes()
    for number, name in enumerate(("p1_mask_corrected_by_hand.nii.gz", "p1_mask_corrected_by_hand_2.nii.gz")):
        suffix = (".nii", ".nii.gz")[number]
        status, said = send(visitor, csrf, write(finding.parent / f"sent{suffix}", drawn).read_bytes())
        assert (status, said["file"], said["volume_ml"], said["changed_voxels"]) == (201, name, 0.012, 1)
        saved = read_volume(finding / name)
        assert np.array_equal(saved.voxels, drawn)
        assert saved.geometry == read_volume(finding / "p1_mask.nii.gz").geometry
        assert b"corrected by hand" in __import__("gzip").decompress((finding / name).read_bytes())[148:228]
    assert (finding / "p1_mask.nii.gz").read_bytes() == before
    note = json.loads((finding / "p1_mask_corrected_by_hand.json").read_text())
    assert note["of"] == "p1_mask.nii.gz"
    assert "p1_mask_corrected_by_hand_2.nii.gz" in visitor.get("/view/w/found/p1").text
    assert not list(finding.glob("*evil*"))


@pytest.mark.parametrize("what", ["shape", "place", "turned", "label", "fraction", "text", "cut", "empty", "bomb"])
def test_what_is_no_mask_of_it_is_refused(visitor: TestClient, csrf: str, finding: Path, what: str) -> None:
    voxels: Array = np.zeros((5, 6, 7), np.uint8)
    grid = GRID
    voxels[0, 0, 0] = 9 if what == "label" else 1
    if what == "shape":
        voxels = voxels[:-1]
    if what == "fraction":
        voxels = voxels.astype(np.float32) / 2
    if what == "place":
        grid = Geometry(GRID.spacing, (-40.0, 12.5, 8.0), TURNED)
    if what == "turned":
        grid = Geometry(GRID.spacing, GRID.origin)
    content = write(finding.parent / "sent.nii.gz", voxels, grid).read_bytes()
    if what == "bomb":
        import gzip

        header = bytearray(gzip.decompress(content)[:352])
        header[42:48] = (30000).to_bytes(2, "little") * 3
        content = gzip.compress(bytes(header) + bytes(2**20))
    content = {"text": b"<script>", "cut": content[:-20], "empty": b""}.get(what, content)
    status, said = send(visitor, csrf, content)
    assert status in (400, 422)
    assert "error" in said
    assert not list(finding.glob("*by_hand*"))


def test_a_threshold_is_saved_without_a_mouse(visitor: TestClient, csrf: str, finding: Path) -> None:
    answer = visitor.post("/threshold/w/found/p1", data={"threshold": "0.75", "csrf": csrf})
    assert answer.status_code == 201
    chance = read_volume(finding / "p1_probability.nii.gz").voxels
    saved = read_volume(finding / str(answer.json()["file"])).voxels
    assert np.array_equal(saved, chance >= 0.75)
    for wrong in ("0", "1", "nan", "x", ""):
        assert visitor.post("/threshold/w/found/p1", data={"threshold": wrong, "csrf": csrf}).status_code == 422


def test_the_probability_is_shown(visitor: TestClient, finding: Path) -> None:
    answer = visitor.get("/volume/w/found/p1", params={"what": "0"})
    assert answer.content == (finding / "p1_probability.nii.gz").read_bytes()
    assert visitor.get("/volume/w/found/p1", params={"what": "1"}).status_code == 404  # it leads elsewhere
    page = visitor.get("/view/w/found/p1").text
    assert 'id="threshold"' in page
    assert "<b>tumour" not in page


def test_findings_that_are_only_read_stay_as_they_are(
    studio: Studio, visitor: TestClient, csrf: str, finding: Path
) -> None:
    import shutil

    shutil.copytree(finding.parent, studio.places.roots["0"] / "found")
    answer = visitor.post("/threshold/0/found/p1", data={"threshold": "0.5", "csrf": csrf})
    assert answer.status_code == 403
    assert 'id="brush"' not in visitor.get("/view/0/found/p1").text


def test_masks_are_bounded(visitor: TestClient, csrf: str, finding: Path) -> None:
    headers = {"x-csrf": csrf, "content-length": str(2**40)}
    assert visitor.post("/correct/w/found/p1", content=b"x", headers=headers).status_code == 413


def test_a_correction_is_whole_or_not_there(
    visitor: TestClient, csrf: str, finding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (finding / "p1_mask.nii.gz").read_bytes()
    there = sorted(finding.iterdir())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("synthoma.core.whole_files.os.fsync", full)
        status, said = send(visitor, csrf, content)
    assert status == 400
    assert "disk is full" in str(said["error"])
    assert sorted(finding.iterdir()) == there
    (finding / "p1_mask_corrected_by_hand.nii.gz").touch()  # as an end in the middle of saving may leave it
    assert visitor.get("/volume/w/found/p1", params={"what": "hand"}).status_code == 404
    assert "nobody said" in visitor.get("/view/w/found/p1").text
    assert send(visitor, csrf, content)[1]["file"] == "p1_mask_corrected_by_hand_2.nii.gz"
    assert "corrected" in visitor.get("/view/w/found/p1").text


def test_who_draws_in_two_windows_is_told(visitor: TestClient, csrf: str, finding: Path) -> None:
    def save(began: str) -> dict[str, object]:
        answer = visitor.post(
            "/correct/w/found/p1", files={"mask": ("m", (finding / "p1_mask.nii.gz").read_bytes())},
            data={"began": began}, headers={"x-csrf": csrf, "accept": "application/json"},
        )  # fmt: skip
        found: dict[str, object] = answer.json()
        return found

    first = save("")
    assert "remarks" not in first
    assert "remarks" not in save(str(first["file"]))
    assert "p1_mask_corrected_by_hand_2.nii.gz was saved meanwhile" in str(save(str(first["file"]))["remarks"])


def test_a_scan_that_is_another_one_now_is_not_drawn_on(studio: Studio, visitor: TestClient, finding: Path) -> None:
    scan = studio.places.workspace / "p1_flair.nii.gz"
    job = studio.store.add("detect", "", ("detect", str(scan)), str(finding.parent))
    studio.store.end(job.id, "done")
    write(scan, np.zeros((5, 6, 7), np.uint8))
    assert visitor.get("/volume/w/found/p1", params={"what": "scan"}).status_code == 200
    write(scan, np.zeros((5, 7, 6), np.uint8))
    answer = visitor.get("/volume/w/found/p1", params={"what": "scan"}, headers={"accept": "application/json"})
    assert answer.status_code == 409
    assert "6x7x5 voxels, with a mask of 7x6x5" in answer.json()["error"]


def test_numbers_that_are_none_are_not_shown(visitor: TestClient, finding: Path) -> None:
    facts = json.loads((finding / "findings.json").read_text())
    facts |= {"probability": math.nan, "volume_ml": math.inf, "thresholds": {"t": math.nan}}
    (finding / "findings.json").write_text(json.dumps(facts), encoding="utf-8")
    page = visitor.get("/view/w/found/p1").text
    assert "nan" not in page
    assert "inf" not in page
    assert 'value="0.5"' in page


@pytest.mark.parametrize("damage", ["size", "text"])
def test_pictures_that_make_no_stack_are_refused(visitor: TestClient, csrf: str, finding: Path, damage: str) -> None:
    for name, rows in (("a", 6), ("b", 7 if damage == "size" else 6)):
        Image.fromarray(np.zeros((rows, 7), np.uint8)).save(finding / f"{name}_mask.png")
    if damage == "text":
        (finding / "b_mask.png").write_bytes(b"text")
    facts = json.loads((finding / "findings.json").read_text())
    facts["files"] = {"mask": ["a_mask.png", "b_mask.png"]}
    (finding / "findings.json").write_text(json.dumps(facts), encoding="utf-8")
    assert send(visitor, csrf, b"")[0] == 400


def test_a_full_disk_is_said_of_what_is_written_down_too(
    visitor: TestClient, csrf: str, finding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("synthoma.studio.reviews.Reviews.say", full)
    status, said = send(visitor, csrf, (finding / "p1_mask.nii.gz").read_bytes())
    assert status == 507
    assert "disk is full" in str(said["error"])
