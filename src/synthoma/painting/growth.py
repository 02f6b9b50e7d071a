"""The shape of a tumour grown in a scan's own tissue.

The phantom's reaction and diffusion (``phantom.tumour``) on a grid of 3 mm: fast along the scan's white matter, slower
in its grey matter, never through its fluid. A single slice grows as if the slices above and below were like it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Float32, Floats
from synthoma.painting.scan import Scan, anisotropic
from synthoma.painting.tissues import TissueMap
from synthoma.phantom.atlas import GROWTH_MM
from synthoma.phantom.tumour import Biology, fronts_of, radius_of, spread

Box = tuple[slice, slice, slice]
FIELDS = 3
"""Fields of noise: of the margin, of the core, of the rim."""


class NoRoomError(InputError):
    """A tumour that is too large for where it was to grow: of another size or at another place it may fit."""


@dataclass(frozen=True)
class Shape:
    """A tumour's margins in a box of the scan.

    Attributes:
        box: where in the scan.
        whole, core: distance in mm to the margin of the tumour and of its core, negative inside; float32 of the box.
        noise: fields of noise (3, of the box), mean 0 and standard deviation 1, smooth over some mm.
    """

    box: Box
    whole: Float32
    core: Float32
    noise: Float32

    def mask(self, tissue: TissueMap) -> Bools:
        """Where tumour prevails, of the box."""
        return (self.whole < 0) & room_of(tissue)[self.box]


def room_of(tissue: TissueMap) -> Bools:
    """Where a tumour can be: brain that is no fluid, less its outermost 2 mm."""
    area = tissue.brain.sum((1, 2))
    wide = (area >= 0.25 * area.max())[:, None, None]  # at the vertex slices are brain and bone in one
    # Smoothed: single pixels that look like fluid are noise, and a tumour's outline is no lace.
    solid = ndimage.gaussian_filter(tissue.solid, (0, 0.8, 0.8))
    return np.asarray((solid > 0.5) & tissue.brain & (tissue.depth_mm > 2.0) & wide)


def grown(
    rng: np.random.Generator, biology: Biology, scan: Scan, tissue: TissueMap, start: Floats, allowed: Bools, *,
    exact: bool,
) -> Shape:  # fmt: skip
    """Grow a tumour.

    Args:
        rng: drives its irregularity.
        biology: its character and size.
        scan: the scan.
        tissue: its tissues.
        start: voxel (z, y, x).
        allowed: where it may be.
        exact: the middle of the tumour is to lie at the start, so that it is grown again from where that comes true.

    Raises:
        InputError: no room for its size.
    """
    key = rng.integers(2**63, size=2)
    origin, shape, error = start.copy(), None, np.inf
    for _ in range(4 if exact else 1):
        one = np.random.Generator(np.random.PCG64(key))  # the same irregularities each time
        new = _grown(one, biology, scan, tissue, origin, allowed, target=start if exact else None)
        if not exact:
            return new
        inside = np.argwhere(new.mask(tissue) & allowed[new.box])
        middle = inside.mean(0) + [part.start for part in new.box]
        off = (middle - start) * np.array(scan.spacing)
        if float(np.sqrt((off**2).sum())) < error:
            shape, error = new, float(np.sqrt((off**2).sum()))
        if error < 1.0:
            break
        origin = _nearest(origin - (middle - start), allowed, scan)
    assert shape is not None
    return shape


def _nearest(voxel: Floats, allowed: Bools, scan: Scan) -> Floats:
    """The voxel itself, or the nearest one at which a tumour may be."""
    at = np.clip(np.round(voxel).astype(int), 0, np.array(scan.shape) - 1)
    if allowed[tuple(at)]:
        return np.clip(voxel, 0, np.array(scan.shape) - 1)
    places = np.argwhere(allowed)
    gaps = (((places - voxel) * np.array(scan.spacing)) ** 2).sum(1)
    return np.asarray(places[gaps.argmin()], np.float64)


def _grown(
    rng: np.random.Generator, biology: Biology, scan: Scan, tissue: TissueMap, start: Floats, allowed: Bools,
    target: Floats | None,
) -> Shape:  # fmt: skip
    radius = radius_of(biology.volume_ml)
    reach = int(np.ceil((1.7 * radius + 9) / GROWTH_MM))
    sides = (1 if scan.flat else reach, reach, reach)
    spacing = np.array(scan.spacing)
    axes = [np.arange(-side, side + 1) * GROWTH_MM / spacing[axis] + start[axis] for axis, side in enumerate(sides)]
    if scan.flat:
        # Three equal slices: growth in space needs one above and one below. Sizes count all three.
        axes[0] = np.zeros(3)
    box = _box(axes, scan)
    white, grey = (_coarse(field * allowed, axes, box, scan) for field in (tissue.white, tissue.grey))
    middle = np.array(sides)
    if not (white + grey > 0.45)[tuple(slice(m - 1, m + 2) for m in middle)].any():
        white[tuple(middle)] = 1.0  # a place that was asked for lies where tissue is thin
    wanted = biology.volume_ml * 1000 / GROWTH_MM**3
    if scan.flat:
        wanted = 3 * np.pi * radius**2 / GROWTH_MM**2
    arrival = spread(rng, biology, white, grey, [middle], wanted, True)
    fronts = fronts_of(arrival, white + grey, biology, wanted)
    noise = _noise(rng, white.shape)
    if scan.flat:
        fronts, noise = fronts[:, 1:2], noise[:, 1:2]
    whole, core = (_fine(field, box, axes, scan) for field in fronts)
    fields = np.stack([_fine(field, box, axes, scan) for field in noise])
    if target is not None:
        ball = _distance(box, target, scan) - radius
        # Whoever asks for millimetres wants the middle there: left free, growth wanders along white matter.
        whole, core = 0.4 * whole + 0.6 * ball, core - 0.6 * whole + 0.6 * ball
    whole = whole + biology.spare_mm * (tissue.grey[box] - 0.3) + 0.5 * biology.patchy * fields[0]
    return _fitted(
        Shape(box, whole.astype(np.float32), core.astype(np.float32), fields), biology, scan, tissue, allowed
    )


def _fitted(shape: Shape, biology: Biology, scan: Scan, tissue: TissueMap, allowed: Bools) -> Shape:
    """The shape with its margins moved to where the tumour has its size.

    Raises:
        NoRoomError: too little of it.
    """
    room = room_of(tissue)[shape.box] & allowed[shape.box]
    distances = np.sort(shape.whole[room])
    wanted = biology.volume_ml / scan.voxel_ml
    if scan.flat:
        wanted = np.pi * radius_of(biology.volume_ml) ** 2 / (scan.spacing[1] * scan.spacing[2])
    # A tumour that fills all the room that its box has would have straight edges.
    if wanted > 0.8 * len(distances):
        most = 0.8 * len(distances) * scan.voxel_ml
        came = f"{biology.volume_ml:.3g} ml" + ("" if scan.flat else f", where {most:.3g} ml are free")
        raise NoRoomError("a tumour that the brain has room for", came, "ask for a smaller one, or another place")
    wanted = max(1, round(wanted))
    # Half way between the last voxel inside and the first one outside: neither lies on the margin.
    off = float(distances[wanted - 1 : wanted + 1].mean())
    whole = (shape.whole - np.float32(off)).astype(np.float32)
    ragged = 0.5 * biology.patchy + 0.12 * radius_of(biology.volume_ml)
    inside = np.sort((shape.core + ragged * shape.noise[1])[room & (whole < 0)])
    core_off = float(inside[min(int(len(inside) * biology.core), len(inside) - 1)]) if len(inside) else 0.0
    core = np.maximum(shape.core - np.float32(core_off), whole).astype(np.float32)
    return Shape(shape.box, np.where(allowed[shape.box], whole, np.float32(1e3)), core, shape.noise)


# --- from the scan's grid to that of growth, and back --------------------------------------------------------------


def _box(axes: list[Floats], scan: Scan) -> Box:
    bounds = [
        slice(max(0, int(np.floor(axis.min())) + 1), min(size, int(np.ceil(axis.max()))))
        for axis, size in zip(axes, scan.shape, strict=True)
    ]
    if scan.flat:
        bounds[0] = slice(0, 1)
    return bounds[0], bounds[1], bounds[2]


def _coarse(field: Float32, axes: list[Floats], box: Box, scan: Scan) -> Float32:
    """A share sampled on the grid of growth; 0 outside the scan."""
    part = field[box]
    sizes = tuple(max(1, round(value)) for value in anisotropic(GROWTH_MM, scan.spacing, scan.flat))
    part = ndimage.uniform_filter(part, (sizes[0], sizes[1], sizes[2]), mode="constant")
    grid = np.meshgrid(*(axis - part_.start for axis, part_ in zip(axes, box, strict=True)), indexing="ij")
    return np.asarray(ndimage.map_coordinates(part, grid, order=1, mode="constant", output=np.float32))


def _fine(field: Float32, box: Box, axes: list[Floats], scan: Scan) -> Float32:
    """A field of the grid of growth on the scan's voxels in the box."""
    places = []
    for axis, part in enumerate(box):
        span = np.arange(part.start, part.stop, dtype=np.float64)
        step = axes[axis][1] - axes[axis][0]
        places.append((span - axes[axis][0]) / step if step > 0 else np.zeros(len(span)))
    grid = np.meshgrid(*places, indexing="ij")
    # A cubic spline needs four samples.
    order = 3 if field.shape[0] > 3 else 1
    if scan.flat:
        return np.asarray(
            ndimage.map_coordinates(field[0], [grid[1][0], grid[2][0]], order=3, mode="nearest", output=np.float32)
        )[None]
    return np.asarray(ndimage.map_coordinates(field, grid, order=order, mode="nearest", output=np.float32))


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Float32:
    """Fields of noise, smooth over 4 mm and over 12 mm together."""
    fields = []
    for _ in range(FIELDS):
        white = rng.standard_normal(shape)
        # Wrapped: any other border has less to average, and noise of another strength.
        field = ndimage.gaussian_filter(white, 1.0, mode="wrap")
        wide = ndimage.gaussian_filter(white, 3.0, mode="wrap")
        field = field / field.std() + wide / max(wide.std(), 1e-9)
        fields.append((field - field.mean()) / field.std())
    return np.asarray(np.stack(fields), np.float32)


def _distance(box: Box, target: Floats, scan: Scan) -> Float32:
    """Distance in mm of the voxels of a box to a place."""
    parts = [
        ((np.arange(part.start, part.stop) - target[axis]) * scan.spacing[axis]) ** 2 for axis, part in enumerate(box)
    ]
    return np.asarray(np.sqrt(parts[0][:, None, None] + parts[1][:, None] + parts[2]), np.float32)
