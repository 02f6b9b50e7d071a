"""Slices between those that a person drew, by interpolation of shapes.

Raya and Udupa, "Shape-based interpolation of multidimensional objects", IEEE Transactions on Medical Imaging 9(1),
1990: each drawn slice becomes a map of signed distances to the edge, maps between are their weighted mean, and what is
above 0 is inside. Distances are Euclidean here, in mm, where the paper takes chamfer distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Bytes, Floats

Which = Literal["empty", "mine"]
"""empty: slices that show nothing, between those that do; mine: all between slices that I changed."""

FAR = 1e6
"""Millimetres in place of infinity, of which a difference would be no number."""


def filled_between(drawn: Bytes, before: Bytes, axis: int, which: Which, spacing: Sequence[float]) -> tuple[Bytes, int]:
    """Fill slices between drawn ones; the drawn ones stay as they are.

    Args:
        drawn: labels (z, y, x).
        before: the mask before anybody drew, on the same grid.
        axis: of the array, across the slices.
        which: see there.
        spacing: between voxels along the array's axes, mm.

    Returns:
        The labels, and how many slices were filled.

    Raises:
        InputError: there are no two drawn slices with others between them.
    """
    stack, old = np.moveaxis(drawn, axis, 0), np.moveaxis(before, axis, 0)
    shown = (stack > 0).any((1, 2)) if which == "empty" else (stack != old).any((1, 2))
    gaps = [(a, b) for a, b in pairwise(np.flatnonzero(shown).tolist()) if b - a > 1]
    if not gaps:
        came = "none" if not shown.any() else "no such gap"
        raise InputError("two drawn slices of this plane with others between them", came, "draw on another slice too")
    sides = tuple(float(side) for place, side in enumerate(spacing) if place != axis)
    new = stack.copy()
    for low, high in gaps:
        ends = stack[low], stack[high]
        for at in range(low + 1, high):
            new[at] = between(*ends, (at - low) / (high - low), sides)
    return np.ascontiguousarray(np.moveaxis(new, 0, axis)), sum(high - low - 1 for low, high in gaps)


def between(one: Bytes, other: Bytes, share: float, spacing: Sequence[float]) -> Bytes:
    """The labels of a slice at a share of the way from one drawn slice to another.

    The shape of all labels together is interpolated first, and each pixel of it gets the label whose own shape it lies
    deepest in: sub-regions leave no cracks.

    Args:
        one: labels (rows, columns).
        other: likewise.
        share: 0 at the first, 1 at the other.
        spacing: between rows and columns, mm.
    """
    inside = _mean(one > 0, other > 0, share, spacing) > 0
    labels = [int(value) for value in np.union1d(one, other) if value]
    if not labels:
        return np.zeros_like(one)
    deep = np.stack([_mean(one == value, other == value, share, spacing) for value in labels])
    return np.where(inside, np.array(labels, np.uint8)[deep.argmax(0)], 0).astype(np.uint8)


def _mean(one: Bools, other: Bools, share: float, spacing: Sequence[float]) -> Floats:
    """The mean of two maps of signed distances; a shape that is on one side alone is nowhere between."""
    return (1 - share) * signed_distance(one, spacing) + share * signed_distance(other, spacing)


def signed_distance(shape: Bools, spacing: Sequence[float]) -> Floats:
    """Distance of each pixel's middle to the nearest on the other side of the edge, in mm: above 0 inside.

    Where there is no shape, all lies far outside; where there is nothing else, far inside.
    """
    if not shape.any() or shape.all():
        return np.full(shape.shape, FAR if shape.all() else -FAR)
    return np.asarray(
        ndimage.distance_transform_edt(shape, sampling=spacing)
        - ndimage.distance_transform_edt(~shape, sampling=spacing),
        np.float64,
    )
