"""What a family of generators is: one record with its networks, latents, task and models by name.

A family of your own is such a record too, named by an entry point of the group ``synthoma.generators``; see
docs/extending.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.dataset import TrainingSlices
from synthoma.core.types import Ints
from synthoma.generators.initial import Fitted, GanStart
from synthoma.generators.latents import GaussianLatents, Latents, LatentSource
from synthoma.generators.recipes import GeneratorTraining
from synthoma.generators.settings import GanConfig, NetworkConfig
from synthoma.generators.shape import ImageShape
from synthoma.training.bundle import Bundle
from synthoma.training.device import Execution
from synthoma.training.loop import Snapshot, Task
from synthoma.training.settings import TrainingConfig

Judge = Callable[[Tensor, dict[str, float]], Snapshot]
"""What is to be said of sample images (N, planes, S, S) in -1..1, beside the recent losses."""

Term = Callable[[Tensor, Tensor], Tensor]
"""One more part of a generator's loss, of latents (B, ...) and the images (B, planes, S, S) drawn of them."""


@dataclass(frozen=True)
class GeneratorPlan:
    """Everything about a training that is decided before it begins, once.

    Attributes:
        cohort: what is learned from.
        config: the settings; of networks that begin as trained ones, those of these.
        family: what the model is of.
        rows: rows of the cohort that are learned from.
        classes: names of their classes.
        shape: of the images.
        start: the trained networks that it begins with; None for random ones.
    """

    cohort: Cohort
    config: GeneratorTraining
    family: GeneratorFamily
    rows: Ints
    classes: tuple[str, ...]
    shape: ImageShape
    start: GanStart | None = None

    @cached_property
    def slices(self) -> TrainingSlices:
        """The slices that are learned from."""
        return TrainingSlices(self.cohort, self.rows, with_masks=self.config.with_masks, classes=self.classes)

    def within(self, budget: TrainingConfig) -> GeneratorPlan:
        """The same plan with the budget of these settings."""
        return replace(self, config=self.config.model_copy(update=budget.budget()))


@dataclass(frozen=True)
class Material:
    """What a generator in training is given beside the real slices.

    Attributes:
        latents: what it makes images of.
        terms: further parts of its loss.
        described: what the model file says of it, beside what all models say.
    """

    latents: Latents
    terms: tuple[Term, ...] = ()
    described: Mapping[str, object] = field(default_factory=dict)


def _no_sheet(images: int, samples: Tensor) -> None:
    """Draw no sheet of samples."""


@dataclass(frozen=True)
class GenerativeSetup:
    """What a task needs.

    Attributes:
        plan: what is learned, from what.
        material: latents, and what else the family prepared.
        execution: device, threads, memory layout and precision.
        judge: scores samples at a snapshot.
        sheet: called with (images seen, samples (64, planes, S, S)) at each snapshot.
        samples: number of images that are judged.
        held_out: validation slices, of which nothing is learned; None where there are too few.
    """

    plan: GeneratorPlan
    material: Material
    execution: Execution
    judge: Judge
    sheet: Callable[[int, Tensor], None] = _no_sheet
    samples: int = 256
    held_out: TrainingSlices | None = None


class GeneratorTask(Task, Protocol):
    """One training of a generator, as the loop and the folder of a run know it."""

    def begin(self, start: GanStart) -> None:
        """Take over trained networks before the first step."""

    def finished(self) -> dict[str, Tensor]:
        """What a trained model is made of: weights by "generator.<name>" and, where it has one, "discriminator."."""


def vector(config: NetworkConfig, shape: ImageShape) -> tuple[int, ...]:
    """Shape of a latent that is a vector."""
    return (config.latent,)


def gaussian(plan: GeneratorPlan, phantom: Path) -> Material:
    """Normal latents and nothing else."""
    return Material(GaussianLatents(plan.family.latent(plan.config.gan, plan.shape)))


@dataclass(frozen=True)
class GeneratorFamily:
    """One kind of generator.

    Attributes:
        network: its name in the settings (``gan.network``).
        models: name -> what it is in one sentence, and its settings; for `synthoma train --model NAME`.
        generator: builds the network: latents (B, *latent), class numbers (B,) or None -> images (B, planes, S, S) in
            -1..1. Its methods are those of ``torch.nn.Module``.
        task: what trains it.
        discriminator: builds the one that judges images (B, planes, S, S); None where it learns without.
        latent: shape of what one image is drawn from.
        check_size: raises ConfigError for a side S that the network cannot draw.
        half: bears half precision (bfloat16) in training.
        teams: several processes can train one together: its task computes this process's rows of a batch
            (``training.team``). Layers that compare the images of a batch are refused then.
        repaints: makes images of simulated slices, which must be there.
        check: raises InputError where what the family needs beside the cohort does not fit it.
        learn_from: prepares what it is given beside the real slices; the path is that of the simulated cohort.
        draw_from: opens the latents of a trained model, see ``GaussianLatents.open``.
        fitted: fits the shipped weights of generator and discriminator to other (channels, labels); None where no such
            weights are shipped.
    """

    network: str
    models: Mapping[str, tuple[str, GanConfig]]
    generator: Callable[[NetworkConfig, ImageShape], nn.Module]
    task: Callable[[GenerativeSetup], GeneratorTask]
    discriminator: Callable[[NetworkConfig, ImageShape], nn.Module] | None = None
    latent: Callable[[NetworkConfig, ImageShape], tuple[int, ...]] = vector
    check_size: Callable[[int], None] = lambda size: None
    half: bool = False
    teams: bool = False
    repaints: bool = False
    check: Callable[[GeneratorPlan], None] = lambda plan: None
    learn_from: Callable[[GeneratorPlan, Path], Material] = gaussian
    draw_from: Callable[[Bundle, ImageShape, tuple[int, ...], Cohort | None, str | None], LatentSource] = (
        GaussianLatents.open
    )
    fitted: Fitted | None = None
