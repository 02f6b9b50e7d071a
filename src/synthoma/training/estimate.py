"""What a training will need, estimated from its networks before it begins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from synthoma.core.resources import Needs
from synthoma.training.layers import Layer

PROCESS = 0.8e9
"""Bytes of the process itself: PyTorch, tables, evaluation of a snapshot."""

COPIES = 8
"""Times that weights lie in memory: themselves, gradient, two moments of Adam, moving average, best so far, and a
checkpoint while it is written."""

SAVED = 5
"""Times that weights lie in a checkpoint: themselves, two moments, moving average, best so far."""

HELD = 3
"""Times that what a layer gives lies in memory: for the way back, its gradient, and workspace of convolutions."""

SHEETS = 5e6
"""Bytes of sheets of samples, log and page."""


def training_needs(
    networks: Mapping[str, Sequence[Layer]], batch: int, keep: int, seconds: float | None = None
) -> Needs:
    """Memory and disk of a training.

    Args:
        networks: layers of each network that is trained, see ``layers_of``.
        batch: images in a step.
        keep: checkpoints that are kept; one more lies there while the oldest is being replaced.
        seconds: how long it runs, where that is known.
    """
    # 4 bytes: single precision.
    weights = 4.0 * sum(layer.parameters for layers in networks.values() for layer in layers)
    given = 4.0 * batch * sum(math.prod(layer.shape) for layers in networks.values() for layer in layers if layer.shape)
    return Needs(
        memory=PROCESS + COPIES * weights + HELD * given,
        disk=(keep + 1) * SAVED * weights + 2 * weights + SHEETS,
        seconds=seconds,
    )
