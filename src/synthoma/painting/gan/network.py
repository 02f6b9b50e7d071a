"""The two networks of the painter: one fills a region, the other tells patches of filled ones from real ones.

Both are convolutional throughout: they take slices of any size whose sides divide by ``STRIDE``, at the pixel size at
which they learned. There is no normalisation, so that what lies far away changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from synthoma.core.types import MODALITIES, REGIONS

STRIDE = 4
SEQUENCES = len(MODALITIES)
FIELDS = 4
"""Planes of noise: three that are smooth over some mm, as those of ``painting.growth``, and one of single pixels."""
TOLD = 2 + len(REGIONS) + SEQUENCES
"""Planes that both networks are told: margin, whether regions are known, the regions, and which sequences there are."""


class Filler(nn.Module):
    """Fills a region: (images with the region blanked, what is told, noise) -> images."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.enter = _block(SEQUENCES + TOLD + FIELDS, width)
        self.down1 = nn.Sequential(_block(width, 2 * width, 2), _block(2 * width, 2 * width))
        self.down2 = _block(2 * width, 4 * width, 2)
        self.deep = nn.ModuleList([_Residual(4 * width) for _ in range(2)])
        self.up1 = _block(6 * width, 2 * width)
        self.up2 = _block(3 * width, width)
        self.leave = nn.Conv2d(width, SEQUENCES, 3, padding=1)

    def forward(self, blanked: Tensor, told: Tensor, noise: Tensor) -> Tensor:
        """Fill it.

        Args:
            blanked: (B, 4, H, W), grey values relative to white matter, 0 in the region and in missing sequences.
            told: (B, ``TOLD``, H, W), see ``told_planes``.
            noise: (B, ``FIELDS``, H, W), mean 0 and standard deviation 1.

        Returns:
            (B, 4, H, W), grey values relative to white matter; in sequences that are missing, nothing of worth.
        """
        first = self.enter(torch.cat([blanked, told, noise], 1))
        second = self.down1(first)
        deep = self.down2(second)
        for block in self.deep:
            deep = block(deep)
        second = self.up1(torch.cat([_doubled(deep), second], 1))
        # About 1, which is white matter: what it has not learned yet looks like brain and not like air.
        found: Tensor = 1 + self.leave(self.up2(torch.cat([_doubled(second), first], 1)))
        return found


class Judge(nn.Module):
    """Tells real patches from filled ones: how real each looks, and the layers by which it saw that."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        sizes = (SEQUENCES + TOLD, width, 2 * width, 3 * width)
        kernels = ((4, 2), (4, 2), (3, 1))
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, kernel, stride, padding=1))
            for before, after, (kernel, stride) in zip(sizes, sizes[1:], kernels, strict=False)
        )
        self.leave = spectral_norm(nn.Conv2d(sizes[-1], 1, 3, padding=1))

    def forward(self, images: Tensor, told: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Judge.

        Args:
            images: (B, 4, H, W) as ``Filler`` gives them, put into the slice.
            told: as for ``Filler``.

        Returns:
            (B, 1, H / 4, W / 4), above 0 where it looks real, and the features of each layer.
        """
        value, features = torch.cat([images, told], 1), []
        for layer in self.layers:
            value = F.leaky_relu(layer(value), 0.2)
            features.append(value)
        return self.leave(value), features


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, value: Tensor) -> Tensor:
        inner = self.second(F.leaky_relu(self.first(F.leaky_relu(value, 0.2)), 0.2))
        found: Tensor = value + inner
        return found


def _block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1), nn.LeakyReLU(0.2))


def _doubled(value: Tensor) -> Tensor:
    return F.interpolate(value, scale_factor=2.0, mode="nearest")
