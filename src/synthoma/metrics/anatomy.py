"""What readers complain about, one number an image: outlines, symmetry, shading, and how a lesion looks.

The head is the largest connected region above `HEAD_ABOVE`, its holes filled. A picture without one has an area of 0
and nan for everything else. Sizes are shares of the picture or of the head, so that sets of one size can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools, Floats, Ints

HEAD_ABOVE = 0.02
"""Grey value above which a pixel may belong to the head, on the scale 0..1."""

# Images at once, which are held in double precision: memory is the same for any number of them.
_BLOCK = 128
# Neighbours within a slice, with diagonals and without; never those of the next slice.
_SQUARE = np.pad(ndimage.generate_binary_structure(2, 2)[None], ((1, 1), (0, 0), (0, 0)))
_CROSS = np.pad(ndimage.generate_binary_structure(2, 1)[None], ((1, 1), (0, 0), (0, 0)))


def heads(images: Array) -> Bools:
    """Where the head is: the largest connected region above `HEAD_ABOVE`, filled; all False in a blank picture.

    Args:
        images: (N, H, W), 0..1.

    Returns:
        (N, H, W).

    Raises:
        InputError: another number of axes.
    """
    found = np.zeros(_images(images).shape, dtype=np.bool_)
    for start, block in _blocks(images):
        found[start : start + len(block)] = _filled(_largest(block > HEAD_ABOVE))
    return found


def head_area(images: Array) -> Floats:
    """Share of the picture that the head takes.

    Args:
        images: (N, H, W), 0..1.

    Returns:
        (N,), 0..1; 0 for a blank picture.

    Raises:
        InputError: another number of axes.
    """
    area: Floats = heads(images).mean(axis=(1, 2))
    return area


def left_right_asymmetry(images: Array) -> Floats:
    """1 - correlation of the picture with its mirror about the head's own axis, the column of its centroid.

    Taken over all pixels of the head and of its mirror, after a Gaussian of 1/32 of the width, so that folds and noise
    do not count. A head turned in its frame counts as asymmetric.

    Args:
        images: (N, H, W), 0..1.

    Returns:
        (N,), 0 (symmetric) to 2; nan without a head or without contrast.

    Raises:
        InputError: another number of axes.
    """
    parts = []
    for _, block in _blocks(images):
        head = heads(block)
        width = block.shape[2]
        # Beyond the frame is background, here and in the mirror below. Repeating the edge would invent tissue there.
        smooth = ndimage.gaussian_filter(block, (0, width / 32, width / 32), mode="constant")
        middle = _mean(np.broadcast_to(np.arange(width, dtype=np.float64), block.shape), head)
        # Twice the axis is rounded: the mirror then falls on whole columns, at most a quarter of a column off.
        # A blank picture has no axis. Any will do, since its correlation is nan.
        columns = np.round(2 * np.nan_to_num(middle)).astype(int)[:, None] - np.arange(width)
        inside = ((columns >= 0) & (columns < width))[:, None]
        columns = np.clip(columns, 0, width - 1)[:, None]
        mirror = np.where(inside, np.take_along_axis(smooth, columns, axis=2), 0.0)
        # Both halves together: tissue that is missing on one side is what asymmetry means.
        either = head | (inside & np.take_along_axis(head, columns, axis=2))
        parts.append(1 - _correlation(smooth, mirror, either))
    return _joined(parts)


def centre_to_edge(images: Array, rings: int = 8) -> Floats:
    """Mean grey value in rings of the head's own shape, of equal width in depth below its outline.

    Args:
        images: (N, H, W), 0..1.
        rings: how many; the first is the centre, the last the outline.

    Returns:
        (N, rings), 0..1; nan in a ring that holds no pixel, and everywhere without a head.

    Raises:
        InputError: another number of axes, or no ring.
    """
    if rings < 1:
        raise InputError("at least 1 ring", f"{rings}", "use 8")
    parts = []
    for _, block in _blocks(images):
        head = heads(block)
        # Depth of each pixel; beyond the frame is outside. One transform for all: slices lie too far apart to meet.
        apart = [2.0 * max(block.shape[1:]), 1.0, 1.0]
        padded = np.pad(head, ((0, 0), (1, 1), (1, 1)))
        depth = ndimage.distance_transform_edt(padded, sampling=apart)[:, 1:-1, 1:-1]
        # The outline has a depth of 1, so that the floor of 1 changes blank pictures only.
        share = depth / np.maximum(depth.max(axis=(1, 2), keepdims=True), 1.0)
        ring = np.minimum(((1 - share) * rings).astype(np.int64), rings - 1)
        places = (ring + rings * np.arange(len(block))[:, None, None])[head]
        count = np.bincount(places, minlength=rings * len(block))
        total = np.bincount(places, block[head], rings * len(block))
        parts.append(_ratio(total, count).reshape(len(block), rings))
    return np.concatenate(parts) if parts else np.zeros((0, rings))


def lesion_descriptors(images: Array, masks: Array) -> dict[str, Floats]:
    """How the lesion of each picture lies and looks; nan for pictures without one.

    Args:
        images: (N, H, W), 0..1.
        masks: (N, H, W), lesion above 0; all parts of a picture are described together.

    Returns:
        Each (N,):

        - ``area``: pixels of the lesion over those of the head, 0 or more.
        - ``right``, ``down``: centroid from the middle of the head's box towards the picture's right and its lower
          edge, in halves of that box: -1 and 1 at its sides.
        - ``contrast``: mean grey inside minus that of the ring around it (1/32 of the side wide, at least 2 pixels,
          within the head), -1..1.
        - ``texture``: deviation of the grey inside, 0..0.5.
        - ``sharpness``: mean gradient magnitude on both sides of its boundary, grey a pixel.
        - ``roundness``: 1 for a disc, less for what is long, ragged or in parts (from Hu's first moment; Zunic et
          al. 2010).
        - ``parts``: connected regions, 1 or more.

        Without a head, area, right and down are nan; contrast is nan where no ring is left.

    Raises:
        InputError: another number of axes, or two shapes.
    """
    if np.shape(images) != np.shape(masks):
        came = f"{np.shape(images)} and {np.shape(masks)}"
        raise InputError("images and masks of one shape (N, H, W)", came, "bring the masks onto the grid of the images")
    names = ("area", "right", "down", "contrast", "texture", "sharpness", "roundness", "parts")
    parts: dict[str, list[Floats]] = {name: [] for name in names}
    for start, block in _blocks(images):
        lesion = np.asarray(masks[start : start + len(block)]) > 0
        for name, values in _described(block, lesion).items():
            # Sums over no pixel are 0, which would be an answer: no lesion has a texture of 0.
            parts[name].append(np.where(lesion.any(axis=(1, 2)), values, np.nan))
    return {name: _joined(parts[name]) for name in names}


def _described(images: Floats, lesion: Bools) -> dict[str, Floats]:
    head = heads(images)
    size = lesion.sum(axis=(1, 2))
    across = np.broadcast_to(np.arange(images.shape[2], dtype=np.float64), images.shape)
    along = np.broadcast_to(np.arange(images.shape[1], dtype=np.float64)[:, None], images.shape)
    right, down = _mean(across, lesion), _mean(along, lesion)
    width = max(2, round(min(images.shape[1:]) / 32))
    # Within the head, or a lesion at its edge would be compared with air.
    ring = ndimage.binary_dilation(lesion, _SQUARE, iterations=width) & ~lesion & head
    # border_value=1: where the frame cuts a lesion, the lesion goes on. The cut is no boundary.
    inner = lesion & ~ndimage.binary_erosion(lesion, _CROSS, border_value=1)
    outer = ndimage.binary_dilation(lesion, _CROSS) & ~lesion
    steps = np.gradient(images, axis=(1, 2))
    # A pixel is a square of side 1: its own moment is 1/6, so that single pixels and small discs have a roundness too.
    moment = _mean((across - _column(right)) ** 2 + (along - _column(down)) ** 2, lesion) + 1 / 6
    return {
        # Ratios are nan where nothing is there to divide by; so are positions without a lesion or a head.
        "area": _ratio(size, head.sum(axis=(1, 2))),
        "right": _offset(right, np.asarray(head.any(axis=1))),
        "down": _offset(down, np.asarray(head.any(axis=2))),
        "contrast": _mean(images, lesion) - _mean(images, ring),
        "texture": np.sqrt(_mean((images - _column(_mean(images, lesion))) ** 2, lesion)),
        "sharpness": _mean(np.hypot(*steps), inner | outer),
        # A disc of area A has the second moment A / (2 pi) about its middle, and no other shape of that area has so
        # little.
        "roundness": _ratio(size, 2 * np.pi * moment),
        "parts": _parts(lesion).astype(np.float64),
    }


# --- regions --------------------------------------------------------------------------------------------------


def _largest(masks: Bools) -> Bools:
    """The largest connected region of each slice (the first of equals)."""
    labels, count = ndimage.label(masks, _SQUARE)
    if not count:
        return masks
    size = np.bincount(labels.ravel())
    # The background is no region, however large it is.
    size[0] = 0
    flat = labels.reshape(len(masks), -1)
    # The size of each pixel's own region, not a loop over regions: the largest of every slice is found at once.
    best = np.take_along_axis(flat, size[flat].argmax(axis=1)[:, None], axis=1)
    kept: Bools = (labels == best[:, :, None]) & masks
    return kept


def _filled(masks: Bools) -> Bools:
    """Each slice with its holes filled: all that the frame around it cannot reach through the background."""
    # Regions of the head touch across corners (_SQUARE), so the outside must not (_CROSS): it would leak through an
    # outline that is one pixel wide and runs aslant.
    outside, _ = ndimage.label(np.pad(~masks, ((0, 0), (1, 1), (1, 1)), constant_values=True), _CROSS)
    # The corner of each slice is outside, because of the padding: its label is that of all that is outside.
    filled: Bools = (outside != outside[:, :1, :1])[:, 1:-1, 1:-1]
    return filled


def _parts(masks: Bools) -> Ints:
    """Number of connected regions of each slice."""
    labels, count = ndimage.label(masks, _SQUARE)
    _, first = np.unique(labels, return_index=True)
    # `unique` lists the background first where there is any, so that regions are the last. None spans two slices: the
    # place of its first pixel tells its slice.
    slices = first[-count:] // labels[0].size if count else np.zeros(0, dtype=np.int64)
    return np.bincount(slices, minlength=len(masks)).astype(np.int64)


def _offset(places: Floats, lines: Bools) -> Floats:
    """Places (N,) from the middle of what is True in lines (N, L), in halves of its length; nan where nothing is."""
    first, last = lines.argmax(axis=1), lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)
    # The box ends at the far edge of its last pixel, hence + 1; places are middles of pixels.
    halves = np.where(lines.any(axis=1), (last - first + 1) / 2, np.nan)
    offset: Floats = (places - (first + last) / 2) / halves
    return offset


# --- sums over regions ----------------------------------------------------------------------------------------


def _mean(values: Floats, where: Bools) -> Floats:
    """Mean of each picture over a region (N,); nan where it is empty."""
    return _ratio(np.where(where, values, 0.0).sum(axis=(1, 2)), where.sum(axis=(1, 2)))


def _correlation(first: Floats, second: Floats, where: Bools) -> Floats:
    one, other = first - _column(_mean(first, where)), second - _column(_mean(second, where))
    spread = np.sqrt(_mean(one**2, where) * _mean(other**2, where))
    # A flat region has no correlation: a quotient of rounding errors would be any number.
    return _ratio(_mean(one * other, where), np.where(spread > 1e-9, spread, np.nan))


def _ratio(part: Array, whole: Array) -> Floats:
    """Part over whole, nan where the whole is 0."""
    ratio: Floats = part / np.where(whole == 0, np.nan, whole)
    return ratio


def _column(values: Floats) -> Floats:
    return values[:, None, None]


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def _images(images: Array) -> Array:
    if np.ndim(images) != 3:
        raise InputError("images (N, H, W)", f"an array {np.shape(images)}", "add the axis of images, or drop channels")
    return np.asarray(images)


def _blocks(images: Array) -> Iterator[tuple[int, Floats]]:
    """Pieces of the set as float64, each with the place of its first image: what is held at once stays small."""
    whole = _images(images)
    for start in range(0, len(whole), _BLOCK):
        yield start, whole[start : start + _BLOCK].astype(np.float64)
