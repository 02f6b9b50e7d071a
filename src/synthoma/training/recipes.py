"""Generators by name: networks, objective and learning rates that belong together."""

from __future__ import annotations

import difflib
from typing import Literal

from pydantic import Field

from synthoma.errors import ConfigError
from synthoma.losses.adversarial import AdversarialLoss
from synthoma.models.registry import NetworkConfig


class GanConfig(NetworkConfig):
    """Networks, the game they play, and how they learn."""

    loss: AdversarialLoss = "bce"
    label_smoothing: float = Field(0.0, ge=0, le=0.5, description="taken off the target of real images (bce)")
    feature_matching: float = Field(0.0, ge=0, description="weight of matching mean features")
    gradient_penalty: float = Field(0.0, ge=0, description="weight of the penalty on interpolates, every step")
    r1: float = Field(0.0, ge=0, description="weight gamma of the R1 penalty on real images")
    r1_every: int = Field(16, ge=1, description="discriminator steps between R1 penalties (lazy regularisation)")
    critic_steps: int = Field(1, ge=1, le=20, description="discriminator steps for each generator step")
    batch: int = Field(16, ge=2, le=1024)
    generator_rate: float = Field(2e-4, gt=0, description="Adam's learning rate")
    critic_rate: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, gt=0, lt=1)
    ema_images: float = Field(5000.0, ge=0, description="half-life of the generator's moving average; 0 for none")
    augment: tuple[Literal["brightness", "contrast", "translation", "cutout", "mirror"], ...] = ()
    augment_probability: float = Field(1.0, ge=0, le=1)


GENERATORS: dict[str, tuple[str, GanConfig]] = {
    "dcgan-seed": (
        "the plain network and settings of the seed projects, at 128 px: a reference to beat",
        GanConfig(network="seed", batch=4, ema_images=0.0),
    ),
    "dcgan": (
        "deep convolutional GAN (Radford 2015), batch norm, moving average",
        # Five times the paper's rate: on a few hundred slices and minutes, the number of steps is what is short.
        GanConfig(generator_rate=1e-3, critic_rate=1e-3),
    ),
    "wgan-gp": (
        "Wasserstein critic with gradient penalty (Gulrajani 2017)",
        GanConfig(
            critic_norm="instance", loss="wasserstein", gradient_penalty=10.0, critic_steps=5, beta1=0.0, beta2=0.9
        ),
    ),
}
"""Name -> what it is, and its settings."""


def generator_config(name: str) -> GanConfig:
    """Settings of a generator by name.

    Raises:
        ConfigError: no generator of that name, with the nearest one.
    """
    if name not in GENERATORS:
        near = difflib.get_close_matches(name, GENERATORS, n=1)
        todo = f"did you mean {near[0]!r}?" if near else "choose one of them"
        raise ConfigError(f"a model: {', '.join(GENERATORS)}", repr(name), todo)
    return GENERATORS[name][1]
