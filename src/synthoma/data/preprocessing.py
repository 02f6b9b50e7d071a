"""From the voxels of a study to square slices: orient, find the head, crop, scale intensities, resize.

Each step is a pure function on arrays; ``synthoma.data.preparation`` puts them in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu

from synthoma.data.case import Direction, Geometry, Study
from synthoma.errors import InputError
from synthoma.types import Array, Bools, Bytes, Float32, Plane, tumour_of

Normalisation = Literal["robust", "unit"]
"""Both put 0 below and 1 above: what has mean 0 and deviation 1 would be half black wherever 0 to 1 is looked at."""


def to_lps(study: Study) -> Study:
    """The study with its array axes nearest to (up, back, left), as radiologists' axial slices are shown.

    Axes are only permuted and reversed, never interpolated, so an oblique scan keeps its own slices. A study without
    geometry is taken to lie so already.
    """
    geometry = study.geometry
    if geometry is None:
        return study
    axes, flips = _nearest_axes(geometry.direction)
    if axes == (0, 1, 2) and not any(flips):
        return study
    order, back = turning(geometry)

    def turn(array: Array) -> Array:
        return array.transpose(order)[reversal(back)]

    shape = next(iter(study.images.values())).shape[::-1]
    matrix = np.array(geometry.direction).reshape(3, 3)
    origin, columns, spacing = np.array(geometry.origin), [], []
    for target in range(3):
        axis = axes[target]
        column = matrix[:, axis]
        if flips[target]:
            origin = origin + column * geometry.spacing[axis] * (shape[axis] - 1)
            column = -column
        columns.append(column)
        spacing.append(geometry.spacing[axis])
    turned = Geometry(
        spacing=(spacing[0], spacing[1], spacing[2]),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=tuple(float(value) + 0.0 for value in np.stack(columns, axis=1).ravel()),  # type: ignore[arg-type]
    )
    images = {name: turn(image) for name, image in study.images.items()}
    mask = None if study.mask is None else turn(study.mask)
    return Study(images=images, geometry=turned, mask=mask, labels=study.labels)


def turning(geometry: Geometry | None) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """How ``to_lps`` turns arrays (z, y, x) of this grid: the axis that each new axis was, then which are reversed."""
    if geometry is None:
        return (0, 1, 2), (False, False, False)
    axes, flips = _nearest_axes(geometry.direction)
    # Grid axis i (x, y, z) is array axis 2 - i.
    return (2 - axes[2], 2 - axes[1], 2 - axes[0]), (flips[2], flips[1], flips[0])


def from_lps(array: Array, geometry: Geometry | None) -> Array:
    """An array in LPS order back on the grid that its study came on: the inverse of what ``to_lps`` does to arrays.

    Args:
        array: (z, y, x), or with further axes in front.
        geometry: of the study before ``to_lps``; None where it has none.
    """
    order, back = turning(geometry)
    ahead = array.ndim - 3
    places = [*range(ahead), *(ahead + axis for axis in np.argsort(order).tolist())]
    index: tuple[Any, ...] = (Ellipsis, *reversal(back))
    upright: Array = array[index]
    return upright.transpose(places)


def reversal(back: tuple[bool, ...]) -> tuple[slice, ...]:
    """Index that reverses these axes."""
    return tuple(slice(None, None, -1 if reversed_ else 1) for reversed_ in back)


def _nearest_axes(direction: Direction) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """For each patient axis (left, back, up): the grid axis that runs most along it, and whether it runs against it.

    The pairing with the largest sum of cosines is taken, so that no grid axis is used twice at 45 degrees.
    """
    from itertools import permutations

    matrix = np.array(direction).reshape(3, 3)
    axes = max(permutations(range(3)), key=lambda order: sum(abs(matrix[i, order[i]]) for i in range(3)))
    flips = tuple(bool(matrix[i, axes[i]] < 0) for i in range(3))
    return (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2])


PLANE_AXES: dict[Plane, tuple[int, int, int]] = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
"""Axes of an array in LPS order (z, y, x) as slices, rows and columns of each plane."""


def to_plane(study: Study, plane: Plane) -> tuple[dict[str, Array], Bytes | None, tuple[float, float], float | None]:
    """Slices of one plane from a study in LPS order.

    Returns:
        Images by modality (slices, rows, columns), the mask likewise, the pixel's (height, width) in mm (1, 1 where
        unknown), and the distance between slices in mm (None where unknown). Rows run from front to back in axial
        slices, and from the top down in sagittal and coronal ones.

    Raises:
        InputError: another plane than the axial one of a single picture, or of a stack without spacing.
    """
    depth = next(iter(study.images.values())).shape[0]
    if plane != "axial" and (study.geometry is None or depth == 1):
        came = "a single picture" if depth == 1 else "a stack whose spacing is not known"
        raise InputError(f"a volume with spacing for {plane} slices", came, "use --plane axial")
    x, y, z = study.geometry.spacing if study.geometry else (1.0, 1.0, None)
    order = PLANE_AXES[plane]
    pixel, step = {
        "axial": ((y, x), z),
        "coronal": ((z or 1.0, x), y),
        "sagittal": ((z or 1.0, y), x),
    }[plane]

    def cut(array: Array) -> Array:
        return array.transpose(order) if plane == "axial" else array.transpose(order)[:, ::-1]

    images = {name: cut(image) for name, image in study.images.items()}
    return images, None if study.mask is None else cut(study.mask), pixel, step


def from_plane(array: Array, plane: Plane) -> Array:
    """Slices (..., slices, rows, columns) of one plane back in LPS order (..., z, y, x); inverse of ``to_plane``."""
    ahead = array.ndim - 3
    upright = array if plane == "axial" else array[..., ::-1, :]
    return upright.transpose([*range(ahead), *(ahead + axis for axis in np.argsort(PLANE_AXES[plane]).tolist())])


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows [top, top + height), columns [left, left + width)."""

    top: int
    left: int
    height: int
    width: int


def whole(image: Array) -> Box:
    """The box that holds all of a slice (rows, columns)."""
    return Box(0, 0, *image.shape[-2:])


def foreground(image: Array) -> Bools:
    """Where the head is in an image (rows, columns): the largest connected region of what is not background.

    Background is what the border shows most. The cut lies at half of Otsu's threshold (1979), because that threshold
    separates bright scalp from brain as often as head from air.
    """
    pixels = ndimage.gaussian_filter(image.astype(np.float32), 1.0)
    low, high = float(pixels.min()), float(np.percentile(pixels, 99.5))
    if not high > low:
        return np.zeros(image.shape, dtype=bool)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = float(np.median(border))
    distance = np.abs(np.minimum(pixels, high) - background) if background > (low + high) / 2 else pixels - low
    cut = 0.5 * float(threshold_otsu(np.minimum(distance, high - low)))
    regions, count = ndimage.label(ndimage.binary_opening(distance > cut, iterations=1))
    if count == 0:
        return np.zeros(image.shape, dtype=bool)
    sizes = np.bincount(regions.ravel())[1:]
    return np.asarray(ndimage.binary_fill_holes(regions == 1 + int(sizes.argmax())))


def head_box(images: dict[str, Array], margin: float = 0.02) -> Box:
    """The box around the head, common to all slices of a volume so that scale does not change from slice to slice.

    Args:
        images: modalities (slices, rows, columns).
        margin: what is kept around the head, as a share of its longer side.

    Returns:
        The box; the whole slice where no head can be told from the background.
    """
    # The brightest value along the stack shows the largest outline of the head; each modality is scaled to its own top.
    outlines = []
    for image in images.values():
        projection = image.max(axis=0).astype(np.float32)
        top = float(np.percentile(projection, 99.5)) or 1.0
        outlines.append(projection / top)
    head = foreground(np.max(outlines, axis=0))
    rows, columns = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
    if len(rows) < 2 or len(columns) < 2:
        return whole(head)
    pad = round(margin * max(rows[-1] - rows[0], columns[-1] - columns[0]))
    top, bottom = max(int(rows[0]) - pad, 0), min(int(rows[-1]) + pad + 1, head.shape[0])
    left, right = max(int(columns[0]) - pad, 0), min(int(columns[-1]) + pad + 1, head.shape[1])
    return Box(top, left, bottom - top, right - left)


def widened(box: Box, mask: Array) -> Box:
    """The box made large enough to hold all that a mask (slices, rows, columns) labels; the same where it does."""
    shown = np.asarray((mask > 0).any(axis=0))
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(rows):
        return box
    top, left = min(box.top, int(rows[0])), min(box.left, int(columns[0]))
    bottom = max(box.top + box.height, int(rows[-1]) + 1)
    right = max(box.left + box.width, int(columns[-1]) + 1)
    return Box(top, left, bottom - top, right - left)


def intensity_window(image: Array, method: Normalisation) -> tuple[float, float]:
    """Offset and scale of a volume's intensities: normalised = (value - offset) / scale.

    ``robust`` puts the background at 0 and the 99.5th percentile of the tissue at 1, clipping nothing, so a few very
    bright voxels do not darken the rest and can still be brought back. ``unit`` divides 8-bit pictures by 255. Of
    other numbers, of which a scanner uses a small part, it puts the volume's least at 0 and its largest at 1.
    """
    if method == "unit":
        if image.dtype == np.uint8:
            return 0.0, 255.0
        low, high = extremes(image)
        return low, high - low or 1.0
    values = image.ravel()
    values = values[:: max(1, values.size // 2_000_000)].astype(np.float32)  # percentiles of millions are as good
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    offset = float(np.percentile(values, 0.5))
    peak = float(np.percentile(values, 99.9)) - offset
    tissue = values[values > offset + 0.08 * peak]
    if tissue.size == 0:
        tissue = values
    return offset, float(np.percentile(tissue, 99.5)) - offset or 1.0


def known_method(name: Any) -> Normalisation:
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
    low, high = float(image.min()), float(image.max())
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    finite = image[np.isfinite(image)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


@dataclass(frozen=True)
class Fit:
    """How a box of a slice lies in the square that a cohort stores.

    Attributes:
        box: the part of the slice that is shown.
        rows, columns: its size in the square, in pixels of the square; the rest is padding, equal on both sides.
        size: side of the square.
    """

    box: Box
    rows: int
    columns: int
    size: int

    @property
    def top(self) -> int:
        """Rows of padding above."""
        return (self.size - self.rows) // 2

    @property
    def left(self) -> int:
        """Columns of padding to the left."""
        return (self.size - self.columns) // 2


def fit_square(box: Box, pixel_mm: tuple[float, float], size: int) -> tuple[Fit, float]:
    """Fit a box into a square of isotropic pixels, aspect kept.

    Args:
        box: part of the slice.
        pixel_mm: height and width of a pixel of the slice.
        size: side of the square.

    Returns:
        The fit, and the side of one pixel of the square in mm.
    """
    height, width = box.height * pixel_mm[0], box.width * pixel_mm[1]
    side = max(height, width) / size
    return Fit(box, max(1, round(height / side)), max(1, round(width / side)), size), side


def resize(image: Array, fit: Fit, fill: float) -> Float32:
    """One slice (rows, columns) brought into its square (size, size): area average when shrinking, cubic when growing.

    A box that already has the right size passes unchanged. Cubic interpolation is held within the range of the
    slice, so no value appears that was not there.
    """
    part = _part(image, fit.box).astype(np.float32)
    if part.shape != (fit.rows, fit.columns):
        shrinking = fit.rows <= part.shape[0] and fit.columns <= part.shape[1]
        how = Image.Resampling.BOX if shrinking else Image.Resampling.BICUBIC
        low, high = part.min(), part.max()
        part = np.asarray(Image.fromarray(part).resize((fit.columns, fit.rows), how)).clip(low, high)
    square: Float32 = _pad(part, fit, fill)
    return square


def resize_mask(mask: Bytes, fit: Fit) -> Bytes:
    """One mask (rows, columns) brought into its square by nearest neighbour: no new label value appears.

    Where that would leave nothing of a small tumour, the pixel of it that lies nearest to its centre is kept: a slice
    that shows a tumour shows one at any size.
    """
    part = _part(mask, fit.box)
    if part.shape != (fit.rows, fit.columns):
        nearest = Image.Resampling.NEAREST
        small = np.array(Image.fromarray(np.ascontiguousarray(part)).resize((fit.columns, fit.rows), nearest))
        places = np.argwhere(tumour_of(part))
        if len(places) and not tumour_of(small).any():
            kept = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]
            row, column = (kept + 0.5) * (fit.rows, fit.columns) / part.shape
            small[int(row), int(column)] = part[tuple(kept)]
        part = small
    padded: Bytes = _pad(part, fit, 0)
    return padded


def resize_back(square: Float32, fit: Fit, shape: tuple[int, int]) -> Float32:
    """A map (size, size) over a square brought back onto the slice (rows, columns) that the square shows.

    Bilinear within the box, which keeps probabilities in their range; 0 outside of it, where nothing was looked at.
    """
    part = square[fit.top : fit.top + fit.rows, fit.left : fit.left + fit.columns]
    box = fit.box
    if part.shape != (box.height, box.width):
        picture = Image.fromarray(np.ascontiguousarray(part, dtype=np.float32))
        part = np.asarray(picture.resize((box.width, box.height), Image.Resampling.BILINEAR))
    whole_slice = np.zeros(shape, dtype=np.float32)
    _part(whole_slice, box)[...] = part
    return whole_slice


def _part(image: Array, box: Box) -> Array:
    return image[box.top : box.top + box.height, box.left : box.left + box.width]


def _pad(part: Array, fit: Fit, fill: float) -> Any:
    square = np.full((fit.size, fit.size), fill, dtype=part.dtype)
    square[fit.top : fit.top + fit.rows, fit.left : fit.left + fit.columns] = part
    return square
