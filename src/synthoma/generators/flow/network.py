"""A generator that follows a learned velocity from noise to images: rectified flow with a small U-Net.

The U-Net is our own: MONAI's ``DiffusionModelUNet`` of the same million weights takes 1.8 times as long for a step at
64 px on one core (50 against 90 images a second), has attention that cannot be left out, and needs einops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.generators.gan.dcgan import check_size

STEM = 2
"""Side of the blocks of pixels that the network works on."""

WIDEST = 4
"""Feature maps of the deepest levels, over those of the first."""

CODE = 128
"""Length of the code of time and class that steers every block."""

WAVES = 16
"""Frequencies in which the time is written, from half a wave to 500 over its range."""

SPREAD = 0.5
"""Standard deviation of image values that the scales of input and output suppose (Karras et al. 2022, table 1)."""


class FlowGenerator(nn.Module):
    """Standard normal noise (B, P, S, S) and, where there are classes, class numbers (B,) -> as many images in -1..1.

    Args:
        size: side S, a power of two from 16.
        planes: P, the modalities and one plane a label.
        width: feature maps at half the side; at most four times as many below.
        classes: number of classes; 0 for a generator that knows none.
        steps: of the integration, each of two evaluations of the network but the last.

    Raises:
        ConfigError: a side that the network cannot draw.
    """

    def __init__(self, size: int, planes: int, width: int = 32, classes: int = 0, steps: int = 8) -> None:
        super().__init__()
        check_size(size, fours=False)
        self.classes, self.steps = classes, steps
        self.network = VelocityNetwork(size, planes, width, classes)

    def velocity(self, images: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        """Velocity (B, P, S, S) of noised images (B, P, S, S) at times (B,) in 0 (data) to 1 (noise).

        The network sees its input at unit variance and gives the part of the velocity, at unit variance, that is not a
        multiple of the input: the preconditioning of Karras et al. 2022 (table 1), for straight paths.
        """
        share = time.view(-1, 1, 1, 1)
        variance = share**2 + (1 - share) ** 2 * SPREAD**2
        # The best straight-line guess of noise - data from the input: their covariance over the input's variance, for
        # independent data of deviation SPREAD.
        known = (share - (1 - share) * SPREAD**2) / variance
        # The deviation of what that guess leaves: so the network's output has unit variance at every time.
        unknown = SPREAD / variance.sqrt()
        drawn: Tensor = self.network(images / variance.sqrt(), time, label)
        return known * images + unknown * drawn

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Draw images."""

        def velocity(images: Tensor, time: float) -> Tensor:
            # Steps are summed in the precision of the noise, also where the network runs in half of it.
            return self.velocity(images, images.new_full((len(images),), time), label).to(images.dtype)

        return integrate(velocity, noise, self.steps).clamp(-1, 1)


def integrate(velocity: Callable[[Tensor, float], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Follow dx/dt = velocity(x, t) from t = 1 to 0 by the midpoint rule (second order).

    Steps shrink with the noise, t = (1 - i / steps)^2: detail is made near the end. The last one is straight, so that
    it ends at what the velocity takes for the data behind the last noise; a midpoint would double its error, which
    shows as grain. The velocity at t = 0, where nothing is left to tell it from, is never asked for. Evaluations:
    2 * steps - 1.
    """
    images = noise
    for now, then in pairwise((1 - step / steps) ** 2 for step in range(steps + 1)):
        moved = velocity(images, now)
        if then > 0:
            moved = velocity(images + (then - now) / 2 * moved, (now + then) / 2)
        images = images + (then - now) * moved
    return images


class VelocityNetwork(nn.Module):
    """U-Net on blocks of 2 x 2 pixels, down to 8 x 8 places: (B, P, S, S), times (B,), classes (B,) -> (B, P, S, S)."""

    def __init__(self, size: int, planes: int, width: int, classes: int) -> None:
        super().__init__()
        levels = max(2, int(math.log2(size // STEM)) - 2)
        widths = [width * min(2**level, WIDEST) for level in range(levels)]
        self.code = nn.Sequential(nn.Linear(2 * WAVES, CODE), nn.SiLU(), nn.Linear(CODE, CODE))
        self.embedding = nn.Embedding(classes, CODE) if classes else None
        self.entry = nn.Conv2d(planes * STEM**2, width, 3, padding=1)
        self.down = nn.ModuleList(SteeredBlock(a, b) for a, b in pairwise([width, *widths]))
        self.deep = SteeredBlock(widths[-1], widths[-1])
        self.up = nn.ModuleList(SteeredBlock(2 * b, a) for a, b in reversed([*pairwise([width, *widths])]))
        self.norm = _norm(width)
        self.leave = nn.Conv2d(width, planes * STEM**2, 3, padding=1)
        # An untrained network adds nothing: the flow begins with the straight-line guess.
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        """Predict."""
        code = self.code(waves(time))
        if self.embedding is not None:
            code = code + self.embedding(label)
        # Once for all blocks, each of which has a layer of its own behind it.
        code = F.silu(code)
        maps = self.entry(F.pixel_unshuffle(images, STEM))
        kept = []
        for level, block in enumerate(self.down):
            maps = block(F.avg_pool2d(maps, 2) if level else maps, code)
            kept.append(maps)
        maps = self.deep(maps, code)
        for level, block in enumerate(self.up):
            maps = F.interpolate(maps, scale_factor=2.0, mode="nearest") if level else maps
            maps = block(torch.cat([maps, kept.pop()], dim=1), code)
        drawn: Tensor = F.pixel_shuffle(self.leave(F.silu(self.norm(maps))), STEM)
        return drawn


class SteeredBlock(nn.Module):
    """Residual block of two 3x3 convolutions, scaled and shifted between them by the code (Dhariwal & Nichol 2021)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = _norm(before), _norm(after)
        self.first = nn.Conv2d(before, after, 3, padding=1)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.steer = nn.Linear(CODE, 2 * after)
        self.past = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        # The branch begins at its bias alone, so that a deep chain passes what it is given.
        nn.init.zeros_(self.second.weight)

    def forward(self, maps: Tensor, code: Tensor) -> Tensor:
        """(B, before, H, W) and (B, CODE) -> (B, after, H, W)."""
        # A gain about 1: where `steer` gives 0, nothing changes.
        gain, shift = self.steer(code)[:, :, None, None].chunk(2, dim=1)
        inside = self.second_norm(self.first(F.silu(self.first_norm(maps)))) * (1 + gain) + shift
        changed: Tensor = self.past(maps) + self.second(F.silu(inside))
        return changed


def waves(time: Tensor) -> Tensor:
    """Times (B,) in 0..1 as sines and cosines (B, 2 * WAVES) of rising frequency."""
    # Low frequencies tell early from late, high ones neighbouring times.
    frequency = math.pi * torch.logspace(0, 3, WAVES, device=time.device)
    angle = time[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _norm(width: int) -> nn.GroupNorm:
    """One group: with fewer channels in each, the mean brightness of a slice is lost on the network."""
    return nn.GroupNorm(1, width)
