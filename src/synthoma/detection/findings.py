"""What a probability map says: how large a tumour is, and where. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from synthoma.cohorts.framing import foreground
from synthoma.core.types import Array, Bools, Float32, Floats, Ints
from synthoma.detection.scan_findings import Measurements, Side
from synthoma.scans.case import Geometry

MIDLINE = 0.03
"""A tumour whose centre is nearer to the midline than this share of the head's width is of neither side."""


# --- how large ----------------------------------------------------------------------------------------------------


def volume(mask: Bools, geometry: Geometry | None) -> float:
    """Size of a region: mm3, or the number of pixels where their size is unknown."""
    return float(mask.sum()) * (float(np.prod(geometry.spacing)) if geometry else 1.0)


def largest_diameter(mask: Bools, spacing: Sequence[float]) -> float | None:
    """Largest distance between two points of a region, whose voxels are boxes with extent.

    The two points are corners of the convex hull, so only those are compared: exact, and fast.

    Args:
        mask: (y, x) or (z, y, x).
        spacing: of a voxel along the same axes.

    Returns:
        In the unit of ``spacing``; None where the region is empty.
    """
    points = corners(mask)
    if not len(points):
        return None
    # Before the hull: which corners are farthest apart depends on the spacing.
    scaled = points * np.asarray(spacing, dtype=np.float64)
    return float(pdist(scaled[ConvexHull(scaled).vertices]).max())


def corners(mask: Bools) -> Floats:
    """Corners of the first and the last voxel of every row: all corners of the convex hull are among them."""
    if not mask.any():
        return np.zeros((0, mask.ndim))
    rows = mask.any(axis=-1)
    # The first voxel of each row and one past its last: all others lie between.
    first = mask.argmax(axis=-1)[rows]
    last = mask.shape[-1] - mask[..., ::-1].argmax(axis=-1)[rows]
    ahead = np.argwhere(rows)
    ends = np.concatenate([np.column_stack([ahead, first]), np.column_stack([ahead, last])])
    # Along the last axis both faces are there already; along the others each voxel has its two.
    shifts = np.array(np.meshgrid(*[[0, 1]] * (mask.ndim - 1), [0], indexing="ij")).reshape(mask.ndim, -1).T
    return np.asarray((ends[:, None] + shifts).reshape(-1, mask.ndim), dtype=np.float64)


def lesion_diameter(mask: Bools, spacing: Sequence[float]) -> float | None:
    """The largest diameter of a connected region (touching corners connect): a stray speck is no part of a lesion.

    Arguments and result are those of ``largest_diameter``.
    """
    numbers, _ = connected(mask)
    best: float | None = None
    for number, place in enumerate(ndimage.find_objects(numbers), start=1):
        # No diameter is longer than the diagonal of its box.
        sides = [(part.stop - part.start) * side for part, side in zip(place, spacing, strict=True)]
        if best is None or float(np.linalg.norm(sides)) > best:
            size = largest_diameter(numbers[place] == number, spacing)
            best = size if best is None or (size is not None and size > best) else best
    return best


def connected(mask: Bools) -> tuple[Ints, int]:
    """Number of the connected region of each voxel (0 for none), touching corners connect; and how many there are."""
    # Corners connect as well: thin parts of a lesion run aslant through the grid.
    numbers, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    return numbers, int(count)


def in_plane_diameter(mask: Bools, pixel: tuple[float, float]) -> float | None:
    """The largest diameter of a connected region within one slice.

    Args:
        mask: (slices, rows, columns).
        pixel: height and width of a pixel.
    """
    each = [lesion_diameter(layer, pixel) for layer in mask if layer.any()]
    return max((size for size in each if size is not None), default=None)


def dice(prediction: Bools, truth: Bools) -> float:
    """Dice of two masks over all their voxels; 1 where both are empty."""
    total = int(prediction.sum()) + int(truth.sum())
    return 2 * int((prediction & truth).sum()) / total if total else 1.0


# --- where --------------------------------------------------------------------------------------------------------


def centroid(mask: Bools) -> Floats | None:
    """Mean index (z, y, x) of a region; None where it is empty."""
    return np.argwhere(mask).mean(axis=0) if mask.any() else None


def to_millimetres(index: Floats, geometry: Geometry) -> Floats:
    """Place (x, y, z) in the patient, mm LPS, of an index (z, y, x)."""
    matrix = np.array(geometry.direction).reshape(3, 3)
    # Indices are (z, y, x), the geometry is (x, y, z).
    return np.asarray(matrix @ (index[::-1] * np.array(geometry.spacing)) + np.array(geometry.origin))


def box(mask: Bools) -> dict[str, list[int]] | None:
    """First and last index of a region (z, y, x) along each axis; None where it is empty."""
    if not mask.any():
        return None
    places = np.argwhere(mask)
    low, high = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    return {axis: [low[i], high[i]] for i, axis in enumerate("zyx")}


def side(mask: Bools, image: Array) -> tuple[Side | None, float | None]:
    """On which side of the head a region lies.

    Args:
        mask: (z, y, x) in LPS order, so that columns run towards the patient's left.
        image: of the same shape.

    Returns:
        The patient's "left", "right" or "midline", and how far the region's centre lies to the left of the head's, as a
        share of the head's width (negative to the right); None for both where the region is empty.
    """
    if not mask.any():
        return None, None
    middle, width = head_columns(image)
    shift = (float(np.nonzero(mask)[2].mean()) - middle) / width
    return side_of(shift), shift


def side_of(shift: float) -> Side:
    """The patient's side, of how far something lies to the left of the head's middle as a share of its width."""
    if abs(shift) < MIDLINE:
        return "midline"
    return "left" if shift > 0 else "right"


def head_columns(image: Array) -> tuple[float, float]:
    """Mean column of the head in an image (z, y, x), and how many columns it is wide."""
    # The outline of the whole head, not of one slice: the top of a head is no measure of its width.
    head = foreground(_evened(image.max(axis=0)))
    columns = np.flatnonzero(head.any(axis=0))
    if len(columns) < 2:  # nothing stands out of the background: the picture's own middle
        columns, head = np.arange(image.shape[2]), np.ones(image.shape[1:], dtype=bool)
    return float(np.nonzero(head)[1].mean()), float(columns[-1] - columns[0] + 1)


def _evened(image: Array) -> Float32:
    """A slice whose tissue is no brighter than its median, so that a bright tumour does not pass for the head."""
    values = image.astype(np.float32) - float(image.min())
    # As the window of grey values tells tissue from air (`scans.intensity`).
    tissue = values[values > 0.08 * float(np.percentile(values, 99.9))]
    return np.minimum(values, float(np.median(tissue))) if tissue.size else values


# --- together -----------------------------------------------------------------------------------------------------


def measurements(
    regions: Mapping[str, Bools], geometry: Geometry | None, slice_axis: int, pixel_mm: tuple[float, float]
) -> Measurements:
    """Size and place of a tumour, as findings.json says them.

    Args:
        regions: (z, y, x) of each target, the whole tumour first.
        geometry: of the grid; None where unknown. A slice that nobody knows the thickness of has its size in pixels.
        slice_axis: axis along which its slices were looked at.
        pixel_mm: height and width of a pixel in a slice; (1, 1) where unknown.
    """
    whole = next(iter(regions.values()))
    layers = np.moveaxis(whole, slice_axis, 0)
    # A slice's rows and columns may lie transposed in the array; the pixel's sides follow from the grid itself.
    sides = [length for axis, length in enumerate(geometry.spacing[::-1]) if axis != slice_axis] if geometry else None
    pixel = (sides[0], sides[1]) if sides else pixel_mm
    middle = centroid(whole)
    place = None if middle is None or geometry is None else to_millimetres(middle, geometry)
    numbers, regions_count = connected(whole)
    # Without the count of the background.
    largest = max(np.bincount(numbers.ravel())[1:].tolist(), default=0)
    spatial = geometry is not None and whole.shape[slice_axis] > 1
    solid = geometry if geometry is not None and geometry.thick else None
    return Measurements.model_validate(
        {
            "volume": tidy(volume(whole, solid)),
            "volume_unit": "mm3" if solid else "pixels",
            "volume_ml": tidy(volume(whole, solid) / 1000) if solid else None,
            "volumes": {name: tidy(volume(region, solid)) for name, region in regions.items()},
            "regions": regions_count,
            "largest_region_share": tidy(largest / int(whole.sum())) if largest else None,
            "diameter": tidy(lesion_diameter(whole, geometry.spacing[::-1])) if spatial and geometry else None,
            "diameter_in_plane": tidy(in_plane_diameter(layers, pixel)),
            "diameter_unit": "mm" if geometry else "pixels",
            "diameter_convention": "between the outermost corners of the voxels of one connected region",
            "centroid_voxel": None if middle is None else dict(zip("zyx", map(tidy, middle.tolist()), strict=True)),
            "centroid_mm_lps": None if place is None else [tidy(value) for value in place.tolist()],
            "box_voxel": box(whole),
        }
    )


def tidy(value: float | None) -> float | None:
    """A number for JSON: four digits behind the point, None where it is none."""
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
