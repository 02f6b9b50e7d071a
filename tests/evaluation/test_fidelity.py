from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from synthoma.evaluation import families
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.diverse.variety import diversity
from synthoma.evaluation.families import EXTRACTORS, family_scores, features_of, group_numbers, scaled
from synthoma.evaluation.faults import blurred, checkered, faults
from synthoma.evaluation.nulls import NullPlan, plan_null
from synthoma.evaluation.realistic.appearance import appearance, compared, tumours
from synthoma.evaluation.realistic.differences import intensities, what_differs
from synthoma.evaluation.realistic.distinguished import distinguished
from tests.metrics.test_copies import head

pytestmark = pytest.mark.slow

SIZE = 32
PATIENTS, SLICES = 40, 3
ALONE = [str(number) for number in range(60)]
"""Each synthetic image is a group of its own."""


@cache
def heads(first: int, count: int) -> np.ndarray:
    return np.stack([head(seed, SIZE) for seed in range(first, first + count)]).astype(np.float32)


def comparison(synthetic: np.ndarray) -> Comparison:
    """80 training and 40 held-out images of 40 patients, and synthetic ones."""
    real = heads(5000, 120)
    groups = tuple(f"patient-{i // SLICES}" for i in range(120))
    rows = np.arange(120)
    return Comparison(
        training=real[:81], held_out=real[81:], synthetic=synthetic.astype(np.float32),
        training_rows=rows[:81], held_out_rows=rows[81:], synthetic_rows=np.arange(len(synthetic)),
        training_groups=groups[:81], held_out_groups=groups[81:],
        synthetic_groups=tuple(f"synthetic-{number}" for number in range(len(synthetic))),
        gallery=real[:81], gallery_rows=rows[:81], modality="flair",
    )  # fmt: skip


def names_of(made: Comparison) -> np.ndarray:
    return group_numbers(made.groups, [str(number) for number in range(len(made.synthetic))])


def planned(made: Comparison, halves: int = 39) -> NullPlan:
    held = np.arange(len(made.groups)) >= len(made.training)
    return plan_null(made.groups, held, made.synthetic_groups, halves=halves)


def scores(made: Comparison, **options: Any) -> dict[str, Any]:
    plan = planned(made)
    return {
        family: family_scores(scaled(values), plan, names_of(made), **options)
        for family, values in features_of(made, EXTRACTORS).items()
    }


def test_the_same_distribution_scores_inside_its_null() -> None:
    found = scores(comparison(heads(1000, 60)))
    for family in EXTRACTORS:
        for name in ("kid", "sliced_wasserstein", "recall", "coverage"):
            entry = found[family][name]
            assert len(entry.null) == 39
            assert entry.n == 39
            assert entry.p > 0.05, (family, name)
            assert entry.low <= entry.value <= entry.high
        assert 0.5 < found[family]["sliced_wasserstein"].ratio < 1.7
        assert found[family]["kid"].ratio is None


def test_blurred_images_score_outside() -> None:
    found = scores(comparison(ndimage.gaussian_filter(heads(1000, 60), (0, 1, 1))), interval=False)
    for name in ("sliced_wasserstein", "frechet"):
        assert found["wavelet"][name].p == 1 / 40
        assert found["wavelet"][name].ratio > 2


def test_a_collapsed_generator_has_precision_without_recall() -> None:
    draws = np.random.default_rng(0)
    one = np.clip(heads(1000, 1) + draws.normal(0, 0.002, (60, SIZE, SIZE)), 0, 1)
    made = comparison(one)
    found = scores(made, interval=False)
    for family in ("random", "radiomics"):
        assert found[family]["recall"].value < 0.1
        assert found[family]["coverage"].p == 1 / 40
        assert found[family]["precision"].value > 0.9
    features = features_of(made, EXTRACTORS)["wavelet"]
    spread = diversity(made, scaled(features), planned(made), ALONE)
    assert spread["similarity"].value > 0.99
    assert spread["similarity"].p == 1 / 40
    honest = comparison(heads(1000, 60))
    features = features_of(honest, EXTRACTORS)["wavelet"]
    assert diversity(honest, scaled(features), planned(honest), ALONE)["similarity"].p > 0.05


def test_blocks_of_large_sets_score_as_their_mean() -> None:
    draws = np.random.default_rng(0)
    points = draws.normal(size=(400, 8))
    # Sorted by class, as a cohort is: blocks in that order would compare one class with all.
    points[:100] += 5
    points[200:300] += 5
    alone, first = np.arange(400), np.arange(200)
    second = draws.permutation(np.arange(200, 400))
    found = families.set_scores(points, alone, first, second, blocks=2)
    whole = families.set_scores(points, alone, first, second, blocks=1)
    one_class = families.set_scores(points, alone, np.arange(100), second, blocks=1)
    assert abs(found["kid"]) < 0.1 * one_class["kid"]
    assert found["recall"] == pytest.approx(whole["recall"], abs=0.1)
    assert found["sliced_wasserstein"] < 0.2 * one_class["sliced_wasserstein"]


def test_a_linear_model_tells_noise_but_not_new_patients() -> None:
    honest = heads(1000, 60)
    for images, least, most in ((honest, 0.05, 1.0), (checkered(heads(1000, 60)), 0.0, 0.03)):
        made = comparison(images)
        points = np.concatenate([scaled(values)[:, :20] for values in features_of(made, EXTRACTORS).values()], axis=1)
        found = distinguished(points / points[: len(made.real)].std(axis=0).clip(1e-9), planned(made), ALONE)
        assert least < found["linear"].p <= most
        assert found["network"].p > 0.05 or images is not honest


def test_what_differs_is_named_and_adjusted() -> None:
    made = comparison(np.clip(heads(1000, 60) * 0.7, 0, 1))
    radiomics = features_of(made, {"radiomics": EXTRACTORS["radiomics"]})["radiomics"]
    first = what_differs(radiomics, planned(made))
    assert any("mean" in row.feature or "percentile" in row.feature for row in first[:4])
    assert first[0].p == 1 / 40
    assert first[0].real != first[0].synthetic
    assert [abs(row.effect) for row in first] == sorted((abs(row.effect) for row in first), reverse=True)
    honest = comparison(heads(1000, 60))
    radiomics = features_of(honest, {"radiomics": EXTRACTORS["radiomics"]})["radiomics"]
    assert what_differs(radiomics, planned(honest))[0].p > 0.05


def test_readers_complaints_are_told_by_name() -> None:
    made = comparison(checkered(heads(1000, 60)))
    found = appearance(made, planned(made))
    assert found["checkerboard"].p == 1 / 40
    assert found["checkerboard"].effect > 1
    assert found["area of the head"].p > 0.05
    bright = comparison(np.clip(heads(1000, 60) * 1.4, 0, 1))
    found = appearance(bright, planned(bright))
    assert found["mean brightness of the head"].p == 1 / 40
    assert found["mean brightness of the head"].synthetic.mean > found["mean brightness of the head"].real.mean


def disc(row: int, column: int, radius: int) -> np.ndarray:
    down, right = np.indices((SIZE, SIZE))
    return (((down - row) ** 2 + (right - column) ** 2) <= radius**2).astype(np.uint8)


def test_size_and_place_of_tumours() -> None:
    made = comparison(heads(1000, 60))
    draws = np.random.default_rng(0)
    real = np.stack([disc(*draws.integers(12, 20, 2), draws.integers(2, 5)) for _ in range(120)])
    same = np.stack([disc(*draws.integers(12, 20, 2), draws.integers(2, 5)) for _ in range(60)])
    large = np.stack([disc(*draws.integers(12, 20, 2), draws.integers(5, 7)) for _ in range(60)])
    aside = np.stack([disc(draws.integers(12, 20), draws.integers(20, 24), draws.integers(2, 5)) for _ in range(60)])
    plan = planned(made)
    assert min(found.p for name, found in tumours(made, real, same, plan).items() if name in ("area", "right")) > 0.05
    assert tumours(made, real, large, plan)["area"].p == 1 / 40
    assert tumours(made, real, aside, plan)["right"].p == 1 / 40
    assert tumours(made, real, aside, plan)["right"].effect > 1
    assert tumours(made, real, np.zeros_like(same), plan) == {}


def test_numbers_that_few_slices_have_are_left_out() -> None:
    made = comparison(heads(1000, 60))
    rare = np.full(120, np.nan)
    rare[:12] = 1.0
    assert compared({"rare": rare}, {"rare": np.ones(60)}, planned(made)) == {}


def test_grey_values_by_side() -> None:
    found = intensities(comparison(np.clip(heads(1000, 24) * 1.3, 0, 1)))
    assert found.synthetic.wasserstein_1 > 3 * found.null.wasserstein_1
    assert all(sum(shares) == pytest.approx(1, abs=1e-3) for _, shares in found.shares)


def test_the_self_test_knows_what_the_scores_see() -> None:
    made = comparison(heads(1000, 60))
    found = faults(made, planned(made, 24), {"wavelet": EXTRACTORS["wavelet"]}, alpha=0.05, seed=0)
    assert set(found.faults) == {
        "blur 0.8 px", "noise 3 %", "checkerboard 2 %", "gamma 0.85", "half of the modes dropped",
        "collapse to a fifth of the images",
    }  # fmt: skip
    noise = found.faults["noise 3 %"]["wavelet"]
    assert max(noise.values()) == 1.0
    assert all(0 <= share <= 1 for scores in found.faults.values() for share in scores["wavelet"].values())
    assert found.trials == 8


def test_planted_faults_do_what_they_say() -> None:
    images = heads(1000, 4)
    assert np.abs(np.diff(blurred(images), axis=2)).sum() < np.abs(np.diff(images, axis=2)).sum()
    board = checkered(images) - images
    inside = images > 0.05
    assert np.abs(board[inside & (images < 0.95)]).min() == pytest.approx(0.02, abs=1e-6)


def test_an_interval_does_not_jump_where_a_part_left_out_would_make_fewer_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At 157 slices and blocks of 100, 13 fewer round to one block: Frechet's bias must not come into its interval."""
    monkeypatch.setattr(families, "BLOCK", 100)
    draws = np.random.default_rng(1)
    points = draws.normal(size=(480, 20))
    groups = [f"patient-{i // 8}" for i in range(320)]
    reach = []
    for count in (157, 145):  # two blocks in all parts but one would be one; one block in all of them
        plan = plan_null(groups, np.arange(320) >= 160, [str(i) for i in range(160)], halves=5)
        plan = replace(plan, held=plan.held[:count], synthetic=plan.synthetic[:count], made_by=plan.made_by[:count])
        found = families.family_scores(points, plan, np.arange(480))["frechet"]
        reach.append(found.high - found.low)
    assert reach[0] < 2 * reach[1]
