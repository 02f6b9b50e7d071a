"""When a segmenter says "tumour": calibration on figures whose meaning is known, and on networks that are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from synthoma.detectors.segmenters.alarm import ENOUGH, FALSE_ALARMS, calibrations, fitted
from synthoma.detectors.segmenters.chances import (
    Calibration,
    calibration_of,
    logits,
    read_calibrations,
    stored_calibrations,
)
from synthoma.detectors.slices import LabelledSlices
from synthoma.pipeline import train
from synthoma.training.bundle import open_model
from synthoma.training.device import Execution
from tests.toys import blobs, write_cohort

ONE = Execution("cpu", 1, channels_last=False, bf16=False)


def drawn(count: int, mean: float, seed: int) -> np.ndarray:
    """Figures whose logits are normal with deviation 2."""
    return 1 / (1 + np.exp(-np.random.default_rng(seed).normal(mean, 2.0, count)))


def test_chances_are_shares_of_scans_with_tumour() -> None:
    """Logits N(5, 2) with tumour and N(1, 2) without: by Bayes the chance's logit is x - 3, however many there are."""
    one = fitted(drawn(4000, 5.0, 0), drawn(1000, 1.0, 1))
    assert one is not None
    assert one.slope == pytest.approx(1.0, abs=0.08)
    assert one.offset == pytest.approx(-3.0, abs=0.25)
    figures = np.concatenate([drawn(20000, 5.0, 2), drawn(20000, 1.0, 3)])
    truth = np.repeat([1, 0], 20000)
    chances = one.chance(figures)
    for low in (0.1, 0.4, 0.7):
        inside = (chances >= low) & (chances < low + 0.2)
        assert truth[inside].mean() == pytest.approx(low + 0.1, abs=0.05)


@pytest.mark.parametrize(("ill", "healthy"), [(400, 100), (5, 7), (40, 60)])
def test_the_line_is_that_of_scikit_learn(ill: int, healthy: int) -> None:
    figures, truth = logits(np.concatenate([drawn(ill, 4.0, 0), drawn(healthy, -1.0, 1)])), [1] * ill + [0] * healthy
    model = LogisticRegression(class_weight="balanced", tol=1e-10, max_iter=1000).fit(figures[:, None], truth)
    one = fitted(drawn(ill, 4.0, 0), drawn(healthy, -1.0, 1))
    assert one is not None
    np.testing.assert_allclose([one.slope, one.offset], [model.coef_[0, 0], model.intercept_[0]], atol=1e-5)


def test_the_limit_is_reached_by_a_twentieth_of_the_scans_without_tumour() -> None:
    healthy = drawn(2000, 1.0, 1)
    one = fitted(drawn(200, 4.0, 0), healthy)
    assert one is not None
    assert (one.healthy, one.alarms) == (2000, int((one.chance(healthy) >= one.limit).sum()))
    assert one.alarms <= FALSE_ALARMS * 2000
    lower = np.nextafter(np.sort(one.chance(healthy))[::-1][100], 0)
    assert (one.chance(healthy) >= lower).sum() > FALSE_ALARMS * 2000, "it is the lowest such limit"
    others = drawn(20000, 1.0, 7)
    assert (one.chance(others) >= one.limit).mean() == pytest.approx(FALSE_ALARMS, abs=0.015)
    assert one.chance(np.array(1 / (1 + np.exp(-one.figure)))) == pytest.approx(one.limit, abs=1e-9)


def test_tumour_is_never_said_where_it_is_less_likely_than_none() -> None:
    """Kinds that hardly overlap: a twentieth of the healthy ones lie far below what is likelier ill."""
    one = fitted(drawn(200, 12.0, 0), drawn(200, -6.0, 1))
    assert one is not None
    assert (one.limit, one.found, one.alarms) == (0.5, 200, 0)


def test_of_few_scans_tumour_is_said_where_it_is_likelier_than_none() -> None:
    one = fitted(drawn(10, 5.0, 0), drawn(ENOUGH - 1, 1.0, 1))
    assert one is not None
    assert one.limit == 0.5
    assert fitted(drawn(2, 5.0, 0), drawn(50, 1.0, 1)) is None
    assert fitted(drawn(50, 1.0, 0), drawn(50, 5.0, 1)) is None, "a model that is worse than none"
    same = fitted(np.full(30, 1.0), np.full(30, 1e-9))
    assert same is not None
    assert (same.found, same.alarms) == (30, 0), "figures of exactly 0 and 1 have a logit too"


def test_what_is_shown_finds_its_calibration() -> None:
    def one(offset: float) -> Calibration:
        return Calibration(1.0, offset, 0.5, 9, 9, 9, 0)

    known = {("scan", "flair"): one(-5), ("scan", "t1"): one(-1), ("scan", "flair+t1+t2"): one(-2)}
    known[("picture", "unknown")] = one(-8)
    known[("picture", "flair")] = one(-4)
    assert calibration_of(known, "scan", ("t1", "t2", "flair"), guessed=False) == one(-2)
    assert calibration_of(known, "scan", ("t1", "flair"), guessed=False) == one(-5), "the strictest of those alone"
    assert calibration_of(known, "picture", ("flair",), guessed=True) == one(-8)
    assert calibration_of(known, "scan", ("flair",), guessed=True) == one(-5), "nothing is known of guesses here"
    assert calibration_of(known, "picture", ("t2",), guessed=False) is None
    assert calibration_of(known, "planes", ("flair",), guessed=False) == one(-5), "as of scans where nobody counted"
    known[("planes", "flair")] = one(-7)
    assert calibration_of(known, "planes", ("flair",), guessed=False) == one(-7)
    assert calibration_of(known, "scan", ("flair",), guessed=False) == one(-5), "one plane is no matter of three"
    assert calibration_of(known, "planes", ("t1", "flair"), guessed=False) == one(-5), "not that of another sight"
    assert read_calibrations(stored_calibrations(known)) == known
    for damage in ({"slope": 0.0}, {"slope": float("nan")}, {"limit": 2.0}, {"more": 1}):
        stored = stored_calibrations(known)
        stored["scan"]["t1"] |= damage
        with pytest.raises((ValueError, TypeError)):
            read_calibrations(stored)


class Brightest(nn.Module):
    """Takes for tumour what is bright in the second channel of the middle slice."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 12 * (images[:, 3:4] - 0.5)


def _heads(folder: Path, patients: int = 24, healthy: int = 14) -> Any:
    """Patients of six slices and two sequences, bright spots in the second one where there is tumour."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0.05, 0.3, (6 * patients, 2, 32, 32)).astype(np.float32)
    masks = np.zeros((6 * patients, 32, 32), np.uint8)
    for patient in range(healthy, patients):
        for z in (2, 3):
            images[6 * patient + z, 1, 10:16, 10:16] = 0.9
            masks[6 * patient + z, 10:16, 10:16] = 1
    groups = [f"p{number // 6:02d}" for number in range(len(images))]
    return write_cohort(
        folder, images, masks=masks, groups=groups, mask_names={"1": "tumour"}, modalities=["t1", "flair"]
    )


def test_scans_pictures_and_sequences_are_calibrated_each_for_itself(tmp_path: Path) -> None:
    cohort = _heads(tmp_path / "cohort")
    table = cohort.slices.assign(case=cohort.slices["group"], slice=np.tile(np.arange(6), 24), step_mm=5.0)
    table.to_csv(cohort.path / "slices.csv", index=False)
    cohort = type(cohort)(cohort.path)
    slices = LabelledSlices(cohort, np.arange(len(cohort)), ("t1", "flair"), (), (3, 4.0))
    found = calibrations(
        Brightest(), {"scan": slices, "picture": slices}, ONE, modalities=("t1", "flair"), any_subset=True
    )
    assert ("scan", "t1") not in found, "T1 shows nothing here, and no calibration is made of that"
    scans, pictures = found["scan", "flair+t1"], found["picture", "flair"]
    assert (scans.ill, scans.found, scans.alarms) == (10, 10, 0)
    assert scans.healthy == 24, "14 are too few: what is left of the others without their tumour counts too"
    assert (pictures.ill, pictures.healthy) == (20, 6 * 24 - 20)
    assert pictures.alarms == 0
    guessed = found["picture", "unknown"]
    assert (guessed.ill, guessed.healthy) == (40, 2 * (6 * 24 - 20)), "pictures of either sequence, taken for FLAIR"
    assert guessed.found >= 20
    assert guessed.alarms <= FALSE_ALARMS * guessed.healthy


@pytest.mark.slow
def test_a_trained_segmenter_knows_what_its_figures_mean(tmp_path: Path) -> None:
    images, masks = blobs(48, size=32)
    masks[::2], images[::2] = 0, np.minimum(images[::2], 0.3)
    splits = ["train"] * 16 + ["validation"] * 32
    groups = [f"p{number // 4}" for number in range(48)]
    cohort = write_cohort(
        tmp_path / "cohort", images, masks=masks, groups=groups, splits=splits, mask_names={"1": "tumour"}
    )
    learner = {"levels": 2, "width": 4, "batch": 8}
    train(cohort, tmp_path / "run", model="unet-25d", images=320, snapshots=1, segmenter=learner)
    known = read_calibrations(open_model(tmp_path / "run").meta.calibration)
    one = known["picture", "flair"]
    assert (one.ill, one.healthy) == (16, 16)
    assert one.found + (16 - one.alarms) > 24, "it tells them apart"
    assert ("scan", "flair") not in known, "there is no scan of more than one slice"
