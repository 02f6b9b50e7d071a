"""What a generator does to the spectrum: how fast power falls with frequency, and peaks at the Nyquist frequency.

Pictures are taken at their own size, cut to 0..1 and held at 8 bits, less their mean and under a Hann window, so that
the ends of the frame add no power of their own. Values depend on the size: compare sets of one size only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import fft

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Floats

LEAST = 32
"""Smallest side in pixels; below it the bands hold too few frequencies."""

BAND = (0.05, 0.45)
"""Frequencies in cycles a pixel over which the slope is fitted; 0.5 is the Nyquist frequency."""

# The peak's own frequency and the eight around it, of which the farthest are 1.41 away.
PEAK = 1.5
NEIGHBOURHOOD = (3.0, 8.0)
"""Distances from a Nyquist frequency, in cycles a picture, of what counts as its peak and as its neighbourhood."""

_BLOCK = 64


def spectral_slope(images: Array) -> Floats:
    """Slope of log power over log frequency, from 0.05 to 0.45 cycles a pixel.

    Power is averaged over rings one cycle a picture wide; a straight line is fitted through the rings (van der Schaaf
    and van Hateren 1996). White noise has 0, photographs have about -2, blur makes it steeper. Generators that
    upsample often miss the power of high frequencies (Durall et al. 2020).

    Args:
        images: (N, H, W), 0..1; sides of 32 pixels or more.

    Returns:
        (N,); nan for a picture of one grey value.

    Raises:
        InputError: another number of axes, or a smaller picture.
    """
    parts = []
    for power in _powers(images):
        frequency = np.hypot(*_frequencies(power))
        side = max(power.shape[1:])
        ring = np.round(frequency * side).astype(np.int64)
        # Ring 0 is dropped below: the mean, and what lies outside the band.
        ring[(frequency < BAND[0]) | (frequency > BAND[1])] = 0
        count = np.bincount(ring.ravel())
        rings = np.flatnonzero(count)
        rings = rings[rings > 0]
        where = (ring.ravel() + np.arange(len(power))[:, None] * len(count)).ravel()
        total = np.bincount(where, power.ravel(), len(power) * len(count)).reshape(len(power), -1)
        # The mean frequency of those in a ring, not its middle: inner rings hold few places, which lie unevenly.
        radius = np.bincount(ring.ravel(), frequency.ravel())
        across = np.log(radius[rings] / count[rings])
        # About its mean, the slope of a straight line is one product over another.
        across -= across.mean()
        parts.append(np.log(total[:, rings] / count[rings]) @ across / (across @ across))
    return np.concatenate(parts) if parts else np.zeros(0)


def checkerboard_peak(images: Array) -> Floats:
    """Decades by which power at a Nyquist frequency exceeds that around it; the largest of three.

    Patterns of period 2, as transposed convolutions leave them (Odena et al. 2016), have their power at (pi, 0),
    (0, pi) or (pi, pi). Mean power up to 1.5 cycles a picture from each is set against that of 3 to 8 cycles from it.

    Args:
        images: (N, H, W), 0..1; sides of 32 pixels or more.

    Returns:
        (N,), about 0 where nothing stands out; nan for a picture of one grey value.

    Raises:
        InputError: another number of axes, or a smaller picture.
    """
    parts = []
    for power in _powers(images):
        down, right = _frequencies(power)
        ratios = []
        for at_down, at_right in ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
            # Frequencies repeat after one cycle a pixel: what lies just beyond the Nyquist frequency comes round.
            steps = [_wrapped(down - at_down) * power.shape[1], _wrapped(right - at_right) * power.shape[2]]
            distance = np.hypot(*steps)
            around = (distance >= NEIGHBOURHOOD[0]) & (distance <= NEIGHBOURHOOD[1])
            ratios.append(np.log10(power[:, distance <= PEAK].mean(axis=1) / power[:, around].mean(axis=1)))
        parts.append(np.max(ratios, axis=0))
    return np.concatenate(parts) if parts else np.zeros(0)


def _powers(images: Array) -> Iterator[Floats]:
    """Power spectra (n, H, W) of blocks of pictures; all nan for a picture of one grey value."""
    whole = np.asarray(images)
    if whole.ndim != 3 or min(whole.shape[1:]) < LEAST:
        came = f"an array {whole.shape}"
        raise InputError(f"images (N, H, W) of at least {LEAST} pixels a side", came, "give the pictures as generated")
    # `hanning` repeats its first value at the end. The transform takes pictures to repeat, so the repeat is left out.
    windows = [np.hanning(side + 1)[:-1] for side in whole.shape[1:]]
    window = np.outer(*windows)
    for start in range(0, len(whole), _BLOCK):
        # What was stored in 8 bits has rounding noise in its high frequencies. Held at 8 bits, all have.
        block = np.round(np.clip(whole[start : start + _BLOCK].astype(np.float64), 0, 1) * 255) / 255
        # The mean under the window, so that nothing of it leaks into the lowest frequencies.
        centred = block - ((block * window).sum(axis=(1, 2)) / window.sum())[:, None, None]
        power = np.abs(fft.fft2(centred * window)) ** 2
        level = power.mean(axis=(1, 2), keepdims=True)
        flat = np.ptp(block, axis=(1, 2)) == 0
        # A picture made of a few waves has places with no power at all, and no logarithm.
        yield np.where(flat[:, None, None], np.nan, power + 1e-12 * level)


def _frequencies(power: Floats) -> tuple[Floats, Floats]:
    """Frequency in cycles a pixel of each place, downwards and to the right, each (H, W)."""
    down, right = np.meshgrid(fft.fftfreq(power.shape[1]), fft.fftfreq(power.shape[2]), indexing="ij")
    return down, right


def _wrapped(frequency: Floats) -> Floats:
    """The same frequency within -0.5..0.5."""
    wrapped: Floats = frequency - np.round(frequency)
    return wrapped
