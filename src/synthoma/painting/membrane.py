"""The smoothest filling of a hole: Laplace's equation with the rim as its boundary (a stretched membrane).

With the difference between two images on the rim in place of grey values, this is the seamless cloning of Perez et al.
2003 (ACM Trans Graph 22:313), equation 4.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import cg

from synthoma.core.types import Bools, Float32, Floats
from synthoma.painting.scan import Spacing


def membrane(values: Float32, hole: Bools, spacing: Spacing, trusted: Bools | None = None) -> Float32:
    """Values with the hole filled so that its Laplacian is 0.

    Args:
        values: (z, y, x); what stands in the hole is not read.
        hole: where to fill.
        spacing: between voxels in mm: far slices pull less.
        trusted: where values may pull (the brain: bone beside a hole would darken it); everywhere where None, and
            around parts of the hole that touch nothing trusted.

    Returns:
        The same with the hole filled; the mean of the rest where the hole has no rim.
    """
    result = np.array(values, np.float32)
    number = np.full(hole.shape, -1)
    count = int(hole.sum())
    if not count:
        return result
    number[hole] = np.arange(count)
    if trusted is not None:
        trusted = trusted | _lonely_rims(hole, trusted)
    diagonal, known, rimmed = np.zeros(count), np.zeros(count), False
    rows, columns, weights = list[Floats](), list[Floats](), list[Floats]()
    for axis in range(3):
        pull = (min(spacing) / spacing[axis]) ** 2
        for step in (-1, 1):
            here, there = _pairs(hole.shape, axis, step)
            inside, beside = number[here][hole[here]], number[there][hole[here]]
            grey = values[there][hole[here]]
            free = beside >= 0
            counted = np.ones(len(free), np.bool_) if trusted is None else free | trusted[there][hole[here]]
            diagonal[inside[counted]] += pull
            rows.append(inside[free])
            columns.append(beside[free])
            weights.append(np.full(int(free.sum()), -pull))
            # Each place stands once in `inside` for this direction, so plain addition counts it once.
            rim = counted & ~free
            known[inside[rim]] += pull * grey[rim]
            rimmed |= bool(rim.any())
    # Not whether the rim holds anything: one that is 0 throughout is a rim, and its hole is 0.
    if not rimmed:
        result[hole] = float(values[~hole].mean()) if (~hole).any() else 0.0
        return result
    index = np.concatenate((np.arange(count), *rows)), np.concatenate((np.arange(count), *columns))
    matrix = coo_matrix((np.concatenate((diagonal + 1e-9, *weights)), index), shape=(count, count)).tocsr()
    # Scaled by its diagonal from both sides, so that it stays symmetric, as conjugate gradients need it: beside what
    # is not trusted, rows have hardly any weight.
    inverse = 1 / (diagonal + 1e-9)
    found, _ = cg(
        matrix.multiply(inverse[:, None] ** 0.5).multiply(inverse[None] ** 0.5).tocsr(),
        known * inverse**0.5,
        rtol=1e-4,
        maxiter=600,
    )
    result[hole] = found * inverse**0.5
    return result


def _lonely_rims(hole: Bools, trusted: Bools) -> Bools:
    """The rims of parts of a hole that touch nothing trusted: of no rim at all, they would be filled with 0."""
    parts, count = ndimage.label(hole)
    touched = np.unique(parts[hole & ndimage.binary_dilation(trusted & ~hole)])
    if len(touched) == count:
        return np.zeros(hole.shape, np.bool_)
    alone = hole & ~np.isin(parts, touched)
    return np.asarray(ndimage.binary_dilation(alone) & ~hole, np.bool_)


def _pairs(shape: tuple[int, ...], axis: int, step: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Index of all voxels that have a neighbour in a direction, and of these neighbours."""
    here, there = [slice(None)] * 3, [slice(None)] * 3
    here[axis] = slice(1, None) if step < 0 else slice(None, -1)
    there[axis] = slice(None, -1) if step < 0 else slice(1, None)
    return tuple(here), tuple(there)
