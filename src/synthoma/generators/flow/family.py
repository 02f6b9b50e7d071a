"""The family of rectified flows."""

from __future__ import annotations

from functools import partial

from torch import nn

from synthoma.generators.family import GeneratorFamily
from synthoma.generators.flow.models import MODELS
from synthoma.generators.flow.network import FlowGenerator
from synthoma.generators.flow.task import FlowTask
from synthoma.generators.gan.dcgan import check_size
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape


def flow_generator(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """A U-Net that follows its velocity from noise to image."""
    return FlowGenerator(shape.size, shape.planes, config.width, shape.classes, config.flow_steps)


def noise(config: NetworkConfig, shape: ImageShape) -> tuple[int, ...]:
    """As many planes of noise as an image has."""
    return (shape.planes, shape.size, shape.size)


FAMILIES = (
    GeneratorFamily(
        "flow",
        MODELS,
        flow_generator,
        FlowTask,
        latent=noise,
        check_size=partial(check_size, fours=False),
        teams=True,
        half=True,  # a velocity bears half precision
    ),
)
