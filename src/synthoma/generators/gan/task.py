"""A generator and its discriminator in training: the steps, and the state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor

from synthoma.core.types import Floats
from synthoma.generators.augment import augment
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.gan.history import PastWeights
from synthoma.generators.gan.losses import (
    SHIFT_FREE,
    discriminator_loss,
    feature_matching,
    generator_loss,
    gradient_penalty,
    zero_centred_penalty,
)
from synthoma.generators.gan.strength import adapted_probability, overfitting, ramped_probability
from synthoma.generators.gan.watching import Watch, outputs
from synthoma.generators.initial import GanStart
from synthoma.generators.optimisers import optimiser_of
from synthoma.generators.task import GenerativeTask, copied, on_device
from synthoma.training.bundle import Bundle
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.device import single_or_more
from synthoma.training.frozen import held_still
from synthoma.training.loop import Progress, Snapshot


@dataclass(frozen=True)
class Turn:
    """Images that the discriminator tells apart; those of the last turn before it moves teach the generator too.

    Attributes:
        number: of the turn, from the beginning of the training.
        real: (B, planes, S, S) in -1..1.
        label: classes (B,), or None where the generator knows none.
        latents: what the drawn images are made of.
        drawn: (B, planes, S, S), with the generator's gradient where it is its turn too.
    """

    number: int
    real: Tensor
    label: Tensor | None
    latents: Tensor
    drawn: Tensor


class AdversarialTask(GenerativeTask):
    """One training of a GAN."""

    steadier = "--set gan.generator_rate=1e-4 --set gan.critic_rate=1e-4"

    def __init__(self, setup: GenerativeSetup) -> None:
        super().__init__(setup)
        build = setup.plan.family.discriminator
        assert build is not None
        self.discriminator = on_device(build(self.gan, self.shape), self.execution)
        self.team.share_norms(self.discriminator, self.batch)
        # The last one before losses broke, if they do: what a finished model carries.
        self.sound = copied(self.discriminator)
        self.generator_optimiser = optimiser_of(self.gan, self.generator.parameters(), self.gan.generator_rate)
        self.discriminator_optimiser = optimiser_of(self.gan, self.discriminator.parameters(), self.gan.critic_rate)
        players = {"generator": self.generator, "discriminator": self.discriminator}
        averaged = self.gan.historical_averaging > 0
        self.past = {name: PastWeights(player) for name, player in players.items()} if averaged else {}
        self.watch = Watch(self.gan.loss, self.slices, setup.held_out, self.config.until_fooled)
        self.gamma_factor = 1.0  # on the weights of R1 and R2
        self.probability = 0.0  # of a change to what the discriminator sees, where it adapts

    # --- one step --------------------------------------------------------------------------------------------

    def step(self, step: int, share: float) -> dict[str, Tensor]:
        """Train the discriminator ``critic_steps`` times and the generator once; batches are numbered through."""
        self._set_rates(share)
        # Geometric: the weight falls by the same factor in every part of the budget.
        self.gamma_factor = self.gan.penalty_end**share
        if self.gan.augment_target is None:
            self.probability = ramped_probability(self.images, self.gan.augment_ramp, self.gan.augment_probability)
        first, last = step * self.gan.critic_steps, (step + 1) * self.gan.critic_steps - 1
        for number in range(first, last):
            with torch.no_grad():
                # No gradient to the generator: these images teach the discriminator alone.
                turn = self._turn(number)
            self._train_discriminator(turn)
        turn = self._turn(last)  # one set of images for both: drawing is dear
        losses = self._train_discriminator(turn) | self._train_generator(turn)
        self.count_images()
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

    def _turn(self, number: int) -> Turn:
        batch = self.real(number)
        label, latents = self.classes(batch.classes), self.latents(self.batch, self.draws("latents", number))
        with self.precision():
            # Penalties are not taken of halves.
            drawn = single_or_more(self.team.run(self.generator, latents, label))
        return Turn(number, self.placed(batch.planes()), label, latents, drawn)

    def _train_discriminator(self, turn: Turn) -> dict[str, Tensor]:
        real, label = turn.real, turn.label
        draws = self.draws("discriminator", turn.number)
        with self.precision():
            seen_real, seen_fake = self._augmented(real, draws), self._augmented(turn.drawn.detach(), draws)
            on_real, on_fake = self._judged(seen_real, seen_fake, label)
            loss = discriminator_loss(self.gan.loss, on_real, on_fake, smoothing=self.gan.label_smoothing)
        total = loss
        # No penalties in half precision: their second derivatives overflow easily.
        if self.gan.gradient_penalty:
            mix = torch.rand(len(real), generator=draws).to(real.device)
            own, score = self._own(len(real), label)
            penalty = gradient_penalty(score, seen_real[own], seen_fake[own], mix[own])
            total = total + self.gan.gradient_penalty * self.team.mean(penalty, len(real))
        # Rare penalties leave the discriminator free in between, which is unsafe until the game has settled.
        every = 1 if self.images < self.gan.penalty_start_images else self.gan.r1_every
        for weight, seen in ((self.gan.r1, seen_real), (self.gan.r2, seen_fake)):
            if weight and turn.number % every == 0:
                own, score = self._own(len(seen), label)
                penalty = self.team.mean(zero_centred_penalty(score, seen[own]), len(seen))
                # Taken every k-th time it weighs k times as much: lazy regularisation (Karras et al. 2020, StyleGAN2).
                total = total + self.gamma_factor * weight * every * penalty
        self._move_discriminator(total)
        if self.gan.augment_target is not None:
            # Of outputs that are there anyway, on pictures as the discriminator saw them (Karras et al. 2020).
            sign = overfitting(on_real, on_fake, shift_free=self.gan.loss in SHIFT_FREE)
            limits = (self.gan.augment_ramp, self.gan.augment_probability)
            self.probability = adapted_probability(self.probability, sign, self.gan.augment_target, len(real), *limits)
        if self.gan.loss.startswith("bce"):
            on_real, on_fake = on_real.sigmoid(), on_fake.sigmoid()
        return {"d_loss": loss, "d_real": on_real.mean(), "d_fake": on_fake.mean()}

    def _move_discriminator(self, loss: Tensor) -> None:
        """One step of the discriminator, whose weights may be limited."""
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        self._with_past("discriminator", loss).backward()
        self.team.add_gradients(self.discriminator)
        self.discriminator_optimiser.step()
        if self.gan.clip:
            # After the step, so that the limit of Wasserstein's critic always holds (Arjovsky et al. 2017).
            with torch.no_grad():
                for parameter in self.discriminator.parameters():
                    parameter.clamp_(-self.gan.clip, self.gan.clip)

    def _move_generator(self, loss: Tensor) -> None:
        """One step of the generator."""
        self.generator_optimiser.zero_grad(set_to_none=True)
        self._with_past("generator", loss).backward()
        self.team.add_gradients(self.generator)
        self.generator_optimiser.step()

    def _with_past(self, player: str, loss: Tensor) -> Tensor:
        """A player's loss with what its distance from its past costs, where that is asked for."""
        if not self.past:
            return loss
        # Each process finds it whole, and their gradients are added up.
        return loss + self.gan.historical_averaging / self.team.size * self.past[player].penalty()

    def _own(self, batch: int, label: Tensor | None) -> tuple[slice, Callable[[Tensor], Tensor]]:
        """The rows of a batch that this process computes, and what scores them."""
        rows = self.team.rows(batch)
        return rows, partial(self._score, label=None if label is None else label[rows])

    def _score(self, images: Tensor, label: Tensor | None) -> Tensor:
        """One score an image (B,), for penalties: of pieces their sum over the root of how many they are.

        Its gradient is as long as that of one piece where pieces do not overlap; where they do, gradients that agree
        count for more.
        """
        said = self.discriminator(images, label).reshape(len(images), -1)
        added: Tensor = said.sum(dim=1) / math.sqrt(said.shape[1])
        return added

    def _judged(self, real: Tensor, fake: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs for real and generated images, each as a batch of its own: batch norm must not mix the two."""
        return self.team.run(self.discriminator, real, label), self.team.run(self.discriminator, fake, label)

    def _features(self, images: Tensor, _: Tensor | None) -> Tensor:
        """The discriminator's last maps, averaged over places (B, W)."""
        maps = cast(Callable[[Tensor], Tensor], self.discriminator.features)
        return maps(images).mean(dim=(2, 3))

    def _train_generator(self, turn: Turn) -> dict[str, Tensor]:
        real, label, drawn = turn.real, turn.label, turn.drawn
        draws = self.draws("generator", turn.number)
        with held_still(self.discriminator), self.precision():
            fake = self._augmented(drawn, draws)
            on_fake, on_real = self.team.run(self.discriminator, fake, label), None
            if self.gan.loss == "relativistic" or self.gan.feature_matching:
                real = self._augmented(real, draws)
            if self.gan.loss == "relativistic":  # no gradient: neither real images nor weights can move here
                on_real = self.team.run(self.discriminator, real, label)
            loss = generator_loss(self.gan.loss, on_fake, on_real, smoothing=self.gan.target_smoothing)
            for term in self.material.terms:
                loss = loss + term(turn.latents, drawn)
            if self.gan.feature_matching:
                features = [self.team.run(self._features, part) for part in (real, fake)]
                loss = loss + self.gan.feature_matching * feature_matching(features[0], features[1])
        self._move_generator(loss)
        return {"g_loss": loss}

    def _augmented(self, planes: Tensor, draws: torch.Generator) -> Tensor:
        return augment(planes, self.gan.augment, self.probability, draws, self.shape.channels)

    def begin(self, start: GanStart) -> None:
        """Take over trained networks before the first step."""
        super().begin(start)
        self.discriminator.load_state_dict(start.weights["discriminator"])
        self.sound = copied(self.discriminator)

    def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
        """Score the averaged generator, and remember the discriminator while it is sound."""
        taken = super().snapshot(progress, recent)
        if not taken.fatal:
            self.sound = copied(self.discriminator)
        return taken

    def watched(self, taken: Snapshot, samples: Tensor, classes: Tensor) -> Snapshot:
        """The snapshot with what the discriminator makes of slices that it has not learned from."""

        def scores(planes: Tensor, label: Tensor) -> Floats:
            with self.precision():
                return outputs(self.discriminator, planes, label if self.shape.classes else None, self.placed)

        figures = self.watch.figures(scores, samples, classes)
        return replace(taken, values={**taken.values, **figures}, ended=self.watch.ended(figures))

    # --- the state -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Networks, moving average, best weights, and both optimisers."""
        return {
            **super().state(),
            **network_state("discriminator", self.discriminator),
            **optimiser_state(f"generator_{self.gan.optimiser}", self.generator_optimiser),
            **optimiser_state(f"discriminator_{self.gan.optimiser}", self.discriminator_optimiser),
            "probability": torch.tensor(self.probability, dtype=torch.float64),
            **{key: mean for name, past in self.past.items() for key, mean in past.state(f"{name}_past").items()},
            **self.watch.state(),
        }

    def restore(self, bundle: Bundle) -> None:
        """Put everything back that ``state`` took."""
        super().restore(bundle)
        self.discriminator.load_state_dict(bundle.weights("discriminator"))
        self.sound = copied(self.discriminator)
        restore_optimiser(f"generator_{self.gan.optimiser}", self.generator_optimiser, bundle)
        restore_optimiser(f"discriminator_{self.gan.optimiser}", self.discriminator_optimiser, bundle)
        for name, past in self.past.items():
            past.restore(bundle.weights(f"{name}_past"))
        self.probability = float(bundle.tensors["probability"])
        self.watch.restore(bundle.tensors.get("watched"))

    def finished(self) -> dict[str, Tensor]:
        """What a trained model is made of: the best averaged generator, and the last sound discriminator."""
        return {**super().finished(), **{f"discriminator.{name}": value for name, value in self.sound.items()}}
