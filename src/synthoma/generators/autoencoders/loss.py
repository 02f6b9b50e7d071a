"""What autoencoders and their opponents learn by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def absolute_error(images: Tensor, rebuilt: Tensor) -> Tensor:
    """L(v) = |v - D(v)|, the mean over an image's values, (B,) (Berthelot et al. 2017, BEGAN, section 3.1, eta = 1)."""
    return (images - rebuilt).abs().flatten(1).mean(dim=1)


def squared_error(images: Tensor, rebuilt: Tensor) -> Tensor:
    """Mean squared error of rebuilt images (B, P, S, S), a scalar.

    Of noised images against clean ones it is the loss of a denoising autoencoder (Vincent et al. 2008), which learns
    the way from a point near the data back to it (Alain & Bengio 2014, theorem 1).
    """
    return F.mse_loss(rebuilt, images)


def equilibrium_loss(real: Tensor, fake: Tensor, share: float) -> Tensor:
    """Loss of BEGAN's discriminator, L(x) - k_t L(G(z)) (Berthelot et al. 2017, section 3.4).

    Args:
        real: errors on real images (B,).
        fake: errors on generated images (B,).
        share: k_t, 0..1, how much it cares to rebuild generated images badly.
    """
    return real.mean() - share * fake.mean()


def next_share(share: float, real: float, fake: float, balance: float, rate: float) -> float:
    """k_(t+1) = k_t + lambda (gamma L(x) - L(G(z))), kept in 0..1 (Berthelot et al. 2017, section 3.4).

    Args:
        share: k_t.
        real: mean error on real images, L(x).
        fake: mean error on generated images, L(G(z)).
        balance: gamma, the ratio of these errors at which the game is held; less is sharper and less various.
        rate: lambda.
    """
    return min(max(share + rate * (balance * real - fake), 0.0), 1.0)


def convergence(real: float, fake: float, balance: float) -> float:
    """M = L(x) + |gamma L(x) - L(G(z))|, which falls as the game converges (Berthelot et al. 2017, section 3.4.1)."""
    return real + abs(balance * real - fake)


def pulling_away(codes: Tensor, classes: Tensor | None = None) -> Tensor:
    """Mean squared cosine between the codes (B, Z) of different images, 0..1 (Zhao et al. 2017, EBGAN, eq. 6).

    1 where all codes point one way, as those of one picture drawn again and again do; about 1 / Z where they point
    anywhere; 0 where there is no pair. A scalar.

    Args:
        codes: of generated images.
        classes: class numbers (B,). Only images of one class are compared: those of two differ anyway, and pushed
            further apart they would leave what their class looks like.
    """
    ways = F.normalize(codes, dim=1)
    pairs = ~torch.eye(len(ways), dtype=torch.bool, device=ways.device)
    if classes is not None:
        pairs = pairs & (classes[:, None] == classes[None])
    return ((ways @ ways.T).square() * pairs).sum() / pairs.sum().clamp(min=1)
