"""What a generator and a discriminator play for.

All losses take the discriminator's raw outputs (logits, or critic scores), shape (B,), and give a scalar to be made
small. "Real" is what the training images should be called, "fake" what the generator drew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from synthoma.generators.settings import AdversarialLoss

SHIFT_FREE: frozenset[AdversarialLoss] = frozenset({"wasserstein", "relativistic"})
"""Losses of differences alone: a constant on all outputs changes nothing, so their sign means nothing."""


def discriminator_loss(kind: AdversarialLoss, real: Tensor, fake: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Loss of the discriminator.

    - ``bce``, ``bce-saturating``: -E[log D(real)] - E[log(1 - D(fake))], D = sigmoid of the logit
      (Goodfellow et al. 2014, eq. 1).
    - ``hinge``: E[max(0, 1 - real)] + E[max(0, 1 + fake)] (Lim & Ye 2017, eq. 5).
    - ``wasserstein``: E[fake] - E[real] (Arjovsky et al. 2017, eq. 2; the constraint is a penalty of its own).
    - ``relativistic``: E[softplus(fake - real)] over pairs: each real image is to look more real than the generated one
      beside it (Jolicoeur-Martineau 2019, RpGAN; Huang et al. 2024, R3GAN, eq. 2).

    Args:
        kind: which of them.
        real: outputs for real images (B,).
        fake: outputs for generated images (B,).
        smoothing: what is taken off the target 1 of real images, in 0..0.5, with ``bce`` only. Fake targets stay 0:
            smoothing them as well would reward the generator for staying where it is (Salimans et al. 2016, 3.4).

    Raises:
        ValueError: ``equilibrium``, which is between errors, not outputs: see ``generators.autoencoders.loss``.
    """
    _known(kind)
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    if kind == "wasserstein":
        return fake.mean() - real.mean()
    if kind == "relativistic":
        return F.softplus(fake - real).mean()
    target = torch.full_like(real, 1 - smoothing)
    real_part = F.binary_cross_entropy_with_logits(real, target)
    # -log(1 - sigmoid(x)) is softplus(x), which stays finite where the sigmoid rounds to 1.
    return real_part + F.softplus(fake).mean()


def generator_loss(
    kind: AdversarialLoss, fake: Tensor, real: Tensor | None = None, *, smoothing: float = 0.0
) -> Tensor:
    """Loss of the generator for the discriminator's outputs ``fake`` (B,).

    - ``bce``: -E[log D(fake)], the non-saturating form (Goodfellow et al. 2014, section 3). With ``smoothing`` s the
      target is 1 - s in place of 1: -E[(1 - s) log D(fake) + s log(1 - D(fake))], least where D(fake) is 1 - s, so that
      a generator that is already believed is not driven further.
    - ``bce-saturating``: E[log(1 - D(fake))], the minimax form; its gradient vanishes where the discriminator wins.
    - ``hinge``, ``wasserstein``: -E[fake].
    - ``relativistic``: E[softplus(real - fake)], the mirror of the discriminator's. It alone needs ``real`` (B,), the
      outputs for real images. A generator that leaves out a kind of real image loses to it in every pair, where
      with the other losses it may move all its images to one side of a boundary (Sun et al. 2020).

    Raises:
        ValueError: ``relativistic`` without ``real``, ``smoothing`` of a loss that has no target, or ``equilibrium``.
    """
    _known(kind)
    if smoothing and kind != "bce":
        raise ValueError(f"expected the loss bce, whose target is smoothed; came {kind}; leave out the smoothing")
    if kind == "relativistic":
        if real is None:
            raise ValueError(
                "expected outputs for real images, which the relativistic loss compares with; came none; give real"
            )
        return F.softplus(real - fake).mean()
    if kind == "bce":
        believed = F.softplus(-fake).mean()
        # s off the target adds s * logit to the cross-entropy.
        return believed + smoothing * fake.mean() if smoothing else believed
    if kind == "bce-saturating":
        return -F.softplus(fake).mean()
    return -fake.mean()


def _known(kind: AdversarialLoss) -> None:
    if kind == "equilibrium":
        raise ValueError(
            "expected a loss of a discriminator's outputs; came equilibrium, which is of errors; train network=began"
        )


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """E[(|grad of the critic at x| - 1)^2] at x = mix * real + (1 - mix) * fake (Gulrajani et al. 2017, eq. 3).

    Args:
        critic: images (B, C, H, W) -> scores (B,).
        real: images (B, C, H, W).
        fake: images (B, C, H, W).
        mix: uniform draws in 0..1, (B,).
    """
    weight = mix.view(-1, 1, 1, 1)
    # A leaf of its own: the penalty is on the critic's slope there, and must not reach the generator.
    between = (weight * real + (1 - weight) * fake).detach().requires_grad_(True)
    # The sum's gradient is that of each image alone, as long as outputs do not depend on other images of the batch.
    # Kept for a second derivative: the penalty itself is made small by the weights.
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def zero_centred_penalty(discriminator: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """E[|grad of the discriminator at an image|^2] / 2, without its weight gamma (Mescheder et al. 2018, eq. 9).

    On real images it is R1, on generated ones R2. R1 alone lets the discriminator be steep where the generator is,
    which a relativistic game does not survive (Huang et al. 2024, section 2.2).

    Args:
        discriminator: images (B, C, H, W) -> scores (B,).
        images: (B, C, H, W); no gradient flows to what made them.
    """
    places = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(places).sum(), places, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() / 2


def feature_matching(real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance between mean features of real and generated images (Salimans et al. 2016, eq. 1).

    Args:
        real: features (B, F) of real images; no gradient flows through them.
        fake: features (B, F) of generated images.
    """
    return F.mse_loss(fake.mean(dim=0), real.detach().mean(dim=0))


def distance_from_the_past(weights: Iterable[Tensor], means: Iterable[Tensor]) -> Tensor:
    """|theta - mean of the past theta|^2, which each player adds to its loss (Salimans et al. 2016, section 3.3).

    Args:
        weights: theta, all parameters of one player.
        means: of each over the steps so far, this one among them; no gradient flows through them.
    """
    parts = [(now - mean.detach()).square().sum() for now, mean in zip(weights, means, strict=True)]
    return torch.stack(parts).sum()
