"""Which lobe of the brain a place lies in, in the millimetres of the MNI152 template."""

from __future__ import annotations

import numpy as np

from synthoma.core.types import Array, Floats

LEFT_MM, FRONT_MM, TOP_MM = (-71.0, 71.0), (-106.0, 74.0), 81.0
"""The template's brain: from its right to its left side along x, from back to front along y, and its top along z."""


def lobe(x: Floats, y: Floats, z: Floats) -> Array:
    """Rough lobe of places in template millimetres: array of names."""
    # They overlap, and the first that holds is taken (`np.select`): the order matters.
    conditions = [
        (z < -14 + 0.12 * (y + 30)) & (y < -34) | (np.abs(x) < 16) & (y < -8) & (z < -8),
        (np.abs(x) < 26) & (y > -34) & (y < 22) & (z > -12) & (z < 26),
        (np.abs(x) > 18) & (z < 2 - 0.25 * (y + 10)) & (y < 26) & (y > -62) & (z < 12),
        y < -72,
        (y > 0) | (y > -22) & (z > 34),
    ]
    return np.select(conditions, ["posterior fossa", "deep", "temporal", "occipital", "frontal"], "parietal")
