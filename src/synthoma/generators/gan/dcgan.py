"""Deep convolutional generator and discriminator (Radford et al. 2015), and the plain network of the seed projects.

Images are (B, C, S, S) in -1..1: the modalities first, then one channel a tumour label where masks are drawn too.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.core.errors import ConfigError
from synthoma.generators.gan.tricks import REFERENCE, VirtualBatchNorm2d, beside_the_others, minibatch_part
from synthoma.generators.settings import GeneratorNormalisation


def check_size(size: int, *, fours: bool) -> None:
    """Raise ConfigError if a network cannot draw images of this side: a power of two, or one that 4 divides."""
    if fours and (size % 4 or size < 16):
        raise ConfigError("a size from 16 that 4 divides", str(size), "prepare the cohort with --size 64")
    if not fours and (size < 16 or size & (size - 1)):
        raise ConfigError("a size of 16, 32, 64, 128, 256 ...", str(size), "prepare the cohort with --size 64")


class Generator(nn.Module):
    """Latent (B, Z) and, where there are classes, class numbers (B,) -> images (B, C, S, S) in -1..1.

    Dense to 4x4, then transposed convolutions (kernel 4, stride 2) that halve the width each time, batch norm and
    ReLU between, tanh at the end.

    Args:
        size: side S, a power of two from 16.
        channels: C.
        latent: Z.
        width: feature maps of the last hidden layer.
        classes: number of classes; 0 for a generator that knows none.
        norm: normalisation of hidden layers. "virtual" carries a reference batch of latents, drawn once and stored with
            the weights, through the network with each batch (Salimans et al. 2016, 3.4).
    """

    def __init__(
        self,
        size: int,
        channels: int,
        latent: int = 100,
        width: int = 32,
        classes: int = 0,
        norm: GeneratorNormalisation = "batch",
    ) -> None:
        super().__init__()
        check_size(size, fours=False)
        self.latent, self.classes = latent, classes
        self.embedding = nn.Embedding(classes, latent) if classes else None
        steps = int(math.log2(size)) - 2
        widths = [min(width * 2 ** (steps - 1 - step), 512) for step in range(steps)]
        self.stem = nn.Linear(latent * (2 if classes else 1), widths[0] * 16)
        layers: list[nn.Module] = [_norm(norm, widths[0]), nn.ReLU()]
        for before, after in pairwise(widths):
            # A kernel that the stride divides meets all inner pixels equally often: less of a checkerboard (Odena et
            # al. 2016).
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), _norm(norm, after), nn.ReLU()]
        # No normalisation behind the last layer: it would fix mean and contrast of every batch (Radford et al. 2015,
        # 3).
        layers.append(nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers)
        _normal_weights(self)
        if self.embedding is not None:  # on the scale of the latent that it stands beside, or it would hardly be heard
            nn.init.normal_(self.embedding.weight)
        self.virtual = norm == "virtual"
        if self.virtual:
            self.register_buffer("reference", torch.randn(REFERENCE, latent))
            self.register_buffer("reference_label", torch.arange(REFERENCE) % max(classes, 1))

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Draw images."""
        if self.virtual:
            # The reference goes along, since virtual batch norm takes its figures from it; its images are cut off
            # again.
            latent = torch.cat([self.get_buffer("reference"), latent])
            label = None if label is None else torch.cat([self.get_buffer("reference_label"), label])
        maps = self.stem(with_class(latent, label, self.embedding))
        images: Tensor = torch.tanh(self.layers(maps.view(len(maps), -1, 4, 4)))
        return images[REFERENCE:] if self.virtual else images


class Discriminator(nn.Module):
    """Images (B, C, S, S) and, where there are classes, class numbers (B,) -> logits or critic scores (B,).

    Convolutions (kernel 4, stride 2) down to 4x4, leaky ReLU 0.2. The class enters by projection (Miyato & Koyama
    2018): the inner product of its embedding with the features is added to the output.

    Args:
        size: side S, a power of two from 16.
        channels: C.
        width: feature maps of the first layer.
        classes: number of classes; 0 for a discriminator that knows none.
        norm: normalisation of hidden layers after the first. A gradient penalty needs "instance" or "none": batch
            norm ties the images of a batch together, and the penalty is on single images.
        spectral: spectral normalisation of all weights (Miyato et al. 2018).
        minibatch_deviation: add the batch's mean deviation as a feature map before the end (Karras et al. 2018, 3).
        minibatch: kernels and depth of minibatch discrimination; (0, ...) for none.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        width: int = 32,
        classes: int = 0,
        norm: GeneratorNormalisation = "batch",
        *,
        spectral: bool = False,
        minibatch_deviation: bool = False,
        minibatch: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__()
        check_size(size, fours=False)
        steps = int(math.log2(size)) - 2
        widths = [channels, *(min(width * 2**step, 512) for step in range(steps))]
        layers: list[nn.Module] = []
        for step, (before, after) in enumerate(pairwise(widths)):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            # Not the first layer: with batch norm at its input a discriminator makes samples oscillate (Radford et al.
            # 2015, 3).
            if step:
                layers.append(_norm(norm, after))
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers)
        self.minibatch_deviation = minibatch_deviation
        # 4x4 places of the last maps, and one more map where the batch's deviation is one.
        features = (widths[-1] + minibatch_deviation) * 16
        self.minibatch = minibatch_part(features, *minibatch)
        self.head = nn.Linear(features + minibatch[0], 1)
        self.embedding = nn.Embedding(classes, widths[-1]) if classes else None
        _normal_weights(self)
        if spectral:
            # After the weights are drawn: spectral norm takes them over and hides them behind a parametrisation.
            for layer in [*self.layers, self.head, self.embedding]:
                if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                    nn.utils.parametrizations.spectral_norm(layer)

    def features(self, images: Tensor) -> Tensor:
        """Feature maps (B, F, 4, 4) before the output."""
        maps: Tensor = self.layers(images)
        return maps

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Judge images."""
        maps = self.features(images)
        # Before the batch's deviation joins: that is of all images and not of a class.
        pooled = maps.sum(dim=(2, 3))
        if self.minibatch_deviation:
            maps = torch.cat([maps, batch_deviation(maps)], dim=1)
        score: Tensor = self.head(beside_the_others(maps.flatten(1), self.minibatch)).squeeze(1)
        if self.embedding is not None:
            score = score + (self.embedding(label) * pooled).sum(dim=1)
        return score


def batch_deviation(maps: Tensor) -> Tensor:
    """Mean over features and places of the batch's standard deviation, as one constant map (B, 1, H, W)."""
    # Of a batch of equal images the root would have an infinite slope; of one image an unbiased variance is nan.
    deviation = maps.var(dim=0, unbiased=False).add(1e-8).sqrt().mean()
    return deviation.expand(len(maps), 1, *maps.shape[2:])


class SeedGenerator(nn.Module):
    """The seed projects' generator: dense, two transposed convolutions, no normalisation; 27,265,281 parameters at 128.

    Latent (B, Z) -> images (B, C, S, S), S divisible by 4.
    """

    def __init__(self, size: int = 128, channels: int = 1, latent: int = 100, classes: int = 0) -> None:
        super().__init__()
        check_size(size, fours=True)
        self.latent, self.side, self.classes = latent, size // 4, classes
        self.embedding = nn.Embedding(classes, latent) if classes else None
        self.stem = nn.Linear(latent * (2 if classes else 1), self.side * self.side * 256)
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 128, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ZeroPad2d((1, 2, 1, 2)),  # "same" padding of an even kernel, as Keras pads it
            nn.Conv2d(128, channels, 4),
        )
        _glorot_weights(self)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Draw images."""
        maps = F.leaky_relu(self.stem(with_class(latent, label, self.embedding)), 0.2)
        images: Tensor = torch.tanh(self.layers(maps.view(len(maps), 256, self.side, self.side)))
        return images


class SeedDiscriminator(nn.Module):
    """The seed projects' discriminator: four convolutions (kernel 3), dropout 0.4; 582,785 parameters at 128.

    Images (B, C, S, S) -> logits (B,), S divisible by 4. ``minibatch`` as in ``Discriminator``, which they had not.
    """

    def __init__(
        self, size: int = 128, channels: int = 1, classes: int = 0, *, minibatch: tuple[int, int] = (0, 1)
    ) -> None:
        super().__init__()
        check_size(size, fours=True)
        layers: list[nn.Module] = [nn.Conv2d(channels, 64, 3, padding=1), nn.LeakyReLU(0.2)]
        for before, after in pairwise((64, 128, 128, 256)):
            far_ends = nn.ZeroPad2d((0, 1, 0, 1))  # where Keras pads strided convolutions
            layers += [far_ends, nn.Conv2d(before, after, 3, stride=2), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        side = size // 8  # halved three times, rounding down
        self.dropout = nn.Dropout(0.4)
        self.minibatch = minibatch_part(256 * side * side, *minibatch)
        self.head = nn.Linear(256 * side * side + minibatch[0], 1)
        self.embedding = nn.Embedding(classes, 256) if classes else None
        _glorot_weights(self)
        if self.embedding is not None:  # its product with sums over the picture must not begin in the hundreds
            nn.init.zeros_(self.embedding.weight)

    def features(self, images: Tensor) -> Tensor:
        """Feature maps (B, 256, S/8, S/8) before the output."""
        maps: Tensor = self.layers(images)
        return maps

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Judge images."""
        maps = self.features(images)
        score: Tensor = self.head(beside_the_others(self.dropout(maps.flatten(1)), self.minibatch)).squeeze(1)
        if self.embedding is not None:
            score = score + (self.embedding(label) * maps.sum(dim=(2, 3))).sum(dim=1)
        return score


def with_class(latent: Tensor, label: Tensor | None, embedding: nn.Embedding | None) -> Tensor:
    """The latent with the class's embedding beside it, where the network knows classes."""
    if embedding is None:
        return latent
    return torch.cat([latent, embedding(label)], dim=1)


def _norm(kind: GeneratorNormalisation, width: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(width)
    if kind == "virtual":
        return VirtualBatchNorm2d(width)
    return nn.InstanceNorm2d(width, affine=True) if kind == "instance" else nn.Identity()


def _normal_weights(module: nn.Module) -> None:
    """Weights from N(0, 0.02), batch-norm gains from N(1, 0.02), biases 0 (Radford et al. 2015, 4)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, 0.0, 0.02)
        elif isinstance(part, nn.BatchNorm2d | VirtualBatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
        if getattr(part, "bias", None) is not None and isinstance(part.bias, Tensor):
            nn.init.zeros_(part.bias)


def _glorot_weights(module: nn.Module) -> None:
    """Uniform Glorot weights and zero biases, as Keras sets them."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
