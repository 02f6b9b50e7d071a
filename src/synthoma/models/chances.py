"""From a segmenter's map of probabilities to one figure for a slice."""

from __future__ import annotations

import numpy as np

from synthoma.types import Float32, Floats

TOP_SHARE = 0.001
LEAST_TOP = 4
"""A slice is as suspicious as its most suspicious pixels: this share of them, and at least so many."""


def slice_probabilities(maps: Float32) -> Floats:
    """Probability that each slice shows tumour: the mean of its highest 0.1 % of pixels, but of at least 4.

    Args:
        maps: (n, S, S) at the network's resolution, in 0..1.

    Returns:
        (n,) in 0..1.
    """
    flat = maps.reshape(len(maps), -1)
    count = min(max(LEAST_TOP, round(TOP_SHARE * flat.shape[1])), flat.shape[1])
    top = np.partition(flat, flat.shape[1] - count, axis=1)[:, -count:]
    return np.asarray(top.mean(axis=1, dtype=np.float64))
