"""The air around a head: nearly black, and yet not the same on two scanners.

Nobody sees whether it is black or a fiftieth of white, with grain or without. Scores do, and so does a detector that
was never shown the other kind. A discriminator under a gradient penalty is as blind to it as people are. So air is
measured in real slices and drawn into repainted ones.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthoma.core.types import Bools, Floats
from synthoma.generators.phantomgan.matching import head_of

LEAST = 20
"""Pixels of air below which nothing is measured."""


def air_of(image: Floats) -> tuple[float, float]:
    """Level and grain of the air in one modality (S, S) on the cohort's scale; (0, 0) where it is exactly black.

    The level is the median of what lies outside the head in the box that the scan fills: padding is no air. The grain
    is one standard deviation of normal noise, read off the darker half, from the 16th percentile to the median: dim
    scalp and ghosts that were taken for air make the brighter half as wide as they like. Where the darker half was cut
    at black the brighter one must do.
    """
    air = image[_outside(image) & box_of(image)]
    if len(air) < LEAST:
        return 0.0, 0.0
    dark, level, bright = (float(value) for value in np.quantile(air, (0.1587, 0.5, 0.8413)))
    # From the 16th percentile to the median is one deviation of normal noise.
    return level, level - dark if dark > 0 else bright - level


def with_air(image: Floats, box: Bools, air: tuple[float, float], draws: np.random.Generator) -> Floats:
    """The picture (S, S) with other air.

    Outside the head, within the box that the scan fills, stand level and grain. Within the head the level is a floor
    under the signal, added in squares as the noise of magnitude images is (Gudbjartsson and Patz 1995).

    Args:
        image: on the cohort's scale, 0 to about 1.
        box: where the scan is; what lies outside it stays black.
        air: level and grain, see ``air_of``.
        draws: source of the grain.
    """
    level, grain = air
    outside = _outside(image)
    drawn = np.clip(level + grain * draws.standard_normal(image.shape), 0, None)
    lifted = np.sqrt(image**2 + level**2)
    return np.asarray(np.where(outside, np.where(box, drawn, 0.0), lifted))


def box_of(image: Floats) -> Bools:
    """The smallest upright box that holds all of a picture (S, S) that is not exactly black."""
    box = np.zeros(image.shape, dtype=bool)
    rows, columns = np.nonzero(image > 0)
    if len(rows):
        box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    return box


def _outside(image: Floats) -> Bools:
    """All but the head and the pixels next to it."""
    return np.asarray(~ndimage.binary_dilation(head_of(image)))
