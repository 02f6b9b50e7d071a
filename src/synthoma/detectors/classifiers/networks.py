"""Classifiers of single slices: a small network, VGG, MONAI's, and a GAN's discriminator used again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.core.errors import ConfigError
from synthoma.detectors.settings import ClassifierNetwork
from synthoma.generators.gan.dcgan import Discriminator


def build_classifier(config: ClassifierNetwork, size: int, channels: int, classes: int) -> nn.Module:
    """A new classifier with random weights: (B, context * channels, size, size) -> logits (B, classes).

    Raises:
        ConfigError: the network cannot work on images of this size.
    """
    inputs = config.context * channels
    if config.network in ("densenet121", "cnn", "vgg16") and size < 32:
        raise ConfigError(f"slices of 32 px or more for {config.network}", f"{size} px", "prepare with --size 32")
    if config.network == "cnn":
        return SmallCNN(inputs, classes, config.width)
    if config.network == "critic":
        return CriticClassifier(size, inputs, classes, config.width, frozen=config.frozen)
    if config.network == "vgg16":
        return VGG16(inputs, classes, config.head or VGG_HEAD, config.pool or 7, config.dropout, norm=config.batch_norm)
    from monai.networks import nets  # slow to load

    if config.network == "densenet121":
        dense: nn.Module = nets.DenseNet121(2, inputs, classes)
        return dense
    network: nn.Module
    if config.network == "resnet18":
        network, features = nets.resnet18(spatial_dims=2, n_input_channels=inputs, num_classes=classes), 512
    else:  # shortcuts without bias, as published: 25,557,032 weights with 3 channels and 1000 classes
        plain = {"bias_downsample": False}
        network, features = nets.resnet50(spatial_dims=2, n_input_channels=inputs, num_classes=classes, **plain), 2048
    if config.head or config.pool:
        side = config.pool or 1
        # MONAI flattens by view, which maps in channels-last memory refuse.
        network.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten())
        network.fc = dense_head(features * side**2, config.head, classes, config.dropout)
    return network


VGG_HEAD = (4096, 4096)


def dense_head(inputs: int, widths: Sequence[int], classes: int, dropout: float) -> nn.Sequential:
    """Dense layers with ReLU and dropout, then one linear layer: (B, inputs) -> (B, classes)."""
    layers: list[nn.Module] = []
    for before, after in pairwise((inputs, *widths)):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear((inputs, *widths)[-1], classes))


class VGG16(nn.Module):
    """Configuration D of Simonyan and Zisserman (2015), table 1: 13 convolutions of 3x3, five halvings, a dense head.

    (B, C, S, S) -> logits (B, classes), S of 32 or more. With 3 channels, 1000 classes and no batch norm it has the
    paper's 138 million weights (138,357,544). Maps of any size are pooled to 7x7 as those of 224 px are.

    Args:
        inputs: C.
        classes: number of classes.
        head: widths of the dense layers before the last.
        pool: side of the maps that the head gets.
        dropout: after each of them; 0.5 in the paper.
        norm: batch normalisation after each convolution, with which deep plain networks learn from random weights.
    """

    BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))

    def __init__(
        self,
        inputs: int,
        classes: int,
        head: Sequence[int] = VGG_HEAD,
        pool: int = 7,
        dropout: float = 0.5,
        *,
        norm: bool = True,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, count in self.BLOCKS:
            for _ in range(count):
                layers.append(nn.Conv2d(inputs, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width)] if norm else []
                layers.append(nn.ReLU())
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.layers, self.pool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d(pool)
        self.head = dense_head(inputs * pool**2, head, classes, dropout)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):  # as for its ReLUs (He 2015), or nothing passes 13 layers
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.pool(self.layers(images)).flatten(1))
        return logits


class SmallCNN(nn.Module):
    """Five halvings of 3x3 convolution, batch norm and ReLU, then the mean over places and one linear layer."""

    def __init__(self, inputs: int, classes: int, width: int = 32) -> None:
        super().__init__()
        widths = [inputs, width, width * 2, width * 4, width * 4, width * 8]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            # Without bias, which the batch norm behind each convolution would take off again.
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            layers += [nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.dropout(self.layers(images).mean(dim=(2, 3))))
        return logits


class CriticClassifier(nn.Module):
    """Linear layer on the features of all layers of a GAN's discriminator, each pooled to 4x4 (Radford 2015, 5.1).

    (B, C, S, S) -> logits (B, classes). The discriminator's images are in -1..1.

    Args:
        size, inputs, width: as of the discriminator whose weights are loaded.
        classes: number of classes.
        frozen: leave the features as they are.
    """

    def __init__(self, size: int, inputs: int, classes: int, width: int = 32, *, frozen: bool = False) -> None:
        super().__init__()
        self.critic = Discriminator(size, inputs, width)
        self.critic.requires_grad_(not frozen)
        self.critic.head.requires_grad_(False)  # judges real or not; of no use here
        self.frozen = frozen
        features = sum(layer.out_channels for layer in self.critic.layers if isinstance(layer, nn.Conv2d))
        # Without gain and shift, which the linear layer behind it has anyway.
        self.norm = nn.BatchNorm1d(features * 16, affine=False)
        self.head = nn.Linear(features * 16, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        if self.frozen:
            self.critic.eval()  # its batch statistics are part of what it learned
        maps, pooled = images.clamp(0, 1) * 2 - 1, []
        for layer in self.critic.layers:
            maps = layer(maps)
            if isinstance(layer, nn.LeakyReLU):
                pooled.append(F.adaptive_max_pool2d(maps, 4).flatten(1))
        logits: Tensor = self.head(self.norm(torch.cat(pooled, dim=1)))
        return logits
