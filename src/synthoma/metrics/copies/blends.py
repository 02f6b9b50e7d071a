"""The two training images of which a picture is a blend, as mixup makes them (Zhang et al. 2018, arXiv 1710.09412).

Detail is linear: that of a blend is the same blend of details. The training images most like a query in rough positions
(mirrored or not, shifted little) are brought into their exact position and taken out of it; what is left is searched
again; and both are fitted together. The likeness is the multiple correlation of the query with the two. Of a blend in
equal parts either source alone explains half, no more than some other head does; both together explain it all.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from synthoma.core.types import Array
from synthoma.metrics.copies.pictures import (
    correlation,
    detail,
    doubled,
    halved,
    in_blocks,
    inverse,
    owners,
    refine,
    take,
    unit,
    warp,
)  # fmt: skip
from synthoma.metrics.copies.whole import Gallery, Nearest

_SHIFTS = (-1.0, 0.0, 1.0)  # px at 32 px: rough positions, mirrored or not
_FIRST, _SECOND, _FINALISTS = 2, 2, 2  # candidates
_TRIED = 4  # of which the best are the first candidates
_STEPS, _ROUNDS = 4, 2
_STRENGTH = 0.02  # rms of detail that queries are brought to
_BLOCK = 32  # queries at once
_CELLS = 8_000_000  # likenesses at once


class Blends:
    """A search for blends of two images of a gallery, each mirrored or not, turned and shifted a little.

    Args:
        gallery: the training images. Beside them some 20 kB are held for each.
    """

    def __init__(self, gallery: Gallery) -> None:
        self.training = gallery.training
        self.fine = torch.cat(list(in_blocks(detail, self.training, 256)))
        self.coarse = halved(self.fine)
        self.rows = unit(self.coarse.flatten(1)).T.contiguous()
        # Likenesses of a block are held at once: queries, rough positions, first candidates, training images.
        self.block = max(1, min(_BLOCK, _CELLS // (len(_rough()) * _FIRST * len(self.training))))

    def nearest(self, queries: Array) -> Nearest:
        """The stronger of the two images that explain each query best; ``candidates`` (N, 2) are both.

        Args:
            queries: (N, H, W), 0..1.
        """
        found = list(in_blocks(self._search, queries, self.block))
        if not found:
            nothing = np.zeros((0, 2))
            return Nearest(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_), nothing.astype(np.int64), nothing)
        score, mirrored, both, alike = (torch.cat(column).numpy() for column in zip(*found, strict=True))
        return Nearest(both[:, 0], score.astype(np.float64), mirrored, both, alike.astype(np.float64))

    def _search(self, queries: Array) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score and mirror state (B,), both sources and the likeness of each alone (B, 2), the stronger first."""
        count = len(queries)
        band = detail(queries)
        # A blend has weaker detail than its sources. Fixed floors, in `refine` and `_fit`, then weigh alike for all
        # queries.
        query = band * (_STRENGTH / band.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-6))
        small = halved(query)

        # The first source, and what it leaves unexplained.
        index, maps = self._roughly(small, _TRIED)
        whole = small[owners(count, index.shape[1])]
        # At half the size first: Gauss-Newton only finds what lies within about a pixel of where it starts.
        maps = refine(self.coarse[index.flatten()], whole, maps, _STEPS)
        seen, _ = warp(self.coarse[index.flatten()], maps)
        best = _alike(seen, whole).view(count, -1).topk(min(_FIRST, index.shape[1]), dim=1).indices
        first, ours, seen = take(index, best), take(maps.view(count, -1, 2, 3), best), take(_rows(seen, count), best)
        whole = small[owners(count, best.shape[1])]
        # Without a mean to take off, the best fit of one picture is this ratio. What it leaves is searched for the
        # other.
        gain = (seen * whole).sum((1, 2)) / seen.square().sum((1, 2)).clamp_min(1e-9)
        rest = whole - gain[:, None, None] * seen

        # The second source.
        index, maps = self._roughly(rest, _SECOND)
        each = index.shape[1]
        second, again = index.flatten(), owners(len(rest), each)
        maps = refine(self.coarse[second], rest[again], maps, _STEPS - 1)
        other, _ = warp(self.coarse[second], maps)
        score, *_ = _fit(whole[again], seen[again], other)
        best = score.view(count, -1).topk(min(_FINALISTS, len(score) // count), dim=1).indices
        first, second = take(_rows(first[again], count), best), take(_rows(second, count), best)
        ours, theirs = take(_rows(ours[again], count), best), take(_rows(maps, count), best)

        score, one, two, ours, theirs = self._together(query[owners(count, best.shape[1])], first, second, ours, theirs)
        at = score.view(count, -1).argmax(dim=1, keepdim=True)
        sources = take(_rows(torch.stack([first, second], 1), count), at)
        alike = take(_rows(torch.stack([one, two], 1), count), at)
        # A map with a negative determinant mirrors.
        mirrored = torch.linalg.det(torch.stack([ours, theirs], 1)[..., :2]) < 0
        order = alike.argsort(dim=1, descending=True)
        stronger = take(_rows(mirrored, count), at).gather(1, order)[:, 0]
        return take(_rows(score, count), at), stronger, sources.gather(1, order), alike.gather(1, order)

    def _roughly(self, pictures: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """The training images most like pictures (P, 32, 32): indices (P, K), and maps (P * K, 2, 3) to them."""
        rough = _rough()
        # The queries are moved, not the gallery: 18 views of a few pictures in place of 18 of every training image.
        views, _ = warp(pictures.repeat_interleave(len(rough), dim=0), rough.repeat(len(pictures), 1, 1))
        alike, state = (unit(views.flatten(1)) @ self.rows).view(len(pictures), len(rough), -1).max(dim=1)
        index = alike.topk(min(most, len(self.training)), dim=1).indices
        # Views say where the query's places come from; what is asked for goes from the query to the training image.
        return index, inverse(rough[state.gather(1, index)].flatten(0, 1))

    def _together(
        self, query: Tensor, first: Tensor, second: Tensor, ours: Tensor, theirs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Both positions at 64 px, each fitted to what the other leaves: score, likeness of each, and the maps."""
        ours, theirs = doubled(ours), doubled(theirs)
        one, two = self.fine[first], self.fine[second]
        left, right = warp(one, ours)[0], warp(two, theirs)[0]
        # One after the other: fitting both at once would need a system of eight unknowns, of sources that overlap.
        for _ in range(_ROUNDS):
            _, _, weight = _fit(query, left, right)
            ours = refine(one, query - weight[:, None, None] * right, ours, 2)
            left, _ = warp(one, ours)
            _, weight, _ = _fit(query, left, right)
            theirs = refine(two, query - weight[:, None, None] * left, theirs, 2)
            right, _ = warp(two, theirs)
        score, _, _ = _fit(query, left, right)
        return score, _alike(left, query), _alike(right, query), ours, theirs


@cache
def _rough() -> Tensor:
    """Maps (18, 2, 3) of the rough positions, at the coarse side; the mirrored half comes last."""
    return torch.tensor(
        [[[mirror, 0, right], [0, 1, down]] for mirror in (1.0, -1.0) for down in _SHIFTS for right in _SHIFTS]
    )


def _rows(items: Tensor, count: int) -> Tensor:
    return items.view(count, -1, *items.shape[1:])


def _alike(first: Tensor, second: Tensor) -> Tensor:
    return correlation(first, second, torch.ones_like(first))


def _fit(query: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Multiple correlation (P,) of queries with two pictures each, and the weight of either, which is not negative."""
    q, a, b = query.flatten(1), first.flatten(1), second.flatten(1)
    aa, bb, ab = (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)
    qa, qb = (q * a).sum(1), (q * b).sum(1)
    # Two sources that are the same picture leave no single answer. The floor keeps their weights finite.
    determinant = (aa * bb - ab * ab).clamp_min(1e-9)
    # No blend takes a picture with a negative weight. The negative of a head would explain some of anything.
    one = ((qa * bb - qb * ab) / determinant).clamp_min(0)
    two = ((qb * aa - qa * ab) / determinant).clamp_min(0)
    # Where one is left out, the other is fitted alone.
    one = torch.where(two == 0, (qa / aa.clamp_min(1e-9)).clamp_min(0), one)
    two = torch.where(one == 0, (qb / bb.clamp_min(1e-9)).clamp_min(0), two)
    fitted = one[:, None] * a + two[:, None] * b
    power = fitted.square().sum(1) * q.square().sum(1)
    score: Tensor = (fitted * q).sum(1) / power.sqrt().clamp_min(1e-9)
    return score, one, two
