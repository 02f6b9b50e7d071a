"""The discriminator of an adversarial segmenter: it learns to tell drawn masks from given ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.training.bundle import Bundle
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.frozen import held_still

BETAS = (0.5, 0.999)


class Rival:
    """A discriminator and how it learns.

    Args:
        discriminator: (B, channels, S, S) -> logits (B, places).
        weight: of its opinion in the segmenter's loss.
        rate: Adam's learning rate.
        smoothing: taken off the target of given masks.
        sees_image: whether the slice stands beside the mask; without it, any plausible mask would do.
        device: where it computes.
    """

    def __init__(
        self, discriminator: nn.Module, weight: float, rate: float, smoothing: float, *, sees_image: bool, device: str
    ) -> None:
        self.discriminator = discriminator.to(device)
        self.weight, self.smoothing, self.sees_image = weight, smoothing, sees_image
        self.optimiser = torch.optim.Adam(self.discriminator.parameters(), rate, BETAS)

    def opinion(self, images: Tensor, logits: Tensor) -> Tensor:
        """What the segmenter makes small: -log of the chance that its masks are taken for given ones, a scalar."""
        with held_still(self.discriminator):
            verdict = self.discriminator(self._pair(images, torch.sigmoid(logits)))
        return F.softplus(-verdict).mean()

    def learn(self, images: Tensor, masks: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """One step of the discriminator on given masks (B, T, S, S) and drawn ones."""
        real = self.discriminator(self._pair(images, masks))
        fake = self.discriminator(self._pair(images, torch.sigmoid(logits)))
        wanted = torch.full_like(real, 1 - self.smoothing)
        loss = F.binary_cross_entropy_with_logits(real, wanted) + F.softplus(fake).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return {"d_loss": loss, "d_real": real.sigmoid().mean(), "d_fake": fake.sigmoid().mean()}

    def _pair(self, images: Tensor, masks: Tensor) -> Tensor:
        """Mask in -1..1, beside the slice in -1..1 where it is shown."""
        drawn = masks * 2 - 1
        return torch.cat([images - 1, drawn], dim=1) if self.sees_image else drawn

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
