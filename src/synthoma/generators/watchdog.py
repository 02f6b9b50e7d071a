"""Watching a GAN learn: what usually goes wrong, recognised from figures and told in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from synthoma.core.seeding import stream
from synthoma.core.types import Array, Floats, Ints
from synthoma.metrics.copies.whole import Gallery
from synthoma.metrics.distances import sliced_wasserstein
from synthoma.metrics.features import random_features, standardised, wavelet_features
from synthoma.training.loop import Snapshot

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

RESAMPLES = 50
"""Draws of the held-out patients, for the error of a score."""

DIRECTIONS = 300
"""Along which two sets of images are compared at a snapshot."""


@dataclass(frozen=True)
class JudgedImages:
    """Real images (N, H, W) in 0..1 that samples are compared with, and whose they are (N,)."""

    images: Floats
    patients: Array


def validation_judge(
    training: JudgedImages, validation: JudgedImages | None, *, logits: bool
) -> Callable[[Tensor, dict[str, float]], Snapshot]:
    """A judge for snapshots of a generator.

    The score is the geometric mean, over wavelet statistics and random convolutional features, of the sliced
    Wasserstein distance between samples and held-out real images, on the scale of the training images. Neither
    distance counts below what real images of other patients score: nearer to a few patients than other patients are is
    chance, not quality. How much of a score is due to which patients were held out is told by resampling these.

    Args:
        training: training images; at most a few hundred are needed.
        validation: held-out real images, two or more; None where there are too few. The score is then the distance to
            the training images, every second training patient stands for other patients, and nobody can say what counts
            as a copy.
        logits: the discriminator's outputs are probabilities (not critic scores).

    Returns:
        A function of samples (B, C, S, S) in -1..1, of which the first channel is judged, and of the recent losses.
        What cannot be measured is nan: all of it, where the training images are one and the same.
    """
    references = {name: features(training.images) for name, features in FAMILIES.items()}
    compared = training if validation is None else validation
    features = references if validation is None else {name: of(validation.images) for name, of in FAMILIES.items()}
    own_variety = _variety(_joined(references, references))
    usual = math.nan
    if validation is not None:
        gallery = Gallery(training.images, upright=True)
        usual = float(np.percentile(gallery.nearest(validation.images).score, 99))
    second = np.unique(training.patients, return_inverse=True)[1] % 2 == 1

    def distances(rows: Ints, drawn: dict[str, Floats]) -> dict[str, float]:
        """From these of the images that samples are compared with."""
        found = {}
        for name in FAMILIES:
            scaled = standardised(references[name], features[name][rows], drawn[name])
            found[name] = sliced_wasserstein(real=scaled[1], synthetic=scaled[2], projections=DIRECTIONS)
        return found

    def floors(rows: Ints) -> dict[str, float]:
        """Distances of real images of other patients."""
        if validation is not None:
            return distances(rows, references)
        first = rows[~second[rows]]
        if len(first) in (0, len(rows)):
            return dict.fromkeys(FAMILIES, 0.0)
        return distances(rows[second[rows]], {name: own[first] for name, own in references.items()})

    def score(found: dict[str, float], least: dict[str, float]) -> float:
        return math.sqrt(math.prod(max(found[name], least[name]) for name in FAMILIES))

    everyone = np.arange(len(compared.images))
    looks = [everyone, *_resampled(compared.patients)] if own_variety > 0 else []
    least = [floors(rows) for rows in looks]

    def judge(samples: Tensor, recent: dict[str, float]) -> Snapshot:
        images = (samples[:, 0].numpy() + 1) / 2
        values, scores = dict.fromkeys((*FAMILIES, "variety", "near_copies"), math.nan), [math.nan]
        if own_variety > 0:
            drawn = {name: of(images) for name, of in FAMILIES.items()}
            found = [distances(rows, drawn) for rows in looks]
            scores = [score(*pair) for pair in zip(found, least, strict=True)]
            values |= found[0] | {"variety": _variety(_joined(references, drawn)) / own_variety}
        if validation is not None:
            values["near_copies"] = float((gallery.nearest(images[:64]).score > usual).mean())
        return Snapshot(scores[0], values, warnings_of(values, recent, logits=logits), resampled=scores[1:])

    return judge


def _resampled(patients: Array) -> list[Ints]:
    """Images of as many patients, drawn with replacement; none of a single patient, of whom nothing can be learned."""
    own = [np.flatnonzero(patients == name) for name in np.unique(patients)]
    draws = stream(0, "training.resampled_patients").integers(len(own), size=(RESAMPLES, len(own)))
    return [np.concatenate([own[number] for number in row]) for row in draws] if len(own) > 1 else []


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
