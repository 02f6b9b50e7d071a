"""The generator that repaints simulated slices, by name."""

from __future__ import annotations

from synthoma.generators.settings import GanConfig

MODELS: dict[str, tuple[str, GanConfig]] = {
    "phantom-gan": (
        "repaints simulated slices with the look of the real ones: exact labels, learned appearance",
        GanConfig(
            network="repaint",
            latent=16,
            critic_patches=True,
            r1=0.1,
            r1_every=4,
            structure=2.0,
            contrast=2.0,
            beta1=0.0,
            beta2=0.99,
            generator_rate=5e-4,
            critic_rate=5e-4,
            ema_images=2000.0,
        ),
    ),
}
"""Name -> what it is, and its settings."""
