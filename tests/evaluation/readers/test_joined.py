"""Readers beside an evaluation: told, and without a say in any light."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import synthoma
from synthoma.core.errors import InputError
from synthoma.evaluation.result import read_evaluation
from tests.evaluation.readers.conftest import Cohorts, write_answers


@pytest.mark.slow
@pytest.mark.usefixtures("fewer_planted")
def test_an_evaluation_tells_what_readers_said(blinded: Path, cohorts: Cohorts, tmp_path: Path) -> None:
    file = write_answers(blinded, tmp_path / "answers-A.csv", lambda item: item["truth"])
    readers = synthoma.turing_score(blinded, file, tmp_path / "readers")
    few: dict[str, Any] = {"halves": 19, "canaries": 20}
    plain = synthoma.evaluate(*cohorts, tmp_path / "plain", **few)
    found = synthoma.evaluate(*cohorts, tmp_path / "told", turing=tmp_path / "readers", **few)
    assert found.readers == readers
    assert read_evaluation(tmp_path / "told").readers == readers
    assert "readers" not in plain.content()
    assert [light.state for light in found.lights] == [light.state for light in plain.lights]
    assert found.verdict == plain.verdict
    assert found.light("realistic").text.startswith(f"{plain.light('realistic').text}; readers: told apart, d' ")
    for name in ("report.html", "report.md"):
        assert "What readers say" in (tmp_path / "told" / name).read_text()
        assert "What readers say" not in (tmp_path / "plain" / name).read_text()
        assert "Nobody looked at the images" not in (tmp_path / "told" / name).read_text()


def test_readers_of_other_pictures_are_refused(blinded: Path, cohorts: Cohorts, tmp_path: Path) -> None:
    file = write_answers(blinded, tmp_path / "answers-A.csv", lambda item: item["truth"])
    synthoma.turing_score(blinded, file, tmp_path / "readers")
    shutil.copytree(cohorts[1], tmp_path / "other")
    images = np.load(tmp_path / "other" / "images.npy")
    images[0, 0, 0, 0] += np.float16(0.5)
    np.save(tmp_path / "other" / "images.npy", images)
    with pytest.raises(InputError, match=r"another synthetic cohort; .* turing"):
        synthoma.evaluate(cohorts[0], tmp_path / "other", tmp_path / "told", turing=tmp_path / "readers")
    assert not (tmp_path / "told").exists()
