from __future__ import annotations

import math

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.metrics.inception import inception_interval, inception_score, inception_splits


def one_hot(classes: list[int], count: int) -> np.ndarray:
    return np.eye(count)[classes]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_certain_classes_in_equal_shares_score_their_number(count: int) -> None:
    assert inception_score(one_hot(list(range(count)) * 5, count)) == pytest.approx(count)


def test_images_that_all_say_the_same_score_one() -> None:
    assert inception_score(np.tile([0.2, 0.5, 0.3], (9, 1))) == pytest.approx(1)
    assert inception_score(one_hot([2] * 9, 4)) == 1


def test_two_images_by_hand() -> None:
    """Mean (0.5, 0.5): each KL is 0.9 log 1.8 + 0.1 log 0.2."""
    by_hand = math.exp(0.9 * math.log(1.8) + 0.1 * math.log(0.2))
    assert inception_score(np.array([[0.9, 0.1], [0.1, 0.9]])) == pytest.approx(by_hand)


def test_unequal_shares_score_the_exponential_of_their_entropy() -> None:
    by_hand = math.exp(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))
    assert inception_score(one_hot([0, 1, 1, 1], 2)) == pytest.approx(by_hand)


def test_it_is_that_of_a_loop_over_images() -> None:
    chances = np.random.default_rng(0).dirichlet([0.3, 0.5, 1.0], 50)
    mean = chances.mean(axis=0)
    gaps = [sum(p * math.log(p / q) for p, q in zip(row, mean, strict=True)) for row in chances]
    assert inception_score(chances) == pytest.approx(math.exp(float(np.mean(gaps))))


def test_parts_score_less_than_the_whole_and_are_dealt_out_evenly() -> None:
    chances = one_hot(list(range(4)) * 10, 4)
    mean, deviation = inception_splits(chances, 10)
    assert 1 < mean < 4
    assert deviation > 0
    assert inception_splits(chances, 1) == (pytest.approx(4), 0)
    assert inception_splits(chances, 10) == (mean, deviation)
    assert inception_splits(chances, 10, seed=1) != (mean, deviation)


def test_the_interval_draws_patients_and_not_images() -> None:
    """Ten images of each patient say no more than one, if they are alike."""
    draws = np.random.default_rng(1)
    patients = draws.dirichlet([0.5, 0.5], 20)
    single = inception_interval(patients)
    many = np.repeat(patients, 10, axis=0)
    names = np.repeat(np.arange(20), 10).tolist()
    grouped, loose = inception_interval(many, groups=names), inception_interval(many)
    assert single.low < single.value < single.high
    assert (grouped.value, grouped.low, grouped.high, grouped.n) == pytest.approx(
        (single.value, single.low, single.high, 20)
    )
    assert loose.n == 200
    assert loose.high - loose.low < 0.6 * (grouped.high - grouped.low)
    assert single.value == pytest.approx(inception_score(patients))


def test_groups_need_not_lie_together() -> None:
    chances = np.random.default_rng(2).dirichlet([1, 1, 1], 12)
    names = ["a", "b", "c", "d"] * 3
    order = np.argsort(names, kind="stable")
    together = inception_interval(chances[order], groups=[names[place] for place in order])
    apart = inception_interval(chances, groups=names)
    assert (apart.low, apart.high) == pytest.approx((together.low, together.high))


@pytest.mark.parametrize(
    "wrong", [np.ones((3, 2)), np.array([[1.5, -0.5]]), np.array([[np.nan, 1.0]]), np.ones(3), np.ones((3, 0))]
)
def test_what_is_no_probability_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="probabilities"):
        inception_score(wrong)


def test_more_parts_than_images_and_missing_names_are_refused() -> None:
    with pytest.raises(InputError, match="1 to 3 splits"):
        inception_splits(np.full((3, 2), 0.5), 4)
    with pytest.raises(InputError, match="one group for each image"):
        inception_interval(np.full((3, 2), 0.5), groups=["a"])


def test_no_images_have_no_score() -> None:
    assert math.isnan(inception_score(np.zeros((0, 3))))
