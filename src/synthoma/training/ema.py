"""Moving average of a network's weights, with its speed in images (Karras et al. 2022, appendix)."""

from __future__ import annotations

import torch
from torch import nn


def ema_decay(batch: int, images: float, half_life: float, ramp: float = 0.05) -> float:
    """What of the old average remains after a step of ``batch`` images: 0.5 ** (batch / half-life).

    In the beginning the half-life is at most ``ramp`` times the images seen so far, so that the average does not
    carry the random weights of the start for long.
    """
    # Relative to what was seen: an average with the full memory from the start shows random weights for long.
    current = min(half_life, max(images, 1.0) * ramp)
    return float(0.5 ** (batch / current)) if current > 0 else 0.0


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Set average = decay * average + (1 - decay) * network, parameter by parameter; buffers are copied."""
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1.0 - decay)
    # Of buffers an average means nothing: of batch norm, some count batches and the others are averages already.
    for kept, current in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(current)
