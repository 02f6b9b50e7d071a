"""Dials of a generator in the studio: what is shown is asked of the generator that is there, and of nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from synthoma.core.types import Array
from synthoma.studio.studio import Studio
from tests.toys import halves, train_toy, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture
def run(studio: Studio, tmp_path: Path) -> str:
    """A generator that was told two classes; its address."""
    images, names = halves(60)
    cohort = write_cohort(tmp_path / "halves", images, names)
    train_toy(cohort, studio.places.workspace / "run", images=600, snapshots=1, conditional=True)
    (studio.places.workspace / "run" / "run.json").write_text("{}", encoding="utf-8")
    return "w/run"


def picture(visitor: TestClient, address: str, **asked: str) -> Array:
    """A picture of the page."""
    answer = visitor.get(address, params={"seed": "3", "truncation": "1", **asked})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("L")).astype(int)


def test_dials_show_in_the_images(studio: Studio, visitor: TestClient, run: str) -> None:
    page = visitor.get(f"/synthetic?at={run}").text
    assert 'id="trial"' in page
    sheet = picture(visitor, f"/tried/{run}")
    assert sheet.shape == (2 * 128 + 2, 6 * 128 + 5 * 2)
    assert np.array_equal(sheet, picture(visitor, f"/tried/{run}"))
    assert not np.array_equal(sheet, picture(visitor, f"/tried/{run}", seed="4"))
    typical = picture(visitor, f"/tried/{run}", truncation="0.1", label="left")
    # Little variety: tiles of one class are nearly one picture.
    tiles = [typical[:128, 130 * at : 130 * at + 128] for at in range(6)]
    various = [sheet[:128, 130 * at : 130 * at + 128] for at in range(6)]
    assert np.std(tiles, axis=0).mean() < 0.5 * np.std(various, axis=0).mean()
    ends = [picture(visitor, f"/between-images/{run}", one="1", other="2", share=share) for share in ("0", "1")]
    for end, tile in zip(ends, various[:2], strict=True):
        assert abs(end - tile).mean() < 2


def test_what_cannot_be_tried_is_said(studio: Studio, visitor: TestClient, run: str) -> None:
    def status(address: str = f"/tried/{run}", **asked: str) -> int:
        return visitor.get(address, params={"seed": "3", "truncation": "1", **asked}).status_code

    assert status() == 200
    for wrong in (
        {"seed": "x"}, {"truncation": "0"}, {"truncation": "nan"}, {"label": "cyst"}, {"lobe": "x"},
        {"size_wanted": "yes", "ml": "20"}, {"size_wanted": "yes", "ml": "1e9"},
    ):  # fmt: skip
        assert status(**wrong) in (400, 422), wrong
    between = f"/between-images/{run}"
    assert status(between, one="1", other="13", share="0") in (400, 422)
    assert status(between, one="0", other="1", share="0") in (400, 422)
    assert status(between, one="1", other="2", share="2") in (400, 422)
    assert status("/tried/w/none") == 404
    assert status("/tried/0/inner") == 404
    assert status("/tried/../secret") in (403, 404)
