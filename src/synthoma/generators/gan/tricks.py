"""Layers that let images be seen beside others (Salimans et al. 2016, sections 3.2 and 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

REFERENCE = 32
"""Images of the reference batch of virtual batch normalisation."""


class MinibatchDiscrimination(nn.Module):
    """How near each image of a batch is to the others, in directions that are learned (Salimans et al. 2016, 3.2).

    Features f(x_i) (B, A) times a tensor T (A, K, C) are matrices M_i (K, C). Row by row they are compared,
    c_k(x_i, x_j) = exp(-|M_ik - M_jk|_1), and o_k(x_i) = sum over j of c_k(x_i, x_j). A generator that draws one image
    again and again is known by large o_k. Images are not compared with themselves: that would add 1 to each.

    Args:
        features: A.
        kernels: K, numbers that each image gets.
        depth: C, numbers that a distance is taken over.
    """

    def __init__(self, features: int, kernels: int, depth: int) -> None:
        super().__init__()
        self.kernels, self.depth = kernels, depth
        self.tensor = nn.Parameter(torch.empty(features, kernels * depth))
        nn.init.normal_(self.tensor, 0.0, features**-0.5)  # matrices of deviation 1 from features of deviation 1

    def forward(self, features: Tensor) -> Tensor:
        """(B, A) -> o (B, K)."""
        rows = (features @ self.tensor).view(-1, self.kernels, self.depth)
        # Every image against every other: (B, B, K), which is why batches stay small with it.
        apart = (rows[:, None] - rows[None]).abs().sum(dim=3)
        # An image is at distance 0 from itself: exp(0) is taken off.
        nearness: Tensor = torch.exp(-apart).sum(dim=1) - 1
        return nearness


def minibatch_part(features: int, kernels: int, depth: int) -> MinibatchDiscrimination | None:
    """The layer for so many features; None where no kernels are asked for."""
    return MinibatchDiscrimination(features, kernels, depth) if kernels else None


def beside_the_others(features: Tensor, part: MinibatchDiscrimination | None) -> Tensor:
    """Features (B, A) with what the layer says of them, (B, A + K); as they are where there is none."""
    return features if part is None else torch.cat([features, part(features)], dim=1)


class VirtualBatchNorm2d(nn.Module):
    """Normalise each image by a reference batch and itself, whatever else is in its batch (Salimans et al. 2016, 3.4).

    The first R images of the input are the reference batch. Mean and variance of a channel, for each image, are those
    over all places of the R reference images and of this image, each of which counts 1 / (R + 1); a reference image is
    normalised by the R alone.

    Args:
        width: channels W.
        reference: R.
        eps: added to the variance.
    """

    def __init__(self, width: int, reference: int = REFERENCE, eps: float = 1e-5) -> None:
        super().__init__()
        self.reference, self.eps = reference, eps
        # As batch norm has them: normalised maps can be any maps again.
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, maps: Tensor) -> Tensor:
        """(R + B, W, H, W) -> the same, normalised, scaled and shifted."""
        known, own = maps[: self.reference], maps[self.reference :]
        mean = known.mean(dim=(0, 2, 3), keepdim=True)
        variance = known.var(dim=(0, 2, 3), unbiased=False, keepdim=True)
        share = 1 / (self.reference + 1)
        own_mean = own.mean(dim=(2, 3), keepdim=True)
        own_variance = own.var(dim=(2, 3), unbiased=False, keepdim=True)
        # Of both together: within each, and between the two. Differences of squares would round.
        between = share * (1 - share) * (own_mean - mean).square()
        both_variance = (1 - share) * variance + share * own_variance + between
        both_mean = (1 - share) * mean + share * own_mean
        normal = torch.cat([self._scaled(known, mean, variance), self._scaled(own, both_mean, both_variance)])
        gain, shift = self.weight.view(1, -1, 1, 1), self.bias.view(1, -1, 1, 1)
        return normal * gain + shift

    def _scaled(self, maps: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return (maps - mean) * torch.rsqrt(variance + self.eps)
