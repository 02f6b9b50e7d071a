"""What a picture looks like to the registration of copies: its detail, coarse and fine, and its log-polar spectrum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from joblib import effective_n_jobs
from torch import Tensor

from synthoma.cohorts.copies.thumbnails import SIDE
from synthoma.core.types import Float32, Ints

T = TypeVar("T")

CHUNK = 256
"""Images, or pairs, of one call."""

_FINE, _BROAD = 0.7, 2.5  # px: the band in which slices of different people differ and copies agree
_LOCAL = 4.0  # px: how far "local strength" reaches
_FLOOR = 0.1  # share of the picture's rms detail below which detail fades out instead of being amplified
_NOISE = 0.003  # share of the intensity range below which detail is taken for noise
_SPECTRUM = 128  # px: the spectrum is zero-padded to this side so that a polar grid can sample it finely
# Angles over half a turn: the spectrum of a real picture is the same on the other half.
RADII, ANGLES, HARMONICS = 32, 64, 12
_STRETCHES = ((1.0, 1.0), (1.07, 1.07), (1.14, 1.14), (1.1, 1.0), (1.0, 1.1), (1.2, 1.0), (1.0, 1.2))
LOWEST, HIGHEST = 3 / 64, 22 / 64  # cycles per px; below sits the outline, above what resizing destroys
COARSE = 32  # px: side at which shifts are searched


@dataclass(frozen=True)
class Views:
    """What registration needs of N pictures.

    ``pictures`` (M, 64, 64) are thumbnails, which may lie on a disk, and ``places`` (N,) says which of them the views
    are of. ``coarse`` (N, 32, 32) holds detail; ``harmonics`` (N, radii, harmonics + 1) holds the angular Fourier
    coefficients of the log-polar spectrum. ``blank`` (N,) marks pictures of one value.
    """

    pictures: Float32
    places: Ints
    coarse: Tensor
    harmonics: Tensor
    blank: Tensor

    def fine(self, rows: Tensor) -> Tensor:
        """Detail (R, 64, 64) of some pictures: made when it is wanted, since few pairs come so far that it is."""
        scaled, _ = _scaled(self.pictures[self.places[rows.numpy()]])
        return _detail(scaled)


def prepare(pictures: Float32, places: Ints | None = None, jobs: int = 1) -> tuple[Views, Tensor]:
    """Views of pictures, and their fingerprints.

    Args:
        pictures: (M, 64, 64) of any finite intensity scale.
        places: (N,) which of them, in which order; None for all.
        jobs: threads, as joblib counts them.

    Returns:
        The views, and fingerprints (N, stretches, radii x harmonics): magnitudes of harmonics, which shift, rotation
        and flips leave nearly unchanged, of the picture as it is and then of the picture stretched in several ways.
    """
    chosen = np.arange(len(pictures)) if places is None else places
    count = len(chosen)
    coarse = torch.empty(count, COARSE, COARSE)
    harmonics = torch.empty(count, RADII, HARMONICS + 1, dtype=torch.complex64)
    fingerprints = torch.empty(count, len(_STRETCHES), RADII * HARMONICS)
    blank = torch.empty(count, dtype=torch.bool)

    def view(part: slice) -> None:
        # Written where it belongs: parts that are put together later would need twice the memory.
        coarse[part], harmonics[part], fingerprints[part], blank[part] = _viewed(pictures[chosen[part]])

    for _ in each(view, [(slice(begin, begin + CHUNK),) for begin in range(0, count, CHUNK)], jobs):
        pass
    return Views(pictures, chosen, coarse, harmonics, blank), fingerprints


def each(work: Callable[..., T], inputs: Sequence[tuple[object, ...]], jobs: int) -> Iterator[T]:
    """Results of ``work`` in the order of the inputs, as they come, from threads that share the arrays."""
    with ThreadPoolExecutor(max(1, effective_n_jobs(jobs))) as threads:
        yield from threads.map(lambda given: work(*given), inputs)


def _scaled(thumbnails: Float32) -> tuple[Tensor, Tensor]:
    """Pictures (N, 64, 64) from 0 to 1, and which of them (N,) are of one value."""
    pictures = torch.from_numpy(np.asarray(thumbnails, dtype=np.float32))
    low, high = pictures.amin((1, 2), keepdim=True), pictures.amax((1, 2), keepdim=True)
    blank = (high - low)[:, 0, 0] <= 1e-6 * high[:, 0, 0].abs().clamp_min(1e-30)
    # Blank pictures are zeroed, or the division would blow rounding errors up into detail.
    return (pictures - low) / (high - low).clamp_min(1e-30) * ~blank[:, None, None], blank


def _viewed(thumbnails: Float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Coarse detail, harmonics, fingerprints and blankness of thumbnails (N, 64, 64)."""
    scaled, blank = _scaled(thumbnails)
    fine = _detail(scaled)
    # Blurred before it is halved, or what is finer than a coarse pixel would come out as aliases.
    coarse = torch.nn.functional.avg_pool2d(blur(fine, 1.0)[:, None], 2)[:, 0]
    spectrum = _log_spectrum(fine)
    harmonics = [_harmonics(spectrum, stretch) for stretch in _STRETCHES]
    fingerprints = torch.stack([one[..., 1:].abs().flatten(1) for one in harmonics], 1)
    return coarse, harmonics[0], fingerprints, blank


@cache
def _gaussian(side: int, sigma: float) -> Tensor:
    """Blur as a (side, side) matrix; rows sum to 1, so that the border is not darkened."""
    # Distances from row to row, so that one matrix blurs every line.
    place = torch.arange(side, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((place[:, None] - place) / sigma) ** 2)
    return weights / weights.sum(1, keepdim=True)


def blur(pictures: Tensor, sigma: float) -> Tensor:
    """Pictures (..., S, S) smoothed by a Gaussian of ``sigma`` px."""
    kernel = _gaussian(pictures.shape[-1], sigma)
    return kernel @ pictures @ kernel.T


def _detail(pictures: Tensor) -> Tensor:
    """Band-passed pictures divided by their local strength, about 1 in magnitude wherever there is structure."""
    band = blur(pictures, _FINE) - blur(pictures, _BROAD)
    power = band.square()
    floor = _FLOOR**2 * power.mean((-1, -2), keepdim=True) + _NOISE**2
    return band / (blur(power, _LOCAL) + floor).sqrt()


@cache
def _polar_grid(stretch: tuple[float, float]) -> Tensor:
    """Places (1, radii, angles, 2) on the centred spectrum, half a turn only: magnitudes repeat after 180 degrees."""
    angle = torch.arange(ANGLES) * (math.pi / ANGLES)
    radius = torch.logspace(math.log10(LOWEST), math.log10(HIGHEST), RADII)[:, None] * _SPECTRUM
    place = torch.stack([radius * torch.cos(angle), -radius * torch.sin(angle)], -1) * torch.tensor(stretch)
    # Frequency 0 stands at half the side after `fftshift`; grid_sample counts from -1 to 1 over the first to the last.
    return ((place + _SPECTRUM / 2) / (_SPECTRUM - 1) * 2 - 1)[None]


def _log_spectrum(detail: Tensor) -> Tensor:
    """Centred log magnitudes (N, 128, 128) of the Fourier spectrum."""
    # The border is faded out over 8 px: a cut edge would draw a cross through the spectrum.
    ramp = torch.arange(SIDE) + 0.5
    fade = torch.sin((torch.minimum(ramp, SIDE - ramp) / 8).clamp(max=1) * (math.pi / 2)).square()
    spectrum = torch.fft.fft2(detail * fade * fade[:, None], s=(_SPECTRUM, _SPECTRUM)).abs()
    return torch.log1p(torch.fft.fftshift(spectrum, dim=(-2, -1)))


def _harmonics(spectrum: Tensor, stretch: tuple[float, float]) -> Tensor:
    """Angular Fourier coefficients of the unit-norm log-polar spectrum: (N, radii, harmonics + 1) complex."""
    grid = _polar_grid(stretch).expand(len(spectrum), -1, -1, -1)
    polar = torch.nn.functional.grid_sample(spectrum[:, None], grid, align_corners=True)[:, 0]
    # How power falls with frequency is much the same in all heads, and says nothing of the turn.
    polar = polar - polar.mean(-1, keepdim=True)
    # Of length 1, so that peaks of all pairs are held against one gate.
    polar = polar / polar.square().sum((1, 2), keepdim=True).sqrt().clamp_min(1e-9)
    harmonics: Tensor = torch.fft.rfft(polar, dim=-1)[..., : HARMONICS + 1].contiguous()
    return harmonics
