"""A generator that repaints: a simulated slice goes in, the same slice with the look of real scans comes out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.generators.gan.dcgan import check_size

STEM = 2
"""Side of the blocks of pixels that the network works on."""

EDGE = 0.98
"""Images are pulled in to this before the inverse of tanh is taken."""

CUT = 0.97
"""What lies beyond this after tanh is black or white: less than ``EDGE``, so that black stays black by itself."""


BRIGHT = 0.1
"""Mean of 3x3 pixels, on the cohort's scale, above which there is no air."""


class Repainter(nn.Module):
    """Simulated planes and noise (B, C + L + 1, S, S) -> repainted planes (B, C + L, S, S), both in -1..1.

    The first C planes of the input are the simulated modalities, then come L label planes and one of standard normal
    noise. What is drawn is a correction of the modalities, added before the final tanh, so that an untrained network
    gives the simulated slice back; the labels are passed on untouched, so they are exact whatever is learned. Anatomy,
    variety and labels thus come from the simulation, and only appearance is learned. Air stays as it comes.

    The style of a slice (contrast, scanner) is a code of Z numbers, the first ones of the noise plane, that scales and
    shifts the maps of every residual block (Perez et al. 2018, FiLM; Huang and Belongie 2017); the noise plane itself
    gives texture.

    Args:
        size: S, from 16 and divisible by 4.
        channels: C.
        labels: L.
        style: Z, at most the pixels of a slice.
        width: feature maps at half the side; twice as many at a quarter.

    Raises:
        ConfigError: another side.
    """

    classes = 0

    def __init__(self, size: int, channels: int, labels: int, style: int = 16, width: int = 32) -> None:
        super().__init__()
        check_size(size, fours=True)
        self.channels, self.latent = channels, min(style, size * size)
        inputs = (channels + labels + 1) * STEM**2
        self.entry = nn.Conv2d(inputs, width, 3, padding=1)
        self.near = StyledBlock(width, self.latent)
        self.down = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.deep = nn.ModuleList([StyledBlock(2 * width, self.latent) for _ in range(2)])
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.last = StyledBlock(width, self.latent)
        self.leave = nn.Conv2d(width, 8 * STEM**2, 3, padding=1)
        # At full side, over the blocks' borders: otherwise each block of pixels would be painted for itself.
        self.head = nn.Conv2d(8 + channels, channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, planes: Tensor, label: Tensor | None = None) -> Tensor:
        """Repaint."""
        image, marks, noise = planes[:, : self.channels], planes[:, self.channels : -1], planes[:, -1:]
        style = noise.flatten(1)[:, : self.latent]
        near = self.near(self.entry(F.pixel_unshuffle(planes, STEM)), style)
        maps = self.down(near)
        for block in self.deep:
            maps = block(maps, style)
        maps = self.up(F.interpolate(maps, scale_factor=2.0, mode="nearest")) + near
        maps = F.leaky_relu(F.pixel_shuffle(self.leave(self.last(maps, style)), STEM), 0.2)
        correction = self.head(torch.cat([maps, image], dim=1))
        # Scans are cut at black too: their air is exactly black but for the peaks of its noise. The gradient passes
        # the cut, or what begins black would stay so.
        painted = torch.tanh(torch.atanh(image * EDGE) + correction) / CUT
        painted = painted + (painted.clamp(-1, 1) - painted).detach()
        return torch.cat([torch.where(within(image), painted, image), marks], dim=1)


def fitted_to(
    weights: Mapping[str, Tensor], critic: Mapping[str, Tensor], channels: int, labels: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights learned from one modality and one label, for other numbers of them.

    Each modality is read and corrected like the one that was known: the first layers take the mean of all modalities in
    its place, the last one paints every modality alike (Carreira and Zisserman 2017 inflate a network so). In the place
    of the label stands whether a pixel bears any.

    Args:
        weights: of a ``Repainter`` of one modality and one label.
        critic: of the ``PatchDiscriminator`` that judged it.
        channels: C, 1 or more.
        labels: L, which exclude one another; 0 for none.

    Returns:
        Weights of a ``Repainter`` of C modalities and L labels, and of its discriminator.
    """
    painter, judge = dict(weights), dict(critic)
    for network, layer, block in ((painter, "entry", STEM**2), (judge, "layers.0", 1)):
        kernel, bias = network[f"{layer}.weight"], network[f"{layer}.bias"]
        image, mark, noise = kernel[:, :block], kernel[:, block : 2 * block], kernel[:, 2 * block :]
        parts = [image / channels] * channels + [mark] * labels + [noise]
        network[f"{layer}.weight"] = torch.cat(parts, dim=1)
        # A label plane is -1 where there is none: L of them say -1 L times, or once less and 1 once.
        network[f"{layer}.bias"] = bias + (labels - 1) * mark.sum(dim=(1, 2, 3))
    kernel = painter["head.weight"]
    maps, image = kernel[:, :-1].expand(channels, -1, -1, -1), kernel[0, -1]
    own = torch.zeros(channels, channels, *image.shape, dtype=kernel.dtype)
    own[range(channels), range(channels)] = image
    painter["head.weight"] = torch.cat([maps, own], dim=1)
    painter["head.bias"] = painter["head.bias"].expand(channels).clone()
    return painter, judge


def within(images: Tensor) -> Tensor:
    """Where the head is in pictures (B, C, S, S) in -1..1: True there and False in the air, (B, 1, S, S).

    Pixels with something bright above, below, left and right of them, and their neighbours. Cavities and dark skull
    belong to it; the grain of air is not bright, nor are lonely pixels.
    """
    brightness = F.avg_pool2d(images.amax(dim=1, keepdim=True), 3, 1, 1, count_include_pad=False)
    bright = (brightness > 2 * BRIGHT - 1).to(images.dtype)
    inside = torch.ones_like(bright)
    for axis in (2, 3):
        before = bright.cummax(dim=axis).values
        after = bright.flip(axis).cummax(dim=axis).values.flip(axis)
        inside = inside * before * after
    return F.max_pool2d(inside, 3, stride=1, padding=1) > 0


class StyledBlock(nn.Module):
    """Residual block of two 3x3 convolutions; its maps are normalised and then scaled and shifted by the style."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.style = nn.Linear(style, 2 * width)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """(B, W, H, W) and (B, Z) -> (B, W, H, W)."""
        gain, shift = self.style(style)[:, :, None, None].chunk(2, dim=1)
        inside = F.instance_norm(self.first(maps)) * (1 + gain) + shift
        changed: Tensor = maps + self.second(F.leaky_relu(inside, 0.2))
        return changed
