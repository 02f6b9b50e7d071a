"""Likeness of pictures to one another, twins among them, and whether a generator reaches all kinds of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional as F

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Bools, Floats, Ints

# Exponents of five scales (Wang et al. 2003), and the Gaussian window of SSIM (Wang et al. 2004).
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_BLOCK = 64
TWIN_SIDE = 32
"""Side in pixels at which twins are looked for."""

# Rows of the table of all pairs that are held at once.
_TWIN_BLOCK = 1000
ALIKE = 0.98
"""Correlation above which two pictures are twins."""

_LIMIT = 1.959963984540054  # of a normal value, two-sided at 5 %


# --- multi-scale structural similarity ------------------------------------------------------------------------


def ms_ssim(first: Array, second: Array) -> Floats:
    """Multi-scale structural similarity of pairs of pictures (Wang et al. 2003).

    Windows of 11 pixels (Gaussian, 1.5) within the picture, and up to five scales: as many as the shorter side, halved
    each time, keeps 11 pixels (3 at 64, 5 from 176). Their weights are scaled to a sum of 1. Where structures are
    opposed, a scale counts as 0. Black around the head counts as alike: compare values of one kind of picture only.

    Args:
        first: (N, H, W), 0..1.
        second: (N, H, W) in the same order.

    Returns:
        (N,), 0..1; 1 for equal pictures.

    Raises:
        InputError: two shapes, another number of axes, or sides below 11 pixels.
    """
    one, other = _stacks(first, second)
    # Halved each time, the shorter side must hold one window.
    scales = min(len(_WEIGHTS), int(math.log2(min(one.shape[1:]) / _WINDOW)) + 1)
    weights = torch.tensor(_WEIGHTS[:scales], dtype=torch.float64)
    weights /= weights.sum()
    parts = [
        _ms_ssim(_tensor(one[start : start + _BLOCK]), _tensor(other[start : start + _BLOCK]), weights)
        for start in range(0, len(one), _BLOCK)
    ]
    return torch.cat(parts).numpy() if parts else np.zeros(0)


def _stacks(first: Array, second: Array) -> tuple[Array, Array]:
    one, other = np.asarray(first), np.asarray(second)
    if one.ndim != 3 or one.shape != other.shape or min(one.shape[1:]) < _WINDOW:
        came = f"{one.shape} and {other.shape}"
        raise InputError(f"two stacks (N, H, W) of one shape, sides of {_WINDOW} or more", came, "resize the pictures")
    return one, other


def _tensor(images: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))[:, None]


def _ms_ssim(first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    # In double: near-copies have values next to 1, where float32 has few digits left.
    value = torch.ones(len(first), dtype=torch.float64)
    for scale, weight in enumerate(weights.tolist()):
        if scale:
            first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
        luminance, structure = _comparisons(first, second)
        # Luminance counts at the coarsest scale only.
        part = structure * luminance if scale == len(weights) - 1 else structure
        # A number below 0 has no real power.
        value *= part.mean(dim=(1, 2, 3)).double().clamp_min(0) ** weight
    return value


def _comparisons(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, in each window (N, 1, H - 10, W - 10) (Wang et al. 2004)."""
    places = torch.arange(_WINDOW, dtype=torch.float32) - _WINDOW // 2
    kernel = torch.exp(-0.5 * (places / _SIGMA) ** 2)
    kernel /= kernel.sum()
    # Blurred together: variances and the covariance come from means, squares and the product.
    stacked = torch.cat([first, second, first * first, second * second, first * second], dim=1)
    filters = kernel.expand(5, 1, 1, _WINDOW)
    means = F.conv2d(F.conv2d(stacked, filters, groups=5), filters.transpose(2, 3), groups=5)
    mean_1, mean_2, square_1, square_2, product = means.split(1, dim=1)
    luminance = (2 * mean_1 * mean_2 + 0.01**2) / (mean_1**2 + mean_2**2 + 0.01**2)
    # 0.01 and 0.03 are K1 and K2 of Wang et al. (2004) at a range of grey values of 1: flat windows divide by them.
    # Rounding may leave this just below 0, which the constant beside it outweighs by far.
    spread = square_1 - mean_1**2 + square_2 - mean_2**2
    # With C3 = C2 / 2 contrast and structure make one quotient (Wang et al. 2004, eq. 13).
    return luminance, (2 * (product - mean_1 * mean_2) + 0.03**2) / (spread + 0.03**2)


def ssim(first: Array, second: Array) -> Floats:
    """Structural similarity of pairs of pictures (Wang et al. 2004), at one scale: windows as in ``ms_ssim``.

    As scikit-image computes it with Gaussian weights, for grey values from 0 to 1.

    Args:
        first: (N, H, W), 0..1, sides of 11 pixels or more.
        second: (N, H, W) in the same order.

    Returns:
        (N,), -1..1; 1 for equal pictures.

    Raises:
        InputError: as ``ms_ssim``.
    """
    one, other = _stacks(first, second)
    found = [np.zeros(0)]
    for start in range(0, len(one), _BLOCK):
        luminance, structure = _comparisons(
            _tensor(one[start : start + _BLOCK]), _tensor(other[start : start + _BLOCK])
        )
        found.append((luminance * structure).mean(dim=(1, 2, 3)).double().numpy())
    return np.concatenate(found)


def psnr(first: Array, second: Array) -> Floats:
    """Peak signal to noise ratio of pairs of pictures in dB: -10 log10 of the mean squared difference.

    Args:
        first: (N, H, W), 0..1.
        second: (N, H, W) in the same order.

    Returns:
        (N,); infinite for equal pictures.

    Raises:
        InputError: as ``ms_ssim``.
    """
    one, other = _stacks(first, second)
    # In double before the difference: 8-bit pictures would wrap round below 0.
    error = ((one.astype(np.float64) - other) ** 2).mean(axis=(1, 2))
    with np.errstate(divide="ignore"):
        return np.asarray(-10 * np.log10(error))


def mean_pair_similarity(
    images: Array, *, pairs: int = 500, groups: Sequence[Hashable] | None = None, seed: int = 0
) -> float:
    """Mean MS-SSIM over random pairs of a set; high where it holds few different pictures (Odena et al. 2017).

    Read it beside that of real images: a set that is less alike than they are is no better.

    Args:
        images: (N, H, W), 0..1.
        pairs: how many are drawn, with replacement.
        groups: N names; both pictures of a pair are then of different groups (patients).
        seed: of the draws.

    Returns:
        0..1, or nan where there are no two pictures of different groups.

    Raises:
        InputError: as `ms_ssim`, groups of another number, or no pair asked for.
    """
    if pairs < 1:
        raise InputError("at least 1 pair", f"{pairs}", "use 500")
    if groups is not None and len(groups) != len(images):
        raise InputError("one group for each image", f"{len(groups)} for {len(images)}", "give both in one order")
    # Drawn with replacement: a pair that comes twice is computed once and counts twice.
    places, repeats = np.unique(_pairs(len(images), pairs, groups, seed), axis=0, return_counts=True)
    whole = np.asarray(images)
    values = ms_ssim(whole[places[:, 0]], whole[places[:, 1]])
    return float(np.average(values, weights=repeats)) if len(values) else float("nan")


def _pairs(count: int, pairs: int, groups: Sequence[Hashable] | None, seed: int) -> Ints:
    """Places (P, 2), the lower one first; every pair of different groups is equally likely."""
    seen: dict[Hashable, int] = {}
    names = np.array([seen.setdefault(name, len(seen)) for name in (range(count) if groups is None else groups)], int)
    order = np.argsort(names, kind="stable")
    sizes = np.bincount(names)[names[order]] if count else np.zeros(0, int)
    starts = np.searchsorted(names[order], names[order])
    others = count - sizes
    if not others.sum():
        return np.zeros((0, 2), dtype=np.int64)
    # The first by the number of its partners, the second anywhere but in the stretch that its own group takes.
    draws = stream(seed, "metrics.mean_pair_similarity")
    first = draws.choice(count, size=pairs, p=others / others.sum())
    second = draws.integers(0, others[first])
    second += np.where(second >= starts[first], sizes[first], 0)
    return np.sort(np.stack([order[first], order[second]], axis=1), axis=1)


# --- twins ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Twins:
    """The most alike picture of each picture of a set.

    Attributes:
        correlation: with it (N,), -1..1; -1 where there is none to compare with.
        partner: which one it is (N,).
        mirrored: whether it is more alike left for right (N,).
        within: whether a picture of its own kin is its twin (N,).
        spare: whether it is a twin of a picture before it that stays (N,): without these, no two are twins.
    """

    correlation: Floats
    partner: Ints
    mirrored: Bools
    within: Bools
    spare: Bools

    @property
    def share(self) -> float:
        """Of the pictures that have a twin, 0..1; 0 without pictures."""
        return float((self.correlation > ALIKE).mean()) if len(self.correlation) else 0.0

    @property
    def share_within(self) -> float:
        """Of the pictures that have a twin of their own kin, 0..1; 0 without pictures."""
        return float(self.within.mean()) if len(self.within) else 0.0


def twins(images: Array, apart: Sequence[Hashable], kin: Sequence[Hashable] | None = None) -> Twins:
    """For each picture the most alike other one: the correlation of grey values at 32 px, also left for right.

    Small as they are compared, other noise, a slight shift or another grain do not hide a twin. All pairs are looked
    at, a thousand pictures against all others in one matrix product: ten thousand pictures take seconds.

    Args:
        images: (N, H, W).
        apart: N names; pictures of one name are not compared, as neighbouring slices of one volume.
        kin: N names; pictures of one name come from one patient. Of nobody where None.

    Raises:
        InputError: names of another number, or no stack of pictures.
    """
    whole = np.asarray(images, np.float32)
    if whole.ndim != 3 or len(apart) != len(whole) or (kin is not None and len(kin) != len(whole)):
        came = f"{whole.shape} and {len(apart)} names"
        raise InputError("a stack (N, H, W) and one name for each picture", came, "give both in one order")
    # Means over what a pixel covers, so that noise and a shift of a pixel hardly change them.
    small = F.adaptive_avg_pool2d(torch.from_numpy(whole)[:, None], TWIN_SIDE)
    straight, mirrored = (_unit(part.flatten(1)) for part in (small, small.flip(3)))
    names, family = _numbered(apart), _numbered(range(len(whole)) if kin is None else kin)
    best, partner, turned = torch.full((len(whole),), -1.0), torch.zeros(len(whole), dtype=torch.int64), []
    within, spare = (np.zeros(len(whole), np.bool_) for _ in range(2))
    for start in range(0, len(whole), _TWIN_BLOCK):
        rows = slice(start, start + _TWIN_BLOCK)
        both = torch.stack([straight[rows] @ straight.T, straight[rows] @ mirrored.T])
        # Also with itself, which has its own name. Masked and not left out: places stay those of the set.
        alike = both.amax(dim=0).masked_fill_(names[rows, None] == names, -1.0)
        best[rows], partner[rows] = alike.max(dim=1)
        turned.append(both.argmax(dim=0).gather(1, partner[rows, None])[:, 0] == 1)
        close = alike > ALIKE
        within[rows] = (close & (family[rows, None] == family)).any(dim=1).numpy()
        _mark_spare(spare, close.numpy(), start)
    mirror = torch.cat(turned).numpy() if turned else np.zeros(0, np.bool_)
    return Twins(best.double().numpy(), partner.numpy(), mirror, within, spare)


def _numbered(names: Iterable[Hashable]) -> Tensor:
    """Names as numbers (N,), the same name the same number."""
    seen: dict[Hashable, int] = {}
    return torch.tensor([seen.setdefault(name, len(seen)) for name in names], dtype=torch.int64)


def _mark_spare(spare: Bools, close: Bools, start: int) -> None:
    """Mark those of pictures number ``start`` on that are twins (B, N) of one before them that stays."""
    for row, own in enumerate(close):
        before = np.flatnonzero(own[: start + row])
        spare[start + row] = bool((~spare[before]).any())


def _unit(rows: Tensor) -> Tensor:
    """Rows of mean 0 and length 1; of a flat picture, 0."""
    centred = rows - rows.mean(dim=1, keepdim=True)
    # Without the floor a flat picture would be 0 / 0, and every picture its twin.
    unit: Tensor = centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return unit


# --- kinds of pictures ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Modes:
    """How two sets share out over clusters of the real one.

    Attributes:
        clusters: how many there are.
        reached: those that hold a synthetic image, and not significantly fewer than their share.
        different: share of clusters of significantly unequal shares (NDB / K), 0..1; about 0.05 for equal sets.
    """

    clusters: int
    reached: int
    different: float


def distinct_modes(*, real: Floats, synthetic: Floats, clusters: int = 20, seed: int = 0) -> Modes:
    """Number of statistically different bins (Richardson and Weiss 2018).

    Real features are clustered by k-means, each synthetic one goes to the nearest centre, and the two shares of each
    cluster are compared by a test of proportions at 5 %. Images count as independent: many slices of a patient make
    clusters differ more often than 5 %, also between two real sets; compare with those.

    Args:
        real: (N, D), N >= clusters.
        synthetic: (M, D), M >= 1.
        clusters: fewer are used where fewer real vectors differ; ten images or more a cluster are advisable.
        seed: of the first centres.

    Raises:
        InputError: unlike vectors, or fewer images than clusters.
    """
    if real.ndim != 2 or synthetic.ndim != 2 or real.shape[1] != synthetic.shape[1]:
        came = f"{real.shape} and {synthetic.shape}"
        raise InputError("two sets of feature vectors of one length", came, "use one extractor for both")
    if not 1 <= clusters <= len(real) or not len(synthetic):
        came = f"{clusters} clusters, {len(real)} real and {len(synthetic)} synthetic images"
        raise InputError("1 cluster or more, as many real images, and a synthetic one", came, "use fewer clusters")
    used = min(clusters, len(np.unique(real, axis=0)))
    state = int(stream(seed, "metrics.distinct_modes").integers(2**31))
    # k-means ends in a minimum nearby: the best of four starts is kept.
    means = KMeans(used, n_init=4, random_state=state).fit(np.asarray(real, dtype=np.float64))
    ours = np.bincount(means.labels_, minlength=used)
    theirs = np.bincount(means.predict(np.asarray(synthetic, dtype=np.float64)), minlength=used)
    n, m = len(real), len(synthetic)
    pooled = (ours + theirs) / (n + m)
    # A cluster that holds all images, or none, has no error, and is divided by it below.
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-300) * (1 / n + 1 / m))
    z = (theirs / m - ours / n) / error
    reached = int(np.count_nonzero((theirs > 0) & (z >= -_LIMIT)))
    return Modes(used, reached, float(np.mean(np.abs(z) > _LIMIT)))
