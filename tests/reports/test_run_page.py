from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthoma.reports.run_page import not_found, not_learned, run_page, watched_of
from synthoma.training.bundle import load_tensors
from synthoma.training.log import LogEntry
from tests.toys import halves, train_toy, write_cohort

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("by_chance", [False, True])
def test_the_card_tells_the_score_of_the_snapshot_that_is_kept(tmp_path: Path, *, by_chance: bool) -> None:
    images, labels = halves(12)
    cohort = write_cohort(tmp_path / "cohort", images, labels)
    train_toy(cohort, tmp_path / "run", images=64, snapshots=2)
    meta = load_tensors(tmp_path / "run" / "model.safetensors").meta
    log = tmp_path / "run" / "log.jsonl"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    for entry in entries:
        if "score" in entry:
            entry["score"] = 0.75 if entry["images"] == meta.images else 0.5 if by_chance else 1.5
    log.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    page = run_page(tmp_path / "run", "toy", meta, {})
    assert "<b>0.75</b><span>score</span>" in page
    assert f"of the snapshot that is kept, after {meta.images} images" in page
    assert ("the lowest, 0.5, is not lower by more than chance" in page) is by_chance


def entry(**figures: float | None) -> LogEntry:
    known: dict[str, float | None] = {"step": 1, "images": 16, "score": 1.0, "d_auc_held_out": 0.5}
    return LogEntry.model_validate({**known, **figures})


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"d_accuracy_held_out": None, "d_accuracy_training": 0.9}, "too few validation slices"),
        ({"d_accuracy_held_out": 0.6, "d_accuracy_training": 0.98}, "learned training slices by heart"),
        ({"d_accuracy_held_out": 0.97, "d_accuracy_training": 0.98}, "tells nearly all apart"),
        ({"d_accuracy_held_out": 0.55, "d_accuracy_training": 0.57}, "hardly tells held-out slices"),
        ({"d_accuracy_held_out": 0.5, "d_accuracy_training": 0.5, "d_auc_held_out": 0.9}, "90 % of pairs"),
        (
            {"d_accuracy_held_out": 0.5, "d_accuracy_training": 0.5, "d_auc_held_out": 0.1},
            "wrong more often than right",
        ),
    ],
)
def test_the_page_says_what_the_discriminator_makes_of_held_out_slices(
    figures: dict[str, float | None], told: str
) -> None:
    watched = watched_of([entry(**figures)])
    assert watched is not None
    assert told in " ".join(watched.said)
    assert watched_of([LogEntry.model_validate({"step": 1, "images": 16, "score": 1.0})]) is None


def test_a_generator_that_has_hardly_learned_says_so() -> None:
    few, wild = [entry(images=64)], [entry(images=9000, variety=40.0)]
    assert "shown 64 images" in not_learned(few, 64)[0]
    assert "vary 40.0 times as much as scans do" in not_learned(wild, 9000)[0]
    assert not_learned([entry(images=9000, variety=0.9)], 9000) == []


def test_a_detector_that_finds_nothing_says_so(tmp_path: Path) -> None:
    images, labels = halves(12)
    train_toy(write_cohort(tmp_path / "cohort", images, labels), tmp_path / "run", images=64, snapshots=2)
    meta = load_tensors(tmp_path / "run" / "model.safetensors").meta
    segmenter = meta.model_copy(update={"targets": ("tumour",)})
    assert "Dice is 0.12" in not_found({"dice_tumour": 0.12}, segmenter)[0]
    assert not_found({"dice_tumour": 0.7}, segmenter) == []
    classifier = meta.model_copy(update={"targets": (), "classes": ("healthy", "tumour")})
    assert "guessing reaches 0.50" in not_found({"balanced_accuracy": 0.55}, classifier)[0]
    assert not_found({"balanced_accuracy": 0.8}, classifier) == []
