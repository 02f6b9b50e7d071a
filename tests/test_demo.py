"""The demonstration ends in one page that says what is simulated, and leads to all that was made."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.core.types import tumour_of
from synthoma.evaluation.result import read_evaluation
from synthoma.phantom import PhantomConfig, simulate
from synthoma.pipeline import demonstration

pytestmark = [pytest.mark.heavy, pytest.mark.usefixtures("few_are_judged", "fewer_planted")]


def test_the_demo_is_one_page_on_patients_that_do_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PATIENTS", 8), ("SIMULATED", 2), ("MINUTES", 0.02), ("IMAGES", 40), ("PIXEL_MM", 4.0)):
        monkeypatch.setattr(demonstration, name, value)
    page = synthoma.demo(tmp_path / "demo")
    text = page.read_text(encoding="utf-8")
    assert "Everything here is simulated" in text
    verdict = read_evaluation(tmp_path / "demo" / "evaluation").verdict
    assert f"<b>{verdict.word}</b>" in text
    assert verdict.word != "HELPS"
    hospital = PhantomConfig(modalities=("flair",), sites=1, skull="stripped", pixel_mm=4.0)
    study = simulate(seed=demonstration.HOSPITAL, index=8, config=hospital).study
    assert study.mask is not None
    assert study.geometry is not None
    truth = tumour_of(study.mask).sum() * np.prod(study.geometry.spacing) / 1000
    assert f"a tumour of {truth:.1f} ml" in text
    for place in re.findall(r'href="([^"#]+)', text):
        assert (page.parent / place).is_file(), place
    cohort = synthoma.Cohort(tmp_path / "demo" / "hospital")
    assert cohort.origin == "phantom"
    assert len(cohort.patients) == 8
    assert synthoma.describe(tmp_path / "demo")["kind"] == "demo"
    assert len(synthoma.Findings(tmp_path / "demo" / "found")) == 1
