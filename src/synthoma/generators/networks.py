"""Networks from their settings. A variant is a value, not a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from synthoma.core.errors import ConfigError
from synthoma.generators.flow.network import FlowGenerator
from synthoma.generators.gan.dcgan import Discriminator, Generator, SeedDiscriminator, SeedGenerator
from synthoma.generators.gan.patches import PatchDiscriminator
from synthoma.generators.gan.residual import ResidualDiscriminator, ResidualGenerator
from synthoma.generators.phantomgan.network import Repainter
from synthoma.generators.settings import NetworkConfig
from synthoma.training.layers import Layer, layers_of, total


@dataclass(frozen=True)
class ImageShape:
    """What a generator draws: ``channels`` modalities and ``labels`` mask channels, ``size`` pixels a side."""

    size: int
    channels: int
    labels: int = 0
    classes: int = 0

    @property
    def planes(self) -> int:
        """Channels of the network's images."""
        return self.channels + self.labels


def latent_shape(config: NetworkConfig, shape: ImageShape) -> tuple[int, ...]:
    """What one image is drawn from: a vector, simulated planes with one of noise, or as many planes of noise."""
    if config.network == "flow":
        return (shape.planes, shape.size, shape.size)
    return (shape.planes + 1, shape.size, shape.size) if config.network == "repaint" else (config.latent,)


def build_generator(
    config: NetworkConfig, shape: ImageShape
) -> Generator | SeedGenerator | Repainter | ResidualGenerator | FlowGenerator:
    """A new generator with random weights."""
    if config.network == "seed":
        return SeedGenerator(shape.size, shape.planes, config.latent, shape.classes)
    if config.network == "repaint":
        return Repainter(shape.size, shape.channels, shape.labels, config.latent, config.width)
    if config.network == "residual":
        sizes = (shape.size, shape.planes, config.latent, config.width, shape.classes)
        return ResidualGenerator(*sizes, excitation=config.excitation)
    if config.network == "flow":
        return FlowGenerator(shape.size, shape.planes, config.width, shape.classes, config.flow_steps)
    return Generator(shape.size, shape.planes, config.latent, config.width, shape.classes, config.norm)


def build_discriminator(
    config: NetworkConfig, shape: ImageShape
) -> Discriminator | SeedDiscriminator | ResidualDiscriminator | PatchDiscriminator:
    """A new discriminator with random weights.

    Raises:
        ConfigError: a model that learns without one, or pieces that should be of a class.
    """
    if config.network == "flow":
        raise ConfigError("a model with a discriminator", "a flow, which has none", "give the run of a GAN")
    if config.critic_patches:
        if shape.classes:
            todo = "leave out --conditional, or --set gan.critic_patches=false"
            raise ConfigError("no classes for a discriminator of pieces", f"{shape.classes} classes", todo)
        return PatchDiscriminator(shape.planes, config.critic_width, spectral=config.spectral)
    if config.network == "seed":
        return SeedDiscriminator(shape.size, shape.planes, shape.classes)
    if config.network == "residual":
        alike = config.minibatch_deviation
        return ResidualDiscriminator(
            shape.size, shape.planes, config.critic_width, shape.classes, minibatch_deviation=alike
        )
    options: dict[str, Any] = {"spectral": config.spectral, "minibatch_deviation": config.minibatch_deviation}
    return Discriminator(shape.size, shape.planes, config.critic_width, shape.classes, config.critic_norm, **options)


def gan_summary(config: NetworkConfig, shape: ImageShape) -> dict[str, list[Layer]]:
    """Summaries of the generator, of the discriminator, and of both combined; of a flow, of its network alone."""
    label = [torch.zeros(2, dtype=torch.long)] if shape.classes else []
    network = build_generator(config, shape).eval()
    if isinstance(network, FlowGenerator):  # run many times for an image, of which the table shows one
        return {
            "velocity": layers_of(network.network, torch.zeros(2, *latent_shape(config, shape)), torch.zeros(2), *label)
        }
    generator = layers_of(network, torch.zeros(2, *latent_shape(config, shape)), *label)
    image = torch.zeros(2, shape.planes, shape.size, shape.size)
    discriminator = layers_of(build_discriminator(config, shape).eval(), image, *label)
    combined = [
        Layer("generator", "latent -> image", (shape.planes, shape.size, shape.size), total(generator)),
        Layer("discriminator", "image -> score", (), total(discriminator)),
    ]
    return {"generator": generator, "discriminator": discriminator, "combined": combined}
