"""All families of generators, and networks from settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from torch import nn

from synthoma.core.errors import ConfigError
from synthoma.core.plugins import plugged_in
from synthoma.generators.autoencoders.family import FAMILIES as AUTOENCODERS
from synthoma.generators.autoencoders.network import CodeGenerator
from synthoma.generators.family import GeneratorFamily
from synthoma.generators.flow.family import FAMILIES as FLOW
from synthoma.generators.flow.network import FlowGenerator
from synthoma.generators.gan.family import FAMILIES as GAN
from synthoma.generators.phantomgan.family import FAMILIES as PHANTOM
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape
from synthoma.training.layers import Layer, layers_of, total


@cache
def families() -> dict[str, GeneratorFamily]:
    """The families by the names of their networks: those of the package, then those plugged in.

    Raises:
        ConfigError: a plug-in that is no family, or takes a name of another.
    """
    found = {family.network: family for family in (*GAN, *PHANTOM, *FLOW, *AUTOENCODERS)}
    for name, family in plugged_in("synthoma.generators").items():
        if not isinstance(family, GeneratorFamily) or family.network != name or name in found:
            came = f"{name!r} is {type(family).__name__} {getattr(family, 'network', '')}".strip()
            raise ConfigError("a GeneratorFamily with a name of its own, its entry point's", came, "rename it")
        found[name] = family
    return found


def family_of(config: NetworkConfig) -> GeneratorFamily:
    """The family that a network is of.

    Raises:
        ConfigError: it is not installed.
    """
    if config.network not in families():
        todo = "install the package that brings it"
        raise ConfigError(f"a network: {', '.join(families())}", repr(config.network), todo)
    return families()[config.network]


def check_shared(config: NetworkConfig) -> None:
    """Raise ConfigError where several processes cannot train such a generator together."""
    if not family_of(config).teams:
        known = ", ".join(name for name, family in families().items() if family.teams)
        todo = "train it in one process, several of them side by side"
        raise ConfigError(f"a generator that is made for torchrun (network {known})", config.network, todo)
    # Each of them looks at a batch as a whole, of which a process has its rows alone.
    said = {
        "minibatch_deviation": config.minibatch_deviation,
        "minibatch_kernels": config.minibatch_kernels > 0,
        "norm": config.norm == "virtual",
    }
    for name in (name for name, there in said.items() if there):
        todo = f"train it in one process, or with another gan.{name}"
        raise ConfigError("layers that see one image at a time, for torchrun", f"gan.{name}", todo)


def network_of(stated: Mapping[str, object]) -> NetworkConfig:
    """Settings of a network as a model file states them.

    Raises:
        ConfigError: a network that is not installed.
    """
    if (name := stated.get("network")) not in families():
        todo = "install the package that brings it"
        raise ConfigError(f"a network: {', '.join(families())}", repr(name)[:40], todo)
    return NetworkConfig.model_validate(stated)


def build_generator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """A new generator with random weights."""
    return family_of(config).generator(config, shape)


def build_discriminator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """A new discriminator with random weights.

    Raises:
        ConfigError: a model that learns without one, or pieces that should be of a class.
    """
    build = family_of(config).discriminator
    if build is None:
        came = f"a {config.network}, which has none"
        raise ConfigError("a model with a discriminator", came, "give the run of a GAN")
    return build(config, shape)


def latent_shape(config: NetworkConfig, shape: ImageShape) -> tuple[int, ...]:
    """Shape of what one image is drawn from."""
    return family_of(config).latent(config, shape)


def gan_summary(config: NetworkConfig, shape: ImageShape) -> dict[str, list[Layer]]:
    """Summaries of the generator and, where there is one, of the discriminator and of both combined.

    Of an autoencoder also of its encoder, which learns beside the generator. Of a flow, of its network alone: it runs
    many times for an image, of which a table shows one.
    """
    label = [torch.zeros(2, dtype=torch.long)] if shape.classes else []
    network = build_generator(config, shape).eval()
    if isinstance(network, FlowGenerator):
        return {
            "velocity": layers_of(network.network, torch.zeros(2, *latent_shape(config, shape)), torch.zeros(2), *label)
        }
    generator = layers_of(network, torch.zeros(2, *latent_shape(config, shape)), *label)
    image = torch.zeros(2, shape.planes, shape.size, shape.size)
    if isinstance(network, CodeGenerator):
        return {"generator": generator, "encoder": layers_of(network.encoder, image)}
    if family_of(config).discriminator is None:
        return {"generator": generator}
    discriminator = layers_of(build_discriminator(config, shape).eval(), image, *label)
    combined = [
        Layer("generator", "latent -> image", (shape.planes, shape.size, shape.size), total(generator)),
        Layer("discriminator", "image -> score", (), total(discriminator)),
    ]
    return {"generator": generator, "discriminator": discriminator, "combined": combined}
