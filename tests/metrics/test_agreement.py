"""Kappa against values worked out by hand and printed in the papers."""

from __future__ import annotations

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.metrics.agreement import cohen_kappa, fleiss_kappa, kappa_interval


def pairs(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two readers by how often which of them said yes."""
    counts = [both, first, second, neither]
    return np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)


def test_cohen_by_hand() -> None:
    """Observed 35 / 50, expected 0.5 x 0.6 + 0.5 x 0.4."""
    assert cohen_kappa(*pairs(20, 5, 10, 15)) == pytest.approx((0.7 - 0.5) / 0.5)
    assert cohen_kappa(*pairs(10, 0, 0, 10)) == 1
    assert cohen_kappa(*pairs(0, 10, 10, 0)) == -1
    assert np.isnan(cohen_kappa(*pairs(10, 0, 0, 0)))


def test_fleiss_of_fourteen_raters() -> None:
    """The worked example of ten subjects and five categories: 0.210."""
    table = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    answers = np.array([np.repeat(np.arange(5), row) for row in table])
    assert fleiss_kappa(answers) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.slow
def test_the_interval_is_about_as_wide_as_the_closed_form() -> None:
    """Fleiss, Cohen and Everitt 1969, for this table: standard error 0.0906."""
    one, other = pairs(40, 12, 8, 40)
    observed, p1, p2 = 0.8, 0.52, 0.48
    expected = p1 * p2 + (1 - p1) * (1 - p2)
    kappa = (observed - expected) / (1 - expected)
    a = sum(
        share * (1 - (row + column) * (1 - kappa)) ** 2 for share, row, column in ((0.4, p1, p2), (0.4, 1 - p1, 1 - p2))
    )
    b = (1 - kappa) ** 2 * (0.12 * (p2 + (1 - p1)) ** 2 + 0.08 * ((1 - p2) + p1) ** 2)
    error = (a + b - (kappa - expected * (1 - kappa)) ** 2) ** 0.5 / ((1 - expected) * 100**0.5)
    found = kappa_interval(np.stack([one, other], axis=1))
    assert found.value == pytest.approx(kappa)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.12)


def test_readers_who_are_all_alike() -> None:
    found = kappa_interval(np.array([[0, 0], [1, 1]] * 10))
    assert found.value == 1
    assert 0.5 < found.low < 1  # twenty pictures cannot show that they never differ
    same = kappa_interval(np.zeros((20, 3)))
    assert np.isnan([same.value, same.low, same.high]).all()
    assert np.isnan(kappa_interval(np.array([[0, 1]])).low)
    # It stands on patients, not on their pictures, also where it is not defined.
    assert kappa_interval(np.zeros((20, 3)), groups=[0] * 10 + [1] * 10).n == 2


def test_one_reader_has_nobody_to_agree_with() -> None:
    with pytest.raises(InputError, match="more readers"):
        fleiss_kappa(np.zeros((5, 1)))
    with pytest.raises(InputError, match="leave out the rest"):
        cohen_kappa(np.zeros(3), np.zeros(4))


@pytest.mark.slow
def test_the_interval_is_that_of_patients_not_of_slices() -> None:
    """Four slices of each patient that are answered alike say as much as one of each: the interval is twice as wide."""
    draws = np.random.default_rng(3)
    one = draws.integers(0, 2, 50)
    other = np.where(draws.random(50) < 0.2, 1 - one, one)
    alone = np.stack([one, other], axis=1)
    often = np.repeat(alone, 4, axis=0)
    plain, wrong = kappa_interval(alone), kappa_interval(often)
    right = kappa_interval(often, groups=[f"patient {at}" for at in range(50) for _ in range(4)])
    assert (right.value, right.low, right.high) == pytest.approx((plain.value, plain.low, plain.high))
    assert right.n == 50
    assert 1.7 < (right.high - right.low) / (wrong.high - wrong.low) < 2.4
    with pytest.raises(InputError, match="one group for each"):
        kappa_interval(alone, groups=["one"])
