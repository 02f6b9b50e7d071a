"""The families that learn from a discriminator: plain, seed and residual networks."""

from __future__ import annotations

from functools import partial

from torch import nn

from synthoma.core.errors import ConfigError
from synthoma.generators.family import GeneratorFamily
from synthoma.generators.gan.dcgan import Discriminator, Generator, SeedDiscriminator, SeedGenerator, check_size
from synthoma.generators.gan.models import MODELS
from synthoma.generators.gan.patches import PatchDiscriminator
from synthoma.generators.gan.residual import ResidualDiscriminator, ResidualGenerator
from synthoma.generators.gan.task import AdversarialTask
from synthoma.generators.settings import GanConfig, NetworkConfig
from synthoma.generators.shape import ImageShape


def plain_generator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """The generator of DCGAN."""
    return Generator(shape.size, shape.planes, config.latent, config.width, shape.classes, config.norm)


def plain_discriminator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """The discriminator of DCGAN, or one of pieces."""
    if config.critic_patches:
        return patch_discriminator(config, shape)
    return Discriminator(
        shape.size,
        shape.planes,
        config.critic_width,
        shape.classes,
        config.critic_norm,
        spectral=config.spectral,
        minibatch_deviation=config.minibatch_deviation,
        minibatch=(config.minibatch_kernels, config.minibatch_depth),
    )


def seed_generator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """The generator of the seed projects."""
    return SeedGenerator(shape.size, shape.planes, config.latent, shape.classes)


def seed_discriminator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """The discriminator of the seed projects, or one of pieces."""
    if config.critic_patches:
        return patch_discriminator(config, shape)
    alike = (config.minibatch_kernels, config.minibatch_depth)
    return SeedDiscriminator(shape.size, shape.planes, shape.classes, minibatch=alike)


def residual_generator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """A residual generator without normalisation."""
    sizes = (shape.size, shape.planes, config.latent, config.width, shape.classes)
    return ResidualGenerator(*sizes, excitation=config.excitation)


def residual_discriminator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """A residual discriminator without normalisation, or one of pieces."""
    if config.critic_patches:
        return patch_discriminator(config, shape)
    return ResidualDiscriminator(
        shape.size,
        shape.planes,
        config.critic_width,
        shape.classes,
        minibatch_deviation=config.minibatch_deviation,
        minibatch=(config.minibatch_kernels, config.minibatch_depth),
    )


def patch_discriminator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """A discriminator that judges pieces of a picture.

    Raises:
        ConfigError: pieces that should be of a class.
    """
    if shape.classes:
        todo = "leave out --conditional, or --set gan.critic_patches=false"
        raise ConfigError("no classes for a discriminator of pieces", f"{shape.classes} classes", todo)
    return PatchDiscriminator(shape.planes, config.critic_width, spectral=config.spectral)


def _models(network: str) -> dict[str, tuple[str, GanConfig]]:
    return {name: model for name, model in MODELS.items() if model[1].network == network}


FAMILIES = (
    GeneratorFamily(
        "dcgan",
        _models("dcgan"),
        plain_generator,
        AdversarialTask,
        plain_discriminator,
        check_size=partial(check_size, fours=False),
        teams=True,
    ),
    GeneratorFamily(
        "seed",
        _models("seed"),
        seed_generator,
        AdversarialTask,
        seed_discriminator,
        check_size=partial(check_size, fours=True),
        teams=True,
    ),
    GeneratorFamily(
        "residual",
        _models("residual"),
        residual_generator,
        AdversarialTask,
        residual_discriminator,
        check_size=partial(check_size, fours=False),
        teams=True,
    ),
)
