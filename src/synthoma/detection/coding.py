"""Masks as text: run lengths and flat lists.

Pixels are numbered from 1, row by row from the top left (row-major). A run is "start length". Kaggle's codes number
pixels column by column: transpose a mask to go from one to the other.
"""

from __future__ import annotations

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools, Ints


def to_rle(mask: Array) -> str:
    """Runs of a mask's non-zero pixels: "start length start length ..."; empty where there is none.

    Args:
        mask: of any shape; volumes are numbered slice by slice.
    """
    # A pixel of nothing at either end, so that a run may begin with the mask and end with it.
    flat = np.concatenate([[False], np.asarray(mask).ravel() != 0, [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges.tolist()))


def from_rle(text: str, shape: tuple[int, ...]) -> Bools:
    """The mask of a run-length code.

    Args:
        text: as ``to_rle`` gives it.
        shape: of the mask.

    Raises:
        InputError: not pairs of positive whole numbers, or runs that overlap, go backwards or leave the mask.
    """
    words = text.split()
    # Numbers of 17 digits still fit into 64 bits.
    if len(words) % 2 or not all(word.isascii() and word.isdigit() and len(word) < 18 for word in words):
        raise InputError("pairs of whole numbers 'start length'", f"{text[:40]!r}", "correct the run-length code")
    starts = np.array([int(word) for word in words[::2]], dtype=np.int64) - 1
    ends = starts + np.array([int(word) for word in words[1::2]], dtype=np.int64)
    size = int(np.prod(shape))
    edges = np.stack([starts, ends], axis=1).ravel()
    # Starts and ends in turn must never fall: runs in order that do not overlap.
    if len(edges) and (edges[0] < 0 or edges[-1] > size or (starts >= ends).any() or (np.diff(edges) < 0).any()):
        came = f"runs that do not lie in order within 1 to {size}"
        raise InputError("a run-length code of this mask's size", came, "give the shape that it was made from")
    flat = np.zeros(size, dtype=np.bool_)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        flat[start:end] = True
    return flat.reshape(shape)


def to_flat(mask: Array) -> list[int]:
    """Numbers of a mask's non-zero pixels, from 1, row by row."""
    return [int(place) + 1 for place in np.flatnonzero(np.asarray(mask))]


def from_flat(places: list[int] | Ints, shape: tuple[int, ...]) -> Bools:
    """The mask of a flat list.

    Raises:
        InputError: a number that is no pixel of a mask of this shape.
    """
    size = int(np.prod(shape))
    numbers = np.asarray(places, dtype=np.int64)
    if len(numbers) and (numbers.min() < 1 or numbers.max() > size):
        came = f"numbers from {numbers.min()} to {numbers.max()}"
        raise InputError(f"pixel numbers from 1 to {size}", came, "give the shape that they were made from")
    flat = np.zeros(size, dtype=np.bool_)
    flat[numbers - 1] = True
    return flat.reshape(shape)
