"""Autoencoders in training: what those that draw from codes share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.optim import Optimizer

from synthoma.cohorts.dataset import Batch
from synthoma.generators.augment import augment
from synthoma.generators.autoencoders.network import CodeGenerator
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.optimisers import optimiser_of
from synthoma.generators.task import GenerativeTask
from synthoma.training.bundle import Bundle
from synthoma.training.checkpoint import optimiser_state, restore_optimiser
from synthoma.training.schedule import one_cycle


class CodingTask(GenerativeTask):
    """One training of an autoencoder, all of whose weights learn to rebuild slices."""

    steadier = "--set gan.generator_rate=3e-4"
    generator: CodeGenerator
    average: CodeGenerator

    def __init__(self, setup: GenerativeSetup) -> None:
        super().__init__(setup)
        self.optimiser = optimiser_of(self.gan, self.generator.parameters(), self.gan.generator_rate)

    def seen(self, step: int) -> tuple[Tensor, Batch]:
        """Batch number ``step`` with its changes, (B, planes, S, S); these are learned, and drawn."""
        batch, draws = self.real(step), self.draws("changes", step)
        planes = augment(batch.planes(), self.gan.augment, self.gan.augment_probability, draws, self.shape.channels)
        return self.placed(planes), batch

    def set_rates(self, share: float, optimisers: Sequence[tuple[Optimizer, float]]) -> None:
        """Learning rates for this share of the budget."""
        factor = one_cycle(share) if self.gan.schedule == "cosine" else 1.0
        for optimiser, rate in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def state(self) -> dict[str, Tensor]:
        """Networks and the optimiser."""
        return {**super().state(), **optimiser_state(self.gan.optimiser, self.optimiser)}

    def restore(self, bundle: Bundle) -> None:
        """Put everything back that ``state`` took."""
        super().restore(bundle)
        restore_optimiser(self.gan.optimiser, self.optimiser, bundle)


def moved(optimiser: Optimizer, loss: Tensor) -> None:
    """One step of an optimiser down a loss."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
