"""A log as curves, also while it is written, damaged or huge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from synthoma.studio.curves import MOST_CURVES, POINTS, curves
from synthoma.studio.studio import Studio


def log(folder: Path, *lines: object, end: str = "") -> Path:
    """A run with a log."""
    folder.mkdir(exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + end, encoding="utf-8")
    return folder


def test_losses_and_snapshots_of_the_same_images_are_one_point(tmp_path: Path) -> None:
    run = log(
        tmp_path / "r", {"step": 1, "images": 16, "g_loss": 2.0}, {"step": 2, "warning": "careful"},
        {"step": 2, "images": 32, "g_loss": 1.0}, {"step": 2, "images": 32, "score": 0.5, "seconds": 3},
        end='{"step": 3, "images": 48, "g_lo',
    )  # fmt: skip
    assert curves(run) == {"images": [16.0, 32.0], "curves": {"g_loss": [2.0, 1.0], "score": [None, 0.5]}}


def test_long_logs_are_thinned_by_means(tmp_path: Path) -> None:
    run = log(tmp_path / "r", *({"images": n, "loss": float(n % 2)} for n in range(4 * POINTS)))
    found = curves(run)
    assert found["curves"] == {"loss": [0.5] * POINTS}


@pytest.mark.parametrize("text", ["", "\x00\xff\n", "[1]\nnull\n", '{"images": NaN, "a": 1}\n', "[" * 100_000 + "\n"])
def test_damage_is_no_curve(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.jsonl").write_bytes(text.encode("latin1"))
    assert curves(tmp_path) == {"images": [], "curves": {}}


def test_the_page_gets_them(studio: Studio, visitor: TestClient) -> None:
    many = {f"c{number}": 1.0 for number in range(50)}
    log(studio.places.workspace / "r", {"images": 1, **many}, {"images": 2, **many})
    assert len(visitor.get("/curves/w/r").json()["curves"]) == MOST_CURVES
    assert visitor.get("/curves/w/none").json() == {"images": [], "curves": {}}
    assert visitor.get("/curves/../secret").status_code in (403, 404)
