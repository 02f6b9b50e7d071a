"""Networks from their settings. A variant is a value, not a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from synthoma.core.config import Config
from synthoma.core.errors import ConfigError
from synthoma.models.dcgan import Discriminator, Generator, Normalisation, SeedDiscriminator, SeedGenerator
from synthoma.models.flow import FlowGenerator
from synthoma.models.patches import PatchDiscriminator
from synthoma.models.repaint import Repainter
from synthoma.models.residual import ResidualDiscriminator, ResidualGenerator


class NetworkConfig(Config):
    """What a generator and its discriminator are built from."""

    network: Literal["dcgan", "seed", "repaint", "residual", "flow"] = "dcgan"
    latent: int = Field(100, ge=1, le=1024, description="length of the latent vector")
    width: int = Field(32, ge=4, le=256, description="feature maps of the generator's last hidden layer")
    critic_width: int = Field(32, ge=4, le=256, description="feature maps of the discriminator's first layer")
    norm: Normalisation = Field("batch", description="normalisation in the generator (dcgan)")
    critic_norm: Normalisation = Field(
        "batch", description="normalisation in the discriminator of whole pictures (dcgan)"
    )
    critic_patches: bool = Field(False, description="judge pieces of a picture, not the whole (Isola 2017)")
    spectral: bool = Field(False, description="spectral normalisation of the discriminator")
    minibatch_deviation: bool = Field(False, description="let the discriminator see how alike a batch's images are")
    excitation: bool = Field(False, description="let the generator's small maps scale its large ones (residual)")
    flow_steps: int = Field(
        8, ge=1, le=1000, description="steps from noise to image (flow): two network runs each, but the last"
    )


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
