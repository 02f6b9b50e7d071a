"""Classifiers of single slices: a small network, MONAI's, and a GAN's discriminator used again."""

from __future__ import annotations

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
    if config.network in ("densenet121", "cnn") and size < 32:
        raise ConfigError(f"slices of 32 px or more for {config.network}", f"{size} px", "prepare with --size 32")
    if config.network == "cnn":
        return SmallCNN(inputs, classes, config.width)
    if config.network == "critic":
        return CriticClassifier(size, inputs, classes, config.width, frozen=config.frozen)
    from monai.networks import nets  # slow to load

    resnet = config.network == "resnet18"
    network: nn.Module = (
        nets.resnet18(spatial_dims=2, n_input_channels=inputs, num_classes=classes)
        if resnet
        else nets.DenseNet121(2, inputs, classes)
    )
    return network


class SmallCNN(nn.Module):
    """Five halvings of 3x3 convolution, batch norm and ReLU, then the mean over places and one linear layer."""

    def __init__(self, inputs: int, classes: int, width: int = 32) -> None:
        super().__init__()
        widths = [inputs, width, width * 2, width * 4, width * 4, width * 8]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
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
