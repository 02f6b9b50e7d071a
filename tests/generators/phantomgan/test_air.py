from __future__ import annotations

import numpy as np
import pytest

from synthoma.core.types import Floats
from synthoma.generators.phantomgan.air import air_of, box_of, with_air

SIDE = 64


def _scan(level: float = 0.0, grain: float = 0.0, seed: int = 0) -> Floats:
    """A disc of 0.5 with a dark hole, in air of this kind within a box, in a black frame."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    draws = np.random.default_rng(seed)
    image = np.zeros((SIDE, SIDE))
    if level:
        image[4:60, 8:56] = np.clip(level + grain * draws.standard_normal((56, 48)), 1e-4, None)
    image[np.hypot(x, y) < 18] = 0.5
    image[np.hypot(x, y) < 4] = 0.01
    return image


def test_air_is_measured_without_head_and_frame() -> None:
    level, grain = air_of(_scan(0.03, 0.005))
    assert level == pytest.approx(0.03, abs=0.001)
    assert grain == pytest.approx(0.005, abs=0.001)
    assert air_of(_scan()) == (0.0, 0.0)
    assert air_of(np.zeros((SIDE, SIDE))) == (0.0, 0.0)


def test_dim_parts_of_a_head_that_pass_for_air_leave_no_grain() -> None:
    """A third of what passes for air is dim scalp, far brighter than air and far darker than the head."""
    image = _scan(0.03, 0.005)
    image[5:16, 9:55] = 0.09
    level, grain = air_of(image)
    assert level == pytest.approx(0.03, abs=0.003)
    assert grain == pytest.approx(0.005, abs=0.003)


def test_a_picture_gets_the_air_that_was_measured() -> None:
    box = box_of(_scan(0.02))
    given = _scan(0.01, 0.01, seed=1)
    drawn = with_air(given, box, (0.03, 0.006), np.random.default_rng(2))
    level, grain = air_of(drawn)
    assert level == pytest.approx(0.03, abs=0.001)
    assert grain == pytest.approx(0.006, abs=0.001)
    assert not drawn[~box].any()
    head = given == 0.5
    assert np.allclose(drawn[head], 0.5, atol=0.002)  # what is bright stays
    hole = given == 0.01
    assert np.allclose(drawn[hole], np.hypot(0.01, 0.03), atol=1e-6)  # what is dark is lifted to the floor


def test_a_thin_scalp_behind_a_dark_skull_is_no_air() -> None:
    """At 64 pixels a scalp is one pixel wide, with gaps; it used to be painted over with air."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    distance = np.hypot(x, y)
    image = np.where(distance < 20, 0.5, 0.02)
    scalp = (np.abs(distance - 25) < 0.6) & (np.abs(y) > 1)
    image[scalp] = 0.7
    drawn = with_air(image, box_of(image), (0.05, 0.0), np.random.default_rng(0))
    assert np.allclose(drawn[scalp], np.hypot(0.7, 0.05))
    assert np.allclose(drawn[distance > 29], 0.05)
    assert air_of(drawn)[0] == pytest.approx(0.05)


def test_air_that_was_cut_at_black_is_as_dark_again() -> None:
    """Half of it is exactly black: what is drawn must not be brighter than what was measured."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    image = np.where(np.hypot(x, y) < 18, 0.5, np.clip(np.random.default_rng(0).normal(0, 0.01, (SIDE, SIDE)), 0, None))
    drawn = with_air(image, box_of(image), air_of(image), np.random.default_rng(1))
    outside = np.hypot(x, y) > 21
    assert drawn[outside].mean() == pytest.approx(image[outside].mean(), rel=0.4)
    assert (drawn[outside] == 0).mean() == pytest.approx((image[outside] == 0).mean(), abs=0.1)


def test_black_air_stays_or_becomes_black() -> None:
    drawn = with_air(_scan(0.02, 0.01), box_of(_scan(0.02)), (0.0, 0.0), np.random.default_rng(0))
    assert air_of(drawn) == (0.0, 0.0)


def test_the_box_is_what_is_not_black() -> None:
    box = box_of(_scan(0.02))
    assert box[4:60, 8:56].all()
    assert box.sum() == 56 * 48
    assert not box_of(np.zeros((8, 8))).any()
