"""A flow in training: the step, the score at a snapshot, and the state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.augment.differentiable import augment
from synthoma.data.dataset import TrainingSlices
from synthoma.losses.flow import draw_times, point_on_path, velocity_loss
from synthoma.models.bundle import Bundle
from synthoma.models.flow import FlowGenerator
from synthoma.models.registry import ImageShape, build_generator, latent_shape
from synthoma.seeding import stream_key
from synthoma.training.adversarial import SHEET, Judge
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.device import Execution
from synthoma.training.ema import ema_decay, update_ema
from synthoma.training.loop import Progress, Snapshot
from synthoma.training.settings import TrainConfig
from synthoma.training.supervised import one_cycle

LARGEST_GRADIENT = 1.0


class FlowTask:
    """One training of a flow.

    Args:
        config: the settings.
        shape: of the images.
        slices: to learn from.
        execution: device, threads, memory layout and precision.
        judge: scores samples at a snapshot.
        sheet: called with (images seen, samples (64, planes, S, S)) at each snapshot.
        samples: number of images that are judged.
    """

    def __init__(
        self,
        config: TrainConfig,
        shape: ImageShape,
        slices: TrainingSlices,
        execution: Execution,
        judge: Judge,
        sheet: Callable[[int, Tensor], None] = lambda images, samples: None,
        samples: int = 128,
    ) -> None:
        self.config, self.gan, self.shape, self.slices = config, config.gan, shape, slices
        self.execution, self.judge, self.sheet, self.samples = execution, judge, sheet, samples
        self.batch = self.gan.batch
        torch.manual_seed(stream_key(config.seed, "training.weights") % 2**63)
        generator = build_generator(self.gan, shape)
        assert isinstance(generator, FlowGenerator)
        self.generator: FlowGenerator = generator.to(execution.device).to(memory_format=execution.memory_format)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.best = _copied(self.average)
        moments = (float(self.gan.beta1), float(self.gan.beta2))
        self.optimiser = torch.optim.Adam(self.generator.parameters(), self.gan.generator_rate, moments)
        self.images = 0

    # --- one step --------------------------------------------------------------------------------------------

    def step(self, step: int, share: float) -> dict[str, Tensor]:
        """Learn the velocity at one time of one path for each slice of batch number ``step``."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.gan.generator_rate * (one_cycle(share) if self.gan.schedule == "cosine" else 1.0)
        batch = self.slices.fetch(self.slices.positions(self.config.seed, "training.order", step, self.batch))
        draws = self._draws("flow", step)
        # Unlike a GAN's changes, which both players see, these are learned and drawn.
        planes = augment(batch.planes(), self.gan.augment, self.gan.augment_probability, draws, self.shape.channels)
        noise = torch.randn(planes.shape, generator=draws)
        times = draw_times(self.gan.flow_times, len(planes), draws)
        data, noise, times = self._placed(planes), self._placed(noise), times.to(self.execution.device)
        with self._precision():
            velocity = self.generator.velocity(point_on_path(data, noise, times), times, self._classes(batch.classes))
        loss = velocity_loss(velocity.float(), data, noise)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.generator.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        self.images += self.batch
        half_life = self.gan.ema_images
        update_ema(self.average, self.generator, ema_decay(self.batch, self.images, half_life) if half_life else 0.0)
        return {"loss": loss}

    def _placed(self, planes: Tensor) -> Tensor:
        return planes.to(self.execution.device, memory_format=self.execution.memory_format)

    def _classes(self, classes: Tensor) -> Tensor | None:
        return classes.to(self.execution.device) if self.shape.classes else None

    def _draws(self, purpose: str, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(stream_key(self.config.seed, f"training.{purpose}", number) % 2**63)

    def _precision(self) -> Any:
        if not self.execution.bf16:
            return nullcontext()
        return torch.autocast(self.execution.device, dtype=torch.bfloat16)

    # --- a snapshot ------------------------------------------------------------------------------------------

    def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
        """Score the averaged generator on images whose noise stays the same through the run."""
        weights = torch.stack([value.detach().abs().max() for value in self.generator.parameters()])
        if not bool(torch.isfinite(weights).all()) or not all(map(math.isfinite, recent.values())):
            return Snapshot(math.nan, {}, [_BROKEN], fatal=True)
        samples = self.draw(max(self.samples, SHEET))
        self.sheet(progress.images, samples[:SHEET])
        score, values, warnings = self.judge(samples[: self.samples], {**recent, "step": progress.step})
        return Snapshot(score, values, warnings)

    @torch.no_grad()
    def draw(self, count: int) -> Tensor:
        """Images (count, planes, S, S) of the averaged generator, for the first ``count`` fixed pictures of noise.

        Classes come as often as among the slices.
        """
        draws = self._draws("snapshot", 0)
        known = self.slices.classes[self.slices.rows]
        classes = torch.from_numpy(known[np.linspace(0, len(known) - 1, count).astype(int)])
        label = self._classes(classes[torch.randperm(count, generator=draws)])
        noise = self._placed(torch.randn(count, *latent_shape(self.gan, self.shape), generator=draws))
        blocks = [slice(at, at + SHEET) for at in range(0, count, SHEET)]
        with self._precision():
            images = [self.average(noise[block], None if label is None else label[block]) for block in blocks]
        return torch.cat(images).float().cpu()

    def keep_best(self) -> None:
        """Copy the averaged generator."""
        self.best = _copied(self.average)

    # --- the state -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Network, moving average, best weights, and the optimiser."""
        return {
            **network_state("generator", self.generator),
            **network_state("average", self.average),
            **{f"best.{name}": value for name, value in self.best.items()},
            **optimiser_state("adam", self.optimiser),
            "images": torch.tensor(self.images),
        }

    def restore(self, bundle: Bundle) -> None:
        """Put everything back that ``state`` took."""
        self.generator.load_state_dict(bundle.weights("generator"))
        self.average.load_state_dict(bundle.weights("average"))
        self.best = {name: value.to(self.execution.device) for name, value in bundle.weights("best").items()}
        restore_optimiser("adam", self.optimiser, bundle)
        self.images = int(bundle.tensors["images"])

    def finished(self) -> dict[str, Tensor]:
        """What a trained model is made of: the best averaged generator."""
        return {f"generator.{name}": value for name, value in self.best.items()}


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


_BROKEN = (
    "The losses are no longer finite numbers (NaN): training has stopped, and the best snapshot is kept. "
    "Try a lower learning rate (--set gan.generator_rate=3e-4)."
)
