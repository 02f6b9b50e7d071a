"""Residual generator and discriminator without normalisation, for games that a penalty holds in balance.

Batch norm ties the images of a batch together, which a penalty on single images does not allow for, and on a few
hundred slices it invites collapse. Here the last convolution of each residual branch begins at zero instead (Zhang et
al. 2019, Fixup; Huang et al. 2024, R3GAN): an untrained network is a chain of linear maps whose scale does not grow
with its depth.

Sizes change by bilinear doubling and by means over 2x2 pixels, with convolutions of their own. Strided transposed
convolutions meet some pixels more often than others and leave a checkerboard (Odena et al. 2016).

Images are (B, C, S, S) in -1..1: the modalities first, then one channel a tumour label where masks are drawn too.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.generators.gan.dcgan import batch_deviation, check_size, with_class
from synthoma.generators.gan.tricks import beside_the_others, minibatch_part

SLOPE = 0.2
"""Of leaky ReLU below 0."""

OUTSIDE = 0.1
"""Of what lies outside -1..1, the part that is drawn in training mode."""

NARROW = 2
"""A branch is narrower by this than the narrower end of its block: half the work, more steps in the same minutes."""

EXCITED = 3
"""Doublings of the side between maps that scale and maps that are scaled."""

WIDEST = 256
"""Most feature maps of a layer."""


class ResidualGenerator(nn.Module):
    """Latent (B, Z) and, where there are classes, class numbers (B,) -> images (B, C, S, S) in -1..1.

    Dense to 4x4, then blocks that double the side and halve the width, and a convolution to the image, cut to -1..1; in
    training mode what lies outside is shortened instead. Behind a tanh, without normalisation, the first few steps
    drive all pixels towards the -1 of a scan's background, where the gradient vanishes, and nothing is ever learned;
    without any bend the background never becomes as flat as a scan's.

    Args:
        size: side S, a power of two from 16.
        channels: C.
        latent: Z.
        width: feature maps at half the side; half as many at the full side.
        classes: number of classes; 0 for a generator that knows none.
        excitation: let small maps scale large ones, see ``SkipExcitation``; for sides from 32.

    Raises:
        ConfigError: a side that is no power of two from 16.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        latent: int = 100,
        width: int = 32,
        classes: int = 0,
        *,
        excitation: bool = False,
    ) -> None:
        super().__init__()
        check_size(size, fours=False)
        self.latent, self.classes = latent, classes
        self.embedding = nn.Embedding(classes, latent) if classes else None
        widths = widths_of(size, width)[::-1]
        self.stem = nn.Linear(latent * (2 if classes else 1), widths[0] * 16)
        self.blocks = nn.ModuleList([GrowingBlock(before, after) for before, after in pairwise(widths)])
        far = zip(widths, widths[EXCITED:], strict=False) if excitation else ()
        self.excitations = nn.ModuleList([SkipExcitation(before, after) for before, after in far])
        self.head = nn.Conv2d(widths[-1], channels, 3, padding=1)
        nn.init.normal_(self.stem.weight, 0.0, self.stem.in_features**-0.5)  # maps of deviation 1 from a normal latent
        nn.init.zeros_(self.stem.bias)
        # Half of that scale: first images have deviation 0.5, within the -1 to 1 where the cut has its full slope.
        nn.init.normal_(self.head.weight, 0.0, (9 * widths[-1]) ** -0.5 / 2)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Draw images."""
        maps = self.stem(with_class(latent, label, self.embedding)).view(len(latent), -1, 4, 4)
        smaller = [maps]
        for number, block in enumerate(self.blocks, 1):
            maps = block(maps)
            if self.excitations and number >= EXCITED:
                maps = self.excitations[number - EXCITED](smaller[number - EXCITED], maps)
            smaller.append(maps)
        images: Tensor = self.head(F.leaky_relu(maps, SLOPE))
        inside = images.clamp(-1.0, 1.0)
        return inside + OUTSIDE * (images - inside) if self.training else inside


class ResidualDiscriminator(nn.Module):
    """Images (B, C, S, S) and, where there are classes, class numbers (B,) -> scores without bounds (B,).

    A convolution, blocks that halve the side and double the width down to 4x4, and a dense layer. The class enters by
    projection (Miyato and Koyama 2018), as in ``dcgan.Discriminator``.

    Args:
        size: side S, a power of two from 16.
        channels: C.
        width: feature maps at half the side; half as many at the full side.
        classes: number of classes; 0 for a discriminator that knows none.
        minibatch_deviation: add the batch's mean deviation as a feature map before the end (Karras et al. 2018, 3).
        minibatch: kernels and depth of minibatch discrimination; (0, ...) for none.

    Raises:
        ConfigError: a side that is no power of two from 16.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        width: int = 32,
        classes: int = 0,
        *,
        minibatch_deviation: bool = False,
        minibatch: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__()
        check_size(size, fours=False)
        widths = widths_of(size, width)
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList([ShrinkingBlock(before, after) for before, after in pairwise(widths)])
        self.minibatch_deviation = minibatch_deviation
        features = (widths[-1] + minibatch_deviation) * 16
        self.minibatch = minibatch_part(features, *minibatch)
        self.head = nn.Linear(features + minibatch[0], 1)
        self.embedding = nn.Embedding(classes, widths[-1]) if classes else None
        scale_weights(self.stem, 1.0)
        nn.init.normal_(self.head.weight, 0.0, self.head.in_features**-0.5)
        nn.init.zeros_(self.head.bias)
        if self.embedding is not None:  # its product with sums over the picture must not begin in the hundreds
            nn.init.zeros_(self.embedding.weight)

    def features(self, images: Tensor) -> Tensor:
        """Feature maps (B, F, 4, 4) before the output."""
        maps: Tensor = self.stem(images)
        for block in self.blocks:
            maps = block(maps)
        return F.leaky_relu(maps, SLOPE)

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Judge images."""
        maps = self.features(images)
        pooled = maps.sum(dim=(2, 3))
        if self.minibatch_deviation:
            maps = torch.cat([maps, batch_deviation(maps)], dim=1)
        score: Tensor = self.head(beside_the_others(maps.flatten(1), self.minibatch)).squeeze(1)
        if self.embedding is not None:
            score = score + (self.embedding(label) * pooled).sum(dim=1)
        return score


class GrowingBlock(nn.Module):
    """(B, before, H, W) -> (B, after, 2 H, 2 W): bilinear doubling, and a branch of two 3x3 convolutions added."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.skip = _skip(before, after)
        self.first = nn.Conv2d(before, after // NARROW, 3, padding=1)
        self.second = nn.Conv2d(after // NARROW, after, 3, padding=1)
        _branch(self.first, self.second)

    def forward(self, maps: Tensor) -> Tensor:
        """Double the side; widths change while the maps are small."""
        inside = F.leaky_relu(self.first(F.leaky_relu(maps, SLOPE)), SLOPE)
        # The 1x1 convolution before the doubling: both are linear and commute, and it has a quarter of the places to go
        # over.
        grown: Tensor = _doubled(self.skip(maps)) + self.second(_doubled(inside))
        return grown


class SkipExcitation(nn.Module):
    """Small maps (B, before, H, W) scale large ones (B, after, 8 H, 8 W): factors in 0..2, one a map and image.

    A shortcut for the gradient from the full side to the maps that lay out the picture, which speeds up learning on few
    images (Liu et al. 2021, FastGAN, eq. 1). The paper's factors lie in 0..1; without normalisation behind them these
    begin at 1, so that the untrained chain stays linear.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 4)
        self.second = nn.Conv2d(after, after, 1)
        _branch(self.first, self.second)

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """Scale the large maps."""
        # To 4x4, over which the first convolution reaches as a whole: one factor a map, blind to places.
        pooled = F.avg_pool2d(small, small.shape[2] // 4)
        # Twice the sigmoid is 1 at 0: small weights leave the maps as they are.
        factors = 2 * torch.sigmoid(self.second(F.leaky_relu(self.first(pooled), SLOPE)))
        scaled: Tensor = large * factors
        return scaled


class ShrinkingBlock(nn.Module):
    """(B, before, H, W) -> (B, after, H/2, W/2): means over 2x2 pixels, and a branch of two 3x3 convolutions added."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.skip = _skip(before, after)
        self.first = nn.Conv2d(before, before // NARROW, 3, padding=1)
        self.second = nn.Conv2d(before // NARROW, after, 3, padding=1)
        _branch(self.first, self.second)

    def forward(self, maps: Tensor) -> Tensor:
        """Halve the side; widths change when the maps are small."""
        inside = F.leaky_relu(self.first(F.leaky_relu(maps, SLOPE)), SLOPE)
        shrunk: Tensor = self.skip(F.avg_pool2d(maps, 2)) + self.second(F.avg_pool2d(inside, 2))
        return shrunk


def widths_of(size: int, width: int) -> list[int]:
    """Feature maps at the full side, at half of it, and so on down to 4 pixels."""
    return [min(max(width * 2**step // 2, 4), max(WIDEST, width)) for step in range(int(math.log2(size)) - 1)]


def _doubled(maps: Tensor) -> Tensor:
    """(B, W, H, W) -> (B, W, 2 H, 2 W) by bilinear interpolation, whose gradient CUDA adds up in one order only here.

    Repeating each pixel instead leaves blocks that the convolutions turn into stripes along rows and columns.
    """
    for axis in (2, 3):
        last = maps.shape[axis] - 1
        before = torch.cat([maps.narrow(axis, 0, 1), maps.narrow(axis, 0, last)], axis)
        after = torch.cat([maps.narrow(axis, 1, last), maps.narrow(axis, last, 1)], axis)
        # Middles of the new pixels lie a quarter of a pixel from that of the old one, on either side.
        maps = torch.stack([maps.lerp(before, 0.25), maps.lerp(after, 0.25)], axis + 1).flatten(axis, axis + 1)
    return maps


def _skip(before: int, after: int) -> nn.Module:
    """What goes past a branch; where the width changes, a 1x1 convolution that keeps the scale."""
    if before == after:
        return nn.Identity()
    skip = nn.Conv2d(before, after, 1, bias=False)
    scale_weights(skip, 1.0)
    return skip


def _branch(first: nn.Conv2d, second: nn.Conv2d) -> None:
    """Begin a branch at 0; its first convolution keeps the scale behind a leaky ReLU (He et al. 2015)."""
    scale_weights(first, math.sqrt(2 / (1 + SLOPE**2)))
    nn.init.zeros_(second.weight)
    nn.init.zeros_(second.bias)  # type: ignore[arg-type]


def scale_weights(layer: nn.Conv2d, gain: float) -> None:
    """Normal weights with which the output's deviation is ``gain`` times the input's; bias 0."""
    nn.init.normal_(layer.weight, 0.0, gain * math.prod(layer.weight.shape[1:]) ** -0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
