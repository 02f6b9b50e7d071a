"""A studio in a folder of its own, and somebody who has come in."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the studio: pip install 'synthoma[studio]'")
pytest.importorskip("httpx", reason="tests of the studio: pip install httpx")

with warnings.catch_warnings():  # it would like httpx2
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

from synthoma.studio.app import application
from synthoma.studio.gate import Door
from synthoma.studio.limits import Limits
from synthoma.studio.server import made
from synthoma.studio.store import Job
from synthoma.studio.studio import Studio
from tests.studio.visiting import chromium, serving

ADDRESS = "http://127.0.0.1:8765"
SMALL = Limits(upload_bytes=3 * 2**20, files=6, ratio=50, depth=4, form_bytes=4096)


def python(script: str) -> Callable[[tuple[str, ...]], list[str]]:
    """In place of a command: a script that gets its words."""
    return lambda words: [sys.executable, "-c", script, *words]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A studio with one folder of scans, whose queue does not work."""
    scans = tmp_path / "scans"
    (scans / "inner").mkdir(parents=True)
    (scans / "inner" / "p1_flair.nii.gz").write_bytes(b"no volume")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    return made(tmp_path / "workspace", [scans], Door("127.0.0.1", 8765), limits=SMALL)


@pytest.fixture
def stranger(studio: Studio) -> Iterator[TestClient]:
    """Somebody who has not come in."""
    with TestClient(application(studio), base_url=ADDRESS, follow_redirects=False) as client:
        yield client


@pytest.fixture
def visitor(studio: Studio, stranger: TestClient) -> TestClient:
    """Somebody who opened the address with the token."""
    assert stranger.get("/enter", params={"token": studio.door.token}).status_code == 200
    return stranger


@pytest.fixture
def csrf(studio: Studio, visitor: TestClient) -> str:
    """What the pages of the visitor carry."""
    return studio.door.sessions[visitor.cookies[studio.door.cookie]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for the tests of a file."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A studio as the command starts it; its address."""
    with serving(tmp_path) as address:
        yield address


def over(studio: Studio, job: str, seconds: float = 60) -> Job:
    """A job when it is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = studio.store.job(job)
        assert found is not None
        if found.over:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{job} is not over")
