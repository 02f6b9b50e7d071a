"""Tables of networks: layers, output shapes, parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


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

    def note(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(module: nn.Module, _: object, output: Tensor) -> None:
            count = sum(parameter.numel() for parameter in module.parameters())
            # torch renames the class of a layer whose weights are parametrised (spectral norm).
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


def total(layers: list[Layer]) -> int:
    """Parameters of all layers."""
    return sum(layer.parameters for layer in layers)
