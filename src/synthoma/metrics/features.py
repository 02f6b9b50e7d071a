"""Features of slices without downloaded weights: named wavelet statistics, and a random convolutional network.

One extractor is never enough: wavelets miss a collapse onto few images, random convolutions a change of brightness.
Both take images (N, H, W) with 0 at the background and 1 at bright tissue; they are cut to 0..1 and held at 8 bits, so
that a set that was stored in 8 bits is not told apart by that alone.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from synthoma.core.types import Array, Floats

SIDE = 64
"""Side in pixels that slices are brought to before features are taken."""

_BLOCK = 256
_WIDTHS = (1, 32, 64, 128, 128)


def standard_images(images: Array) -> Tensor:
    """Slices as float32 (N, 1, 64, 64) in 0..1, in steps of 1/255."""
    # Half precision is what cohorts hold; convolutions of it are slow or missing on a CPU.
    tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))[:, None]
    if tensor.shape[-1] != SIDE or tensor.shape[-2] != SIDE:
        # "area" averages all that a pixel covers. Bilinear skips pixels when it shrinks, and noise comes out as
        # aliases.
        tensor = F.interpolate(tensor, size=(SIDE, SIDE), mode="area" if tensor.shape[-1] > SIDE else "bilinear")
    # Rounded after resizing, which makes values between the steps.
    return (tensor.clamp(0, 1) * 255).round() / 255


def wavelet_features(images: Array) -> Floats:
    """Statistics of a four-level Daubechies-2 decomposition, and the grey-value histogram.

    For each of the twelve detail bands: log mean and log deviation of the magnitude, kurtosis; then mean and deviation
    of the coarsest approximation, and the square roots of sixteen histogram shares.

    Args:
        images: (N, H, W).

    Returns:
        (N, 54) float64.
    """
    blocks = standard_images(images).split(_BLOCK)
    return np.concatenate([_wavelet_block(block).double().numpy() for block in blocks])


def feature_names() -> list[str]:
    """Names of the columns of ``wavelet_features``."""
    bands = [f"{band} level {level}" for level in (1, 2, 3, 4) for band in ("horizontal", "vertical", "diagonal")]
    statistics = ("log mean", "log deviation", "kurtosis")
    names = [f"{statistic} of {band}" for band in bands for statistic in statistics]
    return [
        *names,
        "mean of approximation",
        "deviation of approximation",
        *(f"histogram {i + 1}/16" for i in range(16)),
    ]


def _wavelet_block(images: Tensor) -> Tensor:
    # Daubechies' four-tap filter (1988, table 1) and its mirror.
    root = math.sqrt(3.0)
    low = torch.tensor([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * math.sqrt(2.0))
    # The mirror filter of an orthogonal wavelet: reversed, with every second sign changed.
    high = low.flip(0) * torch.tensor([1.0, -1.0, 1.0, -1.0])
    filters = torch.stack([torch.outer(a, b) for a, b in ((low, low), (low, high), (high, low), (high, high))])[:, None]
    columns: list[Tensor] = []
    rest = images
    for _ in range(4):
        # One pixel at each end halves the side exactly with four taps: 64, 32, 16, 8, 4.
        bands = F.conv2d(F.pad(rest, (1, 1, 1, 1), mode="reflect"), filters, stride=2)
        rest = bands[:, :1]
        magnitude = bands[:, 1:].abs().flatten(2)
        centred = bands[:, 1:].flatten(2) - bands[:, 1:].flatten(2).mean(dim=2, keepdim=True)
        variance = centred.square().mean(dim=2)
        # A flat band has no kurtosis: 0 / 0.
        kurtosis = centred.pow(4).mean(dim=2) / (variance.square() + 1e-12)
        # Logarithms: the magnitudes of levels differ by decades, and no level is to lead. The floors lie far below one
        # step of 8 bits.
        statistics = [magnitude.mean(dim=2).add(1e-5).log(), variance.sqrt().add(1e-5).log(), kurtosis.add(1e-3).log()]
        columns += torch.stack(statistics, dim=2).flatten(1).unbind(dim=1)
    approximation = rest.flatten(1)
    columns += [approximation.mean(dim=1), approximation.std(dim=1)]
    # Not quite 16: a value of 1 belongs to the last bin.
    bins = (images.flatten(1) * 15.9999).long()
    shares = torch.zeros(len(images), 16).scatter_add_(1, bins, torch.ones_like(bins, dtype=torch.float32))
    # The distance of roots of shares is Hellinger's, in which rare grey values count too.
    return torch.cat([torch.stack(columns, dim=1), (shares / bins.shape[1]).sqrt()], dim=1)


def random_features(images: Array, seed: int = 2026) -> Floats:
    """Mean activations of an untrained convolutional network whose weights are a function of ``seed``.

    Four 3x3 convolutions (32, 64, 128, 128 maps) with leaky ReLU and 2x2 averages between; all maps of the last two
    layers are averaged over the picture.

    Args:
        images: (N, H, W).
        seed: of the weights.

    Returns:
        (N, 256) float64.
    """
    # A generator of its own: features are the same whatever was drawn before, and torch's own stays where it is.
    draws = torch.Generator().manual_seed(seed)
    kernels = []
    for before, after in pairwise(_WIDTHS):
        # He et al. (2015): what comes out of each layer has the scale of what went in.
        scale = math.sqrt(2.0 / (9 * before))
        kernels.append(torch.randn(after, before, 3, 3, generator=draws) * scale)
    return np.concatenate([_random_block(block, kernels) for block in standard_images(images).split(_BLOCK)])


def _random_block(images: Tensor, kernels: list[Tensor]) -> Floats:
    # Centred, since a network without biases answers to the sign of what it sees.
    maps, pooled = images * 2 - 1, []
    with torch.no_grad():
        for kernel in kernels:
            maps = F.leaky_relu(F.conv2d(maps, kernel, padding=1), 0.2)
            pooled.append(maps.mean(dim=(2, 3)))
            maps = F.avg_pool2d(maps, 2)
    return torch.cat(pooled[-2:], dim=1).double().numpy()


def standardised(reference: Floats, *others: Floats, components: int = 64) -> list[Floats]:
    """Feature sets on the scale of a reference set: every feature centred and of unit variance, then principal axes.

    The axes are not whitened: along those on which real images hardly differ, a generator's smallest flaw would
    otherwise outweigh everything else.

    Args:
        reference: (N, D); the real images.
        others: further sets (M, D).
        components: largest number of principal axes kept.

    Returns:
        The sets, reference first, each (., K) with K <= components.
    """
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, np.inf)  # a feature that real images do not vary in says nothing
    _, _, axes = np.linalg.svd((reference - mean) / scale, full_matrices=False)
    return [((part - mean) / scale) @ axes[:components].T for part in (reference, *others)]
