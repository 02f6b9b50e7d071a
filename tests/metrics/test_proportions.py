from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from synthoma.core.errors import InputError
from synthoma.metrics.proportions import guessing, wilson


@pytest.mark.parametrize(("right", "count"), [(0, 5), (3, 7), (5, 5), (70, 100), (1, 1)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_that_of_scipy(right: int, count: int, level: float) -> None:
    other = stats.binomtest(right, count).proportion_ci(level, method="wilson")
    found = wilson(right, count, level=level)
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-12)
    assert (found.value, found.n) == (right / count, count)


def test_nothing_answered_says_nothing() -> None:
    assert np.isnan([wilson(0, 0).value, wilson(0, 0).low, guessing(0, 0)]).all()


def test_guessing_by_hand() -> None:
    assert guessing(5, 5) == pytest.approx(2 / 32)
    assert guessing(3, 4) == pytest.approx(10 / 16)


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2)])
def test_more_than_all_is_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="part of a whole"):
        wilson(*counts)
    with pytest.raises(InputError, match="part of a whole"):
        guessing(*counts)
