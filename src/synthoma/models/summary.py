"""Tables of networks: layers, output shapes, parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from synthoma.models.classifiers import ClassifierNetwork, build_classifier
from synthoma.models.flow import FlowGenerator
from synthoma.models.registry import ImageShape, NetworkConfig, build_discriminator, build_generator, latent_shape
from synthoma.models.segmenters import SegmenterNetwork, SegmenterShape, build_segmenter


@dataclass(frozen=True)
class Layer:
    """One row of a summary: its name, kind, output shape without the batch, and number of parameters."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def layers_of(network: nn.Module, *inputs: Tensor) -> list[Layer]:
    """Layers in the order in which they run on ``inputs``."""
    rows: list[Layer] = []
    hooks = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, _: object, output: Tensor) -> None:
            count = sum(parameter.numel() for parameter in module.parameters())
            kind = type(module).__name__.removeprefix("Parametrized")
            rows.append(Layer(name, kind, tuple(output.shape[1:]), count))

        return hook

    for name, module in network.named_modules():
        inside = "parametrizations" in name.split(".")  # spectral norm keeps a layer's weights in parts below it
        if not inside and all(child == "parametrizations" for child, _ in module.named_children()):
            hooks.append(module.register_forward_hook(note(name)))
    with torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return rows


def gan_summary(config: NetworkConfig, shape: ImageShape) -> dict[str, list[Layer]]:
    """Summaries of the generator, of the discriminator, and of both combined; of a flow, of its network alone."""
    label = [torch.zeros(2, dtype=torch.long)] if shape.classes else []
    network = build_generator(config, shape).eval()
    if isinstance(network, FlowGenerator):  # run many times for an image, of which the table shows one
        return {
            "velocity": layers_of(network.network, torch.zeros(2, *latent_shape(config, shape)), torch.zeros(2), *label)
        }
    generator = layers_of(network, torch.zeros(2, *latent_shape(config, shape)), *label)
    image = torch.zeros(2, shape.planes, shape.size, shape.size)
    discriminator = layers_of(build_discriminator(config, shape).eval(), image, *label)
    combined = [
        Layer("generator", "latent -> image", (shape.planes, shape.size, shape.size), total(generator)),
        Layer("discriminator", "image -> score", (), total(discriminator)),
    ]
    return {"generator": generator, "discriminator": discriminator, "combined": combined}


def detector_summary(meta: dict[str, Any]) -> dict[str, list[Layer]]:
    """Summary of a segmenter or classifier from its model file's description."""
    shape = SegmenterShape(**meta["shape"])
    if meta["kind"] == "segmenter":
        settings = SegmenterNetwork.model_validate(meta["network"])
        network, context = build_segmenter(settings, shape), settings.context
    else:
        known = ClassifierNetwork.model_validate(meta["network"])
        network, context = build_classifier(known, shape.size, shape.channels, len(meta["classes"])), known.context
    image = torch.zeros(2, context * shape.channels, shape.size, shape.size)
    return {meta["kind"]: layers_of(network.eval(), image)}


def total(layers: list[Layer]) -> int:
    """Parameters of all layers."""
    return sum(layer.parameters for layer in layers)
