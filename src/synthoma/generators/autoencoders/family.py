"""The families that learn from an autoencoder."""

from __future__ import annotations

from functools import partial

from torch import nn

from synthoma.generators.autoencoders.aae import AdversarialCodesTask
from synthoma.generators.autoencoders.began import EquilibriumTask
from synthoma.generators.autoencoders.dae import DenoisingTask
from synthoma.generators.autoencoders.models import MODELS
from synthoma.generators.autoencoders.network import AutoencodingDiscriminator, CodeGenerator
from synthoma.generators.family import GeneratorFamily
from synthoma.generators.gan.dcgan import check_size
from synthoma.generators.gan.residual import ResidualGenerator
from synthoma.generators.settings import GanConfig, NetworkConfig
from synthoma.generators.shape import ImageShape


def equilibrium_generator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """The generator of BEGAN: what its discriminator decodes with."""
    return ResidualGenerator(shape.size, shape.planes, config.latent, config.width, shape.classes)


def autoencoding_discriminator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """The discriminator of BEGAN."""
    return AutoencodingDiscriminator(shape.size, shape.planes, config.latent, config.critic_width, shape.classes)


def code_generator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """Decoder and encoder of an autoencoder whose codes are normal numbers."""
    sizes = (shape.size, shape.planes, config.latent, config.width, config.critic_width)
    return CodeGenerator(*sizes, classes=shape.classes)


def density_generator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """Decoder and encoder of an autoencoder, and the density of its codes."""
    sizes = (shape.size, shape.planes, config.latent, config.width, config.critic_width)
    return CodeGenerator(*sizes, classes=shape.classes, components=config.components)


def with_component(config: NetworkConfig, shape: ImageShape) -> tuple[int, ...]:
    """Numbers of a code, and two that choose a component of their density."""
    return (config.latent + 2,)


_powers_of_two = partial(check_size, fours=False)


def _model(name: str) -> dict[str, tuple[str, GanConfig]]:
    return {name: MODELS[name]}


FAMILIES = (
    GeneratorFamily(
        "began",
        _model("began"),
        equilibrium_generator,
        EquilibriumTask,
        autoencoding_discriminator,
        check_size=_powers_of_two,
    ),
    GeneratorFamily("aae", _model("aae"), code_generator, AdversarialCodesTask, check_size=_powers_of_two),
    GeneratorFamily(
        "dae", _model("dae"), density_generator, DenoisingTask, latent=with_component, check_size=_powers_of_two
    ),
)
