"""A network that gradients pass through, but that does not learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def held_still(network: nn.Module) -> Iterator[None]:
    """Neither weights nor running statistics of a network change inside, though gradients pass through it.

    A discriminator's running statistics would otherwise see generated images twice as often as real ones.
    """
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    network.requires_grad_(False)
    for norm in norms:
        # In training mode torch then normalises by the batch, and leaves its running figures alone.
        norm.track_running_stats = False
    try:
        yield
    finally:
        network.requires_grad_(True)
        for norm in norms:
            norm.track_running_stats = True
