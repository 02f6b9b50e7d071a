"""Two pictures that are copies of each other, and how the one came from the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthoma.core.types import Float32, Ints

Kind = Literal["bytes", "pixels", "near", "transformed"]


@dataclass(frozen=True)
class Pair:
    """Two images that show the same slice, by position in the collection, ``first < second``.

    ``second`` is ``first`` mirrored left-right if ``flip``, turned counter-clockwise by ``rotation_deg`` in
    (-180, 180], enlarged by ``zoom`` and shifted to the right and downwards by ``shift_x`` and ``shift_y``, all about
    the centre and in pixels of the thumbnails; what the thumbnails' crop has undone does not show. An up-down flip is
    a left-right flip and 180 degrees. ``kind`` is "bytes" or "pixels" where digests are equal, "near" where the pose
    is the same and "transformed" where it is not. ``score`` is in [threshold, 1], and 1 where digests are equal.
    """

    first: int
    second: int
    kind: Kind
    score: float
    flip: bool = False
    rotation_deg: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True)
class Link:
    """A pair by its places in content order; ``pose`` (2, 3) takes the second picture's places to the first's."""

    first: int
    second: int
    exact: Literal["bytes", "pixels"] | None
    score: float
    pose: Float32


class Links:
    """The pairs found so far and the groups (N,) that they join, each named by its smallest member."""

    def __init__(self, count: int) -> None:
        self.groups: Ints = np.arange(count)
        self.found: list[Link] = []

    def add(self, link: Link) -> None:
        """Note a pair and join its two groups."""
        self.found.append(link)
        low, high = sorted((self.groups[link.first], self.groups[link.second]))
        self.groups[self.groups == high] = low
