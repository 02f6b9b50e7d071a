"""How the painter learns: filler and judge in turn, the filler's moving average, and what a training resumes from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from synthoma.core.seeding import stream_key
from synthoma.painting.gan.loss import features_loss, fooled, judge_loss, judged, known_loss
from synthoma.painting.gan.network import Filler, Judge
from synthoma.painting.gan.plates import Batch, Plates
from synthoma.training.bundle import Bundle
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.device import fast_bf16
from synthoma.training.ema import ema_decay, update_ema

FILLER_WIDTH, JUDGE_WIDTH = 20, 32
RATE = 2e-4
"""Of the filler; the judge learns at twice this (Heusel et al. 2017, arXiv:1706.08500)."""
BATCH = 16
HALF_LIFE = 2000.0
"""Of the moving average, in squares."""
_ADVERSARIAL_AFTER = 100  # steps from random weights, after which the judge is listened to


@dataclass
class Apprentice:
    """A painter that learns.

    Attributes:
        filler, judge: the networks.
        begun: whether it began with trained weights.
        rate: of the filler's steps, at first.
        average: the filler's moving average, which paints.
        step: steps done.
    """

    filler: Filler
    judge: Judge
    begun: bool = False
    rate: float = RATE
    step: int = 0
    average: Filler = field(init=False)

    def __post_init__(self) -> None:
        """Set the rest up beside the networks."""
        for network in (self.filler, self.judge):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.filler).requires_grad_(False)
        # With a longer memory of the gradient than 0.5 the game oscillates (Radford et al. 2015).
        self._filling = torch.optim.Adam(self.filler.parameters(), self.rate, (0.5, 0.99))
        self._judging = torch.optim.Adam(self.judge.parameters(), 2 * self.rate, (0.5, 0.99))

    @classmethod
    def new(cls, seed: int) -> Apprentice:
        """One that knows nothing."""
        # Beginning a painter must not move the draws of whoever calls.
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(stream_key(seed, "painting.gan.weights") % 2**63)
            return cls(Filler(FILLER_WIDTH), Judge(JUDGE_WIDTH))

    @staticmethod
    def _quick() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=fast_bf16())

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""
        return {
            **network_state("filler", self.filler), **network_state("judge", self.judge),
            **network_state("average", self.average), **optimiser_state("filling", self._filling),
            **optimiser_state("judging", self._judging),
        }  # fmt: skip

    def restore(self, saved: Bundle) -> None:
        """Go on from ``state``, and the step that stands beside it."""
        for name in ("filler", "judge", "average"):
            getattr(self, name).load_state_dict(saved.weights(name))
        restore_optimiser("filling", self._filling, saved)
        restore_optimiser("judging", self._judging, saved)
        self.step = int(str(saved.content["step"]))

    def learn_from(self, batch: Batch, share: float) -> dict[str, float]:
        """One step of both networks.

        Args:
            batch: the squares.
            share: of the whole training that is done: the rates fall over its second half.

        Returns:
            Losses by name.
        """
        # Never 0, or the last steps would do nothing but cost time.
        fall = min(1.0, 2 * (1 - share)) + 0.02
        for optimiser, rate in ((self._filling, self.rate), (self._judging, 2 * self.rate)):
            optimiser.param_groups[0]["lr"] = rate * fall
        half, margin, present = batch.half, batch.margin, batch.present
        with self._quick():
            filled = self.filler(batch.blanked, batch.told, batch.noise).float()
        made = torch.lerp(batch.own, filled.clamp(min=0) * present, margin)
        weight = judged(margin)
        real, told = batch.own[:half], batch.told[:half]
        with self._quick():
            seen_real, features = self.judge(real, told)
            seen_made, _ = self.judge(made.detach(), batch.told)
        judge_lost = judge_loss(seen_real.float(), seen_made.float(), weight[:half], weight)
        self._judging.zero_grad(set_to_none=True)
        judge_lost.backward()
        self._judging.step()
        is_real = torch.zeros(len(made), 1, 1, 1)
        is_real[:half] = 1
        lost = known_loss(filled, batch.own, margin, present, is_real)
        if self.begun or self.step >= _ADVERSARIAL_AFTER:
            self.judge.requires_grad_(False)
            with self._quick():
                seen, inner = self.judge(made, batch.told)
            lost = lost + fooled(seen.float(), weight)
            lost = lost + features_loss(features, [part[:half] for part in inner], margin[:half])
            self.judge.requires_grad_(True)
        self._filling.zero_grad(set_to_none=True)
        lost.backward()
        self._filling.step()
        self.step += 1
        update_ema(self.average, self.filler, ema_decay(len(made), self.step * len(made), HALF_LIFE))
        return {"filler": float(lost.detach()), "judge": float(judge_lost.detach())}


def learn(
    apprentice: Apprentice, plates: Plates, *, steps: int, seed: int, until: int | None = None,
    told: Callable[[Apprentice, dict[str, float]], None] = lambda apprentice, losses: None,
) -> None:  # fmt: skip
    """Train up to a number of steps in all; what is done already is not done again.

    Args:
        apprentice: who learns.
        plates: what from.
        steps: how many, with those that are done.
        seed: of every draw.
        until: the step to stop at, where the rates are to fall as if there were more; None for the last.
        told: called after each step.
    """
    apprentice.filler.train()
    while apprentice.step < (steps if until is None else until):
        batch = plates.batch(seed, apprentice.step, BATCH)
        told(apprentice, apprentice.learn_from(batch, apprentice.step / steps))
