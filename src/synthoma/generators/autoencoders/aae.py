"""An adversarial autoencoder in training (Makhzani et al. 2016)."""

from __future__ import annotations

from torch import Tensor

from synthoma.generators.autoencoders.coding import CodingTask, moved
from synthoma.generators.autoencoders.loss import squared_error
from synthoma.generators.autoencoders.network import CodeJudge
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.gan.losses import discriminator_loss, generator_loss
from synthoma.generators.optimisers import optimiser_of
from synthoma.generators.task import on_device
from synthoma.training.bundle import Bundle
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.frozen import held_still


class AdversarialCodesTask(CodingTask):
    """One training of an adversarial autoencoder.

    Each step has the paper's phases (section 2): encoder and decoder learn to rebuild slices; then a discriminator of
    codes learns to tell those of slices from normal numbers, and the encoder to be taken for normal numbers. So the
    decoder can be given normal numbers afterwards.
    """

    steadier = "--set gan.generator_rate=3e-4 --set gan.critic_rate=3e-4"

    def __init__(self, setup: GenerativeSetup) -> None:
        super().__init__(setup)
        self.judge_of_codes = on_device(CodeJudge(self.gan.latent), self.execution)
        self.judging = optimiser_of(self.gan, self.judge_of_codes.parameters(), self.gan.critic_rate)
        # Moments of its own for weights that both games move: what rebuilding asks for would else drown the other.
        self.encoding = optimiser_of(self.gan, self.generator.encoder.parameters(), self.gan.generator_rate)

    def step(self, step: int, share: float) -> dict[str, Tensor]:
        """Rebuild batch number ``step``, then play the game of its codes."""
        rates = ((self.optimiser, self.gan.generator_rate), (self.encoding, self.gan.generator_rate))
        self.set_rates(share, (*rates, (self.judging, self.gan.critic_rate)))
        planes, batch = self.seen(step)
        label = self.classes(batch.classes)
        rebuilding = squared_error(planes, self.generator.decode(self.generator.encode(planes), label))
        moved(self.optimiser, rebuilding)
        prior = self.latents(self.batch, self.draws("latents", step))
        # Encoded anew, since the step before has moved the encoder.
        codes = self.generator.encode(planes)
        on_prior, on_codes = self.judge_of_codes(prior), self.judge_of_codes(codes.detach())
        telling = discriminator_loss("bce", on_prior, on_codes, smoothing=self.gan.label_smoothing)
        moved(self.judging, telling)
        with held_still(self.judge_of_codes):
            passing = generator_loss("bce", self.judge_of_codes(codes))
        moved(self.encoding, passing)
        self.count_images()
        # Under names of their own: they are about codes, and no images were judged.
        return {"loss": rebuilding, "code_d_loss": telling, "code_g_loss": passing}

    def state(self) -> dict[str, Tensor]:
        """Networks and all three optimisers."""
        return {
            **super().state(),
            **network_state("codes", self.judge_of_codes),
            **optimiser_state(f"judging_{self.gan.optimiser}", self.judging),
            **optimiser_state(f"encoding_{self.gan.optimiser}", self.encoding),
        }

    def restore(self, bundle: Bundle) -> None:
        """Put everything back that ``state`` took."""
        super().restore(bundle)
        self.judge_of_codes.load_state_dict(bundle.weights("codes"))
        restore_optimiser(f"judging_{self.gan.optimiser}", self.judging, bundle)
        restore_optimiser(f"encoding_{self.gan.optimiser}", self.encoding, bundle)
