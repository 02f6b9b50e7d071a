"""A generator and its discriminator in training: the steps, the score at a snapshot, and the state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.augment.differentiable import augment
from synthoma.augment.strength import adapted_probability, overfitting, ramped_probability
from synthoma.data.dataset import Batch, TrainingSlices
from synthoma.data.repaintable import SimulatedSlices
from synthoma.losses.adversarial import (
    SHIFT_FREE,
    discriminator_loss,
    feature_matching,
    generator_loss,
    gradient_penalty,
    zero_centred_penalty,
)
from synthoma.losses.structure import structure_loss
from synthoma.models.bundle import Bundle
from synthoma.models.registry import ImageShape, build_discriminator, build_generator
from synthoma.seeding import stream_key
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.device import Execution
from synthoma.training.ema import ema_decay, update_ema
from synthoma.training.frozen import held_still
from synthoma.training.loop import Progress, Snapshot
from synthoma.training.reader import MaskReader, weight_at
from synthoma.training.settings import TrainConfig

Judge = Callable[[Tensor, dict[str, float]], tuple[float, dict[str, float], list[str]]]
"""Score of sample images (N, C, S, S) in -1..1 with the recent losses: score, further figures, warnings."""

Network = TypeVar("Network", bound=nn.Module)

SHEET = 64
"""Images of the sample sheet; their latents stay the same through the run."""


class AdversarialTask:
    """One training of a GAN.

    Args:
        config: the settings.
        shape: of the images.
        slices: to learn from.
        execution: device, threads and memory layout.
        judge: scores samples at a snapshot.
        sheet: called with (images seen, samples (64, planes, S, S)) at each snapshot.
        samples: number of images that are judged.
        source: simulated slices, for a generator that repaints them; its latents are these, with a plane of noise.
    """

    def __init__(
        self,
        config: TrainConfig,
        shape: ImageShape,
        slices: TrainingSlices,
        execution: Execution,
        judge: Judge,
        sheet: Callable[[int, Tensor], None] = lambda images, samples: None,
        samples: int = 256,
        source: SimulatedSlices | None = None,
    ) -> None:
        self.config, self.gan, self.shape, self.slices = config, config.gan, shape, slices
        self.execution, self.judge, self.sheet, self.samples = execution, judge, sheet, samples
        self.source = source
        self.batch = self.gan.batch
        torch.manual_seed(stream_key(config.seed, "training.weights") % 2**63)
        self.generator = _placed(build_generator(self.gan, shape), execution)
        self.discriminator = _placed(build_discriminator(self.gan, shape), execution)
        self.reader = MaskReader(shape, execution.device) if self.gan.faithful and shape.labels else None
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.best = _copied(self.average)
        self.sound = _copied(self.discriminator)
        moments = (float(self.gan.beta1), float(self.gan.beta2))
        self.generator_optimiser = torch.optim.Adam(self.generator.parameters(), self.gan.generator_rate, moments)
        self.discriminator_optimiser = torch.optim.Adam(self.discriminator.parameters(), self.gan.critic_rate, moments)
        self.images = 0
        self.gamma_factor = 1.0  # on the weights of R1 and R2
        self.probability = 0.0  # of a change to what the discriminator sees, where it adapts

    # --- one step --------------------------------------------------------------------------------------------

    def step(self, step: int, share: float) -> dict[str, Tensor]:
        """Train the discriminator ``critic_steps`` times and the generator once; batches are numbered through."""
        self._set_rates(share)
        self.gamma_factor = self.gan.penalty_end**share
        if self.gan.augment_target is None:
            self.probability = ramped_probability(self.images, self.gan.augment_ramp, self.gan.augment_probability)
        losses: dict[str, Tensor] = {}
        for turn in range(self.gan.critic_steps):
            losses = self._train_discriminator(step * self.gan.critic_steps + turn)
        losses |= self._train_generator(step)
        self.images += self.batch
        if self.gan.ema_images:
            update_ema(self.average, self.generator, ema_decay(self.batch, self.images, self.gan.ema_images))
        else:
            update_ema(self.average, self.generator, 0.0)
        if self.gan.augment:
            losses["augment_probability"] = torch.tensor(self.probability)
        return losses

    def _set_rates(self, share: float) -> None:
        """Learning rates for this share of the budget; a cosine is 1 at its start and 0 at its end."""
        factor = (1 + math.cos(math.pi * share)) / 2 if self.gan.schedule == "cosine" else 1.0
        optimisers = (self.generator_optimiser, self.discriminator_optimiser)
        for optimiser, rate in zip(optimisers, (self.gan.generator_rate, self.gan.critic_rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def _train_discriminator(self, number: int) -> dict[str, Tensor]:
        batch = self._real(number)
        real = self._placed(batch.planes())
        label = self._classes(batch.classes)
        draws = self._draws("discriminator", number)
        with self._precision():
            with torch.no_grad():
                fake = self.generator(self._latents(len(real), draws), label)
            seen_real, seen_fake = self._augmented(real, draws), self._augmented(fake, draws)
            on_real, on_fake = self._judged(seen_real, seen_fake, label)
            loss = discriminator_loss(self.gan.loss, on_real, on_fake, smoothing=self.gan.label_smoothing)
        total = loss
        # Penalties are taken in full precision: their second derivatives overflow easily.
        if self.gan.gradient_penalty:
            mix = torch.rand(len(real), generator=draws).to(real.device)
            penalty = gradient_penalty(lambda x: self.discriminator(x, label), seen_real, seen_fake, mix)
            total = total + self.gan.gradient_penalty * penalty
        # Rare penalties leave the discriminator free in between, which is unsafe until the game has settled.
        every = 1 if self.images < self.gan.penalty_start_images else self.gan.r1_every
        for weight, seen in ((self.gan.r1, seen_real), (self.gan.r2, seen_fake)):
            if weight and number % every == 0:
                penalty = zero_centred_penalty(lambda x: self.discriminator(x, label), seen)
                total = total + self.gamma_factor * weight * every * penalty
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.discriminator_optimiser.step()
        if self.gan.augment_target is not None:
            sign = overfitting(on_real, on_fake, shift_free=self.gan.loss in SHIFT_FREE)
            limits = (self.gan.augment_ramp, self.gan.augment_probability)
            self.probability = adapted_probability(self.probability, sign, self.gan.augment_target, len(real), *limits)
        if self.gan.loss.startswith("bce"):
            on_real, on_fake = on_real.sigmoid(), on_fake.sigmoid()
        return {"d_loss": loss, "d_real": on_real.mean(), "d_fake": on_fake.mean()}

    def _judged(self, real: Tensor, fake: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs for real and generated images, each as a batch of its own: batch norm must not mix the two."""
        return self.discriminator(real, label), self.discriminator(fake, label)

    def _train_generator(self, number: int) -> dict[str, Tensor]:
        batch = self._real(number * self.gan.critic_steps)
        label = self._classes(batch.classes)
        draws = self._draws("generator", number)
        if self.reader is not None:
            self.reader.learn(self._placed(batch.planes()), self._draws("reader", number))
        with held_still(self.discriminator), self._precision():
            latents = self._latents(self.batch, draws)
            drawn = self.generator(latents, label)
            fake = self._augmented(drawn, draws)
            on_fake, on_real, real = self.discriminator(fake, label), None, self._placed(batch.planes())
            if self.gan.loss == "relativistic" or self.gan.feature_matching:
                real = self._augmented(real, draws)
            if self.gan.loss == "relativistic":  # no gradient: neither real images nor weights can move here
                on_real = self.discriminator(real, label)
            loss = generator_loss(self.gan.loss, on_fake, on_real)
            if self.gan.structure:
                channels = self.shape.channels
                kept = structure_loss(latents[:, :channels].float(), drawn[:, :channels].float())
                loss = loss + self.gan.structure * kept
            if self.reader is not None:
                loss = loss + weight_at(self.images, self.gan.faithful) * self.reader.missed(drawn)
            if self.gan.feature_matching:
                features = [self.discriminator.features(part).mean(dim=(2, 3)) for part in (real, fake)]
                loss = loss + self.gan.feature_matching * feature_matching(features[0], features[1])
        self.generator_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.generator_optimiser.step()
        return {"g_loss": loss}

    def _real(self, number: int) -> Batch:
        return self.slices.fetch(self.slices.positions(self.config.seed, "training.order", number, self.batch))

    def _placed(self, planes: Tensor) -> Tensor:
        return planes.to(self.execution.device, memory_format=self.execution.memory_format)

    def _classes(self, classes: Tensor) -> Tensor | None:
        return classes.to(self.execution.device) if self.shape.classes else None

    def _draws(self, purpose: str, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(stream_key(self.config.seed, f"training.{purpose}", number) % 2**63)

    def _latents(self, count: int, draws: torch.Generator) -> Tensor:
        if self.source is not None:
            places = torch.rand(count, generator=draws, dtype=torch.float64).numpy()
            planes = self.source.fetch(self.source.drawn(places)).planes()
            noise = torch.randn(count, 1, *planes.shape[2:], generator=draws)
            return self._placed(torch.cat([planes, noise], dim=1))
        return torch.randn(count, self.gan.latent, generator=draws).to(self.execution.device)

    def _augmented(self, planes: Tensor, draws: torch.Generator) -> Tensor:
        return augment(planes, self.gan.augment, self.probability, draws, self.shape.channels)

    def _precision(self) -> Any:
        if not self.execution.bf16:
            return nullcontext()
        return torch.autocast(self.execution.device, dtype=torch.bfloat16)

    # --- a snapshot ------------------------------------------------------------------------------------------

    def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
        """Score the averaged generator on images whose latents stay the same through the run."""
        weights = torch.stack([value.detach().abs().max() for value in self.generator.parameters()])
        if not bool(torch.isfinite(weights).all()) or not all(map(math.isfinite, recent.values())):
            return Snapshot(math.nan, {}, [_BROKEN], fatal=True)
        self.sound = _copied(self.discriminator)
        samples = self.draw(max(self.samples, SHEET))
        self.sheet(progress.images, samples[:SHEET])
        score, values, warnings = self.judge(samples[: self.samples], {**recent, "step": progress.step})
        return Snapshot(score, values, warnings)

    @torch.no_grad()
    def draw(self, count: int) -> Tensor:
        """Images (count, planes, S, S) of the averaged generator, for the first ``count`` fixed latents."""
        latents = self._latents(count, self._draws("snapshot", 0))
        frequency = np.bincount(self.slices.classes[self.slices.rows], minlength=max(self.shape.classes, 1))
        classes = np.repeat(np.arange(len(frequency)), np.ceil(count * frequency / frequency.sum()).astype(int))
        order = torch.randperm(len(classes), generator=self._draws("snapshot.classes", 0))[:count]
        label = self._classes(torch.from_numpy(classes)[order])
        blocks = range(0, count, 64)
        images = [self.average(latents[at : at + 64], None if label is None else label[at : at + 64]) for at in blocks]
        return torch.cat(images).float().cpu()

    def keep_best(self) -> None:
        """Copy the averaged generator."""
        self.best = _copied(self.average)

    # --- the state -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Networks, moving average, best weights, and both optimisers."""
        return {
            **network_state("generator", self.generator),
            **network_state("discriminator", self.discriminator),
            **network_state("average", self.average),
            **{f"best.{name}": value for name, value in self.best.items()},
            **optimiser_state("generator_adam", self.generator_optimiser),
            **optimiser_state("discriminator_adam", self.discriminator_optimiser),
            **(self.reader.state() if self.reader is not None else {}),
            "images": torch.tensor(self.images),
            "probability": torch.tensor(self.probability, dtype=torch.float64),
        }

    def restore(self, bundle: Bundle) -> None:
        """Put everything back that ``state`` took."""
        self.generator.load_state_dict(bundle.weights("generator"))
        self.discriminator.load_state_dict(bundle.weights("discriminator"))
        self.average.load_state_dict(bundle.weights("average"))
        self.best = {name: value.to(self.execution.device) for name, value in bundle.weights("best").items()}
        self.sound = _copied(self.discriminator)
        restore_optimiser("generator_adam", self.generator_optimiser, bundle)
        restore_optimiser("discriminator_adam", self.discriminator_optimiser, bundle)
        if self.reader is not None:
            self.reader.restore(bundle)
        self.images = int(bundle.tensors["images"])
        self.probability = float(bundle.tensors["probability"])

    def finished(self) -> dict[str, Tensor]:
        """What a trained model is made of: the best averaged generator, and the last sound discriminator."""
        parts = {"generator": self.best, "discriminator": self.sound}
        return {f"{part}.{name}": value for part, weights in parts.items() for name, value in weights.items()}


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _placed(network: Network, execution: Execution) -> Network:
    """Put a network on its device, in its memory layout."""
    placed: Network = network.to(execution.device).to(memory_format=execution.memory_format)  # type: ignore[call-overload]
    return placed


_BROKEN = (
    "The losses are no longer finite numbers (NaN): training has stopped, and the best snapshot is kept. "
    "Try a lower learning rate (--set gan.generator_rate=1e-4 --set gan.critic_rate=1e-4)."
)
