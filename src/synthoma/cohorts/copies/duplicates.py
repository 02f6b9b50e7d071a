"""Duplicate images in a collection of brain slices: same bytes, same pixels, re-encoded, flipped, turned or shifted.

Public sets of MRI pictures are full of hidden copies, many of them mirrored before the set was cut into training and
test. The search looks at thumbnails and takes three steps: equal digests; for every image its nearest neighbours by a
fingerprint that ignores pose; and a registration of each such pair (``registration``), whose score decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from synthoma.cohorts.copies import registration
from synthoma.cohorts.copies.motion import motion
from synthoma.cohorts.copies.pairs import Link, Links, Pair
from synthoma.cohorts.copies.thumbnails import SIDE
from synthoma.cohorts.copies.views import CHUNK, Views, each, prepare
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.threads import single_threaded
from synthoma.core.types import Float32, Ints

THRESHOLD = 0.935
"""Score from which a pair counts as copies.

Calibrated on FLAIR slices of 40 patients (1,372 slices, of which 1,277 show tissue), 200 simulated patients (2,000
slices) and the pictures of two public sets. Different people reach 0.87 at most. Of 1,332 pairs of adjacent slices,
5 to 7 mm apart, one exceeds the threshold (0.937). Copies of 300 slices exceed it in 98.0 % (JPEG of quality 60 at
64 px) to 100 % (flips, quarter turns, gamma, whole shifts); what is missed is dim and noisy. `benchmarks/duplicates.py`
measures all of this again.
"""

_DIMENSIONS = 128
_NEIGHBOURS = 16  # per image, in collections of any size
_COMPARED = 50_000  # neighbours in all that small collections may use instead
_BLOCK = 4_000_000  # similarities computed at once
_STILL_DEG, _STILL_PX, _STILL_ZOOM = 1.0, 1.0, 0.03  # smaller motions are what resizing and re-encoding do


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
        patients: who is shown; pairs of the same known patient are neither searched nor reported. None or empty is
            unknown.
        threshold: smallest score of a near or transformed copy, in (0, 1].
        progress: called with (images done, N) now and then.
        jobs: threads, as joblib counts them.

    Raises:
        InputError: a sequence of another length, or thumbnails of another shape or not finite.
        ConfigError: a threshold out of range.
    """
    count = _check(thumbnails, file_digests, pixel_digests, patients, threshold)
    if count == 0:
        return Duplicates((), np.zeros(0, dtype=np.int64))
    # The whole search runs in an order that only the content decides, so that the order of the input cannot matter.
    # Compared as bytes where they lie.
    content = np.ascontiguousarray(thumbnails).reshape(count, -1).view(f"V{thumbnails[0].nbytes}")[:, 0]
    order = np.argsort(content, kind="stable").astype(np.int64)
    owners = _owners(patients, count)[order]
    with single_threaded():
        views, fingerprints = prepare(thumbnails, order, jobs)
        points = _embedding(fingerprints, views.blank)
        del fingerprints  # the largest of all that is made
        links = Links(count)
        if file_digests is not None:
            _link_equal(links, "bytes", [file_digests[i] for i in order], owners, views.blank)
        if pixel_digests is not None:
            _link_equal(links, "pixels", [pixel_digests[i] for i in order], owners, views.blank)
        _link_copies(links, views, points, owners, threshold, progress, jobs)
    if progress is not None:
        progress(count, count)
    return Duplicates(_pairs(links, order), _first_of_group(links.groups, order))


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
    if not all(np.isfinite(part).all() for part in thumbnails):
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
        # Unknown patients get numbers that no known one has, so that none bars another.
        [count + i if not name else numbers.setdefault(name, len(numbers)) for i, name in enumerate(known)],
        dtype=np.int64,
    )


def _link_equal(
    links: Links, kind: Literal["bytes", "pixels"], digests: Sequence[str], owners: Ints, blank: Tensor
) -> None:
    """Join images of equal digests, unless they are of one patient, blank, or joined already."""
    members: dict[str, list[int]] = {}
    for position in torch.nonzero(~blank)[:, 0].tolist():
        if digests[position]:
            members.setdefault(digests[position], []).append(position)
    for same in members.values():
        for second in same:
            # The first of another patient: then all hang on one of two members, and these two on each other.
            first = next((i for i in same if owners[i] != owners[second]), second)
            if links.groups[first] != links.groups[second]:
                links.add(Link(first, second, kind, 1.0, np.eye(2, 3, dtype=np.float32)))


def _link_copies(
    links: Links,
    views: Views,
    points: Tensor,
    owners: Ints,
    threshold: float,
    progress: Callable[[int, int], None] | None,
    jobs: int,
) -> None:
    """Join near and transformed copies.

    An image whose neighbours all prove to be its copies may have more of them: it is searched again, among the images
    outside its group by now, until some neighbour is not a copy.
    """
    waiting = torch.nonzero(~views.blank)[:, 0]
    neighbours = min(len(waiting), max(_NEIGHBOURS, _COMPARED // max(1, len(waiting))))
    while len(waiting):
        queries, near = _neighbours(points, waiting, neighbours, links.groups, owners, views.blank, jobs)
        for link in _copies(views, queries, near, threshold, progress, jobs):
            links.add(link)
        joined = links.groups[queries] == links.groups[near]
        # As many joined neighbours as were looked at: there may be more of its copies behind them.
        waiting = torch.from_numpy(np.flatnonzero(np.bincount(queries[joined]) == neighbours))
        progress = None  # later rounds are short


def _embedding(fingerprints: Tensor, blank: Tensor) -> Tensor:
    """Unit vectors (N, stretches, D) whose scalar products find copies: principal components, half whitened.

    Half, because full whitening makes all images of a small collection equally far from each other.
    """
    plain = fingerprints[~blank, 0]
    if len(plain) == 0:
        return torch.zeros(*fingerprints.shape[:2], 1)
    # A coefficient that never varies would be divided by 0.
    mean, spread = plain.mean(0), plain.std(0, correction=0).clamp_min(1e-6)
    plain = (plain - mean) / spread
    # NumPy in double precision: a few equal images leave a matrix of rank 0, on which float32 does not converge.
    variances, vectors = np.linalg.eigh((plain.T @ plain / len(plain)).double().numpy())
    variance = torch.from_numpy(variances[-_DIMENSIONS:]).float()
    axes = torch.from_numpy(np.ascontiguousarray(vectors[:, -_DIMENSIONS:])).float()
    # Directions without variance hold rounding errors only.
    # variance ** -0.5 would whiten wholly; half of that exponent goes half way.
    scale = torch.where(variance > 1e-5 * variance[-1], variance.clamp_min(1e-9) ** -0.25, 0) / spread[:, None]
    axes = axes * scale
    points = torch.empty(*fingerprints.shape[:2], axes.shape[1])
    for begin in range(0, len(points), CHUNK):  # in parts, or what lies between would take as much memory again
        part = slice(begin, begin + CHUNK)
        points[part] = torch.nn.functional.normalize((fingerprints[part] - mean) @ axes, dim=-1)
    return points


def _neighbours(
    points: Tensor, queries: Tensor, count: int, groups: Ints, owners: Ints, blank: Tensor, jobs: int
) -> tuple[Ints, Ints]:
    """Up to ``count`` images nearest to each query, outside its group and patient: positions (P,) and (P,).

    A query is compared as it is and stretched in several ways, and the best comparison counts.
    """
    group, owner, targets = torch.from_numpy(groups), torch.from_numpy(owners), points[:, 0].T.contiguous()

    def nearest(rows: Tensor) -> tuple[Tensor, Tensor]:
        likeness = points[rows, 0] @ targets
        for stretch in range(1, points.shape[1]):
            torch.maximum(likeness, points[rows, stretch] @ targets, out=likeness)
        barred = (group[rows, None] == group) | (owner[rows, None] == owner) | blank
        # No scalar product of unit vectors is below -1.
        value, near = likeness.masked_fill_(barred, -2.0).topk(count, dim=1)
        allowed = value > -2.0
        return rows[:, None].expand(-1, count)[allowed], near[allowed]

    size = max(1, _BLOCK // len(points))
    blocks = [queries[begin : begin + size] for begin in range(0, len(queries), size)]
    found = list(each(nearest, [(block,) for block in blocks], jobs))
    return torch.cat([rows for rows, _ in found]).numpy(), torch.cat([near for _, near in found]).numpy()


def _copies(
    views: Views,
    queries: Ints,
    near: Ints,
    threshold: float,
    progress: Callable[[int, int], None] | None,
    jobs: int,
) -> Iterator[Link]:
    """The pairs that registration confirms; each is tried once, whichever image named the other."""
    total, done = len(views.blank), 0
    # A pair as one number, the smaller place first: named from both sides, it is registered once.
    keys = np.unique(np.minimum(queries, near) * total + np.maximum(queries, near))
    chunks = [(torch.from_numpy(part // total), torch.from_numpy(part % total)) for part in _cut(keys)]
    poses = each(registration.register, [(views, *chunk) for chunk in chunks], jobs)
    for (first, second), pose in zip(chunks, poses, strict=True):
        for row in np.flatnonzero(pose.score >= threshold).tolist():
            yield Link(int(first[row]), int(second[row]), None, float(pose.score[row]), pose.maps[row])
        done += len(first)
        if progress is not None:
            progress(total * done // len(keys), total)


def _cut(keys: Ints) -> list[Ints]:
    return [keys[begin : begin + CHUNK] for begin in range(0, len(keys), CHUNK)]


def _pairs(links: Links, order: Ints) -> tuple[Pair, ...]:
    """The pairs by position in the input, with the motion from the earlier image to the later one."""
    if not links.found:
        return ()
    first = order[[link.first for link in links.found]]
    second = order[[link.second for link in links.found]]
    move = motion(np.stack([link.pose for link in links.found]), reverse=first > second)
    still = ~move.flip & (np.abs(move.rotation_deg) <= _STILL_DEG) & (np.abs(move.zoom - 1) <= _STILL_ZOOM)
    still &= np.maximum(np.abs(move.shift_x), np.abs(move.shift_y)) <= _STILL_PX
    pairs = [
        Pair(
            first=int(min(first[i], second[i])),
            second=int(max(first[i], second[i])),
            kind=link.exact or ("near" if still[i] else "transformed"),
            # Rounding may leave a correlation just above 1.
            score=min(1.0, link.score),
            flip=bool(move.flip[i]),
            rotation_deg=float(move.rotation_deg[i]),
            shift_x=float(move.shift_x[i]),
            shift_y=float(move.shift_y[i]),
            zoom=float(move.zoom[i]),
        )
        for i, link in enumerate(links.found)
    ]
    return tuple(sorted(pairs, key=lambda pair: (pair.first, pair.second)))


def _first_of_group(groups: Ints, order: Ints) -> Ints:
    """Group of each image in input order, named by its smallest position there."""
    named = np.full(len(order), len(order), dtype=np.int64)
    # An assignment by index would keep the last of several positions, not the smallest.
    np.minimum.at(named, groups, order)
    result = np.empty_like(named)
    result[order] = named[groups]
    return result
