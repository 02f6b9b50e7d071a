"""The discriminator of an adversarial segmenter: it learns to tell drawn masks from given ones."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.detectors.learning import Scale
from synthoma.training.bundle import Bundle
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.frozen import held_still

# With a longer memory of the gradient than 0.5 the game oscillates (Radford et al. 2015).
BETAS = (0.5, 0.999)

Shown = Literal["scaled", "tanh", "seed"]
"""How masks are shown to a discriminator.

``scaled``: drawn and given ones in -1..1, drawn ones as 2 sigmoid(x) - 1. ``tanh``: drawn ones as tanh(x), which is
twice as steep. ``seed``: the same, but given ones as 0 and 1, as in the seed project: they do not fit its tanh.
"""


class Rival:
    """A discriminator and how it learns.

    Args:
        discriminator: (B, channels, S, S) -> logits (B, places).
        weight: of its opinion in the segmenter's loss.
        rate: Adam's learning rate.
        smoothing: taken off the target of given masks.
        aim: taken off the segmenter's own target, that its masks be taken for given ones.
        shown: how masks are shown.
        sees_image: whether the slice stands beside the mask; without it, any plausible mask would do.
        device: where it computes.
        scale: of the slices.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        weight: float,
        rate: float,
        smoothing: float,
        *,
        sees_image: bool,
        device: str,
        aim: float = 0.0,
        shown: Shown = "scaled",
        scale: Scale = "zero-to-one",
    ) -> None:
        self.discriminator = discriminator.to(device)
        self.weight, self.smoothing, self.sees_image = weight, smoothing, sees_image
        self.aim, self.shown, self.scale = aim, shown, scale
        self.optimiser = torch.optim.Adam(self.discriminator.parameters(), rate, BETAS)

    def opinion(self, images: Tensor, logits: Tensor) -> Tensor:
        """What the segmenter makes small, a scalar: -log of the chance that its masks are taken for given ones.

        With ``aim`` s it is the cross-entropy to a target of 1 - s: (1 - s) * -log p - s * log(1 - p).
        """
        with held_still(self.discriminator):
            verdict = self.discriminator(self._pair(images, self._drawn(logits)))
        if not self.aim:
            return F.softplus(-verdict).mean()
        return F.binary_cross_entropy_with_logits(verdict, torch.full_like(verdict, 1 - self.aim))

    def learn(self, images: Tensor, masks: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """One step of the discriminator on given masks (B, T, S, S) and drawn ones."""
        # On the range of drawn ones, or the range alone would tell them apart.
        given = masks if self.shown == "seed" else masks * 2 - 1
        real = self.discriminator(self._pair(images, given))
        fake = self.discriminator(self._pair(images, self._drawn(logits)))
        wanted = torch.full_like(real, 1 - self.smoothing)
        loss = F.binary_cross_entropy_with_logits(real, wanted) + F.softplus(fake).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return {"d_loss": loss, "d_real": real.sigmoid().mean(), "d_fake": fake.sigmoid().mean()}

    def _drawn(self, logits: Tensor) -> Tensor:
        """Masks in -1..1 from logits."""
        return torch.sigmoid(logits) * 2 - 1 if self.shown == "scaled" else torch.tanh(logits)

    def _pair(self, images: Tensor, masks: Tensor) -> Tensor:
        """A mask, beside the slice about 0 where it is shown."""
        if not self.sees_image:
            return masks
        return torch.cat([images - 1 if self.scale == "zero-to-one" else images, masks], dim=1)

    def state(self) -> dict[str, Tensor]:
        """Weights and moments."""
        return {
            **network_state("rival", self.discriminator),
            **optimiser_state("rival_adam", self.optimiser),
        }

    def restore(self, bundle: Bundle) -> None:
        """Put back what ``state`` took."""
        self.discriminator.load_state_dict(bundle.weights("rival"))
        restore_optimiser("rival_adam", self.optimiser, bundle)
