"""A density of codes, fitted after the autoencoder has learned, from which codes are drawn (Ghosh et al. 2020).

An autoencoder alone says nothing of which codes occur. A mixture of Gaussians fitted to the codes of the training
slices does: "ex-post density estimation" (Ghosh et al. 2020, "From variational to deterministic autoencoders",
section 5). The chain of Bengio et al. 2013 ("Generalized denoising auto-encoders as generative models"), which adds
noise and takes it off again and again, would need hundreds of passes an image, and its images depend on each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ROUNDS = 60
"""Of expectation and maximisation."""

LEAST_SPREAD = 1e-6
"""Variance that every direction has, over the mean variance of the codes."""


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians.

    Attributes:
        weights: (K,), of sum 1.
        means: (K, Z).
        covariances: (K, Z, Z).
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor


def fit_mixture(codes: Tensor, count: int, draws: torch.Generator) -> Mixture:
    """Fit a mixture by expectation and maximisation (Dempster et al. 1977).

    Few codes do not tell the covariance of a component of many dimensions. So each is drawn towards the mean of all
    components' covariances as if Z more codes with that one were there (the pooling of Friedman 1989, "Regularized
    discriminant analysis", eq. 15, with a share that falls as the component grows).

    Args:
        codes: (N, Z).
        count: components K; where there are fewer than two codes for each, fewer are fitted, and the rest weigh 0.
        draws: which codes the components begin at.

    Returns:
        float64 on the CPU.
    """
    # Covariances have directions in which codes hardly vary: in single precision they may lose their Cholesky factor.
    codes = codes.double().cpu()
    number, length = codes.shape
    used = max(1, min(count, number // 2))
    whole = _covariance(codes)
    # Relative to the codes' own scale; the inner floor is for codes that are all alike.
    floor = LEAST_SPREAD * (whole.trace() / length).clamp_min(LEAST_SPREAD) * torch.eye(length, dtype=codes.dtype)
    # At codes that there are: a random place may be so far from all that its component dies in the first round.
    means = codes[torch.randperm(number, generator=draws)[:used]]
    # All begin with the spread of the whole: components that begin narrow keep the codes that they begin at.
    mixture = Mixture(torch.full((used,), 1 / used, dtype=codes.dtype), means, (whole + floor).expand(used, -1, -1))
    for _ in range(ROUNDS if used > 1 else 1):
        mixture = _maximised(codes, belonging(codes, mixture), floor)
    rest = count - used
    return Mixture(
        torch.cat([mixture.weights, mixture.weights.new_zeros(rest)]),
        torch.cat([mixture.means, mixture.means.new_zeros(rest, length)]),
        torch.cat([mixture.covariances, torch.eye(length, dtype=codes.dtype).expand(rest, -1, -1)]),
    )


def belonging(codes: Tensor, mixture: Mixture) -> Tensor:
    """Probability that a code (N, Z) comes from each component, (N, K): the step of expectation."""
    # Solved with the factor and not inverted: distances along thin directions keep their digits.
    factors = torch.linalg.cholesky(mixture.covariances)
    away = (codes[None] - mixture.means[:, None]).transpose(1, 2)
    whitened = torch.linalg.solve_triangular(factors, away, upper=False)
    volume = factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    # A component that lost all codes has a weight of 0, whose logarithm is minus infinity and whose share stays 0.
    logarithms = mixture.weights.log() - volume - whitened.square().sum(dim=1).T / 2
    belongs: Tensor = logarithms.softmax(dim=1)
    return belongs


def _maximised(codes: Tensor, belongs: Tensor, floor: Tensor) -> Mixture:
    """The mixture that is likeliest where codes (N, Z) belong to components as said (N, K)."""
    length = codes.shape[1]
    sizes = belongs.sum(dim=0)
    # An empty component would divide by 0, and spread nan to all others at the next round.
    means = (belongs.T @ codes) / sizes.clamp_min(1e-12)[:, None]
    away = codes[None] - means[:, None]
    scatter = (belongs.T[:, :, None] * away).transpose(1, 2) @ away
    # Over N and not N - K: of components with a code or two the latter would be no covariance at all.
    pooled = scatter.sum(dim=0) / len(codes)
    covariances = (scatter + length * pooled) / (sizes[:, None, None] + length) + floor
    return Mixture(sizes / len(codes), means, covariances)


def _covariance(codes: Tensor) -> Tensor:
    away = codes - codes.mean(dim=0)
    return away.T @ away / len(codes)


class CodeDensity(nn.Module):
    """Standard normal numbers (B, Z + 2) and class numbers (B,) -> codes (B, Z) of a fitted mixture.

    The direction of the first two numbers, which is uniform whatever they are multiplied with, says which component;
    the others are scaled and shifted by it. So a code is a function of its latent, and truncation narrows each
    component without preferring any. On the way between two latents the component may change at once, and the image
    with it.

    Before anything is fitted, codes are the numbers themselves.

    Args:
        code: Z.
        components: K of each class.
        classes: number of densities; one where there are no classes.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, code: int, components: int, classes: int = 1) -> None:
        super().__init__()
        weights = torch.zeros(classes, components)
        weights[:, 0] = 1
        self.register_buffer("weights", weights)
        self.register_buffer("means", torch.zeros(classes, components, code))
        self.register_buffer("factors", torch.eye(code).expand(classes, components, -1, -1).clone())

    @torch.no_grad()
    def fit(self, codes: Tensor, classes: Tensor, draws: torch.Generator) -> None:
        """Fit the density of each class to its codes (N, Z), of classes (N,); one without codes stays as it is."""
        for number in range(len(self.weights)):
            if len(own := codes[classes == number]):
                found = fit_mixture(own, self.weights.shape[1], draws)
                self.weights[number].copy_(found.weights)
                self.means[number].copy_(found.means)
                self.factors[number].copy_(torch.linalg.cholesky(found.covariances))

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Draw codes."""
        single = label is None or len(self.weights) == 1
        group = latent.new_zeros(len(latent), dtype=torch.long) if single or label is None else label
        # atan2 gives -pi..pi; as a share of the circle it is 0..1, evenly.
        place = torch.atan2(latent[:, 1], latent[:, 0]) / (2 * math.pi) + 0.5
        # Not beyond the last component with any weight: sums of weights may round to less than 1.
        ends = self.weights.cumsum(dim=1)
        ends = ends / ends[:, -1:]
        chosen = (place[:, None] >= ends[group][:, :-1]).sum(dim=1)
        last = (self.weights > 0).sum(dim=1) - 1
        chosen = torch.minimum(chosen, last[group])
        moved = (self.factors[group, chosen] @ latent[:, 2:, None]).squeeze(2)
        return self.means[group, chosen] + moved
