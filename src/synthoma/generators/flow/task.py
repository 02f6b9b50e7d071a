"""A flow in training: the step, and its state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthoma.generators.augment import augment
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.flow.loss import draw_times, point_on_path, velocity_loss
from synthoma.generators.flow.network import FlowGenerator
from synthoma.generators.task import GenerativeTask
from synthoma.training.bundle import Bundle
from synthoma.training.checkpoint import optimiser_state, restore_optimiser
from synthoma.training.device import single_or_more
from synthoma.training.schedule import one_cycle

LARGEST_GRADIENT = 1.0


class FlowTask(GenerativeTask):
    """One training of a flow."""

    steadier = "--set gan.generator_rate=3e-4"
    generator: FlowGenerator

    def __init__(self, setup: GenerativeSetup) -> None:
        super().__init__(setup)
        self.samples //= 2  # a flow takes its time to draw
        moments = (float(self.gan.beta1), float(self.gan.beta2))
        self.optimiser = torch.optim.Adam(self.generator.parameters(), self.gan.generator_rate, moments)

    # --- one step --------------------------------------------------------------------------------------------

    def step(self, step: int, share: float) -> dict[str, Tensor]:
        """Learn the velocity at one time of one path for each slice of batch number ``step``."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.gan.generator_rate * (one_cycle(share) if self.gan.schedule == "cosine" else 1.0)
        batch = self.real(step)
        draws = self.draws("flow", step)
        # Unlike a GAN's changes, which both players see, these are learned and drawn.
        planes = augment(batch.planes(), self.gan.augment, self.gan.augment_probability, draws, self.shape.channels)
        noise = torch.randn(planes.shape, generator=draws)
        times = draw_times(self.gan.flow_times, len(planes), draws)
        data, noise, times = self.placed(planes), self.placed(noise), times.to(self.execution.device)
        with self.precision():
            velocity = self._velocity(point_on_path(data, noise, times), times, self.classes(batch.classes))
        # The error of a velocity near its goal is too small for half precision.
        loss = velocity_loss(single_or_more(velocity), data, noise)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.team.add_gradients(self.generator)
        # One batch with a large error must not undo many steps.
        nn.utils.clip_grad_norm_(self.generator.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        self.count_images()
        return {"loss": loss}

    def _velocity(self, points: Tensor, times: Tensor, label: Tensor | None) -> Tensor:
        """Velocities of the whole batch, of which this process computes its rows."""
        rows = self.team.rows(len(points))
        own = self.generator.velocity(points[rows], times[rows], None if label is None else label[rows])
        return self.team.joined(own, len(points))

    # --- the state -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Networks and the optimiser."""
        return {**super().state(), **optimiser_state("adam", self.optimiser)}

    def restore(self, bundle: Bundle) -> None:
        """Put everything back that ``state`` took."""
        super().restore(bundle)
        restore_optimiser("adam", self.optimiser, bundle)
