"""Addresses lead into the folders that were opened, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from synthoma.studio.places import Places
from synthoma.studio.refusal import RefusedError
from synthoma.studio.studio import Studio

WAYS_OUT = (
    "w/../secret.txt", "0/../secret.txt", "w/%2e%2e/secret.txt", "0/inner/../../secret.txt", "w//etc/passwd", "1/x",
    "/etc/passwd", "w/.studio/jobs.sqlite", "w/.studio", "w/..", "0/..\\secret.txt", "w/link", "w/link/secret.txt",
    "w/file-link", "", "..", "w/x\0y",
)  # fmt: skip


@pytest.fixture
def linked(studio: Studio, tmp_path: Path) -> Places:
    (studio.places.workspace / "link").symlink_to(tmp_path)
    (studio.places.workspace / "file-link").symlink_to(tmp_path / "secret.txt")
    (studio.places.workspace / "own-link").symlink_to(studio.places.own)
    return studio.places


@pytest.mark.parametrize("at", [*WAYS_OUT, "w/own-link/jobs.sqlite"])
def test_no_way_leads_out(linked: Places, at: str) -> None:
    with pytest.raises(RefusedError):
        linked.find(at)


@pytest.mark.slow
@pytest.mark.parametrize("screen", ["scans", "file", "report", "view", "cohort", "thumb", "volume", "sheet", "run"])
def test_no_screen_leads_out(linked: Places, visitor: TestClient, screen: str) -> None:
    for at in WAYS_OUT[:-1]:
        # As bytes that no client makes shorter before it asks.
        for way in (at.replace("..", "%2e%2e"), at.replace("..", "%2e%2e").replace("/", "%2f"), f"{at}%00"):
            if way in ("", "%00"):
                continue
            answer = visitor.get(f"/{screen}/{way}", params={"what": "scan", "row": "0"})
            assert answer.status_code in (303, 307, 400, 403, 404), f"{screen} {way}"
            assert "secret" not in answer.text.replace("secret.txt", "")


def test_what_is_inside_is_found(studio: Studio, tmp_path: Path) -> None:
    found = studio.places.find("0/inner/p1_flair.nii.gz")
    assert found == (tmp_path / "scans" / "inner" / "p1_flair.nii.gz").resolve()
    assert studio.places.address(found) == "0/inner/p1_flair.nii.gz"
    with pytest.raises(RefusedError):
        studio.places.address(tmp_path / "secret.txt")


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "..", ".hidden", "-o", "a/b", "uploads", "x\0y", "a" * 500, ""])
def test_new_places_lie_in_the_workspace(studio: Studio, name: str) -> None:
    place = studio.places.new(name)
    assert place.parent == studio.places.workspace
    assert not place.name.startswith((".", "-"))
    assert not place.exists()
    assert studio.places.new(name, {str(place)}) != place
