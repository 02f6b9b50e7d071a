from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from synthoma.generators.family import Judge
from synthoma.generators.watchdog import (
    COPYING,
    DISCRIMINATOR_WINS,
    MODE_COLLAPSE,
    JudgedImages,
    validation_judge,
    warnings_of,
)
from tests.metrics.test_copies import head

pytestmark = pytest.mark.slow

CALM = {"d_real": 0.7, "d_fake": 0.3, "step": 1000.0}
OWN = np.array([f"patient {number // 6}" for number in range(60)])
GOOD = {"variety": 0.9, "near_copies": 0.0}


@pytest.fixture(scope="module")
def heads() -> dict[str, np.ndarray]:
    return {
        "training": np.stack([head(seed, 64) for seed in range(60)]),
        "validation": np.stack([head(seed, 64) for seed in range(100, 140)]),
        "fresh": np.stack([head(seed, 64) for seed in range(200, 240)]),
    }


@pytest.fixture(scope="module")
def judge(heads: dict[str, np.ndarray]) -> Judge:
    return validation_judge(learned(heads), JudgedImages(heads["validation"], OWN[:40]), logits=True)


def learned(heads: dict[str, np.ndarray], patients: np.ndarray = OWN) -> JudgedImages:
    return JudgedImages(heads["training"], patients)


def samples(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images.astype(np.float32) * 2 - 1)[:, None]


def test_healthy_samples_get_no_warning(heads: dict[str, np.ndarray], judge: Judge) -> None:
    taken = judge(samples(heads["fresh"]), CALM)
    values = taken.values
    assert taken.warnings == []
    assert math.sqrt(values["wavelet"] * values["random"]) <= taken.score
    assert taken.score < judge(samples(heads["fresh"] * 0.9), CALM).score
    assert values["variety"] == pytest.approx(1, abs=0.15)
    assert values["near_copies"] <= 0.05


def test_a_planted_collapse_is_recognised(heads: dict[str, np.ndarray], judge: Judge) -> None:
    draws = np.random.default_rng(0)
    one = np.clip(heads["fresh"][:1] + draws.normal(0, 0.005, (40, 64, 64)), 0, 1)
    taken = judge(samples(one), CALM)
    assert taken.warnings == [MODE_COLLAPSE]
    assert taken.values["variety"] < 0.35
    assert taken.score > judge(samples(heads["fresh"]), CALM).score
    assert judge(samples(one), CALM | {"step": 10}).warnings == []  # early blobs are no collapse


def test_nearer_than_other_patients_are_is_no_better(heads: dict[str, np.ndarray], judge: Judge) -> None:
    """The validation images themselves score no better than the training images do."""
    best, others = judge(samples(heads["validation"]), CALM), judge(samples(heads["training"]), CALM).values
    assert best.values["wavelet"] < others["wavelet"]
    assert best.values["random"] < others["random"]
    assert best.score == pytest.approx(math.sqrt(others["wavelet"] * others["random"]))


def test_planted_copies_are_recognised(heads: dict[str, np.ndarray], judge: Judge) -> None:
    planted = np.concatenate([heads["fresh"][:34], np.roll(heads["training"][:6], 1, axis=2)])
    assert judge(samples(planted), CALM).warnings == [COPYING]


def test_worse_samples_score_worse(heads: dict[str, np.ndarray], judge: Judge) -> None:
    draws = np.random.default_rng(0)
    noisy = [np.clip(heads["fresh"] + draws.normal(0, sigma, (40, 64, 64)), 0, 1) for sigma in (0.0, 0.05, 0.2)]
    scores = [judge(samples(images), CALM).score for images in noisy]
    assert scores == sorted(scores)
    assert scores[2] > 2 * scores[0]


def test_a_winning_discriminator_is_recognised_by_probabilities_only() -> None:
    winning = {"d_real": 0.99, "d_fake": 0.01, "step": 1000.0}
    assert warnings_of(GOOD, winning, logits=True) == [DISCRIMINATOR_WINS]
    assert warnings_of(GOOD, winning, logits=False) == []
    assert warnings_of(GOOD, winning | {"d_fake": 0.2}, logits=True) == []
    assert warnings_of(GOOD, CALM, logits=True) == []


def test_several_warnings_come_together() -> None:
    found = warnings_of({"variety": 0.1, "near_copies": 0.5}, {"d_real": 1.0, "d_fake": 0.0}, logits=True)
    assert found == [DISCRIMINATOR_WINS, MODE_COLLAPSE, COPYING]


def test_without_held_out_images_nothing_is_said_of_copies(heads: dict[str, np.ndarray]) -> None:
    taken = validation_judge(learned(heads), None, logits=True)(samples(heads["training"][:40]), CALM)
    assert math.isfinite(taken.score)
    assert math.isnan(taken.values["near_copies"])
    assert taken.warnings == []


def test_without_held_out_images_half_of_the_patients_say_what_is_chance(heads: dict[str, np.ndarray]) -> None:
    judge = validation_judge(learned(heads), None, logits=True)
    nearest = judge(samples(heads["training"]), CALM).score
    part = np.random.default_rng(0).permutation(60)[:50]
    assert judge(samples(heads["training"][part]), CALM).score == nearest  # no better for being nearer
    assert judge(samples(heads["training"] * 0.7), CALM).score > nearest
    alone = validation_judge(learned(heads, np.repeat("one", 60)), None, logits=True)
    taken = alone(samples(heads["training"]), CALM)
    assert taken.score == pytest.approx(0, abs=1e-6)
    assert not len(taken.resampled)  # one patient says nothing of others


@pytest.mark.parametrize("count", [1, 3])
def test_one_image_to_learn_from_leaves_nothing_to_score(heads: dict[str, np.ndarray], count: int) -> None:
    same = JudgedImages(np.repeat(heads["training"][:1], count, axis=0), OWN[:count])
    taken = validation_judge(same, None, logits=True)(samples(heads["fresh"]), CALM)
    assert math.isnan(taken.score)
    assert all(map(math.isnan, taken.values.values()))
    assert taken.warnings == []


def test_held_out_patients_say_what_is_chance(heads: dict[str, np.ndarray], judge: Judge) -> None:
    """Other samples of the same kind lie within the error of the comparison, clearly worse ones do not."""
    draws = np.random.default_rng(1)
    kinds = (heads["training"][:30], heads["training"][30:], heads["fresh"] + draws.normal(0, 0.2, (40, 64, 64)))
    taken = sorted((judge(samples(np.clip(kind, 0, 1)), CALM) for kind in kinds), key=lambda one: one.score)
    best, equal, worse = taken
    assert equal.as_good_as(best.score, best.resampled)
    assert not worse.as_good_as(best.score, best.resampled)


def test_few_held_out_patients_leave_more_to_chance(heads: dict[str, np.ndarray], judge: Judge) -> None:
    few = validation_judge(
        learned(heads), JudgedImages(heads["validation"], np.repeat(["one", "other"], 20)), logits=True
    )
    one, other = (says(samples(heads["fresh"]), CALM) for says in (judge, few))
    assert one.score == other.score
    # Resampled forty heads of seven patients against forty of two, all alike: what differs is how many draws differ.
    assert len(set(np.round(one.resampled, 9))) > len(set(np.round(other.resampled, 9))) == 3
