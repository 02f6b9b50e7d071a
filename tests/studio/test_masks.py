"""A mask that a person corrected lies on the scan's own grid, beside the one that the model made, which stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
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
