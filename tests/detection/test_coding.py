"""Run lengths and flat lists: known codes, and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from synthoma.core.errors import InputError
from synthoma.detection.coding import from_flat, from_rle, to_flat, to_rle

MASKS = arrays(np.bool_, array_shapes(min_dims=1, max_dims=3, max_side=7))


def test_known_codes() -> None:
    mask = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1]])
    assert to_rle(mask) == "2 3 9 1"
    assert to_flat(mask) == [2, 3, 4, 9]
    assert to_rle(mask.T) == "2 1 4 1 7 1 9 1", "the column by column code of the same mask"
    assert to_rle(np.zeros((2, 2))) == ""
    assert to_rle(np.ones((2, 2))) == "1 4"


@pytest.mark.slow
@given(MASKS)
def test_run_lengths_and_back(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(from_rle(to_rle(mask), mask.shape), mask)


@pytest.mark.slow
@given(MASKS)
def test_flat_lists_and_back(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(from_flat(to_flat(mask), mask.shape), mask)


@pytest.mark.parametrize(
    "text", ["1", "0 2", "1 0", "3 2", "2 2 1 1", "1 2 2 1", "a b", "1 -1", "1 1.5", "9" * 30 + " 1"]
)
def test_wrong_codes_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        from_rle(text, (1, 3))


@pytest.mark.parametrize("places", [[0], [5]])
def test_wrong_lists_are_refused(places: list[int]) -> None:
    with pytest.raises(InputError, match="from 1 to 4"):
        from_flat(places, (2, 2))


@given(st.text(alphabet="0123456789 ", max_size=12))
def test_any_code_is_read_or_refused(text: str) -> None:
    try:
        mask = from_rle(text, (3, 4))
    except InputError:
        return
    assert mask.sum() == sum(int(word) for word in text.split()[1::2])
