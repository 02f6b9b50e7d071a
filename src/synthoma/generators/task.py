"""What all generators share in training: a moving average of the weights, snapshots, samples and the state."""

from __future__ import annotations

import copy
import math
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.cohorts.dataset import Batch
from synthoma.core.seeding import stream_key
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.initial import GanStart
from synthoma.training.bundle import Bundle
from synthoma.training.checkpoint import network_state
from synthoma.training.device import Execution
from synthoma.training.ema import ema_decay, update_ema
from synthoma.training.loop import Progress, Snapshot
from synthoma.training.team import team

Network = TypeVar("Network", bound=nn.Module)

SHEET = 64
"""Images of the sample sheet; their latents stay the same through the run."""


class GenerativeTask:
    """One training of a generator, whatever teaches it."""

    steadier: ClassVar[str]
    """Settings to try after a training that broke, as options of the command."""

    def __init__(self, setup: GenerativeSetup) -> None:
        plan = setup.plan
        self.config, self.gan, self.shape, self.slices = plan.config, plan.config.gan, plan.shape, plan.slices
        self.material = setup.material
        self.execution, self.judge, self.sheet, self.samples = setup.execution, setup.judge, setup.sheet, setup.samples
        self.batch = self.gan.batch
        # Layers take their first weights from the global generator: a function of the seed, whatever ran before.
        torch.manual_seed(stream_key(self.config.seed, "training.weights") % 2**63)
        self.generator = on_device(plan.family.generator(self.gan, self.shape), self.execution)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.best = copied(self.average)
        self.team = team()
        self.team.share_norms(self.generator, self.batch)
        self.images = 0

    # --- parts of a step -------------------------------------------------------------------------------------

    def count_images(self) -> None:
        """After each step: count its images, and let the average follow the generator."""
        self.images += self.batch
        half_life = self.gan.ema_images
        update_ema(self.average, self.generator, ema_decay(self.batch, self.images, half_life) if half_life else 0.0)

    def real(self, number: int) -> Batch:
        """Batch ``number`` of the slices, a function of the seed."""
        return self.slices.fetch(self.slices.positions(self.config.seed, "training.order", number, self.batch))

    def latents(self, count: int, draws: torch.Generator) -> Tensor:
        """What the generator makes images of, float32 (count, ...)."""
        return self.placed(self.material.latents.batch(count, draws))

    def placed(self, planes: Tensor) -> Tensor:
        """The planes on the device; pictures in its memory layout."""
        if planes.ndim < 4:
            return planes.to(self.execution.device)
        return planes.to(self.execution.device, memory_format=self.execution.memory_format)

    def classes(self, classes: Tensor) -> Tensor | None:
        """Classes on the device, or None where the generator knows none."""
        return classes.to(self.execution.device) if self.shape.classes else None

    def draws(self, purpose: str, number: int) -> torch.Generator:
        """Random numbers for one purpose and step, whatever was drawn before."""
        return torch.Generator().manual_seed(stream_key(self.config.seed, f"training.{purpose}", number) % 2**63)

    def precision(self) -> AbstractContextManager[object]:
        """The context in which networks run."""
        if not self.execution.bf16:
            return nullcontext()
        return torch.autocast(self.execution.device, dtype=torch.bfloat16)

    # --- a snapshot ------------------------------------------------------------------------------------------

    def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
        """Score the averaged generator on images whose latents stay the same through the run."""
        weights = torch.stack([value.detach().abs().max() for value in self.generator.parameters()])
        # One nan or infinity anywhere comes through `max`, without a look at every weight on the CPU.
        if not bool(torch.isfinite(weights).all()) or not all(map(math.isfinite, recent.values())):
            broken = (
                "The losses are no longer finite numbers (NaN): training has stopped, and the best snapshot is kept. "
                f"Try a lower learning rate ({self.steadier})."
            )
            return Snapshot(math.nan, {}, [broken], fatal=True)
        count = max(self.samples, SHEET)
        # The same latents at every snapshot: what changes between two of them is the generator and not the draw.
        samples, classes = self.draw(count), self.snapshot_classes(count)
        self.sheet(progress.images, samples[:SHEET])
        judged = samples[: self.samples]
        taken = self.judge(judged, {**recent, "step": progress.step})
        return self.watched(taken, judged, classes[: self.samples])

    def watched(self, taken: Snapshot, samples: Tensor, classes: Tensor) -> Snapshot:
        """The snapshot with what else is to be said of these samples (N, planes, S, S) of these classes (N,)."""
        return taken

    @torch.no_grad()
    def draw(self, count: int) -> Tensor:
        """Images (count, planes, S, S) of the averaged generator, for the first ``count`` fixed latents.

        Classes come as often as among the slices.
        """
        latents = self.latents(count, self.draws("snapshot", 0))
        label = self.classes(self.snapshot_classes(count))
        blocks = [slice(at, at + SHEET) for at in range(0, count, SHEET)]
        with self.precision():
            images = [self.average(latents[block], None if label is None else label[block]) for block in blocks]
        return torch.cat(images).float().cpu()

    def snapshot_classes(self, count: int) -> Tensor:
        """Classes (N,) of the images that are drawn at a snapshot, as often as among the slices."""
        frequency = np.bincount(self.slices.classes[self.slices.rows], minlength=max(self.shape.classes, 1))
        classes = np.repeat(np.arange(len(frequency)), np.ceil(count * frequency / frequency.sum()).astype(int))
        # Rounded up and cut after shuffling: no class loses its only image to rounding.
        order = torch.randperm(len(classes), generator=self.draws("snapshot.classes", 0))[:count]
        return torch.from_numpy(classes)[order]

    def begin(self, start: GanStart) -> None:
        """Take over a trained generator before the first step."""
        self.generator.load_state_dict(start.weights["generator"])
        self.average.load_state_dict(start.weights["generator"])
        self.keep_best()

    def keep_best(self) -> None:
        """Copy the averaged generator."""
        self.best = copied(self.average)

    # --- the state -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Generator, moving average and best weights."""
        return {
            **network_state("generator", self.generator),
            **network_state("average", self.average),
            **{f"best.{name}": value for name, value in self.best.items()},
            "images": torch.tensor(self.images),
        }

    def restore(self, bundle: Bundle) -> None:
        """Put everything back that ``state`` took."""
        self.generator.load_state_dict(bundle.weights("generator"))
        self.average.load_state_dict(bundle.weights("average"))
        self.best = {name: value.to(self.execution.device) for name, value in bundle.weights("best").items()}
        self.images = int(bundle.tensors["images"])

    def finished(self) -> dict[str, Tensor]:
        """What a trained model is made of: the best averaged generator."""
        return {f"generator.{name}": value for name, value in self.best.items()}


def copied(network: nn.Module) -> dict[str, Tensor]:
    """The network's tensors, apart from it."""
    return {name: value.clone() for name, value in network.state_dict().items()}


def on_device(network: Network, execution: Execution) -> Network:
    """Put a network on its device, in its memory layout."""
    placed: Network = network.to(execution.device).to(memory_format=execution.memory_format)  # type: ignore[call-overload]
    return placed
