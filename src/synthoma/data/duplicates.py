"""Duplicate images in a collection of brain slices: byte for byte, pixel for pixel, re-encoded, flipped, turned, shifted.

Public sets of MRI pictures are full of hidden copies, many of them mirrored before the set was cut into training and
test. The search looks at thumbnails and takes three steps: equal digests; for every image its nearest neighbours by a
fingerprint that ignores pose; and a registration of each such pair (``registration``), whose score decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from joblib import Parallel, delayed
from PIL import Image
from torch import Tensor

from synthoma.data import registration
from synthoma.data.registration import SIDE, Poses, Views
from synthoma.errors import ConfigError, InputError
from synthoma.types import Array, Float32, Ints

Kind = Literal["bytes", "pixels", "near", "transformed"]

THRESHOLD = 0.945
"""Score from which a pair counts as copies."""

_CONTENT = 0.1  # share of the 99th percentile above the minimum: brighter is content
_LINE = 0.02  # share of a row or column that must be content: fewer is a speck or a letter
_CLOSEST = 0.5  # a crop keeps at least this share of the longer side: a top of head stays small
_DIMENSIONS = 128
_NEIGHBOURS = 16  # per image, in collections of any size
_COMPARED = 200_000  # neighbours in all that small collections may use instead
_BLOCK, _CHUNK = 1024, 256  # images per similarity block, pairs per registration
_STILL_DEG, _STILL_PX, _STILL_ZOOM = 1.0, 1.0, 0.03  # smaller motions are what resizing and re-encoding do


@dataclass(frozen=True)
class Pair:
    """Two images that show the same slice, by position in the collection, ``first < second``.

    ``second`` is ``first`` mirrored left-right if ``flip``, turned counter-clockwise by ``rotation_deg`` in
    (-180, 180], enlarged by ``zoom`` and shifted to the right and downwards by ``shift_x`` and ``shift_y``, all about
    the centre and in pixels of a 64 px thumbnail. An up-down flip is a left-right flip and 180 degrees.
    ``kind`` is "bytes" or "pixels" where digests are equal, "near" where the pose is the same and "transformed"
    where it is not. ``score`` is in [threshold, 1], and 1 where digests are equal.
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
class Duplicates:
    """What a search found.

    ``pairs`` are sorted by position. They are enough to join every group, not all pairs of a group. ``groups`` (N,)
    is the smallest position in the group of each image; images without a copy are groups of one.
    """

    pairs: tuple[Pair, ...]
    groups: Ints

    @cached_property
    def redundant(self) -> int:
        """How many images could go without losing a distinct one: N minus the number of groups."""
        return len(self.groups) - len(np.unique(self.groups))

    def conflicts(self, labels: Sequence[str]) -> list[list[int]]:
        """Groups whose members carry more than one label, as lists of positions.

        Args:
            labels: of all N images; an empty label contradicts nothing.

        Raises:
            InputError: not one label for each image.
        """
        if len(labels) != len(self.groups):
            raise InputError(f"{len(self.groups)} labels, one an image", f"{len(labels)}", "pass them in image order")
        members: dict[int, list[int]] = {}
        for position, group in enumerate(self.groups.tolist()):
            members.setdefault(group, []).append(position)
        return [group for group in members.values() if len({labels[i] for i in group if labels[i]}) > 1]


def thumbnail(image: Array) -> Float32:
    """A square around the head, reduced to 64 x 64 px, so that copies with other margins still look alike.

    The square's side is the content's longer side, but at least half the picture's; what it takes from outside the
    picture has the picture's smallest value.

    Args:
        image: (H, W) of any real type, finite, of any size from 1 x 1 px.

    Returns:
        (64, 64) in [0, 1]; zeros for a picture of one value.

    Raises:
        InputError: not a two-dimensional array with pixels.
    """
    if image.ndim != 2 or 0 in image.shape:
        raise InputError("a grey picture of shape (H, W)", f"shape {image.shape}", "convert colours to grey first")
    low, high = float(image.min()), float(image.max())
    if not high > low:
        return np.zeros((SIDE, SIDE), dtype=np.float32)
    scaled = ((image.astype(np.float64) - low) / (high - low)).astype(np.float32)
    square = _square(scaled)
    small = Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32).clip(0, 1)


def _square(picture: Float32) -> Float32:
    """The square around the content of a picture in [0, 1]; black where it reaches over the edge."""
    content = picture > _CONTENT * np.percentile(picture, 99)
    spans = [_span(content.mean(axis)) for axis in (1, 0)]
    side = max(*(end - begin for begin, end in spans), int(np.ceil(_CLOSEST * max(picture.shape))))
    begins = [(begin + end - side) // 2 for begin, end in spans]
    margin = side
    padded = np.pad(picture, margin)
    row, column = (begin + margin for begin in begins)
    return padded[row : row + side, column : column + side]


def _span(shares: Array) -> tuple[int, int]:
    """First and one past the last line whose share of content is enough; all lines if none is."""
    lines = np.flatnonzero(shares > _LINE)
    return (int(lines[0]), int(lines[-1]) + 1) if len(lines) else (0, len(shares))


def find_duplicates(
    thumbnails: Float32,
    *,
    file_digests: Sequence[str] | None = None,
    pixel_digests: Sequence[str] | None = None,
    patients: Sequence[str | None] | None = None,
    threshold: float = THRESHOLD,
    progress: Callable[[int, int], None] | None = None,
    jobs: int = -1,
) -> Duplicates:
    """Find the images that are copies of one another.

    Pictures of one value never match anything, and near copies need detail in a tenth of the picture. The result does
    not depend on ``jobs``, and permuting the images permutes the groups and nothing else.

    Args:
        thumbnails: (N, 64, 64) as ``thumbnail`` makes them; any finite intensity scale.
        file_digests: of each image's file; empty where unknown.
        pixel_digests: of each image's decoded pixels; empty where unknown.
        patients: who is shown; pairs of the same known patient are neither searched nor reported. None is unknown.
        threshold: smallest score of a near or transformed copy, in (0, 1].
        progress: called with (images done, N) now and then.
        jobs: threads, as joblib counts them.

    Raises:
        InputError: a sequence of another length, or thumbnails of another shape or not finite.
        ConfigError: a threshold out of range.
    """
    count = _check(thumbnails, file_digests, pixel_digests, patients, threshold)
    # The whole search runs in an order that only the content decides: so the input's order cannot matter.
    order = np.array(sorted(range(count), key=lambda i: thumbnails[i].tobytes()), dtype=np.int64)
    owners = _owners(patients, count)
    with _single_threaded_torch():
        search = _Search(np.ascontiguousarray(thumbnails[order]), owners[order], threshold, progress, jobs)
        for digests, kind in ((file_digests, "bytes"), (pixel_digests, "pixels")):
            if digests is not None:
                search.link_equal([digests[i] for i in order], "bytes" if kind == "bytes" else "pixels")
        search.link_copies()
    return search.result(order)


def _check(
    thumbnails: Float32,
    file_digests: Sequence[str] | None,
    pixel_digests: Sequence[str] | None,
    patients: Sequence[str | None] | None,
    threshold: float,
) -> int:
    """The number of images, once everything fits together."""
    if thumbnails.ndim != 3 or thumbnails.shape[1:] != (SIDE, SIDE):
        raise InputError(f"thumbnails (N, {SIDE}, {SIDE})", f"shape {thumbnails.shape}", "make them with thumbnail()")
    if not np.isfinite(thumbnails).all():
        raise InputError("finite thumbnails", "NaN or infinite values", "replace them before the search")
    for name, values in (("file digests", file_digests), ("pixel digests", pixel_digests), ("patients", patients)):
        if values is not None and len(values) != len(thumbnails):
            raise InputError(f"{len(thumbnails)} {name}, one an image", f"{len(values)}", "pass them in image order")
    if not 0 < threshold <= 1:
        raise ConfigError("a threshold in (0, 1]", str(threshold), f"use the calibrated {THRESHOLD}")
    return len(thumbnails)


def _owners(patients: Sequence[str | None] | None, count: int) -> Ints:
    """A number for each known patient; unknown ones get numbers of their own."""
    numbers: dict[str, int] = {}
    known = [None] * count if patients is None else patients
    return np.array(
        [count + i if name is None else numbers.setdefault(name, len(numbers)) for i, name in enumerate(known)],
        dtype=np.int64,
    )


@contextmanager
def _single_threaded_torch() -> Iterator[None]:
    """Threads work on chunks instead: then no sum is ever split, and no rounding depends on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _Search:
    """The state of one search over N images in content order."""

    thumbnails: Float32
    owners: Ints
    threshold: float
    progress: Callable[[int, int], None] | None
    jobs: int
    found: dict[tuple[int, int], tuple[Kind, float, Float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.thumbnails)
        blocks = [slice(begin, begin + _CHUNK) for begin in range(0, max(count, 1), _CHUNK)]
        parts = self._parallel(delayed(registration.prepare)(self.thumbnails[block]) for block in blocks)
        self.views: Views = registration.concatenate(list(parts))
        self.groups: Ints = np.arange(count)

    def _parallel(self, calls: Iterator[object]) -> Iterator[object]:
        results: Iterator[object] = Parallel(n_jobs=self.jobs, require="sharedmem", return_as="generator")(calls)
        return results

    def _link(self, first: int, second: int, kind: Kind, score: float, pose: Float32) -> None:
        """Note a pair and join the two groups; the smaller number names the group."""
        self.found[first, second] = (kind, score, pose)
        low, high = sorted((self.groups[first], self.groups[second]))
        if low != high:
            self.groups[self.groups == high] = low

    def link_equal(self, digests: Sequence[str], kind: Kind) -> None:
        """Join images of equal digests, unless they are of one patient, blank, or joined already."""
        members: dict[str, list[int]] = {}
        for position in np.flatnonzero(~self.views.blank.numpy()).tolist():
            if digests[position]:
                members.setdefault(digests[position], []).append(position)
        for same in members.values():
            for second in same:
                # The first of another patient: every member then hangs on one of two, which hang together.
                first = next((i for i in same if self.owners[i] != self.owners[second]), second)
                if self.groups[first] != self.groups[second]:
                    self._link(min(first, second), max(first, second), kind, 1.0, np.eye(2, 3, dtype=np.float32))

    def link_copies(self) -> None:
        """Join near and transformed copies.

        An image whose neighbours all turn out to be its copies may have more of them: it is searched again among the
        images outside its group, until nothing new is found.
        """
        points = _embedding(registration.fingerprint(self.views), self.views.blank.numpy())
        waiting = np.flatnonzero(~self.views.blank.numpy())
        neighbours = min(len(waiting) - 1, max(_NEIGHBOURS, _COMPARED // max(1, len(waiting))))
        report = self.progress
        while len(waiting) and neighbours > 0:
            queries, near = self._neighbours(points, waiting, neighbours)
            before = self.groups.copy()
            self._verify(queries, near, report)
            copies = self.groups[queries] == self.groups[near]
            full = np.bincount(queries[copies], minlength=len(self.groups)) == neighbours
            waiting = np.flatnonzero(full & (before != self.groups))
            waiting, report = np.flatnonzero(full), None

    def _neighbours(self, points: Tensor, queries: Ints, count: int) -> tuple[Ints, Ints]:
        """Nearest images of each query outside its group and its patient, as (P,) queries and (P,) neighbours."""
        groups, owners = torch.from_numpy(self.groups), torch.from_numpy(self.owners)
        hidden = self.views.blank

        def block(rows: Tensor) -> tuple[Tensor, Tensor]:
            likeness = points[rows] @ points.T
            barred = (groups[rows, None] == groups) | (owners[rows, None] == owners) | hidden
            value, near = likeness.masked_fill_(barred, -2.0).topk(count, dim=1)
            kept = value > -2.0
            return rows[:, None].expand(-1, count)[kept], near[kept]

        rows = torch.from_numpy(queries).split(_BLOCK)
        found = [block(part) for part in rows]
        return torch.cat([a for a, _ in found]).numpy(), torch.cat([b for _, b in found]).numpy()

    def _verify(self, queries: Ints, near: Ints, report: Callable[[int, int], None] | None) -> None:
        """Register each pair once, and link those that score enough."""
        total = len(self.groups)
        keys = np.unique(np.minimum(queries, near) * total + np.maximum(queries, near))
        first, second = torch.from_numpy(keys // total), torch.from_numpy(keys % total)
        chunks = list(zip(first.split(_CHUNK), second.split(_CHUNK), strict=True))
        poses = self._parallel(delayed(registration.register)(self.views, a, b) for a, b in chunks)
        done = 0
        for (a, b), pose in zip(chunks, poses, strict=True):
            assert isinstance(pose, Poses)
            for row in np.flatnonzero(pose.score >= self.threshold).tolist():
                kind: Kind = "transformed"
                self._link(int(a[row]), int(b[row]), kind, float(pose.score[row]), pose.maps[row])
            done += len(a)
            if report is not None:
                report(total * done // len(keys), total)

    def result(self, order: Ints) -> Duplicates:
        raise NotImplementedError


def _embedding(fingerprints: Float32, blank: Array) -> Tensor:
    raise NotImplementedError
