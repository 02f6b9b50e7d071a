"""How a learning rate moves through a training."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from synthoma.training.bundle import Bundle

WARM_UP = 0.04
"""Share of the budget in which the learning rate rises."""


def one_cycle(share: float) -> float:
    """Factor on the learning rate: up in a straight line at first, then down along half a cosine to 0."""
    if share < WARM_UP:
        # Never 0, or the first step of a short training would do nothing.
        return max(share, 0.002) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))


class Plateau:
    """Lowers a learning rate where a score that should fall no longer does: PyTorch's ReduceLROnPlateau, with a state.

    The rate falls at the ``patience``-th snapshot in a row whose score is not below the best by more than ``delta``, as
    in Keras; PyTorch itself waits for one more. A score that is none (nan) counts neither way.

    Args:
        optimiser: whose rate it is.
        patience: snapshots without a better score, 1 or more.
        factor: that the rate is multiplied by, above 0 and below 1.
        delta: by how much a score must be lower to be better, 0 or more.
        least: rate below which it does not fall.
    """

    def __init__(self, optimiser: Optimizer, *, patience: int, factor: float, delta: float, least: float) -> None:
        self.optimiser = optimiser
        self.scheduler = ReduceLROnPlateau(
            optimiser,
            "min",
            factor=factor,
            patience=patience - 1,
            threshold=delta,
            threshold_mode="abs",
            min_lr=least,
            # By default PyTorch leaves a rate as it is that would fall by less than 1e-8.
            eps=0.0,
        )

    def see(self, score: float) -> None:
        """Take note of the score of a snapshot."""
        # PyTorch would count nan as a bad snapshot.
        if math.isfinite(score):
            self.scheduler.step(score)

    def state(self, prefix: str) -> dict[str, Tensor]:
        """What the next snapshots depend on, as "<prefix>.<name>"."""
        rate = self.optimiser.param_groups[0]["lr"]
        values = {"best": self.scheduler.best, "bad": self.scheduler.num_bad_epochs, "rate": rate}
        return {f"{prefix}.{name}": torch.tensor(float(value), dtype=torch.float64) for name, value in values.items()}

    def restore(self, prefix: str, bundle: Bundle) -> None:
        """Put back what ``state`` took."""
        values = {name: float(value) for name, value in bundle.weights(prefix).items()}
        self.scheduler.best, self.scheduler.num_bad_epochs = values["best"], int(values["bad"])
        for group in self.optimiser.param_groups:
            group["lr"] = values["rate"]
