"""Relatives of GANs that learn from an autoencoder, by name."""

from __future__ import annotations

from synthoma.generators.settings import GanConfig

MODELS: dict[str, tuple[str, GanConfig]] = {
    "began": (
        "boundary equilibrium GAN (Berthelot 2017): the discriminator is an autoencoder, and says how far it is",
        GanConfig(
            network="began",
            loss="equilibrium",
            latent=64,
            # Where the paper takes 0.3 to 0.7 and 0.001. With less, generated slices may be simpler than real ones, and
            # on small cohorts they were plain grey; and a few thousand steps must do what hundreds of thousands did.
            balance=1.0,
            balance_rate=0.1,
            # Without, it drew one of two kinds of pictures. The weight is that of Zhao 2017.
            repel=0.1,
            generator_rate=1e-3,
            critic_rate=1e-3,
            schedule="cosine",
            ema_images=2000.0,
        ),
    ),
    "aae": (
        "adversarial autoencoder (Makhzani 2016): a decoder, whose codes a discriminator makes normal numbers",
        GanConfig(
            network="aae",
            latent=16,
            generator_rate=1e-3,
            critic_rate=1e-3,
            schedule="cosine",
            ema_images=2000.0,
        ),
    ),
    "dae": (
        "denoising autoencoder (Vincent 2008), drawn from by a density fitted to its codes (Ghosh 2020)",
        GanConfig(network="dae", latent=16, generator_rate=1e-3, schedule="cosine", beta1=0.9, ema_images=2000.0),
    ),
}
"""Name -> what it is, and its settings."""
