"""Smooth fields in space: random splines that depend on millimetres alone, and a coarse lattice to carry them.

All operations are elementwise or gathers, so their result does not depend on the number of threads (a matrix product's
may). Fields are drawn on a fixed box around the head: a patient keeps the same anatomy on every scan grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from synthoma.core.types import Floats, Ints

HALF_BOX_MM = 150.0


_AVERAGED = np.float32((151 / 315) ** 1.5)
"""A cubic B-spline averages white noise: variance sum of squared weights, mean 151/315 an axis."""


@dataclass(frozen=True)
class SplineField:
    """A smooth random field: uniform cubic B-splines over control values.

    Attributes:
        control: float32 (channels, n, n, n), values at nodes ``knot_mm`` apart, from -150 mm onwards on each axis.
        knot_mm: distance of the nodes; the field's shortest wavelength is about three times this.
    """

    control: Tensor
    knot_mm: float

    @staticmethod
    def draw(rng: np.random.Generator, knot_mm: float, channels: int = 1) -> SplineField:
        """Gaussian field of mean 0 and standard deviation about 1 in each channel."""
        # Four control values bear on every place, those at the ends too.
        n = int(np.ceil(2 * HALF_BOX_MM / knot_mm)) + 4
        values = rng.standard_normal((channels, n, n, n), dtype=np.float32)
        return SplineField(torch.from_numpy(values / _AVERAGED), knot_mm)

    def on(self, z: Floats, y: Floats, x: Floats, *, swift: bool = False) -> Tensor:
        """Values on the grid spanned by three axes in mm: float32 (channels, z, y, x).

        ``swift`` takes matrix products, a few times faster and the same to float32's rounding; on one thread only.
        """
        values = self.control
        if swift:
            return by_matrices(values, [(axis + HALF_BOX_MM) / self.knot_mm for axis in (z, y, x)])
        along = [(3, x), (2, y), (1, z)]
        if len(z) < values.shape[1]:  # fewer planes than nodes: cut first, then widen
            along = [(1, z), (3, x), (2, y)]
        for axis, positions in along:
            values = spline_along(values, axis, (positions + HALF_BOX_MM) / self.knot_mm)
        return values


def drawn_on(rng: np.random.Generator, knot_mm: float, axes: Sequence[Floats]) -> Tensor:
    """A field as ``SplineField.draw`` gives, drawn just where three axes (z, y, x) in mm lie: float32 (z, y, x)."""
    places = [(axis - axis.min()) / knot_mm for axis in axes]
    shape = [int(np.ceil(place.max())) + 4 for place in places]
    values = torch.from_numpy(rng.standard_normal((1, *shape), dtype=np.float32) / _AVERAGED)
    return by_matrices(values, places)[0]


def spline_along(values: Tensor, axis: int, position: Floats) -> Tensor:
    """Uniform cubic B-spline along one axis: the values between node 1 + ``position`` and the next."""
    # Within the box at both ends: four control values from here on must exist.
    first = np.clip(np.floor(position).astype(np.int64), 0, values.shape[axis] - 4)
    t = np.clip(position - first, 0.0, 1.0)
    # The four pieces of a uniform cubic B-spline, which sum to 1 everywhere.
    weights = ((1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6)
    shape = [1] * values.ndim
    shape[axis] = len(position)
    parts = (
        values.index_select(axis, torch.from_numpy(first + offset))
        * torch.from_numpy(weight.astype(np.float32)).reshape(shape)
        for offset, weight in enumerate(weights)
    )
    total = next(parts)
    for part in parts:
        total += part
    return total


def by_matrices(values: Tensor, positions: Sequence[Floats]) -> Tensor:
    """The same spline along all three axes, as a matrix product each: (channels, z, y, x), positions as (z, y, x)."""
    # The axis that shrinks most goes first: what is left is multiplied twice more.
    order = sorted((2, 1, 0), key=lambda axis: len(positions[axis]) / values.shape[axis + 1])
    for axis in order:
        values = _along(values, axis, _spline_matrix(values.shape[axis + 1], positions[axis].tobytes()))
    return values


def _along(values: Tensor, axis: int, weights: Tensor) -> Tensor:
    """A matrix (new, old) applied to one axis, 0 to 2, of values (channels, z, y, x), which stay in their order."""
    if axis == 2:
        return torch.matmul(values, weights.T)
    if axis == 1:
        return torch.matmul(weights, values)
    # Rows that are whole planes: nothing is moved, which would take longer than the product.
    planes = torch.matmul(weights, values.flatten(2))
    return planes.reshape(values.shape[0], len(weights), *values.shape[2:])


@lru_cache(maxsize=256)  # those of the lattice come again with each patient
def _spline_matrix(nodes: int, positions: bytes) -> Tensor:
    """Weights (positions, nodes) of ``spline_along``."""
    return spline_along(torch.eye(nodes), 0, np.frombuffer(positions))


@dataclass(frozen=True)
class Lattice:
    """Coarse nodes that carry smooth quantities, each axis evenly spaced in mm (x right, y front, z up).

    Attributes:
        z, y, x: positions of the nodes; z rises, y and x fall, so that indices run upwards, to the back, to the left.
    """

    z: Floats
    y: Floats
    x: Floats

    @property
    def shape(self) -> tuple[int, int, int]:
        """Nodes along (z, y, x)."""
        return len(self.z), len(self.y), len(self.x)

    def points(self) -> Tensor:
        """Positions of the nodes in mm, float32 (3, z, y, x), components ordered (x, y, z)."""
        z, y, x = (torch.from_numpy(axis.astype(np.float32)) for axis in (self.z, self.y, self.x))
        grid = torch.meshgrid(z, y, x, indexing="ij")
        return torch.stack((grid[2], grid[1], grid[0]))

    def expand(self, values: Tensor, z: Floats, y: Floats, x: Floats) -> Tensor:
        """Linear interpolation of node values (channels, z, y, x) to the grid spanned by three axes in mm."""
        for axis, nodes, positions in ((3, self.x, x), (2, self.y, y), (1, self.z, z)):
            values = _between(values, axis, *_neighbours(nodes, positions))
        return values

    def slabs(self, values: Tensor, z: Floats, y: Floats, x: Floats, count: int) -> Iterator[Tensor]:
        """What ``expand`` gives, ``count`` planes after the other: less memory, and no nodes but those beside them."""
        low, weight = _neighbours(self.z, z)
        first, last = int(low.min()), int(low.max()) + 2
        values = values[:, first:last]  # nodes beside the planes, and no others
        # Along rows a matrix product: neighbours there would be gathered one by one.
        values = torch.matmul(values, _between(torch.eye(len(self.x))[None, None], 2, *_neighbours(self.x, x))[0, 0].T)
        values = _between(values, 2, *_neighbours(self.y, y))
        for start in range(0, len(z), count):
            yield _between_planes(values, low[start : start + count] - first, weight[start : start + count])

    def unit(self, shift: Tensor) -> Tensor:
        """Unit coordinates (3, z, y, x), see ``sample``, of the nodes shifted by ``shift`` mm (3, z, y, x)."""
        spans = [float(axis[-1] - axis[0]) for axis in (self.x, self.y, self.z)]
        scale = torch.tensor([2 / span for span in spans]).reshape(3, 1, 1, 1)
        return unit_grid(self.shape) + shift * scale


def _neighbours(nodes: Floats, positions: Floats) -> tuple[Ints, Floats]:
    """Number of the node below each position (n,), and how far it is on the way to the next one, 0 to 1."""
    where = (positions - nodes[0]) / (nodes[1] - nodes[0])
    low = np.clip(np.floor(where).astype(np.int64), 0, len(nodes) - 2)
    return low, np.clip(where - low, 0, 1)


def _between(values: Tensor, axis: int, low: Ints, weight: Floats) -> Tensor:
    shape = [1] * 4
    shape[axis] = len(low)
    a, b = (values.index_select(axis, torch.from_numpy(low + step)) for step in (0, 1))
    # `lerp` on neighbours, and no matrix product, whose order of sums depends on the threads.
    return torch.lerp(a, b, torch.from_numpy(weight.astype(np.float32)).reshape(shape))


def _between_planes(values: Tensor, low: Ints, weight: Floats) -> Tensor:
    """Planes (channels, n, y, x) between plane ``low`` (n,) and the next, as far on as ``weight`` (n,) says."""
    found = values.new_empty((len(values), len(low), *values.shape[2:]))
    for number, (first, share) in enumerate(zip(low.tolist(), weight.tolist(), strict=True)):
        torch.lerp(values[:, first], values[:, first + 1], share, out=found[:, number])
    return found


def where_code(mask: Tensor, code: Tensor | int, other: Tensor) -> Tensor:
    """``torch.where`` of bytes, by bits: the same at a twentieth of its time.

    Args:
        mask: bool, of any shape.
        code: what stands where it is true, a byte or uint8 of the same shape.
        other: what stands elsewhere, uint8.
    """
    # The mask as 0 and 255, and of the bits in which the two differ those that it lets through.
    return other ^ ((other ^ code) & -mask.view(torch.uint8))


def places_of(mask: Tensor) -> Tensor:
    """Flat indices of what is true in a mask of any shape, rising, int64 (n,)."""
    return torch.from_numpy(np.flatnonzero(mask.numpy()))


def unit_grid(shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Coordinates -1 to 1 of a grid's samples, (3, z, y, x) ordered (x, y, z)."""
    axes = [torch.linspace(-1, 1, n) for n in shape]
    grid = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((grid[2], grid[1], grid[0]))


def nearest_of(shape: Sequence[int], where: Tensor) -> Tensor:
    """Flat index, int32 (...), of the sample of a grid (z, y, x) nearest to unit coordinates (3, ...)."""
    place = torch.zeros(where.shape[1:], dtype=torch.int32)
    for size, row in zip(shape, (2, 1, 0), strict=True):
        half = (size - 1) / 2
        place.mul_(size).add_(((where[row] + 1) * half).round_().clamp_(0, 2 * half).to(torch.int32))
    return place


def sample(values: Tensor, where: Tensor, mode: str = "bilinear") -> Tensor:
    """Values (channels, z, y, x) at unit coordinates ``where`` (3, ...): result (channels, ...)."""
    points = where.reshape(3, 1, 1, -1).permute(1, 2, 3, 0).unsqueeze(0)
    # Outermost samples are the ends of the box (`to_unit`), hence `align_corners=True`.
    found = grid_sample(values.unsqueeze(0), points, mode=mode, padding_mode="border", align_corners=True)
    return found.reshape(values.shape[0], *where.shape[1:])
