"""Watching a GAN learn: what usually goes wrong, recognised from figures and told in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from torch import Tensor

from synthoma.metrics.copies import nearest_images
from synthoma.metrics.distances import kernel_distance
from synthoma.metrics.features import random_features, standardised, wavelet_features
from synthoma.types import Floats

COLLAPSED = 0.35
"""Variety of the samples, as a share of the training images' own, below which they count as collapsed."""

CONFIDENT = 0.97
"""D(real) above this and D(fake) below its complement: the discriminator tells everything apart."""

EARLY = 500
"""Steps before which grey blobs that resemble one another are no sign of collapse."""

MEMORISED = 0.05
"""Share of samples nearer to a training image than 99 % of held-out real ones are, above which copying may begin."""

DISCRIMINATOR_WINS = (
    "The discriminator tells all images apart (D(real) near 1, D(fake) near 0), so the generator hardly learns. Try "
    '--set gan.critic_rate=5e-5, --set gan.label_smoothing=0.1, or --set gan.augment=\'["translation", "cutout"]\'.'
)
MODE_COLLAPSE = (
    "The samples resemble one another far more than the scans do (mode collapse). The best snapshot is kept. Try lower "
    "learning rates, or --set gan.minibatch_deviation=true with a discriminator of whole pictures."
)
COPYING = (
    "Some samples are nearer to a training scan than held-out scans are: copying may be starting. Stop earlier "
    '(--images), augment (--set gan.augment=\'["translation", "brightness"]\'), or add patients.'
)


def validation_judge(
    training: Floats, validation: Floats | None, *, logits: bool
) -> Callable[[Tensor, dict[str, float]], tuple[float, dict[str, float], list[str]]]:
    """A judge for snapshots of a generator.

    The score is the kernel distance (KID) between samples and held-out real images, on wavelet statistics and random
    convolutional features together, on the scale of the training images. It is never below what the training images
    themselves score: nearer to a few held-out patients than other patients are is chance, not quality.

    Args:
        training: training images (N, H, W) in 0..1; at most a few hundred are needed.
        validation: held-out real images (M, H, W) in 0..1, M >= 2; None where there are too few. The score is then the
            distance to the training images, and nobody can say what counts as a copy.
        logits: the discriminator's outputs are probabilities (not critic scores).

    Returns:
        A function of samples (B, C, S, S) in -1..1, of which the first channel is judged, and of the recent losses.
        What cannot be measured is nan: all of it, where the training images are one and the same.
    """
    training_features = _features(training)
    real_features = training_features if validation is None else _features(validation)
    reference, held_out = standardised(training_features, real_features)
    own_variety = _variety(reference)
    floor = max(0.0, kernel_distance(real=held_out, synthetic=reference)) if own_variety > 0 else 0.0
    usual = math.nan if validation is None else float(np.percentile(nearest_images(validation, training).score, 99))

    def judge(samples: Tensor, recent: dict[str, float]) -> tuple[float, dict[str, float], list[str]]:
        images = (samples[:, 0].numpy() + 1) / 2
        drawn = standardised(training_features, _features(images))[1]
        values = dict.fromkeys(("kid", "variety", "near_copies"), math.nan)
        if own_variety > 0:
            values["kid"] = kernel_distance(real=held_out, synthetic=drawn)
            values["variety"] = _variety(drawn) / own_variety
        if validation is not None:
            values["near_copies"] = float((nearest_images(images[:64], training).score > usual).mean())
        return max(values["kid"], floor), values, warnings_of(values, recent, logits=logits)

    return judge


def warnings_of(values: dict[str, float], recent: dict[str, float], *, logits: bool) -> list[str]:
    """What a person should know of the figures at a snapshot; empty where nothing looks wrong.

    Args:
        values: "variety" (share of the training images' own) and "near_copies" (share of samples).
        recent: mean recent losses, with "d_real" and "d_fake", and the number of the "step".
        logits: whether these two are probabilities.
    """
    found = []
    if logits and recent.get("d_real", 0.5) > CONFIDENT and recent.get("d_fake", 0.5) < 1 - CONFIDENT:
        found.append(DISCRIMINATOR_WINS)
    if values["variety"] < COLLAPSED and recent.get("step", EARLY) >= EARLY:
        found.append(MODE_COLLAPSE)
    if values["near_copies"] > MEMORISED:
        found.append(COPYING)
    return found


def _features(images: Floats) -> Floats:
    return np.concatenate([wavelet_features(images), random_features(images)], axis=1)


def _variety(features: Floats) -> float:
    """Mean distance between different images."""
    squares = (features**2).sum(axis=1)
    distances = np.sqrt(np.clip(squares[:, None] + squares[None] - 2 * features @ features.T, 0, None))
    count = len(features)
    return float(distances.sum() / max(count * (count - 1), 1))
