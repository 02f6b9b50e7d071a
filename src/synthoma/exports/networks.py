"""A trained segmenter or classifier as one network without Synthoma: from squares to probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from synthoma.core.errors import ConfigError
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.learning import Scale
from synthoma.detectors.scale import as_input
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import ClassifierNetwork, SegmenterNetwork
from synthoma.training.bundle import SHIPPED, Bundle, fitting, open_model, shipped_model


class Answering(nn.Module):
    """Squares on a cohort's scale to probabilities: the network with what stands before and behind it.

    (B, context * C, S, S) -> (B, T, S, S) of a segmenter, each target by itself; (B, classes) of a classifier, which
    add up to 1.

    Args:
        network: in evaluation mode; gives logits.
        scale: on which it takes grey values.
        classifier: whether its answers exclude one another.
    """

    def __init__(self, network: nn.Module, scale: Scale, *, classifier: bool) -> None:
        super().__init__()
        self.network, self.scale, self.classifier = network, scale, classifier

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities."""
        logits: Tensor = self.network(as_input(images, self.scale))
        return logits.softmax(dim=1) if self.classifier else logits.sigmoid()


@dataclass(frozen=True)
class Model:
    """A model that is to be written.

    Attributes:
        bundle: its file.
        network: on the CPU, in evaluation mode, in float32.
        size: side of its squares.
        context: neighbouring slices that it sees at once.
        scale: on which its own layers take grey values; ``network`` brings them there.
    """

    bundle: Bundle
    network: Answering
    size: int
    context: int
    scale: Scale

    @property
    def classifier(self) -> bool:
        """Whether it tells classes apart; else it outlines."""
        return self.bundle.meta.kind == "classifier"

    @property
    def channels(self) -> int:
        """Layers of its input."""
        return self.context * len(self.bundle.meta.modalities)

    @property
    def answers(self) -> tuple[str, ...]:
        """Names of what it gives probabilities of."""
        return self.bundle.meta.classes if self.classifier else self.bundle.meta.targets

    @classmethod
    def open(cls, run: Path) -> Model:
        """Open a run, a model file, or by the word "phantom" the segmenter inside the package.

        Raises:
            InputError: nothing there, or a damaged model.
            ConfigError: a generator.
        """
        bundle = open_model(shipped_model() if str(run) == SHIPPED and not run.exists() else run)
        if bundle.meta.kind == "generator":
            came = f"a generator ({bundle.meta.model})"
            todo = "draw a cohort with `synthoma generate`, and export that in any other form"
            raise ConfigError("a segmenter or a classifier", came, todo)
        with fitting("a model"):
            return _assembled(bundle)

    def __call__(self, images: Tensor) -> Tensor:
        """Probabilities for squares on a cohort's scale (B, channels, S, S)."""
        with torch.inference_mode():
            found: Tensor = self.network(images)
        return found


def _assembled(bundle: Bundle) -> Model:
    meta = bundle.meta
    config: SegmenterNetwork | ClassifierNetwork
    if meta.kind == "segmenter":
        config, shape = SegmenterNetwork.model_validate(meta.network), SegmenterShape(**meta.shape)
        network, channels, size = build_segmenter(config, shape), shape.channels, shape.size
        if not len(meta.targets) == len(meta.threshold) == shape.targets:
            raise ValueError("targets and thresholds that fit the network")
    else:
        config, size, channels = (
            ClassifierNetwork.model_validate(meta.network),
            meta.shape["size"],
            meta.shape["channels"],
        )
        network = build_classifier(config, size, channels, len(meta.classes))
    if len(meta.modalities) != channels:
        raise ValueError("modalities that fit the network")
    network.load_state_dict({name: value.float() for name, value in bundle.weights(meta.kind).items()})
    answering = Answering(network, config.scale, classifier=meta.kind == "classifier")
    return Model(bundle, answering.eval().requires_grad_(False), size, config.context, config.scale)
