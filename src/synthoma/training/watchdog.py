"""Watching a GAN learn: what usually goes wrong, recognised from figures and told in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from synthoma.metrics.copies import nearest_images
from synthoma.metrics.distances import sliced_wasserstein
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


FAMILIES = {"wavelet": wavelet_features, "random": random_features}
"""Features in which samples are scored at a snapshot."""

DIRECTIONS = 300
"""Along which two sets of images are compared at a snapshot."""


def validation_judge(
    training: Floats, patients: Sequence[str], validation: Floats | None, *, logits: bool
) -> Callable[[Tensor, dict[str, float]], tuple[float, dict[str, float], list[str]]]:
    """A judge for snapshots of a generator.

    The score is the geometric mean, over wavelet statistics and random convolutional features, of the sliced
    Wasserstein distance between samples and held-out real images, on the scale of the training images. Neither
    distance counts below what real images of other patients score: nearer to a few patients than other patients are is
    chance, not quality.

    Args:
        training: training images (N, H, W) in 0..1; at most a few hundred are needed.
        patients: whose they are (N,).
        validation: held-out real images (M, H, W) in 0..1, M >= 2; None where there are too few. The score is then the
            distance to the training images, every second training patient stands for other patients, and nobody can
            say what counts as a copy.
        logits: the discriminator's outputs are probabilities (not critic scores).

    Returns:
        A function of samples (B, C, S, S) in -1..1, of which the first channel is judged, and of the recent losses.
        What cannot be measured is nan: all of it, where the training images are one and the same.
    """
    references = {name: features(training) for name, features in FAMILIES.items()}
    held_out = references if validation is None else {name: features(validation) for name, features in FAMILIES.items()}
    own_variety = _variety(_joined(references, references))
    second = np.unique(np.asarray(patients), return_inverse=True)[1] % 2 == 1
    usual = math.nan if validation is None else float(np.percentile(nearest_images(validation, training).score, 99))

    def distance(name: str, real: Floats, others: Floats) -> float:
        scaled = standardised(references[name], real, others)
        return sliced_wasserstein(real=scaled[1], synthetic=scaled[2], projections=DIRECTIONS)

    def floor(name: str) -> float:
        own = references[name]
        if validation is not None:
            return distance(name, held_out[name], own)
        return distance(name, own[second], own[~second]) if second.any() else 0.0

    floors = {name: floor(name) for name in FAMILIES} if own_variety > 0 else {}

    def judge(samples: Tensor, recent: dict[str, float]) -> tuple[float, dict[str, float], list[str]]:
        images = (samples[:, 0].numpy() + 1) / 2
        values, score = dict.fromkeys((*FAMILIES, "variety", "near_copies"), math.nan), math.nan
        if own_variety > 0:
            drawn = {name: features(images) for name, features in FAMILIES.items()}
            values |= {name: distance(name, held_out[name], drawn[name]) for name in FAMILIES}
            values["variety"] = _variety(_joined(references, drawn)) / own_variety
            score = math.sqrt(math.prod(max(values[name], floors[name]) for name in FAMILIES))
        if validation is not None:
            values["near_copies"] = float((nearest_images(images[:64], training).score > usual).mean())
        return score, values, warnings_of(values, recent, logits=logits)

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


def _joined(references: dict[str, Floats], features: dict[str, Floats]) -> Floats:
    """All families side by side, each on the scale of its reference."""
    return np.concatenate([standardised(references[name], features[name])[1] for name in FAMILIES], axis=1)


def _variety(features: Floats) -> float:
    """Mean distance between different images."""
    squares = (features**2).sum(axis=1)
    distances = np.sqrt(np.clip(squares[:, None] + squares[None] - 2 * features @ features.T, 0, None))
    count = len(features)
    return float(distances.sum() / max(count * (count - 1), 1))
