"""A short radiomics with names that a reader understands: grey values, texture, runs and edges within the head.

Its formulas are those of Haralick et al. (1973), Galloway (1975) and the Image Biomarker Standardisation Initiative
(Zwanenburg et al. 2020), on slices of 64 px and with 16 fixed grey levels over 0..1. Values are not comparable with
those of other tools, which choose levels, distances and masks in their own way.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthoma.core.types import Array, Bools, Floats, Ints
from synthoma.metrics.anatomy import HEAD_ABOVE
from synthoma.metrics.distances import frechet_distance
from synthoma.metrics.features import SIDE, standard_images

# Of the fixed scale 0..1, not of each image's own range: a level means the same in all of them.
LEVELS = 16
DISTANCES = (1, 3)
SIGMAS = (1, 2, 4)

_BLOCK = 64
_GREY = (
    "mean grey",
    "deviation of grey",
    "skewness of grey",
    "kurtosis of grey",
    "entropy of grey",
    "10th percentile of grey",
    "median of grey",
    "90th percentile of grey",
    "interquartile range of grey",
)
_PAIRS = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "entropy")
_RUNS = (
    "short run emphasis",
    "long run emphasis",
    "grey level non-uniformity",
    "run length non-uniformity",
    "run percentage",
)
_EDGES = ("mean magnitude", "deviation", "skewness")


def radiomics_names() -> list[str]:
    """Names of the columns of ``radiomics_features``."""
    return [
        "share of the picture that is head",
        *_GREY,
        *(f"{name} of pairs {distance} px apart" for distance in DISTANCES for name in _PAIRS),
        *_RUNS,
        *(f"{name} of edges at sigma {sigma} px" for sigma in SIGMAS for name in _EDGES),
        "mean of gradient",
        "deviation of gradient",
    ]


def radiomics_features(images: Array) -> Floats:
    """Descriptors of grey values, co-occurrence, runs and edges, over the pixels above 0.02 (the head).

    Grey values: moments (kurtosis is 0 for a normal one) and percentiles; entropy in bits of 32 bins. Pairs: symmetric
    co-occurrence of 16 levels, both pixels in the head; each figure is the mean of its values in 4 directions. Runs:
    likewise; both non-uniformities are shares, so that they do not grow with the head. Edges: Laplacian of Gaussian
    times sigma squared. What has no pixel, no pair or no deviation is 0.

    Args:
        images: (N, H, W), 0..1; brought to 64 px in 8 bits.

    Returns:
        (N, 38) float64, finite; `radiomics_names` says what they are.
    """
    blocks = [block[:, 0].double().numpy() for block in standard_images(images).split(_BLOCK)]
    return np.concatenate([_block(block) for block in blocks if len(block)] or [np.zeros((0, len(radiomics_names())))])


def frechet_radiomics_distance(*, real: Floats, synthetic: Floats) -> float:
    """Logarithm of the squared Fréchet distance of radiomics in deviations of the real ones (Konz et al. 2026, eq. 3).

    The arithmetic of FRDv1 as the package frd-score 1.0 has it by default; the paper's own formula gives half. Its
    features are some 464 of pyradiomics, at other spacings and with wavelets, which take a second a slice: of other
    features, as those here, values are others too, and only those of one kind may be compared.

    Args:
        real: features (N, D), N >= 2; they set the scale.
        synthetic: features (M, D), M >= 2.

    Returns:
        Any number; minus infinity for equal sets.
    """
    deviation = real.std(axis=0)
    scale = np.where(deviation > 0, deviation, np.inf)  # what real images do not vary in is left out
    first, second = ((part - real.mean(axis=0)) / scale for part in (real, synthetic))
    squared = frechet_distance(real=first, synthetic=second)
    return float(np.log(squared)) if squared > 0 else -np.inf


def _block(images: Floats) -> Floats:
    head = images > HEAD_ABOVE
    # A value of 1 belongs to the last level. -1 is outside, and takes part in nothing.
    levels = np.where(head, np.minimum((images * LEVELS).astype(np.int64), LEVELS - 1), -1)
    columns = [head.mean(axis=(1, 2)), *_grey(images, head)]
    for distance in DISTANCES:
        # As far in every direction: 3 px along an axis, and 2 along both for a diagonal (2.8 px).
        slant = round(distance / np.sqrt(2))
        offsets = ((0, distance), (distance, 0), (slant, slant), (slant, -slant))
        columns.extend(np.mean([_pairs(cooccurrence(levels, offset)) for offset in offsets], axis=0))
    columns.extend(np.mean([_runs(lines, head) for lines in _lines(levels)], axis=0))
    for sigma in SIGMAS:
        edges = _edges(images, sigma)
        columns += [_mean(np.abs(edges), head), *_moments(edges, head)[1:3]]
    columns += _moments(np.hypot(*np.gradient(images, axis=(1, 2))), head)[:2]
    return np.stack(columns, axis=1)


# --- grey values ----------------------------------------------------------------------------------------------


def _mean(values: Floats, head: Bools) -> Floats:
    # Blank pictures: 0 of 0 pixels is 0.
    return np.asarray(np.where(head, values, 0.0).sum(axis=(1, 2)) / np.maximum(head.sum(axis=(1, 2)), 1))


def _moments(values: Floats, head: Bools) -> list[Floats]:
    """Mean, deviation, skewness and excess kurtosis within the head, each (N,)."""
    mean = _mean(values, head)
    centred = np.where(head, values - mean[:, None, None], 0.0)
    squares = centred * centred
    # From centred values: the mean of squares less the square of the mean loses its digits where a head is nearly flat.
    deviation = np.sqrt(_mean(squares, head))
    # Of a flat head skewness is a quotient of rounding errors.
    some = deviation > 1e-6
    scale = np.where(some, deviation, 1.0)
    skewness = np.where(some, _mean(squares * centred, head) / scale**3, 0.0)
    return [mean, deviation, skewness, np.where(some, _mean(squares * squares, head) / scale**4 - 3, 0.0)]


def _grey(images: Floats, head: Bools) -> list[Floats]:
    # Those outside the head are sorted to the end, where no percentile reaches.
    count = head.sum(axis=(1, 2))
    # 2 lies above any grey value.
    ordered = np.sort(np.where(head, images, 2.0).reshape(len(images), -1), axis=1)

    def percentile(share: float) -> Floats:
        place = share * np.maximum(count - 1, 0)
        low = place.astype(np.int64)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        ends = np.take_along_axis(ordered, np.stack([low, high], axis=1), axis=1)
        # Linear between two values, as NumPy's default, but over a number of pixels that differs from picture to
        # picture.
        return np.where(count > 0, ends[:, 0] + (place - low) * (ends[:, 1] - ends[:, 0]), 0.0)

    # Bins of all pictures in one row, so that a single `bincount` serves them.
    bins = 32 * np.arange(len(images))[:, None, None] + np.minimum((images * 32).astype(np.int64), 31)
    shares = np.bincount(bins[head], minlength=32 * len(images)).reshape(-1, 32) / np.maximum(count, 1)[:, None]
    low, middle, high = percentile(0.1), percentile(0.5), percentile(0.9)
    return [*_moments(images, head), _entropy(shares), low, middle, high, percentile(0.75) - percentile(0.25)]


def _entropy(shares: Floats) -> Floats:
    """Bits of each row of shares (N, K)."""
    # 0 log 0 is 0.
    return np.asarray(-(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum(axis=1))


# --- pairs of pixels ------------------------------------------------------------------------------------------


def cooccurrence(levels: Ints, offset: tuple[int, int]) -> Floats:
    """How often two grey levels lie at an offset from one another, both ways (Haralick et al. 1973).

    Args:
        levels: (N, H, W) of 0..15; pixels of -1 do not take part.
        offset: rows down (0 or more) and columns to the right (of either sign).

    Returns:
        (N, 16, 16), symmetric, of sum 1; all 0 where there is no pair.
    """
    down, right = offset
    height, width = levels.shape[1:]
    # Only pairs both of whose pixels lie in the picture: nothing is filled in or wrapped round.
    first = levels[:, : height - down, max(-right, 0) : width - max(right, 0)]
    second = levels[:, down:, max(right, 0) : width + min(right, 0)]
    both = (first >= 0) & (second >= 0)
    # Of pixels outside these numbers mean nothing; `both` leaves them out.
    places = (np.arange(len(levels))[:, None, None] * LEVELS + first) * LEVELS + second
    table = np.bincount(places[both], minlength=len(levels) * LEVELS**2).reshape(-1, LEVELS, LEVELS)
    # Both ways, so that an offset and its opposite give one table.
    table = table + table.transpose(0, 2, 1)
    return np.asarray(table / np.maximum(table.sum(axis=(1, 2), keepdims=True), 1))


def _pairs(table: Floats) -> Floats:
    """The figures of `_PAIRS` (6, N) of tables of co-occurrence."""
    level = np.arange(LEVELS)
    step = level[:, None] - level
    flat = table.reshape(len(table), -1)
    weights = np.stack([step**2, np.abs(step), 1 / (1 + step**2)]).reshape(3, -1)
    contrast, dissimilarity, homogeneity = (flat @ weights.T).T
    margin = table.sum(axis=2)
    mean = margin @ level
    variance = margin @ level**2 - mean**2
    # Contrast is twice the variance less the covariance; a head of one level correlates fully with itself.
    some = margin.sum(axis=1) > 0
    correlation = np.where(variance > 1e-9, 1 - contrast / (2 * np.maximum(variance, 1e-9)), some.astype(np.float64))
    return np.stack([contrast, dissimilarity, homogeneity, np.sqrt((flat**2).sum(axis=1)), correlation, _entropy(flat)])


# --- runs -----------------------------------------------------------------------------------------------------


def _lines(levels: Ints) -> list[Ints]:
    """The pictures cut into lines (N, L, P) along rows, columns and both diagonals; -1 fills and ends each line."""
    height, width = levels.shape[1:]
    ended = np.pad(levels, ((0, 0), (0, 1), (0, 1)), constant_values=-1)
    steps = np.arange(height)
    starts = np.arange(-height + 1, width)
    across = starts[:, None] + steps  # column of each diagonal in each row; the padding stands for what is outside
    across = np.where((across >= 0) & (across < width), across, width)
    diagonals = [
        np.pad(part[:, steps, across], ((0, 0), (0, 0), (0, 1)), constant_values=-1)
        for part in (ended, np.pad(levels[:, :, ::-1], ((0, 0), (0, 1), (0, 1)), constant_values=-1))
    ]
    return [ended, ended.transpose(0, 2, 1), *diagonals]


def _runs(lines: Ints, head: Bools) -> Floats:
    """The figures of `_RUNS` (5, N) of runs along lines (Galloway 1975)."""
    count, size = len(lines), lines[0].size
    flat = lines.reshape(-1)
    # -2 is neither a level nor the filler: the first pixel begins a run.
    starts = np.flatnonzero(np.diff(flat, prepend=-2))
    lengths = np.diff(starts, append=flat.size)
    kept = flat[starts] >= 0
    level, length, image = flat[starts][kept], lengths[kept], starts[kept] // size
    # Lines end in filler, so no run is as long as a line: each length has a place of its own in `by_length`.
    longest = lines.shape[2]
    # A blank picture has no run to divide by.
    runs = np.maximum(np.bincount(image, minlength=count), 1)
    by_level = np.bincount(image * LEVELS + level, minlength=count * LEVELS).reshape(count, -1)
    by_length = np.bincount(image * longest + length, minlength=count * longest).reshape(count, -1)
    return np.stack(
        [
            np.bincount(image, 1 / length**2, count) / runs,
            np.bincount(image, length.astype(np.float64) ** 2, count) / runs,
            # Over squares of the number of runs: as shares, they do not grow with the head.
            (by_level.astype(np.float64) ** 2).sum(axis=1) / runs**2,
            (by_length.astype(np.float64) ** 2).sum(axis=1) / runs**2,
            by_level.sum(axis=1) / np.maximum(head.sum(axis=(1, 2)), 1),
        ]
    )


# --- edges ----------------------------------------------------------------------------------------------------


def _edges(images: Floats, sigma: float) -> Floats:
    """Laplacian of Gaussian times sigma squared, as two products with matrices that blur and that curve."""
    unit = np.eye(SIDE)
    # A Gaussian filter is linear and separable, so the filtered unit matrix does it for all pictures in two products.
    blur = ndimage.gaussian_filter1d(unit, sigma, axis=0, mode="mirror")
    curve = ndimage.gaussian_filter1d(unit, sigma, axis=0, order=2, mode="mirror")
    edges: Floats = sigma**2 * (blur @ images @ curve.T + curve @ images @ blur.T)
    return edges
