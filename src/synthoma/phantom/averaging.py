"""What pixels show that are means over several of a scanner's own: its noise, blur and scale on a coarse grid.

A scanner's noise belongs to its own pixels. Where only their means are wanted, mean and variance of what a pixel shows
are a function of its signal alone; they are found by quadrature over both parts of the complex noise (Gudbjartsson and
Patz 1995, Magn Reson Med 34:910; Gauss-Hermite: Abramowitz and Stegun 1972, 25.4.46).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from synthoma.core.types import Float32, Floats
from synthoma.phantom.acquisition import Exposure, Site, ghosted

NODES, NODES_CUT, LEVELS = 16, 48, 96
"""Places in each part of the noise, more where a scanner cuts it; levels of signal."""

IMAGINARY = 0.85
"""Noise of the imaginary part over that of the real one, as in ``acquisition.expose``."""


@dataclass(frozen=True)
class Spread:
    """One axis of the point spread, and how a mean over pixels narrows noise that went through it.

    Attributes:
        point: standard deviation of blurred white noise in one pixel, over that before.
        mean: the same in the mean over ``ratio`` pixels; ``free`` that of noise that was not blurred.
        blur, averaging: second moments of the point spread and of the mean, in coarse pixels squared.
    """

    point: float
    mean: float
    free: float
    blur: float
    averaging: float


def spread_of(site: Site, ratio: float) -> Spread:
    """The point spread of ``acquisition._blurred`` with a mean over ``ratio`` pixels behind it."""
    kernel = np.array([site.ring, site.blur, 1 - 2 * site.blur - 2 * site.ring, site.blur, site.ring])
    whole = int(ratio)
    box = np.array([1.0] * whole + ([ratio - whole] if ratio > whole else [])) / ratio
    return Spread(
        point=float(np.sqrt((kernel**2).sum())),
        mean=float(np.sqrt((np.convolve(kernel, box) ** 2).sum())),
        free=float(np.sqrt((box**2).sum())),
        blur=float((2 * site.blur + 8 * site.ring) / ratio**2),
        # A mean of points a pixel apart over a stretch of ``ratio``.
        averaging=float((ratio**2 - 1) / 12 / ratio**2),
    )


@cache
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Nodes and weights of a mean over a standard normal variable."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


def shown(level: Floats, real: Floats | float, imaginary: Floats | float, sigma: float, site: Site) -> Floats:
    """What a scanner shows of a signal, white matter being 1, with this noise in both parts of it."""
    image = np.sqrt((level + real) ** 2 + np.square(imaginary))
    if site.floor < 1:
        image = image - (1 - site.floor) * 2 * sigma * (image < 2.5 * sigma)
    # Nothing is stored below black: cut before it is averaged.
    image = np.maximum(image, 0)
    return np.asarray(image * (1 + (site.gamma - 1) * (image - 1) / (image + 1)))


def mean_and_spread(levels: Floats, sigma: float, site: Site, spread: Spread) -> tuple[Floats, Floats]:
    """Mean and standard deviation (K,) of a mean over pixels whose signals are ``levels`` (K,)."""
    nodes, weights = _nodes(NODES_CUT if site.floor < 1 else NODES)
    real, imaginary = sigma * spread.point**2 * nodes, IMAGINARY * sigma * nodes
    found = shown(levels[:, None, None], real[:, None], imaginary, sigma, site)
    inner = found @ weights
    mean = inner @ weights
    of_real = ((inner - mean[:, None]) ** 2) @ weights
    of_imaginary = (((found - inner[..., None]) ** 2) @ weights) @ weights
    narrowed = (spread.mean / spread.point) ** 4  # both axes, squared
    return mean, np.sqrt(of_real * narrowed + of_imaginary * spread.free**4)


def expose_means(
    rng: np.random.Generator, signal: Tensor, gain: Tensor, site: Site, sigma: float, exposure: Exposure, ratio: float,
    keep: Tensor | None, sampled: int,
) -> tuple[Tensor, Float32]:  # fmt: skip
    """One sequence as means over ``ratio`` x ``ratio`` of the scanner's pixels: see ``acquisition.expose``.

    Args:
        rng: drives the noise.
        signal: noise-free signal over that of white matter, float32 (z, y, x); overwritten.
        gain: coil sensitivity times texture, float32 (z, y, x).
        site: the scanner.
        sigma: its noise in this sequence.
        exposure: this acquisition's faults.
        ratio: side of a pixel over that of the scanner's own, 1 or more.
        keep: where a stripped head is shown, bool (z, y, x); None for a whole one.
        sampled: about how many of the scanner's own pixels are looked at.

    Returns:
        The image, float32 (z, y, x), and what the scanner's own pixels show in an even sample of places of each slice,
        float32 (z, n): grey values are scaled by those.
    """
    spread = spread_of(site, ratio)
    image = signal.mul_(gain)
    image *= torch.from_numpy(exposure.slices.astype(np.float32)).reshape(-1, 1, 1)
    image = ghosted(image, exposure, site.phase_axis)
    for axis in (1, 2):
        image = _smoothed(image, axis, spread.blur / 2)
    scanned = _as_scanned(rng, image, site, sigma, spread, keep, sampled)
    for axis in (1, 2):
        image = _smoothed(image, axis, spread.averaging / 2)
    top = max(float(image.max()), 1.0)
    # Levels lie closest at the bottom, where the magnitude bends.
    levels = top * np.linspace(0, 1, LEVELS) ** 2
    table = torch.from_numpy(np.stack(mean_and_spread(levels, sigma, site, spread)).astype(np.float32))
    place = (image.clamp_min_(0) * (1 / top)).sqrt_().mul_(LEVELS - 1)
    low = place.to(torch.int32).clamp_max_(LEVELS - 2)
    part = place.sub_(low)
    at = low.flatten().to(torch.int64)
    mean, deviation = (torch.lerp(row[at], row[at + 1], part.flatten()).reshape(image.shape) for row in table)
    image = mean.add_(deviation.mul_(torch.from_numpy(rng.standard_normal(tuple(image.shape), dtype=np.float32))))
    if site.framed:
        for axis in (1, 2):
            for end in (0, image.shape[axis] - 1):
                image.select(axis, end).zero_()
    image.clamp_min_(0)
    return (image if keep is None else image.mul_(keep)), scanned


def _as_scanned(
    rng: np.random.Generator, image: Tensor, site: Site, sigma: float, spread: Spread, keep: Tensor | None, sampled: int
) -> Float32:
    """What single pixels of the scanner show in an even sample of places of each slice, float32 (z, n)."""
    flat = image.flatten(1)
    step = max(1, flat.numel() // sampled)
    levels = flat[:, step // 2 :: step].clamp_min(0).numpy()
    real = sigma * spread.point**2 * rng.standard_normal(levels.shape, dtype=np.float32)
    imaginary = IMAGINARY * sigma * rng.standard_normal(levels.shape, dtype=np.float32)
    values = shown(levels, real, imaginary, sigma, site).astype(np.float32)
    if site.framed:  # the outermost pixels are black, some in a hundred
        values[:, : max(1, values.shape[1] // 50)] = 0
    if keep is not None:
        values *= keep.flatten(1)[:, step // 2 :: step].numpy()
    return values.clip(0)


def _smoothed(image: Tensor, axis: int, weight: float) -> Tensor:
    """The neighbours on either side of a pixel mixed in by ``weight``; the outermost stand for what lies beyond."""
    n = image.shape[axis]
    result = image * (1 - 2 * weight)
    result.narrow(axis, 1, n - 1).add_(image.narrow(axis, 0, n - 1), alpha=weight)
    result.narrow(axis, 0, n - 1).add_(image.narrow(axis, 1, n - 1), alpha=weight)
    result.select(axis, 0).add_(image.select(axis, 0), alpha=weight)
    result.select(axis, n - 1).add_(image.select(axis, n - 1), alpha=weight)
    return result
