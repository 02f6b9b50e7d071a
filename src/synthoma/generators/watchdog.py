"""Watching a GAN learn: what usually goes wrong, recognised from figures and told in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from synthoma.core.seeding import stream
from synthoma.core.types import Array, Bools, Floats, Ints
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
    yardstick = _Yardstick.of(training, validation)
    own_variety = _variety(_joined(yardstick.references, yardstick.references))
    usual = math.nan
    if validation is not None:
        gallery = Gallery(training.images, upright=True)
        usual = float(np.percentile(gallery.nearest(validation.images).score, 99))
    compared = training if validation is None else validation
    # The whole set first: its distances are the score, those of the resampled patients are its error.
    samplings = [np.arange(len(compared.images)), *_resampled(compared.patients)] if own_variety > 0 else []
    least = [yardstick.floors(rows) for rows in samplings]

    def judge(samples: Tensor, recent: dict[str, float]) -> Snapshot:
        images = (samples[:, 0].numpy() + 1) / 2
        values, scores = dict.fromkeys((*FAMILIES, "variety", "near_copies"), math.nan), [math.nan]
        if own_variety > 0:
            drawn = {name: of(images) for name, of in FAMILIES.items()}
            found = [yardstick.distances(rows, drawn) for rows in samplings]
            scores = [_mean_distance(*pair) for pair in zip(found, least, strict=True)]
            values |= found[0] | {"variety": _variety(_joined(yardstick.references, drawn)) / own_variety}
        if validation is not None:
            # 64 do: the limit is three of them, and each is searched for among all training images.
            values["near_copies"] = float((gallery.nearest(images[:64]).score > usual).mean())
        return Snapshot(scores[0], values, warnings_of(values, recent, logits=logits), resampled=scores[1:])

    return judge


@dataclass(frozen=True)
class _Yardstick:
    """What samples are compared with: held-out images, or where there are too few the training images.

    Attributes:
        references: features (N, D) of the training images by family, which set the scale.
        features: those of the images that samples are compared with.
        second: which of these are of every second patient (M,), who then stand for other patients; None where images
            are held out.
    """

    references: dict[str, Floats]
    features: dict[str, Floats]
    second: Bools | None

    @classmethod
    def of(cls, training: JudgedImages, validation: JudgedImages | None) -> _Yardstick:
        """That of a training's images, and of those that are held out."""
        references = {name: features(training.images) for name, features in FAMILIES.items()}
        if validation is None:
            second = np.unique(training.patients, return_inverse=True)[1] % 2 == 1
            return cls(references, references, second)
        return cls(references, {name: of(validation.images) for name, of in FAMILIES.items()}, None)

    def distances(self, rows: Ints, drawn: dict[str, Floats]) -> dict[str, float]:
        """From these of the images to others, whose features are given, by family."""
        found = {}
        for name in FAMILIES:
            scaled = standardised(self.references[name], self.features[name][rows], drawn[name])
            found[name] = sliced_wasserstein(real=scaled[1], synthetic=scaled[2], projections=DIRECTIONS)
        return found

    def floors(self, rows: Ints) -> dict[str, float]:
        """Distances of real images of other patients, by family; 0 where there are no others."""
        if self.second is None:
            return self.distances(rows, self.references)
        first = rows[~self.second[rows]]
        # All drawn patients are on one side: there is nobody to stand for others.
        if len(first) in (0, len(rows)):
            return dict.fromkeys(FAMILIES, 0.0)
        return self.distances(rows[self.second[rows]], {name: own[first] for name, own in self.references.items()})


def _mean_distance(found: dict[str, float], least: dict[str, float]) -> float:
    """Geometric mean over the families, none of which counts below what other real patients score."""
    # Geometric: families have other units, and neither is to drown the other.
    return math.sqrt(math.prod(max(found[name], least[name]) for name in FAMILIES))


def _resampled(patients: Array) -> list[Ints]:
    """Images of as many patients, drawn with replacement; none of a single patient, of whom nothing can be learned."""
    own = [np.flatnonzero(patients == name) for name in np.unique(patients)]
    # The same draws at every snapshot: what they say of two snapshots is paired, and its error is of the difference.
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
    # nan compares as False throughout: what could not be measured warns of nothing.
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
    # Rounding leaves squares a little below 0 for equal images.
    distances = np.sqrt(np.clip(squares[:, None] + squares[None] - 2 * features @ features.T, 0, None))
    count = len(features)
    return float(distances.sum() / max(count * (count - 1), 1))
