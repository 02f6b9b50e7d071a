"""Scores by group and on another source: the patients that belong to each, and gaps as they are worked out by hand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.commands.app import main
from synthoma.core.errors import ConfigError, LeakError
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import SegmenterNetwork
from synthoma.evaluation.heldout.group_result import By, GroupScores
from synthoma.evaluation.heldout.groups import group_scores
from synthoma.evaluation.heldout.result import read_model_scores
from synthoma.evaluation.heldout.segmenter import _patients
from synthoma.masks.patients import PatientMasks
from synthoma.masks.regions import WHOLE
from synthoma.masks.scores import score_arrays
from synthoma.metrics.intervals import SHARE, unpaired_difference
from synthoma.training.bundle import open_model, save_tensors
from tests.evaluation.heldout.test_heldout import cohort, model
from tests.toys import blobs, write_cohort

pytestmark = pytest.mark.slow

MM = (1.0, 1.0, 1.0)


def cube(side: int, filled: float = 1.0) -> np.ndarray:
    """A cube, or that share of its slices."""
    mask = np.zeros((45, 45, 45), np.uint8)
    mask[: round(side * filled), :side, :side] = 1
    return mask


def groups_of(
    by: Sequence[By], sites: Sequence[str], sides: Sequence[int], shares: Sequence[float]
) -> list[GroupScores]:
    """Groups of patients p0, p1, ... with a true cube each, of which a share was found."""
    patients = [
        PatientMasks(f"p{number}", cube(side), cube(side, share), MM)
        for number, (side, share) in enumerate(zip(sides, shares, strict=True))
    ]
    table = pd.DataFrame({"group": [one.patient for one in patients], "site": sites})
    held: Any = SimpleNamespace(slices=table)
    nothing: Any = None
    scores = score_arrays(patients, draws=60)
    return list(group_scores(scores, by, nothing, nothing, held, np.arange(len(table)), lambda *_: None))


def test_sites_and_sizes_are_parted_and_their_gaps_are_to_all_others() -> None:
    found = groups_of(("site", "size"), ["b", "a", "b", ""], [40, 20, 20, 0], [0.5, 1.0, 0.5, 1.0])
    # Half of the slices of a cube: Dice 2/3. Where both are empty it is 1.
    told = [(one.by, one.group, one.patients, round(one.dice.value, 3)) for one in found]
    assert told == [
        ("site", "a", 1, 1.0), ("site", "b", 2, 0.667), ("site", "unknown", 1, 1.0),
        ("size", "no tumour", 1, 1.0), ("size", "up to 10 ml", 2, 0.833), ("size", "above 50 ml", 1, 0.667),
    ]  # fmt: skip
    assert found[1].gap.value == pytest.approx(2 / 3 - 1)
    assert found[1].gap.n == 4
    assert np.isnan(found[0].gap.low), "one patient has no interval"
    assert found[4].lesion_dice.value == pytest.approx((1 + 2 / 3) / 2)


def test_a_gap_is_that_of_welch_where_patients_are_few_and_draws_agree_where_they_are_many() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(0.8, 0.1, 4), rng.normal(0.7, 0.1, 400)
    found = unpaired_difference(few, many[:6], draws=500)
    theirs = stats.ttest_ind(few, many[:6], equal_var=False)
    low, high = theirs.confidence_interval(0.95)
    assert found.value == pytest.approx(few.mean() - many[:6].mean())
    assert found.low <= low
    assert found.high >= high
    assert found.p >= theirs.pvalue
    wide = unpaired_difference(many[:200], many[200:], draws=2000)
    exact = stats.ttest_ind(many[:200], many[200:], equal_var=False).confidence_interval(0.95)
    assert (wide.low, wide.high) == pytest.approx((exact.low, exact.high), abs=0.003)


def test_gaps_without_spread_or_patients_have_no_interval() -> None:
    for sides in (([0.5], [0.4, 0.6]), ([0.5, 0.5], [0.7, 0.7])):
        found = unpaired_difference(np.array(sides[0]), np.array(sides[1]))
        assert found.value == pytest.approx(np.mean(sides[0]) - np.mean(sides[1]))
        assert np.isnan(found.low)
    assert np.isnan(unpaired_difference(np.array([np.nan]), np.array([0.5])).value)
    limited = unpaired_difference(np.array([0.0, 1.0]), np.array([0.0, 1.0]), limits=SHARE)
    assert (limited.low, limited.high) == (-1, 1)


def test_equal_sources_are_told_apart_in_one_of_twenty() -> None:
    rng = np.random.default_rng(3)
    apart = 0
    for seed in range(200):
        found = unpaired_difference(rng.normal(0, 1, 12), rng.normal(0, 1, 12), draws=200, seed=seed)
        apart += not found.low <= 0 <= found.high
    assert apart / 200 < 0.08


def two_sequences(folder: Path, **meta: Any) -> Cohort:
    """Patients whose second sequence shows nothing of the tumour; one of them lacks the first."""
    images, masks = blobs(24, size=32)
    grey = np.full_like(images, 0.2)
    groups = [f"p{10 + number % 6}" for number in range(24)]
    return write_cohort(
        folder, np.stack([images, grey], 1), masks=masks, groups=groups, splits=["test"] * 24,
        mask_names={"1": "tumour"}, origin="real", **meta,
    )  # fmt: skip


def of_two(folder: Path, *, any_subset: bool) -> Path:
    """A segmenter of two sequences with random weights, that learned from p0 to p5."""
    run = model(folder, "segmenter")
    meta = open_model(run).meta.model_dump(by_alias=True, exclude_unset=True)
    shape = {"size": 32, "channels": 2, "targets": 1}
    torch.manual_seed(1)
    network = build_segmenter(SegmenterNetwork(width=4, levels=2, stem=1), SegmenterShape(**shape))
    tensors = {f"segmenter.{name}": value for name, value in network.state_dict().items()}
    known = {**meta, "shape": shape, "modalities": ["flair", "t1"], "any_subset": any_subset}
    save_tensors(run / "model.safetensors", tensors, known)
    return run


def test_each_sequence_is_shown_alone(tmp_path: Path) -> None:
    held = two_sequences(tmp_path / "cohort")
    run = of_two(tmp_path / "run", any_subset=True)
    scores = synthoma.evaluate_model(held, run, tmp_path / "out", by=("sequence",))
    assert [(one.by, one.group, one.patients) for one in scores.groups] == [
        ("sequence", "flair", 6), ("sequence", "t1", 6),
    ]  # fmt: skip
    # Shown alone, the first sequence is what a cohort without the second one shows.
    images = np.array(held.images, np.float32)
    alone = write_cohort(
        tmp_path / "alone", images[:, 0], masks=np.array(held.masks), groups=list(held.slices["group"]),
        splits=["test"] * 24, mask_names={"1": "tumour"}, origin="real",
    )  # fmt: skip
    expected = synthoma.evaluate_model(alone, run).segmenter
    assert expected is not None
    mean = expected.masks.regions[WHOLE]["dice"].mean
    assert mean is not None
    assert scores.groups[0].dice.value == pytest.approx(mean.value)
    assert read_model_scores(tmp_path / "out").groups == scores.groups
    assert "Group by group" in (tmp_path / "out" / "report.html").read_text()


def test_the_gap_to_another_source_is_the_difference_of_both_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = cohort(tmp_path / "here", "segmenter")
    images, masks = blobs(30, seed=5, size=32)
    there = write_cohort(
        tmp_path / "there", images, masks=masks, groups=[f"q{number % 5}" for number in range(30)],
        mask_names={"1": "tumour"}, origin="real",
    )  # fmt: skip
    run = model(tmp_path / "run", "segmenter")
    command = ["evaluate", str(here.path), "--model", str(run), "-o", str(tmp_path / "out"), "--by", "size"]
    monkeypatch.setattr(sys, "argv", ["synthoma", *command, "--against", str(there.path)])
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 0
    scores = read_model_scores(tmp_path / "out")
    assert scores.shift is not None
    assert scores.segmenter is not None
    alone = synthoma.evaluate_model(there, run, part="all").segmenter
    assert alone is not None
    ours, theirs = (one.masks.regions[WHOLE]["dice"].mean for one in (scores.segmenter, alone))
    assert ours is not None
    assert theirs is not None
    assert (scores.shift.patients, scores.shift.dice.value) == (5, pytest.approx(theirs.value))
    assert scores.shift.gap.value == pytest.approx(ours.value - theirs.value)
    # Nobody knows the size of a pixel here.
    assert [one.group for one in scores.groups] == ["unknown"]
    printed = capsys.readouterr().out
    assert "gap, dice here minus there" in printed
    assert "On another source" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(LeakError):
        synthoma.evaluate_model(here, run, against=here)


def test_groups_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    held = cohort(tmp_path / "cohort", "segmenter")
    with pytest.raises(ConfigError, match="several sequences"):
        synthoma.evaluate_model(held, model(tmp_path / "run", "segmenter"), by=("sequence",))
    pairs = two_sequences(tmp_path / "two")
    run = of_two(tmp_path / "all", any_subset=False)
    with pytest.raises(ConfigError, match="can do without"):
        synthoma.evaluate_model(pairs, run, by=("sequence",))
    with pytest.raises(ConfigError, match="a segmenter where groups"):
        synthoma.evaluate_model(cohort(tmp_path / "sides"), model(tmp_path / "classes"), by=("site",))


def test_tiles_are_stacked_with_those_of_their_place(tmp_path: Path) -> None:
    """Surfaces are looked for in neighbours of the array: a tile beside it in the slice is none of its own stack."""
    masks = np.zeros((6, 8, 8), np.uint8)
    masks[:, 0, 0] = np.arange(6) % 2  # of the second tile alone
    made = write_cohort(tmp_path / "c", np.zeros((6, 1, 8, 8)), masks=masks)
    tiled = made.slices.assign(case="a", group="a", slice=[1, 1, 2, 2, 3, 3], tile=["0-0", "0-1"] * 3)
    made.__dict__["slices"] = tiled
    asked: Any = SimpleNamespace(maps=lambda rows: np.zeros((len(rows), 1, 8, 8), np.float32))
    meta: Any = SimpleNamespace(calibration=None, threshold=(0.5,), targets=("tumour",), modalities=made.modalities)
    [found] = _patients(asked, meta, made, np.arange(6), parted=False, told=[], progress=lambda text, done, total: None)
    assert found.truth[:, 0, 0].tolist() == [0, 0, 0, 1, 1, 1]
