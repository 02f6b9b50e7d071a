"""Windows of grey values: what is put at 0 and what at 1."""

from __future__ import annotations

from typing import get_args

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Float32
from synthoma.core.words import Normalisation as Normalisation


def intensity_window(image: Array, method: Normalisation) -> tuple[float, float]:
    """Offset and scale of a volume's intensities: normalised = (value - offset) / scale.

    ``robust`` puts the background at 0 and the 99.5th percentile of the tissue at 1, clipping nothing, so a few very
    bright voxels do not darken the rest and can still be brought back. ``unit`` divides 8-bit pictures by 255. Of
    other numbers, of which a scanner uses a small part, it puts the volume's least at 0 and its largest at 1.
    """
    if method == "unit":
        # By the type and not by the extremes: a dark picture of a set must stay darker than its neighbours.
        if image.dtype == np.uint8:
            return 0.0, 255.0
        low, high = extremes(image)
        return low, high - low or 1.0
    values = image.ravel()
    values = values[:: max(1, values.size // 2_000_000)].astype(np.float32)  # percentiles of millions are as good
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    # Not the least value: a few voxels of padding or overshoot are not the background.
    offset = float(np.percentile(values, 0.5))
    peak = float(np.percentile(values, 99.9)) - offset
    # Air is most of a volume: with it, percentiles would depend on how much was left around the head.
    tissue = values[values > offset + 0.08 * peak]
    if tissue.size == 0:
        tissue = values
    # `or 1.0`: an image of one value is divided by something.
    return offset, float(np.percentile(tissue, 99.5)) - offset or 1.0


_OVERSHOOT = 0.01
"""Share of an image's range by which values below 0 are none that was meant: resampling, noise about an air of 0."""

_SET_TO_ZERO = 0.2
"""Share of voxels of exactly 0 from which on somebody set them so."""


def floor_of(image: Array) -> float | None:
    """The value that stands for no signal in an image with negative values (z-scores, a shift by a constant).

    It is the darkest thousandth. None where 0 means no signal, as a scanner's own values have it.
    """
    # Of images with values that are no numbers nothing is known; their extremes are none either.
    if image.dtype.kind == "u" or not -np.inf < image.min() < 0 or not image.max() < np.inf:
        return None
    floor, bright = np.percentile(image, (0.1, 99.5)).tolist()
    return floor if floor < -_OVERSHOOT * (bright - floor) else None


def is_set_to_zero(image: Array) -> bool:
    """Whether what lies around the brain was set to exactly 0, as after stripping."""
    return float(np.mean(image == 0)) > _SET_TO_ZERO


def lifted(image: Array, floor: float) -> Float32:
    """An image with negative values on a scale on which no signal is 0, float32; a background that was set to 0 stays.

    Args:
        image: of any shape.
        floor: see ``floor_of``.
    """
    # Cut at the floor: what is darker is the darkest thousandth, and would become negative.
    up: Float32 = np.maximum(image.astype(np.float32) - np.float32(floor), 0)
    return np.where(image == 0, np.float32(0), up) if is_set_to_zero(image) else up


def with_dark_background(image: Array) -> Array:
    """An image whose background is not brighter than its tissue; the same object where that is so already.

    Scans that were made z-scores within the brain have 0 around it, which is as bright as the middle of the brain: a
    window over all of it takes air for grey tissue.
    """
    floor = floor_of(image)
    return image if floor is None or not is_set_to_zero(image) else lifted(image, floor)


def known_method(name: object) -> Normalisation:
    """The method of normalisation that a model names; the first one where it names none.

    Raises:
        InputError: one that there is not, as of models of earlier versions.
    """
    known: tuple[Normalisation, ...] = get_args(Normalisation)
    if name is None:
        return known[0]
    if name not in known:
        todo = "prepare its cohort with --normalise robust, and train it again"
        raise InputError(f"a model of images normalised by {' or '.join(known)}", f"one of {name!r}", todo)
    return known[known.index(name)]


def extremes(image: Array) -> tuple[float, float]:
    """Least and largest value of an image that are numbers; 0 and 0 where none is."""
    # Where any value is nan or infinite one of these is: sound images need no copy of their finite values.
    low, high = float(image.min()), float(image.max())
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    finite = image[np.isfinite(image)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
