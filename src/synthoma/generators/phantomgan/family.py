"""The family that repaints simulated slices."""

from __future__ import annotations

from functools import partial

from torch import nn

from synthoma.generators.family import GeneratorFamily
from synthoma.generators.gan.dcgan import check_size
from synthoma.generators.gan.family import plain_discriminator
from synthoma.generators.gan.task import AdversarialTask
from synthoma.generators.phantomgan.latents import SimulatedLatents
from synthoma.generators.phantomgan.material import check, material
from synthoma.generators.phantomgan.models import MODELS
from synthoma.generators.phantomgan.network import Repainter, fitted_to
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape


def repainter(config: NetworkConfig, shape: ImageShape) -> nn.Module:
    """A network that corrects the look of simulated slices."""
    return Repainter(shape.size, shape.channels, shape.labels, config.latent, config.width)


def planes_and_noise(config: NetworkConfig, shape: ImageShape) -> tuple[int, ...]:
    """Simulated planes with one of noise."""
    return (shape.planes + 1, shape.size, shape.size)


FAMILIES = (
    GeneratorFamily(
        "repaint",
        MODELS,
        repainter,
        AdversarialTask,
        plain_discriminator,
        latent=planes_and_noise,
        check_size=partial(check_size, fours=True),
        half=True,  # a correction of grey values bears half precision; grey values themselves would come in steps
        teams=True,
        repaints=True,
        check=check,
        learn_from=material,
        draw_from=SimulatedLatents.open,
        fitted=fitted_to,
    ),
)
