"""Generators that learn from a discriminator, by name."""

from __future__ import annotations

from synthoma.generators.settings import GanConfig

MODELS: dict[str, tuple[str, GanConfig]] = {
    "dcgan-seed": (
        "the plain network and settings of the seed projects, at 128 px: a reference to beat",
        GanConfig(network="seed", batch=4, ema_images=0.0),
    ),
    "dcgan": (
        "deep convolutional GAN (Radford 2015), batch norm, moving average",
        # Five times the paper's rate: on a few hundred slices and minutes, the number of steps is what is short.
        GanConfig(generator_rate=1e-3, critic_rate=1e-3),
    ),
    "wgan": (
        "Wasserstein critic with clipped weights (Arjovsky 2017)",
        # All of it the paper's, but for the moving average.
        GanConfig(
            critic_norm="none",
            loss="wasserstein",
            clip=0.01,
            critic_steps=5,
            optimiser="rmsprop",
            beta2=0.99,
            generator_rate=5e-5,
            critic_rate=5e-5,
        ),
    ),
    "wgan-gp": (
        "Wasserstein critic with gradient penalty (Gulrajani 2017)",
        GanConfig(
            critic_norm="instance", loss="wasserstein", gradient_penalty=10.0, critic_steps=5, beta1=0.0, beta2=0.9
        ),
    ),
    "relativistic": (
        "residual networks without normalisation, relativistic pairs with R1 and R2 (Huang 2024, R3GAN)",
        # Small batches, a narrow discriminator and high rates: steps are what is short. Strong penalties at first keep
        # such rates stable; they fall with the rates, or the insides of the heads would stay smooth.
        GanConfig(
            network="residual",
            critic_width=16,
            loss="relativistic",
            r1=5.0,
            r2=5.0,
            r1_every=1,
            penalty_end=0.05,
            batch=8,
            generator_rate=1e-3,
            critic_rate=1e-3,
            schedule="cosine",
            beta1=0.0,
            beta2=0.99,
        ),
    ),
}
"""Name -> what it is, and its settings."""
