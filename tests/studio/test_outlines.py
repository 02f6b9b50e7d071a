"""Outlines that somebody drew, held against areas that are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from synthoma.studio.outlines import MOST, digest, mask_of, outlines_of
from synthoma.studio.refusal import RefusedError

SPACING = (4.0, 1.0, 1.0)


def test_a_rectangle_is_its_pixels() -> None:
    # Rows 2 to 5 of 10, columns 5 to 9 of 20: shares are edges of pixels.
    corners = ((0.2, 0.25), (0.2, 0.5), (0.6, 0.5), (0.6, 0.25))
    mask = mask_of({1: [corners]}, (3, 10, 20), SPACING)
    expected = np.zeros((3, 10, 20), np.uint8)
    expected[1, 2:6, 5:10] = 1
    assert np.array_equal(mask, expected)


def test_a_circle_has_its_area_and_middle() -> None:
    turns = np.linspace(0, 2 * math.pi, 120, endpoint=False)
    circle = tuple((0.4 + 0.2 * math.sin(turn), 0.6 + 0.2 * math.cos(turn)) for turn in turns)
    mask = mask_of({0: [circle]}, (1, 100, 100), SPACING)[0]
    assert mask.sum() == pytest.approx(math.pi * 20**2, rel=0.01)
    assert np.argwhere(mask).mean(0) == pytest.approx([39.5, 59.5], abs=0.1)


def test_slices_between_are_filled_and_two_outlines_are_joined() -> None:
    def square(low: float, high: float) -> tuple[tuple[float, float], ...]:
        return ((low, low), (low, high), (high, high), (high, low))

    mask = mask_of({1: [square(0.2, 0.4), square(0.6, 0.8)], 3: [square(0.2, 0.4)]}, (6, 20, 20), SPACING)
    assert mask.any((1, 2)).tolist() == [False, True, True, True, False, False]
    assert mask[1].sum() == 32
    assert mask[2, 4:8, 4:8].all()
    again = mask_of({1: [square(0.2, 0.4)]}, (6, 20, 20), SPACING)
    again[:] = 9  # whoever changes a mask changes nobody else's
    assert mask_of({1: [square(0.2, 0.4)]}, (6, 20, 20), SPACING).sum() == 16


def test_what_the_page_sends_is_read() -> None:
    text = json.dumps({"2": [[[0.1, 0.2], [0.3, 0.4], [0.5, 0.1]]], "3": []})
    found = outlines_of(text, 4)
    assert found == {2: [((0.1, 0.2), (0.3, 0.4), (0.5, 0.1))]}
    assert outlines_of("", 4) == {}
    assert len(digest(found)) == 8
    assert digest(found) != digest({1: found[2]})


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", "3", '{"4": [[[0.1, 0.2]]]}', '{"-1": [[[0.1, 0.2]]]}', '{"0": [[[0.1, NaN]]]}',
        '{"0": [[[0.1, 1.5]]]}', '{"0": [[[0.1]]]}', '{"0": [["ab"]]}', '{"0": 3}', '{"x": [[[0.1, 0.2]]]}',
        "[" * 100_000,
        json.dumps({"0": [[[0.5, 0.5]] * (MOST + 1)]}),
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        outlines_of(text, 4)
