"""Where the head is in a slice, and how a slice becomes the square that a cohort stores, and back.

Each step is a pure function on arrays; ``synthoma.cohorts.preparation`` puts them in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu

from synthoma.core.types import Array, Bools, Bytes, Float32, tumour_of
from synthoma.core.words import Fitting, Resampling

Pixel = TypeVar("Pixel", bound=np.generic)


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
    # Before the threshold: single pixels of noise in the air would be regions of their own.
    pixels = ndimage.gaussian_filter(image.astype(np.float32), 1.0)
    # A few hot pixels must not set the scale.
    low, high = float(pixels.min()), float(np.percentile(pixels, 99.5))
    if not high > low:
        return np.zeros(image.shape, dtype=bool)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = float(np.median(border))
    # Inverted pictures, and pictures on white, have a bright border: head is then what differs from it.
    distance = np.abs(np.minimum(pixels, high) - background) if background > (low + high) / 2 else pixels - low
    # Cut at the top again: Otsu spreads its 256 bins up to the brightest pixel.
    cut = 0.5 * float(threshold_otsu(np.minimum(distance, high - low)))
    # Opened, or a thread of noise could join the head to a text beside it.
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
        # An empty modality stays empty in place of being divided by 0.
        top = float(np.percentile(projection, 99.5)) or 1.0
        outlines.append(projection / top)
    head = foreground(np.max(outlines, axis=0))
    rows, columns = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
    # A line of pixels is no head.
    if len(rows) < 2 or len(columns) < 2:
        return whole(head)
    # Of the longer side for both: a slim head would else be cut closer at its sides than in front.
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


def fit_square(
    box: Box, pixel_mm: tuple[float, float], size: int, fitting: Fitting = "keep"
) -> tuple[Fit, tuple[float, float]]:
    """Fit a box into a square: of isotropic pixels with the aspect kept, or stretched to fill it.

    Args:
        box: part of the slice.
        pixel_mm: height and width of a pixel of the slice.
        size: side of the square.
        fitting: "keep" or "stretch".

    Returns:
        The fit, and height and width of one pixel of the square in mm, which are equal where the aspect is kept.
    """
    height, width = box.height * pixel_mm[0], box.width * pixel_mm[1]
    if fitting == "stretch":
        return Fit(box, size, size, size), (height / size, width / size)
    # In mm and not in pixels: oblong pixels would make a round head an ellipse.
    side = max(height, width) / size
    # A sliver keeps one line of pixels: of none there would be nothing to resize.
    return Fit(box, max(1, round(height / side)), max(1, round(width / side)), size), (side, side)


def centred(box: Box, pad: int) -> Box:
    """A box of ``pad`` pixels a side with the same centre; more than the slice, where it reaches beyond it.

    Where the difference is odd, one row or column more lies below or to the right.
    """
    return Box(box.top - (pad - box.height) // 2, box.left - (pad - box.width) // 2, pad, pad)


def part_of(box: Box, start: int, stop: int) -> Box:
    """Rows and columns ``start`` to ``stop`` - 1 of a box."""
    return Box(box.top + start, box.left + start, stop - start, stop - start)


def resize(image: Array, fit: Fit, fill: float, resampling: Resampling = "area") -> Float32:
    """One slice (rows, columns) brought into its square (size, size).

    A box that already has the right size passes unchanged. Values are held within the range of the slice, so that
    cubic interpolation makes none that was not there.

    Args:
        image: the slice.
        fit: where it lies in the square.
        fill: value of what lies outside of the slice, and of the padding.
        resampling: "area" takes the mean over the area when shrinking, and cubic interpolation when growing; "cubic"
            and "linear" interpolate in either case.
    """
    part = shown_part(image, fit.box, fill).astype(np.float32)
    if part.shape != (fit.rows, fit.columns):
        low, high = part.min(), part.max()
        picture = Image.fromarray(part)
        if resampling == "area":
            # BOX means only where both sides shrink: Pillow repeats pixels with it where one grows.
            shrinking = fit.rows <= part.shape[0] and fit.columns <= part.shape[1]
            how = Image.Resampling.BOX if shrinking else Image.Resampling.BICUBIC
            part = np.asarray(picture.resize((fit.columns, fit.rows), how))
        else:
            part = _interpolated(part, fit, 3 if resampling == "cubic" else 1)
        part = part.clip(low, high)
    return _pad(part, fit, fill)


def _interpolated(part: Float32, fit: Fit, order: int) -> Float32:
    """A box resized by an interpolating spline of this order, without smoothing first.

    That is what plain "cubic" resizing of arrays is in most code; fine detail aliases. Pillow widens its filters when
    shrinking, which gives another picture.
    """
    sides = zip((fit.rows, fit.columns), part.shape, strict=True)
    # Middles of pixels lie at half numbers: without the halves pictures shift by half a pixel.
    places = [(np.arange(new) + 0.5) * old / new - 0.5 for new, old in sides]
    grid = np.meshgrid(*places, indexing="ij")
    return np.asarray(ndimage.map_coordinates(part, grid, order=order, mode="nearest"), dtype=np.float32)


def resize_mask(mask: Bytes, fit: Fit) -> Bytes:
    """One mask (rows, columns) brought into its square by nearest neighbour: no new label value appears.

    Where that would leave nothing of a small tumour, the pixel of it that lies nearest to its centre is kept: a slice
    that shows a tumour shows one at any size.
    """
    part = shown_part(mask, fit.box)
    if part.shape != (fit.rows, fit.columns):
        nearest = Image.Resampling.NEAREST
        # A copy, since arrays over Pillow's pictures cannot be written to.
        small = np.array(Image.fromarray(np.ascontiguousarray(part)).resize((fit.columns, fit.rows), nearest))
        places = np.argwhere(tumour_of(part))
        if len(places) and not tumour_of(small).any():
            kept = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]
            # The middle of that pixel, in pixels of the smaller mask.
            row, column = (kept + 0.5) * (fit.rows, fit.columns) / part.shape
            small[int(row), int(column)] = part[tuple(kept)]
        part = small
    return _pad(part, fit, 0)


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
    inside, of_box = _overlap(box, shape)
    whole_slice[inside] = part[of_box]
    return whole_slice


def _overlap(box: Box, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a box and a slice of this shape overlap: in the slice, and in the box."""
    inside, of_box = [], []
    for start, length, side in ((box.top, box.height, shape[0]), (box.left, box.width, shape[1])):
        # Where the two do not meet, both slices are empty in place of running backwards.
        first, last = min(max(start, 0), side), max(min(start + length, side), 0)
        inside.append(slice(first, max(first, last)))
        of_box.append(slice(first - start, max(first, last) - start))
    return (inside[0], inside[1]), (of_box[0], of_box[1])


def shown_part(image: NDArray[Pixel], box: Box, fill: float = 0) -> NDArray[Pixel]:
    """What a box shows of a slice; ``fill`` where it reaches beyond it."""
    inside, of_box = _overlap(box, image.shape)
    shown = image[inside]
    if shown.shape == (box.height, box.width):
        return shown
    part = np.full((box.height, box.width), fill, dtype=image.dtype)
    part[of_box] = shown
    return part


def _pad(part: NDArray[Pixel], fit: Fit, fill: float) -> NDArray[Pixel]:
    square = np.full((fit.size, fit.size), fill, dtype=part.dtype)
    square[fit.top : fit.top + fit.rows, fit.left : fit.left + fit.columns] = part
    return square
