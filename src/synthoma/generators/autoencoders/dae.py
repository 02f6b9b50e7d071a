"""A denoising autoencoder in training, and the density of its codes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synthoma.cohorts.dataset import spread
from synthoma.generators.autoencoders.coding import CodingTask, moved
from synthoma.generators.autoencoders.loss import squared_error
from synthoma.generators.task import SHEET
from synthoma.training.loop import Progress, Snapshot

CODED = 2000
"""Training slices to whose codes the density is fitted; of more, evenly spaced ones."""


class DenoisingTask(CodingTask):
    """One training of a denoising autoencoder.

    It learns to give slices back of which it sees noised copies. At each snapshot a density is fitted to the codes of
    the training slices as they are, without noise; images are drawn by decoding codes of that density.
    """

    def step(self, step: int, share: float) -> dict[str, Tensor]:
        """Take the noise off batch number ``step``."""
        self.set_rates(share, ((self.optimiser, self.gan.generator_rate),))
        planes, batch = self.seen(step)
        noise = self.placed(torch.randn(planes.shape, generator=self.draws("noise", step)))
        noised = planes + self.gan.corruption * noise
        label = self.classes(batch.classes)
        loss = squared_error(planes, self.generator.decode(self.generator.encode(noised), label))
        moved(self.optimiser, loss)
        self.count_images()
        return {"loss": loss}

    def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
        """Fit the density, and score the averaged generator."""
        self.fit_density()
        return super().snapshot(progress, recent)

    @torch.no_grad()
    def fit_density(self) -> None:
        """Fit the density to the codes that the averaged encoder makes of the training slices."""
        # Evenly spaced: rows are sorted by patient, and the first ones would be those of a few.
        rows = spread(np.arange(len(self.slices)), CODED)
        batches = [self.slices.fetch(rows[at : at + SHEET]) for at in range(0, len(rows), SHEET)]
        # Clean slices: codes of noised ones spread wider than those that images are to be drawn from.
        codes = torch.cat([self.average.encode(self.placed(batch.planes())).cpu() for batch in batches])
        classes = torch.cat([batch.classes for batch in batches]) if self.shape.classes else torch.zeros(len(rows))
        if not bool(torch.isfinite(codes).all()):
            return  # the snapshot says that the training broke
        density = self.average.density
        assert density is not None
        density.fit(codes, classes, self.draws("density", 0))
        # The average takes over the generator's buffers at each step.
        self.generator.load_state_dict(
            {f"density.{name}": value for name, value in density.state_dict().items()}, strict=False
        )
