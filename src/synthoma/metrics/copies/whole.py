"""The nearest training image of a picture, found also when it was flipped, turned, zoomed or shifted.

Plain pixel distance misses a copy that moved by two pixels. Here pictures are compared by the correlation of fine
detail, in which smooth shading counts little and contrast not at all, in four steps:

1. *Turn and zoom* (Reddy and Chatterji 1996, "An FFT-based technique for translation, rotation, and scale-invariant
   image registration", IEEE Trans. Image Processing 5(8)): the magnitude of the Fourier spectrum ignores shifts, turns
   with the picture and is mirrored with it. On a log-polar grid a turn shifts the angle and a zoom the radius, so the
   spectrum of the query, shifted in 196 ways, is compared with those of all training images at once.
2. *Shift*: cross-correlation by FFT at 32 px, of the most alike only.
3. *Exact position* by Gauss-Newton steps over shift, turn and zoom (`pictures.refine`), at 32 and then at 64 px.
4. *Likeness*: the correlation there, where both pictures show something.

`benchmarks/privacy.py` measures what comes of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy import linalg
from torch import Tensor
from torch.nn import functional as F

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools, Floats, Ints
from synthoma.metrics.copies.pictures import (
    COARSE,
    HEAD,
    Band,
    blur,
    correlation,
    detail,
    doubled,
    evened,
    halved,
    in_blocks,
    owners,
    refine,
    take,
    unit,
    warp,
)  # fmt: skip
from synthoma.metrics.features import SIDE

_SPECTRUM = 128  # px: the spectrum is zero-padded to this side so that a polar grid can sample it finely
_LOWEST, _HIGHEST = 3 / 64, 20 / 64  # cycles per px; below sits the outline, above what resizing destroys
_RADII, _ANGLES = 28, 48  # samples: steps of 7.3 % and, over half a turn, of 3.75 degrees
_ZOOMS, _TURNS = 3, 3  # such steps to either side: sizes 0.81 to 1.24, and 11 degrees about each quarter turn
_COMPONENTS = 128  # of the training spectra
_FADE = 6  # px over which the border is faded out: a cut edge would draw a cross through the spectrum
_REACH = 5  # px at the coarse side: largest shift that is looked for, 16 % of the side
_LISTED, _CANDIDATES, _FINALISTS = 20, 6, 2
_COARSE_STEPS, _FINE_STEPS = 5, 4
_LEAST_SEEN = 0.4  # share of the picture that both must show
_BLOCK = 32  # queries at once
_CELLS = 8_000_000  # likenesses at once
_MANY = 256  # training images at once


@dataclass(frozen=True)
class Nearest:
    """For each query: the most alike training image.

    Attributes:
        index: its position (N,).
        score: correlation in the best position (N,), -1..1; 0 where either has no detail.
        mirrored: whether the query was mirrored for it (N,).
        candidates: positions (N, K) of the K training images that were looked at closely, the nearest among them.
        likeness: their correlation at 32 px (N, K).
    """

    index: Ints
    score: Floats
    mirrored: Bools
    candidates: Ints
    likeness: Floats


class Gallery:
    """Training images, made ready once for any number of searches.

    Args:
        training: (M, H, W), 0..1, M >= 1. Beside them some 10 kB are held for each.
        windows: (M, 64, 64), 0..1: what of each picture counts; all of it if not given.
        upright: search for no quarter turns and fewer sizes, which is several times as fast.
        band: of the detail that is compared.

    Raises:
        InputError: no image.
    """

    def __init__(
        self, training: Array, windows: Array | None = None, *, upright: bool = False, band: Band = HEAD
    ) -> None:
        if not len(training):
            raise InputError("training images to search", "none", "give the cohort that the generator learned from")
        self.training, self.windows, self.upright, self.band = training, windows, upright, band
        made = list(in_blocks(lambda rows: _prepared(*self._details(rows)), np.arange(len(training)), _MANY))
        self.coarse = torch.cat([coarse for coarse, _ in made])
        spectra = torch.cat([spectrum for _, spectrum in made])
        self.axes = _axes(spectra)
        self.points = (spectra @ self.axes).T.contiguous()
        # Likenesses to all training images in all states are held at once: fewer queries where these are many.
        self.block = max(1, min(_BLOCK, _CELLS // (len(_states(upright)) * len(training))))

    def nearest(self, queries: Array, windows: Array | None = None) -> Nearest:
        """Most alike training image of each query, in its best position.

        Found are all eight flips and quarter turns, turned by up to 11 degrees more, in sizes of .81 to 1.24, shifted
        by up to 16 % of the side. Time is linear in the queries: on one core some 20 ms each among 1,000 images.

        Args:
            queries: (N, H, W), 0..1, as large as the training images.
            windows: (N, 64, 64), 0..1: what of each query counts; all of it if not given.
        """

        def search(rows: Ints) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
            return self._search(*_details(queries[rows], None if windows is None else windows[rows], self.band))

        found = list(in_blocks(search, np.arange(len(queries)), self.block))
        if not found:
            width = min(_CANDIDATES, len(self.training))
            empty = np.zeros((0, width))
            return Nearest(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_), empty.astype(np.int64), empty)
        index, score, mirrored, candidates, likeness = (
            torch.cat(column).numpy() for column in zip(*found, strict=True)
        )
        return Nearest(index, score.astype(np.float64), mirrored, candidates, likeness.astype(np.float64))

    def _details(self, rows: Ints) -> tuple[Tensor, Tensor]:
        return _details(self.training[rows], None if self.windows is None else self.windows[rows], self.band)

    def _search(self, plain: Tensor, fine: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Index, score, mirror state (B,), candidates and their likeness (B, K) for the details of B queries."""
        count, states = len(plain), _states(self.upright)
        coarse = _coarse(fine)
        listed = min(_LISTED, len(self.training))
        alike, state = (unit(_turned(_spectrum(fine), states).flatten(2)) @ self.axes @ self.points).max(dim=1)
        index = alike.topk(listed, dim=1).indices
        linear = _linear(states[state.gather(1, index)]).flatten(0, 1)
        # The spectrum leaves half a turn open.
        linear = torch.stack([linear, -linear], dim=1).flatten(0, 1)
        index = index.repeat_interleave(2, dim=1)
        score, maps = _shifted(coarse[owners(count, 2 * listed)], self.coarse[index.flatten()], linear)

        # Only the few best are refined: a Gauss-Newton step costs more than all that came before it.
        best = score.view(count, -1).topk(min(_CANDIDATES, 2 * listed), dim=1).indices
        index, maps = take(index, best), take(maps.view(count, -1, 2, 3), best)
        moving, fixed = coarse[owners(count, best.shape[1])], self.coarse[index]
        maps = refine(moving, fixed, maps, _COARSE_STEPS)
        likeness = _likeness(moving, fixed, maps).view(count, -1)
        candidates = index.view(count, -1)

        best = likeness.topk(min(_FINALISTS, likeness.shape[1]), dim=1).indices
        index, maps = take(candidates, best), take(maps.view(count, -1, 2, 3), best)
        # Details at full size are not held for all training images (16 kB each) but made anew for the finalists.
        (target, even), owner = self._details(index.numpy()), owners(count, best.shape[1])
        maps = refine(fine[owner], even, doubled(maps), _FINE_STEPS)
        # Evened detail finds positions, plain detail scores them: a few copies more of a hundred are found so (decision
        # 0012).
        score, at = _likeness(plain[owner], target, maps).view(count, -1).max(dim=1, keepdim=True)
        # Whichever way it was turned: mirrored maps alone have a negative determinant.
        mirrored = torch.linalg.det(maps[:, :, :2]).view(count, -1) < 0
        return take(index.view(count, -1), at), score[:, 0], take(mirrored, at), candidates, likeness


def nearest_images(queries: Array, training: Array) -> Nearest:
    """Most alike training image of each query: one search in a `Gallery`."""
    return Gallery(training).nearest(queries)


def _axes(spectra: Tensor) -> Tensor:
    """Orthogonal axes (D, K) of the subspace in which unit spectra (M, D) lie, or nearly lie.

    Queries are of unit length before they are projected, so products in it are those of the whole vectors.
    """
    if len(spectra) <= _COMPONENTS:
        axes: Tensor = torch.linalg.qr(spectra.T).Q
        return axes
    power = (spectra.T @ spectra).double().numpy()
    # `eigh` gives eigenvalues in rising order: the last axes hold most.
    _, vectors = linalg.eigh(power, subset_by_index=[len(power) - _COMPONENTS, len(power) - 1])
    return torch.from_numpy(np.ascontiguousarray(vectors)).float()


def _details(images: Array, windows: Array | None, band: Band) -> tuple[Tensor, Tensor]:
    """Detail (N, 64, 64) and evened detail, as far as it counts."""
    plain = detail(images, band)
    if windows is None:
        return plain, evened(plain)
    weight = torch.from_numpy(np.ascontiguousarray(windows, dtype=np.float32))
    return plain * weight, evened(plain) * weight


def _prepared(_: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
    return _coarse(fine), unit(_spectrum(fine).flatten(1))


def _coarse(fine: Tensor) -> Tensor:
    # Blurred before it is halved, or what is finer than a coarse pixel would come out as aliases.
    return halved(blur(fine[:, None], 1.0)[:, 0])


@cache
def _polar_grid() -> Tensor:
    """Places (radii, angles, 2) on the centred spectrum, half a turn only: magnitudes repeat after 180 degrees."""
    angle = torch.arange(_ANGLES) * (math.pi / _ANGLES)
    radius = torch.logspace(math.log10(_LOWEST), math.log10(_HIGHEST), _RADII)[:, None] * _SPECTRUM
    # Rows count downwards and angles upwards, hence the minus.
    place = torch.stack([radius * torch.cos(angle), -radius * torch.sin(angle)], -1)
    return (place + _SPECTRUM / 2) / (_SPECTRUM - 1) * 2 - 1


def _spectrum(fine: Tensor) -> Tensor:
    """Log magnitudes of the Fourier spectrum (N, radii, angles), less their mean at each radius."""
    ramp = torch.arange(SIDE) + 0.5
    fade = torch.sin((torch.minimum(ramp, SIDE - ramp) / _FADE).clamp(max=1) * (math.pi / 2)).square()
    magnitude = torch.fft.fft2(fine * fade * fade[:, None], s=(_SPECTRUM, _SPECTRUM)).abs()
    # Power falls by decades with frequency: without the logarithm the lowest ring alone would decide.
    centred = torch.log1p(torch.fft.fftshift(magnitude, dim=(-2, -1)))
    polar = F.grid_sample(centred[:, None], _polar_grid().expand(len(fine), -1, -1, -1), align_corners=True)[:, 0]
    # How power falls with frequency is much the same in all heads, and says nothing of the turn.
    return polar - polar.mean(-1, keepdim=True)


@cache
def _states(upright: bool) -> Tensor:
    """Mirrored or not, steps of the angle and steps of the radius (S, 3) by which spectra are shifted."""
    few, sizes = (1, 2) if upright else (_TURNS, _ZOOMS)
    turns = [quarter + turn for quarter in (0, _ANGLES // 2)[: 2 - upright] for turn in range(-few, few + 1)]
    zooms = range(-sizes, sizes + 1)
    return torch.tensor([[mirror, turn, zoom] for mirror in (0, 1) for turn in turns for zoom in zooms])


def _turned(spectra: Tensor, states: Tensor) -> Tensor:
    """Spectra (N, S, radii, angles) in these states (S, 3)."""
    # A mirror sends each angle to its negative. Flipping alone would send the first to the last, so one step back.
    mirrored = (spectra, spectra.flip(2).roll(1, 2))
    return torch.stack(
        [
            # What is pushed out at one end has nothing to come after it at the other.
            F.pad(mirrored[mirror].roll(turn, 2), (0, 0, zoom, -zoom))
            for mirror, turn, zoom in states.tolist()
        ],
        dim=1,
    )


def _linear(states: Tensor) -> Tensor:
    """Linear maps (..., 2, 2) from places of the training image to places of the query in these states (..., 3)."""
    mirror, angle = states[..., 0], states[..., 1] * (math.pi / _ANGLES)
    # A spectrum that must be pushed outwards is that of a query that is too large.
    size = torch.exp(states[..., 2] * (math.log(_HIGHEST / _LOWEST) / (_RADII - 1)))
    cosine, sine = angle.cos() * size, angle.sin() * size
    turned = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)
    return torch.stack([1 - 2 * mirror, torch.ones_like(mirror)], -1)[..., None] * turned


def _shifted(moving: Tensor, fixed: Tensor, linear: Tensor) -> tuple[Tensor, Tensor]:
    """Best correlation (P,) over whole-pixel shifts at the coarse side, and the maps (P, 2, 3) with that shift."""
    still = torch.cat([linear, torch.zeros(len(linear), 2, 1)], dim=2)
    turned, _ = warp(moving, still)
    # The product of spectra is a correlation that wraps round. Only short shifts are read, of which little wraps.
    curve = torch.fft.irfft2(torch.fft.rfft2(turned).conj() * torch.fft.rfft2(fixed), s=(COARSE, COARSE))
    width = 2 * _REACH + 1
    peak, at = curve.roll((_REACH, _REACH), (1, 2))[:, :width, :width].flatten(1).max(dim=1)
    shift = torch.stack([at % width - _REACH, at // width - _REACH], dim=1).float()
    power = turned.square().sum((1, 2)) * fixed.square().sum((1, 2))
    return peak / power.sqrt().clamp_min(1e-9), torch.cat([linear, -(linear @ shift[..., None])], dim=2)


def _likeness(moving: Tensor, fixed: Tensor, maps: Tensor) -> Tensor:
    """Correlation (P,) where both pictures show something; 0 where that is too little."""
    seen, valid = warp(moving, maps)
    # Of two pictures that share a corner a position is always found in which it agrees.
    return correlation(seen, fixed, valid) * (valid.mean((1, 2)) >= _LEAST_SEEN)
