"""BEGAN in training: a generator against an autoencoder, and the balance between them (Berthelot et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from synthoma.generators.autoencoders.loss import convergence, equilibrium_loss, next_share, pulling_away
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.gan.task import AdversarialTask, Turn
from synthoma.training.bundle import Bundle
from synthoma.training.frozen import held_still


class EquilibriumTask(AdversarialTask):
    """One training of a BEGAN.

    The autoencoder learns to rebuild real slices well and, by a share k, generated ones badly; the generator learns to
    be rebuilt well. k rises while generated slices are rebuilt better than ``gan.balance`` times as well as real ones.
    With ``gan.repel`` the generator also keeps the codes of its slices apart (Zhao et al. 2017); the paper does not.
    Latents are normal as everywhere here; the paper's are uniform in -1..1.
    """

    def __init__(self, setup: GenerativeSetup) -> None:
        super().__init__(setup)
        # As in the paper: at first the autoencoder learns from real slices alone.
        self.share = 0.0  # k
        self.real_error = 0.0  # of the discriminator's last batch

    def _train_discriminator(self, turn: Turn) -> dict[str, Tensor]:
        draws = self.draws("discriminator", turn.number)
        with self.precision():
            seen = [self._augmented(planes, draws) for planes in (turn.real, turn.drawn.detach())]
            # This discriminator's scores are minus its errors; the loss is of errors.
            real, fake = (-self.discriminator(planes, turn.label).float() for planes in seen)
        # By the share of the step before: the balance is known only once the generator has moved (section 3.4).
        loss = equilibrium_loss(real, fake, self.share)
        self._move_discriminator(loss)
        self.real_error = float(real.mean().detach())
        return {"d_loss": loss, "d_real": -real.mean(), "d_fake": -fake.mean()}

    def _train_generator(self, turn: Turn) -> dict[str, Tensor]:
        draws = self.draws("generator", turn.number)
        with held_still(self.discriminator), self.precision():
            seen = self._augmented(turn.drawn, draws)
            loss = -self.discriminator(seen, turn.label).float().mean()
            moved = loss
            if self.gan.repel:
                codes = self.discriminator.get_submodule("encoder")(seen).float()
                moved = loss + self.gan.repel * pulling_away(codes, turn.label)
        self._move_generator(moved)
        real, fake = self.real_error, float(loss.detach())
        self.share = next_share(self.share, real, fake, self.gan.balance, self.gan.balance_rate)
        said = {"k": self.share, "convergence": convergence(real, fake, self.gan.balance)}
        return {"g_loss": loss, **{name: torch.tensor(value) for name, value in said.items()}}

    def state(self) -> dict[str, Tensor]:
        """Everything of a GAN, and the balance."""
        return {**super().state(), "share": torch.tensor(self.share, dtype=torch.float64)}

    def restore(self, bundle: Bundle) -> None:
        """Put everything back that ``state`` took."""
        super().restore(bundle)
        self.share = float(bundle.tensors["share"])
