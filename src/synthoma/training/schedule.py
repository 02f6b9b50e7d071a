"""How a learning rate moves through a training."""

from __future__ import annotations

import math

WARM_UP = 0.04
"""Share of the budget in which the learning rate rises."""


def one_cycle(share: float) -> float:
    """Factor on the learning rate: up in a straight line at first, then down along half a cosine to 0."""
    if share < WARM_UP:
        return max(share, 0.002) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))
