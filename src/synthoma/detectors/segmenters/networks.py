"""Segmenters: from slices to one logit map for each target, and the discriminators of the adversarial ones.

All take images on a cohort's scale (0 background, 1 bright tissue; see ``scale``) with the slices of their context
as channels, and give logits of the same height and width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.core.errors import ConfigError
from synthoma.detectors.settings import FROM_GAN, SegmenterNetwork
from synthoma.generators.gan.dcgan import Discriminator, Generator

# Two, then 7, 14 and 28 pixels: the seed project's layers fit no other side.
MASK_SEED_SIZE = 28


@dataclass(frozen=True)
class SegmenterShape:
    """What a segmenter sees and gives: ``channels`` modalities, ``targets`` maps, ``size`` pixels a side."""

    size: int
    channels: int
    targets: int


def build_segmenter(config: SegmenterNetwork, shape: SegmenterShape) -> nn.Module:
    """A new segmenter with random weights: (B, context * C, S, S) -> logits (B, T, S, S).

    The channels are the slices of the context, lowest first, each with its modalities.

    Raises:
        ConfigError: the network cannot work on images of this size.
    """
    config = config.fitted(shape.size)
    _check_size(config, shape.size)
    inputs, width = config.context * shape.channels, config.width
    widths = [min(width * 2**level, 20 * width) for level in range(5)]
    if config.network == "unet-25d":
        return ResidualUNet(inputs, shape.targets, width, config.levels, config.stem)
    if config.network == "resunet-seed":
        return SeedResUNet(inputs, shape.targets)
    if config.network == "mask-seed":
        return SeedMaskGenerator(inputs, shape.targets)
    if config.network == "critic-unet":
        return CriticUNet(shape.size, inputs, shape.targets, width)
    if config.network == "gan-unet":
        return GanUNet(shape.size, inputs, shape.targets, width)
    from monai.networks import nets  # slow to load, and the default does without

    kernels, strides = [3] * 5, [1, 2, 2, 2, 2]
    network: nn.Module = {
        "resunet": lambda: nets.UNet(2, inputs, shape.targets, widths, [2] * 4, num_res_units=2, norm="batch"),
        "segresnet": lambda: nets.SegResNet(2, width, inputs, shape.targets),
        "dynunet": lambda: nets.DynUNet(
            2, inputs, shape.targets, kernels, strides, strides[1:], filters=widths, norm_name="batch"
        ),
    }[config.network]()
    return network


def _check_size(config: SegmenterNetwork, size: int) -> None:
    if config.network == "mask-seed":
        if size != MASK_SEED_SIZE:
            raise ConfigError(f"slices of {MASK_SEED_SIZE} px", f"{size} px", f"prepare with --size {MASK_SEED_SIZE}")
        return
    if config.network in FROM_GAN:
        return  # its discriminator says so itself
    if config.network == "segresnet" and config.width % 8:
        raise ConfigError("a width divisible by 8 for segresnet", f"{config.width}", "set segmenter.width=16")
    halvings = config.levels - 1 + int(math.log2(config.stem)) if config.network == "unet-25d" else 4
    step = 2**halvings
    if size % step:
        near = max(step, round(size / step) * step)
        raise ConfigError(f"a size divisible by {step} for {config.network}", f"{size}", f"prepare with --size {near}")


# --- ours -------------------------------------------------------------------------------------------------------


class ResidualUNet(nn.Module):
    """Residual U-Net whose finest level works on blocks of pixels (space to depth, as ESPCN read backwards).

    (B, C, S, S) -> logits (B, T, S, S). The blocks bring the first convolutions to a half or a quarter of the side,
    where most of the time would go, and the last one draws the blocks' pixels from its features (Shi et al. 2016).

    Args:
        inputs: C, all slices and modalities together.
        targets: T.
        width: feature maps of the finest level; doubled at each level down to at most 12 times.
        levels: resolutions.
        stem: side of a block.
    """

    def __init__(self, inputs: int, targets: int, width: int = 16, levels: int = 5, stem: int = 2) -> None:
        super().__init__()
        widths = [min(width * 2**level, width * 12) for level in range(levels)]
        self.stem = stem
        self.entry = nn.Conv2d(inputs * stem**2, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList([ResidualBlock(widths[0], widths[0])])
        self.down += [ResidualBlock(before, after, stride=2) for before, after in pairwise(widths)]
        self.reduce = nn.ModuleList([nn.Conv2d(widths[i + 1], widths[i], 1) for i in range(levels - 1)])
        self.up = nn.ModuleList([ResidualBlock(2 * widths[i], widths[i]) for i in range(levels - 1)])
        self.head = nn.Conv2d(widths[0], targets * stem**2, 3, padding=1)
        _rare_at_first(self.head)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        maps = self.entry(F.pixel_unshuffle(images, self.stem))
        seen = []
        for block in self.down:
            maps = block(maps)
            seen.append(maps)
        for level in reversed(range(len(self.up))):
            # Narrowed while the maps are small: a quarter of the work.
            wider = F.interpolate(self.reduce[level](maps), scale_factor=2.0, mode="nearest")
            maps = self.up[level](torch.cat([wider, seen[level]], dim=1))
        return F.pixel_shuffle(self.head(maps), self.stem)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, bias=False)
        # A strided 1x1 convolution would read one pixel in four; means read all (He et al. 2019, ResNet-D).
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H / stride, W / stride)."""
        inside = F.relu(self.first_norm(self.first(maps)), inplace=True)
        inside = self.second_norm(self.second(inside))
        return F.relu(inside + self.shortcut(self.pool(maps)), inplace=True)


def _rare_at_first(head: nn.Conv2d) -> None:
    """Begin with a probability of about 1 % everywhere: tumour is rare, and the first steps need not learn that."""
    if head.bias is not None:
        nn.init.constant_(head.bias, math.log(0.01 / 0.99))


# --- the seed projects' networks ----------------------------------------------------------------------------------


class SeedResUNet(nn.Module):
    """The residual U-Net of the LGG seed project: 1,210,513 numbers with 3 inputs (1,206,129 of them trained).

    (B, C, S, S) -> logits (B, T, S, S), S divisible by 16. The original's sigmoid belongs to the loss here.
    """

    def __init__(self, inputs: int = 3, targets: int = 1) -> None:
        super().__init__()
        self.entry = nn.Sequential(*_conv_norm(inputs, 16, 3), nn.ReLU(), *_conv_norm(16, 16, 3), nn.ReLU())
        self.down = nn.ModuleList([_SeedBlock(a, b) for a, b in pairwise((16, 32, 64, 128, 256))])
        self.up = nn.ModuleList([_SeedBlock(a, b) for a, b in ((384, 128), (192, 64), (96, 32), (48, 16))])
        self.head = nn.Conv2d(16, targets, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        maps = self.entry(images)
        seen = []
        for block in self.down:
            seen.append(maps)
            maps = block(F.max_pool2d(maps, 2))
        for block in self.up:
            maps = block(torch.cat([F.interpolate(maps, scale_factor=2.0, mode="nearest"), seen.pop()], dim=1))
        logits: Tensor = self.head(maps)
        return logits


class _SeedBlock(nn.Module):
    """1x1 and 3x3 convolution with batch norm, beside a 1x1 shortcut."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(*_conv_norm(before, after, 1), nn.ReLU(), *_conv_norm(after, after, 3))
        self.shortcut = nn.Sequential(*_conv_norm(before, after, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.main(maps) + self.shortcut(maps))


def _conv_norm(before: int, after: int, kernel: int) -> list[nn.Module]:
    # Keras's batch norm: epsilon 1e-3, and running means that keep 99 % at each step.
    return [
        nn.Conv2d(before, after, kernel, padding=kernel // 2),
        nn.BatchNorm2d(after, eps=1e-3, momentum=0.01),
    ]


class SeedMaskGenerator(nn.Module):
    """The FLAIR-to-mask generator of the seed project: all pixels of a 28 px slice -> dense -> 28 px mask.

    (B, C, 28, 28) -> logits (B, T, 28, 28). The original ends in tanh; 2 * sigmoid(logit) - 1 is the same mask in -1..1
    up to a factor of two inside, so that losses and thresholds are those of every other segmenter.
    """

    def __init__(self, inputs: int = 1, targets: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Linear(inputs * MASK_SEED_SIZE**2, 2 * 2 * 512), nn.BatchNorm1d(2048), nn.LeakyReLU(0.2)
        )
        self.layers = nn.Sequential(
            # "Valid" in Keras: (2 - 1) * 2 + 5 = 7 pixels.
            nn.ConvTranspose2d(512, 256, 5, stride=2),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, 5, stride=2, padding=2, output_padding=1),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, targets, 5, stride=2, padding=2, output_padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        maps = self.stem(images.flatten(1))
        logits: Tensor = self.layers(maps.view(-1, 512, 2, 2))
        return logits


class SeedMaskDiscriminator(nn.Module):
    """The seed project's discriminator: three convolutions and one dense unit at each of 7 x 7 places.

    (B, C, 28, 28) -> logits (B, 49). The original sees masks only; give the image as further channels to correct that.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 64, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 5, stride=2, padding=2),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 256, 5, padding=2),
            nn.BatchNorm2d(256),
            nn.LeakyReLU(0.2),
            nn.Conv2d(256, 1, 1),
        )

    def forward(self, pairs: Tensor) -> Tensor:
        """Judge each place."""
        logits: Tensor = self.layers(pairs).flatten(1)
        return logits


# --- features of a GAN -------------------------------------------------------------------------------------------


class CriticUNet(nn.Module):
    """U-Net whose encoder is a GAN's discriminator, so that what it learned of unlabelled scans can be used again.

    (B, C, S, S) -> logits (B, T, S, S), S a power of two from 32. The discriminator's images are in -1..1.

    Args:
        size: S.
        inputs: C; must be the discriminator's channels when its weights are loaded.
        targets: T.
        width: feature maps of the discriminator's first layer.
    """

    def __init__(self, size: int, inputs: int, targets: int, width: int = 32) -> None:
        super().__init__()
        self.critic = Discriminator(size, inputs, width)
        self.critic.head.requires_grad_(False)  # judges real or not; of no use here
        depth = int(math.log2(size)) - 2
        widths = [min(width * 2**step, 512) for step in range(depth)]
        outs = [*reversed(widths[:-1]), width]
        befores = [widths[-1], *outs[:-1]]
        skips = [*reversed(widths[:-1]), inputs]
        self.up = nn.ModuleList(
            ResidualBlock(before + skip, after) for before, skip, after in zip(befores, skips, outs, strict=True)
        )
        self.head = nn.Conv2d(width, targets, 1)
        _rare_at_first(self.head)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        maps = images.clamp(0, 1) * 2 - 1
        seen = [maps]
        for layer in self.critic.layers:
            maps = layer(maps)
            if isinstance(layer, nn.LeakyReLU):
                seen.append(maps)
        maps = seen.pop()
        for block in self.up:
            maps = block(torch.cat([F.interpolate(maps, scale_factor=2.0, mode="nearest"), seen.pop()], dim=1))
        logits: Tensor = self.head(maps)
        return logits


class GanUNet(nn.Module):
    """U-Net made of both networks of a GAN: the discriminator reads the slice, the generator's layers draw from that.

    (B, C, S, S) -> logits (B, T, S, S), S a power of two from 32. The generator's dense layer and the one that draws
    pixels are left out; 1x1 convolutions bring the discriminator's maps into its widths.

    Args:
        size: S.
        inputs: C; must be the GAN's channels when its weights are loaded.
        targets: T.
        width: feature maps of the discriminator's first and of the generator's last hidden layer.
    """

    def __init__(self, size: int, inputs: int, targets: int, width: int = 32) -> None:
        super().__init__()
        self.critic = Discriminator(size, inputs, width)
        self.critic.head.requires_grad_(False)  # judges real or not; of no use here
        self.up = nn.Sequential(*list(Generator(size, inputs, width=width).layers)[:-1])
        widths = [layer.num_features for layer in self.up if isinstance(layer, nn.BatchNorm2d)]
        seen = [min(width * 2**step, 512) for step in reversed(range(len(widths)))]
        self.join = nn.ModuleList(nn.Conv2d(before, after, 1) for before, after in zip(seen, widths, strict=True))
        self.last = ResidualBlock(widths[-1] + inputs, width)
        self.head = nn.Conv2d(width, targets, 1)
        _rare_at_first(self.head)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        maps = images = images.clamp(0, 1) * 2 - 1
        seen = []
        for layer in self.critic.layers:
            maps = layer(maps)
            if isinstance(layer, nn.LeakyReLU):
                seen.append(maps)
        joined = [join(maps) for join, maps in zip(self.join, reversed(seen), strict=True)]
        maps = joined.pop(0)
        for layer in self.up:
            maps = layer(maps)
            if isinstance(layer, nn.ConvTranspose2d):
                maps = maps + joined.pop(0)
        maps = self.last(torch.cat([F.interpolate(maps, scale_factor=2.0, mode="nearest"), images], dim=1))
        logits: Tensor = self.head(maps)
        return logits
