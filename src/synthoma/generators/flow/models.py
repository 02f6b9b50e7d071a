"""Rectified flow, by name."""

from __future__ import annotations

from synthoma.generators.settings import GanConfig

MODELS: dict[str, tuple[str, GanConfig]] = {
    "flow": (
        "rectified flow (Liu 2022): learns how noise moves to images, without a discriminator: a yardstick",
        GanConfig(network="flow", generator_rate=1e-3, schedule="cosine", beta1=0.9, beta2=0.99, ema_images=2000.0),
    ),
}
"""Name -> what it is, and its settings."""
