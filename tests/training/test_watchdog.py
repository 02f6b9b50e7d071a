from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from synthoma.training.generative import Judge
from synthoma.training.watchdog import (
    COPYING,
    DISCRIMINATOR_WINS,
    MODE_COLLAPSE,
    validation_judge,
    warnings_of,
)
from tests.metrics.test_copies import head

CALM = {"d_real": 0.7, "d_fake": 0.3, "step": 1000.0}
OWN = [f"patient {number // 6}" for number in range(60)]
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
    return validation_judge(heads["training"], OWN, heads["validation"], logits=True)


def samples(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images.astype(np.float32) * 2 - 1)[:, None]


def test_healthy_samples_get_no_warning(heads: dict[str, np.ndarray], judge: Judge) -> None:
    score, values, warnings = judge(samples(heads["fresh"]), CALM)
    assert warnings == []
    assert math.sqrt(values["wavelet"] * values["random"]) <= score < judge(samples(heads["fresh"] * 0.9), CALM)[0]
    assert values["variety"] == pytest.approx(1, abs=0.15)
    assert values["near_copies"] <= 0.05


def test_a_planted_collapse_is_recognised(heads: dict[str, np.ndarray], judge: Judge) -> None:
    draws = np.random.default_rng(0)
    one = np.clip(heads["fresh"][:1] + draws.normal(0, 0.005, (40, 64, 64)), 0, 1)
    score, values, warnings = judge(samples(one), CALM)
    assert warnings == [MODE_COLLAPSE]
    assert values["variety"] < 0.35
    assert score > judge(samples(heads["fresh"]), CALM)[0]
    assert judge(samples(one), CALM | {"step": 10})[2] == []  # early blobs are no collapse


def test_nearer_than_other_patients_are_is_no_better(heads: dict[str, np.ndarray], judge: Judge) -> None:
    """The validation images themselves score no better than the training images do."""
    best, values, _ = judge(samples(heads["validation"]), CALM)
    others = judge(samples(heads["training"]), CALM)[1]
    assert values["wavelet"] < others["wavelet"]
    assert values["random"] < others["random"]
    assert best == pytest.approx(math.sqrt(others["wavelet"] * others["random"]))


def test_planted_copies_are_recognised(heads: dict[str, np.ndarray], judge: Judge) -> None:
    planted = np.concatenate([heads["fresh"][:34], np.roll(heads["training"][:6], 1, axis=2)])
    assert judge(samples(planted), CALM)[2] == [COPYING]


def test_worse_samples_score_worse(heads: dict[str, np.ndarray], judge: Judge) -> None:
    draws = np.random.default_rng(0)
    noisy = [np.clip(heads["fresh"] + draws.normal(0, sigma, (40, 64, 64)), 0, 1) for sigma in (0.0, 0.05, 0.2)]
    scores = [judge(samples(images), CALM)[0] for images in noisy]
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
    judge = validation_judge(heads["training"], OWN, None, logits=True)
    score, values, warnings = judge(samples(heads["training"][:40]), CALM)
    assert math.isfinite(score)
    assert math.isnan(values["near_copies"])
    assert warnings == []


def test_without_held_out_images_half_of_the_patients_say_what_is_chance(heads: dict[str, np.ndarray]) -> None:
    judge = validation_judge(heads["training"], OWN, None, logits=True)
    nearest = judge(samples(heads["training"]), CALM)[0]
    part = np.random.default_rng(0).permutation(60)[:50]
    assert judge(samples(heads["training"][part]), CALM)[0] == nearest  # no better for being nearer
    assert judge(samples(heads["training"] * 0.7), CALM)[0] > nearest
    alone = validation_judge(heads["training"], ["one"] * 60, None, logits=True)
    assert alone(samples(heads["training"]), CALM)[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_one_image_to_learn_from_leaves_nothing_to_score(heads: dict[str, np.ndarray], count: int) -> None:
    judge = validation_judge(np.repeat(heads["training"][:1], count, axis=0), OWN[:count], None, logits=True)
    score, values, warnings = judge(samples(heads["fresh"]), CALM)
    assert math.isnan(score)
    assert all(map(math.isnan, values.values()))
    assert warnings == []
