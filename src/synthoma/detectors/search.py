"""What a search varies of a detector: rate, decay, batch, loss, strength of augmentation, and the network's size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from synthoma.detectors.learning import AugmentConfig
from synthoma.detectors.settings import HEADED, ClassifierConfig, SegmenterConfig
from synthoma.detectors.training import DetectorTraining
from synthoma.training.search import Value, Vary, given
from synthoma.training.settings import SECTION

Training = TypeVar("Training", bound=DetectorTraining)

REACH = 5.0
"""Rates are searched from the model's own over this to its own times this."""

STRENGTH = "augment_strength"
"""Factor on all strengths of augmentation."""


def detector_space(config: DetectorTraining) -> list[Vary]:
    """What is varied of a detector; what somebody gave is not, nor a network that begins as a trained one."""
    own = config.segmenter if config.kind == "segmenter" else config.classifier
    space = [
        Vary("rate", low=own.rate / REACH, high=own.rate * REACH),
        Vary("weight_decay", low=1e-4, high=1e-1),
        Vary("batch", (8, 16, 32)),
        *(_of_segmenter(own) if isinstance(own, SegmenterConfig) else _of_classifier(own)),
    ]
    fixed = given(own, config.of_model(config.model)[1])
    if "augment" not in fixed:
        space.append(Vary(STRENGTH, (0.0, 0.5, 1.0, 1.5)))
    if config.init is not None:
        fixed |= {"width", "levels"}
    return [one for one in space if one.name not in fixed]


def _of_segmenter(own: SegmenterConfig) -> list[Vary]:
    space = [] if not own.supervised else [Vary("loss", ("bce-dice", "tversky", "focal-tversky", "dice-focal"))]
    if own.network not in ("resunet-seed", "mask-seed"):
        space.append(Vary("width", (8, 16, 24, 32)))
    if own.network == "unet-25d":
        space.append(Vary("levels", (3, 4, 5)))
    return space


def _of_classifier(own: ClassifierConfig) -> list[Vary]:
    space = [Vary("label_smoothing", (0.0, 0.05, 0.1))]
    if own.network in ("cnn", "critic"):
        space.append(Vary("width", (16, 32, 48)))
    if own.network in HEADED and own.head:
        space.append(Vary("dropout", (0.0, 0.3, 0.5)))
    return space


def changed_detector(config: Training, values: Mapping[str, Value]) -> Training:
    """The settings of a trial."""
    section = SECTION[config.kind]
    own = config.segmenter if config.kind == "segmenter" else config.classifier
    told: dict[str, object] = dict(values)
    strength = told.pop(STRENGTH, None)
    if strength is not None:
        told["augment"] = stronger(own.augment, float(str(strength)))
    return config.model_copy(update={section: own.model_copy(update=told)})


def stronger(augment: AugmentConfig, factor: float) -> AugmentConfig:
    """Augmentation of another strength, each within what the setting allows; the chance of a flip stays, or is 0."""
    most = {"rotation": 180.0, "gamma": 1.0, "ghosting": 1.0, "blur": 1.0}
    changed = {name: min(value * factor, most.get(name, 0.95)) for name, value in augment if name != "flip"}
    return AugmentConfig(**changed, flip=augment.flip if factor else 0.0)
