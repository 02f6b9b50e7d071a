"""`synthoma run`: from a folder to a verdict; what is done stays, what was stopped goes on, what differs is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import synthoma
from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.errors import ConfigError, InputError
from synthoma.evaluation import evaluate as judging
from synthoma.evaluation.result import read_evaluation
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.settings import TrainConfig
from tests.test_cli import run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_are_judged", "fewer_planted")]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety pictures of ninety people: an ellipse on a dark ground, with a bright spot in every second."""
    place = tmp_path_factory.mktemp("scans") / "people"
    draws = np.random.default_rng(3)
    rows, columns = np.mgrid[:48, :48]
    for number in range(90):
        a, b = draws.uniform(14, 22, 2)
        pixels = 90.0 * (((rows - 24) / a) ** 2 + ((columns - 24) / b) ** 2 < 1) + draws.uniform(0, 12, (48, 48))
        name = ("yes", "no")[number % 2]
        if name == "yes":
            y, x = draws.integers(16, 32, 2)
            pixels += 120 * ((rows - y) ** 2 + (columns - x) ** 2 < draws.uniform(9, 40))
        (place / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / name / f"person{number:02d}.png")
    return place


@pytest.fixture
def copies_are_known(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for copies is most of an evaluation: who judges anew is told what was found before."""
    found = read_evaluation(made / "evaluation").privacy
    monkeypatch.setattr(judging, "privacy", lambda comparison, **options: found)


SETTINGS: dict[str, Any] = {
    "preparation": PrepareConfig(size=32, duplicates=False),
    "training": TrainConfig(model="dcgan", images=320, snapshots=2, seed=2),
    "count": 40,
    "evaluation": EvaluateConfig.resolve(flags={"halves": 19, "canaries": 20, "jobs": 1}),
}


@pytest.fixture(scope="module")
def made(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("chain") / "out"
    synthoma.chain(scans, place, **SETTINGS)
    return place


def test_each_step_is_an_artefact_and_the_page_leads_to_them(made: Path) -> None:
    kinds = [synthoma.describe(made / name)["kind"] for name in ("cohort", "run", "synthetic", "evaluation")]
    assert kinds == ["cohort", "generator", "cohort", "evaluation"]
    assert synthoma.describe(made)["kind"] == "chain"
    page = (made / "report.html").read_text()
    for name in ("cohort", "run", "synthetic", "evaluation"):
        assert f'href="{name}/report.html"' in page
        assert (made / name / "report.html").is_file()
    assert synthoma.describe(made / "evaluation")["verdict"]["word"] in page
    assert len(synthoma.Cohort(made / "synthetic")) == 40


def test_the_same_again_does_nothing_again(scans: Path, made: Path) -> None:
    files = [path for path in made.rglob("*") if path.is_file() and path.name not in ("report.html",)]
    before = {path: path.stat().st_mtime_ns for path in files}
    told: list[tuple[str, bool]] = []
    synthoma.chain(scans, made, **SETTINGS, announce=lambda number, step, done: told.append((step, done)))
    assert told == [("prepare", True), ("train", True), ("generate", True), ("evaluate", True)]
    assert {path: path.stat().st_mtime_ns for path in files} == before


@pytest.mark.usefixtures("copies_are_known")
def test_a_stopped_training_goes_on_to_the_same_weights(scans: Path, made: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    shutil.copytree(made, place)
    weights = (place / "run" / "model.safetensors").read_bytes()
    for name in ("model.safetensors", "report.html", "checksums.json"):
        (place / "run" / name).unlink()
    newest = max((place / "run" / "checkpoint").iterdir())
    newest.unlink()  # as if it had been stopped a snapshot earlier
    shutil.rmtree(place / "synthetic")
    shutil.rmtree(place / "evaluation")
    told: list[tuple[str, bool]] = []
    synthoma.chain(scans, place, **SETTINGS, announce=lambda number, step, done: told.append((step, done)))
    assert told == [("prepare", True), ("train", False), ("generate", False), ("evaluate", False)]
    assert (place / "run" / "model.safetensors").read_bytes() == weights


@pytest.mark.usefixtures("copies_are_known")
def test_other_settings_are_refused_but_those_of_the_evaluation(scans: Path, made: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    shutil.copytree(made, place)
    with pytest.raises(ConfigError, match="count 41 where 40"):
        synthoma.chain(scans, place, **{**SETTINGS, "count": 41})
    seeded = TrainConfig(model="dcgan", images=320, snapshots=2, seed=3)
    with pytest.raises(ConfigError, match="seed 3 where 2"):
        synthoma.chain(scans, place, **{**SETTINGS, "training": seeded})
    other = EvaluateConfig.resolve(flags={"halves": 19, "canaries": 30, "jobs": 1})
    told: list[bool] = []
    again = {**SETTINGS, "evaluation": other}
    synthoma.chain(scans, place, **again, announce=lambda number, step, done: told.append(done))
    assert told == [True, True, True, False]
    assert synthoma.describe(place / "evaluation")["provenance"]["config"]["canaries"] == 30
    told.clear()
    synthoma.chain(scans, place, **again, announce=lambda number, step, done: told.append(done))
    assert told == [True] * 4


def test_what_is_somebody_elses_is_not_replaced(scans: Path, made: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    shutil.copytree(made, place)
    (place / "thesis.docx").write_text("all my work")
    with pytest.raises(InputError, match=r"thesis\.docx"):
        synthoma.chain(scans, place, **SETTINGS, force=True)
    assert (place / "thesis.docx").read_text() == "all my work"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("x")
    with pytest.raises(InputError, match="holds other files"):
        synthoma.chain(scans, tmp_path / "full", **SETTINGS)


def test_too_few_held_out_are_told_before_the_training(scans: Path, tmp_path: Path) -> None:
    few = {**SETTINGS, "preparation": PrepareConfig(size=32, duplicates=False, split=(0.9, 0.05, 0.05))}
    with pytest.raises(InputError, match="at least 20 slices of held-out patients"):
        synthoma.chain(scans, tmp_path / "out", **few)
    assert not (tmp_path / "out" / "run").exists()


def test_a_misspelt_folder_leaves_nothing_that_binds(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is"):
        synthoma.chain(tmp_path / "nowhere", tmp_path / "out", **SETTINGS)
    few = {**SETTINGS, "preparation": PrepareConfig(size=32, duplicates=False, split=(0.9, 0.05, 0.05))}
    with pytest.raises(InputError, match="at least 20 slices"):  # it was read, so it had begun
        synthoma.chain(scans, tmp_path / "out", **few)


@pytest.mark.usefixtures("copies_are_known")
def test_a_cohort_is_taken_as_it_is(made: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    short = TrainConfig(model="dcgan", images=64, snapshots=2)
    synthoma.chain(made / "cohort", place, **{**SETTINGS, "training": short})
    assert sorted(path.name for path in place.iterdir()) == [
        "chain.json",
        "evaluation",
        "report.html",
        "run",
        "synthetic",
    ]
    assert "cohort/report.html" not in (place / "report.html").read_text()


def test_the_command(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ("--size", "32", "--model", "dcgan", "--images", "64", "-n", "30")
    words = ("run", str(scans), "-o", str(tmp_path / "o"), *short)
    code, told, _ = run(monkeypatch, capsys, *words)
    assert code == 0
    assert "4/4 judging them" in told
    assert told.strip().endswith("report.html")
    code, again, _ = run(monkeypatch, capsys, *words)
    assert (code, again.count("done before")) == (0, 4)


def test_few_patients_are_held_out_as_a_test_of_usefulness_takes(scans: Path, tmp_path: Path) -> None:
    from synthoma.cohorts.preparation import pack
    from synthoma.core.pseudonyms import secret_key
    from synthoma.pipeline.chain import _with_enough_held_out
    from synthoma.scans.layouts import take_inventory

    for people in (7, 10, 16):
        few = tmp_path / f"few{people}"
        for path in sorted(scans.rglob("*.png"))[:: 90 // people][:people]:
            (few / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, few / path.parent.name)
        settings = _with_enough_held_out(few, PrepareConfig(size=32, duplicates=False))
        (tmp_path / f"c{people}").mkdir()
        cohort = pack(take_inventory(few, key=secret_key()), tmp_path / f"c{people}", settings, source="few")
        held = cohort.slices["group"][cohort.slices["split"] != "train"].nunique()
        assert (6 <= held <= 7) == (people > 7), people
    assert _with_enough_held_out(scans, PrepareConfig(size=32)) == PrepareConfig(size=32)  # ninety people are many
    chosen = PrepareConfig(size=32, split=(0.8, 0.1, 0.1))
    assert _with_enough_held_out(tmp_path / "few10", chosen) is chosen
