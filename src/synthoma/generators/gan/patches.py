"""A discriminator that judges a picture piece by piece (Isola et al. 2017)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Images, or images and masks together (B, C, S, S) in -1..1 -> logits (B, places), one for each piece.

    Three convolutions that halve the side and one that does not: a piece is 38 pixels wide, and one is judged every 8
    pixels. It cannot see how a whole picture is laid out, and a few slices hold thousands of pieces: much harder to
    learn by heart than the slices themselves.

    Args:
        channels: C.
        width: feature maps of the first layer.
        spectral: spectral normalisation of all layers but the last (Miyato et al. 2018).
    """

    def __init__(self, channels: int, width: int = 32, *, spectral: bool = True) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layer = nn.Conv2d(before, after, 4, stride=2, padding=1)
            layers.append(nn.utils.parametrizations.spectral_norm(layer) if spectral else layer)
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Judge each piece; classes are unknown here."""
        logits: Tensor = self.layers(images).flatten(1)
        return logits

    def features(self, images: Tensor) -> Tensor:
        """Feature maps (B, F, S/8, S/8) before the output."""
        maps: Tensor = self.layers[:-1](images)
        return maps
