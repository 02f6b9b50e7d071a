"""Tables of a detector's network, from what its model file says."""

from __future__ import annotations

import torch

from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import ClassifierNetwork, SegmenterNetwork
from synthoma.training.layers import Layer, layers_of
from synthoma.training.meta import ModelMeta


def detector_summary(meta: ModelMeta) -> dict[str, list[Layer]]:
    """Summary of a segmenter or classifier from its model file's description."""
    shape = SegmenterShape(**meta.shape)
    if meta.kind == "segmenter":
        settings = SegmenterNetwork.model_validate(meta.network)
        network, context = build_segmenter(settings, shape), settings.context
    else:
        known = ClassifierNetwork.model_validate(meta.network)
        network, context = build_classifier(known, shape.size, shape.channels, len(meta.classes)), known.context
    image = torch.zeros(2, context * shape.channels, shape.size, shape.size)
    return {meta.kind: layers_of(network.eval(), image)}
