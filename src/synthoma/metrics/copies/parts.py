"""Parts of training images: crops that were enlarged to whole pictures, and lesions put into another brain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from synthoma.core.types import Array, Bools, Float16, Float32, Ints
from synthoma.metrics.copies.pictures import Band, parts
from synthoma.metrics.copies.whole import Gallery, Nearest
from synthoma.metrics.features import SIDE, standard_images

_INNER = 46  # px of 64: side of the squares among which crops are searched; sizes of 1.21 to 1.6 are then in reach
_STARTS = (0, 9, 18)  # px from the upper and from the left edge
LESION: Band = (0.4, 1.2)
"""The detail of lesions that is compared: rims of different lesions differ in nothing coarser."""

_RIM = 1  # px around a lesion that count as well
_SOFT = 1.0  # px over which a lesion's window fades out
_LEAST_LESION = 40  # px of 64 x 64 below which a lesion is too small to be told from others


class Crops:
    """A search for pictures that show 40 to 70 % of a training image's area, enlarged, mirrored or not.

    Args:
        training: (M, H, W), 0..1. Beside them some 110 kB are held for each: nine squares.
    """

    def __init__(self, training: Array) -> None:
        squares = [_squares(part) for part in parts(training, 256)]
        # Nine squares a picture: with quarter turns and all sizes the search would be dear, and crops are upright.
        self.gallery = Gallery(np.concatenate(squares), upright=True)

    def nearest(self, queries: Array) -> Nearest:
        """The training image of which a part is most like each query (N, H, W)."""
        found, each = self.gallery.nearest(queries), len(_STARTS) ** 2
        # Squares of one image lie side by side (`_squares`), so the quotient is its number.
        return Nearest(found.index // each, found.score, found.mirrored, found.candidates // each, found.likeness)


def _squares(images: Array) -> Float16:
    """Nine overlapping squares of each image, enlarged: (9 N, 64, 64)."""
    standard = standard_images(images)[:, 0]
    cut = [standard[:, down : down + _INNER, right : right + _INNER] for down in _STARTS for right in _STARTS]
    squares = torch.stack(cut, dim=1).flatten(0, 1)
    enlarged = F.interpolate(squares[:, None], size=(SIDE, SIDE), mode="bilinear")[:, 0]
    # Half precision is finer than the 8 bits of the pictures, and nine squares of each are held.
    return enlarged.numpy().astype(np.float16)


@dataclass(frozen=True)
class Lesions:
    """Pictures in whose middle a lesion is.

    Attributes:
        rows: which of the images have a lesion that is large enough (L,).
        images: these, shifted (L, 64, 64).
        windows: 1 on the lesion and its rim, 0 elsewhere (L, 64, 64).
    """

    rows: Ints
    images: Float32
    windows: Float32


def lesions(images: Array, masks: Bools) -> Lesions:
    """The images (N, H, W) whose masks (N, H, W) hold a lesion of 40 px (of 64 x 64) or more, with it in the middle."""
    scale = SIDE**2 / (masks.shape[1] * masks.shape[2])
    # Masks may be of any size: areas are counted as at 64 x 64.
    rows = np.flatnonzero(masks.sum((1, 2)) * scale >= _LEAST_LESION)
    pictures = standard_images(images[rows])[:, 0].numpy() if len(rows) else np.zeros((0, SIDE, SIDE), np.float32)
    small = standard_images(masks[rows].astype(np.float32))[:, 0].numpy() > 0.5 if len(rows) else pictures > 0
    moved, windows = np.empty_like(pictures), np.empty_like(pictures)
    for at, (picture, mask) in enumerate(zip(pictures, small, strict=True)):
        middle = (SIDE - 1) / 2 - np.array(ndimage.center_of_mass(mask))
        # Whole pixels. Interpolation would blur the rims, which are all that is compared.
        down, right = np.round(middle).astype(int).tolist()
        moved[at] = _placed(picture, down, right)
        # Dilated after the move: a rim at the frame would else be cut.
        near = ndimage.binary_dilation(_placed(mask, down, right), iterations=_RIM)
        windows[at] = ndimage.gaussian_filter(near.astype(np.float32), _SOFT)
    return Lesions(rows, moved, windows)


def _placed(picture: Array, down: int, right: int) -> Array:
    """The picture moved by whole pixels, 0 where nothing was."""
    # Padding by a whole side takes any shift; slicing with negative places would wrap round.
    padded = np.pad(picture, SIDE)
    return padded[SIDE - down : 2 * SIDE - down, SIDE - right : 2 * SIDE - right]
