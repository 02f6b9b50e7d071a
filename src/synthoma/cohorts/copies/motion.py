"""How one picture has to be moved to lie on another, in words of a patient's head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthoma.core.types import Bools, Floats


@dataclass(frozen=True)
class Motion:
    """First picture to second: mirror left-right if ``flip``, turn counter-clockwise, zoom, shift right and down."""

    flip: Bools
    rotation_deg: Floats
    zoom: Floats
    shift_x: Floats
    shift_y: Floats


def motion(maps: Floats, *, reverse: Bools) -> Motion:
    """The rigid part of maps (P, 2, 3); where ``reverse`` (P,), of the motion from the second picture to the first.

    An up-down flip is a left-right flip turned by 180 degrees.
    """
    pulled, offset = maps[:, :, :2].astype(np.float64), maps[:, :, 2].astype(np.float64)
    pushed = np.linalg.inv(pulled)
    # A map q -> A q + b takes second to first, so the motion first to second is p -> A^-1 p - A^-1 b.
    linear = np.where(reverse[:, None, None], pulled, pushed)
    shift = np.where(reverse[:, None], offset, -(pushed @ offset[..., None])[..., 0])
    flip = np.linalg.det(linear) < 0
    # The nearest turn of a map that squeezes a little (polar decomposition): copies were cropped and saved again.
    u, size, v = np.linalg.svd(linear)
    # Without the mirror: the sign of the first column goes where it flips, the second stays.
    turn = (u @ v) * np.where(flip, -1.0, 1.0)[:, None, None] ** np.array([1.0, 0.0])
    rotation = np.degrees(np.arctan2(turn[:, 0, 1], turn[:, 0, 0]))
    # The root of the area's change: copies that were squeezed have a factor for each axis.
    return Motion(flip, rotation, np.sqrt(size.prod(1)), shift[:, 0], shift[:, 1])
