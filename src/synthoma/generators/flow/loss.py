"""Rectified flow: learn the velocity of straight paths from data to noise, then follow it back.

A path is x_t = (1 - t) * data + t * noise with standard normal noise and t from 0 to 1, so its velocity
dx_t/dt = noise - data is the same all the way. A network that makes the squared error of that velocity small, given
x_t and t alone, learns its mean over all paths through x_t, and following that mean from t = 1 to 0 turns noise into
data (Liu et al. 2022, "Flow straight and fast", eq. 1; Lipman et al. 2022, "Flow matching", eq. 23 with time reversed
and no noise left at its end).
"""

from __future__ import annotations

import torch
from torch import Tensor

from synthoma.generators.settings import TimeDensity


def draw_times(density: TimeDensity, count: int, draws: torch.Generator) -> Tensor:
    """Times (count,) in 0..1 at which paths are looked at in training.

    "logit-normal" is the logistic function of a standard normal number (Esser et al. 2024, eq. 19 with m = 0 and
    s = 1): more of the middle, where the velocity is hard to tell, and less of the ends.
    """
    if density == "uniform":
        return torch.rand(count, generator=draws)
    return torch.sigmoid(torch.randn(count, generator=draws))


def point_on_path(data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """x_t = (1 - t) * data + t * noise, for data and noise (B, C, H, W) and t (B,) in 0..1."""
    share = time.view(-1, 1, 1, 1)
    return (1 - share) * data + share * noise


def velocity_loss(velocity: Tensor, data: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error of a predicted velocity (B, C, H, W), a scalar (Liu et al. 2022, eq. 1)."""
    return (velocity - (noise - data)).square().mean()
