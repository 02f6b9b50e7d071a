"""Whether a repainted picture still shows what the original showed, and its lesions as clearly as they should be."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DARK = -0.8
"""In -1..1: what is darker in all sequences is air or empty bone."""


def structure_loss(original: Tensor, repainted: Tensor, window: int = 7) -> Tensor:
    """1 - mean local correlation of two pictures: 0 where each neighbourhood differs by gain and level alone.

    The correlation coefficient in a sliding window (local cross-correlation, as in registration: Avants et al. 2008),
    weighted by the original's local deviation: what is flat has no structure to keep. Registration squares it, so that
    sequences of opposite contrast agree. Here that would let a bright scalp turn dark half way round a head.

    Args:
        original: (B, C, H, W); no gradient flows to it.
        repainted: the same shape.
        window: side of the window in pixels, odd.
    """
    first, second = original.detach(), repainted
    pad = window // 2

    def mean(maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps, window, stride=1, padding=pad, count_include_pad=False)

    mean_first, mean_second = mean(first), mean(second)
    variance_first = (mean(first * first) - mean_first**2).clamp_min(0)
    variance_second = (mean(second * second) - mean_second**2).clamp_min(0)
    together = mean(first * second) - mean_first * mean_second
    # The constant stands for noise: variances below it are taken for none.
    agreement = together / (variance_first * variance_second + 1e-6).sqrt()
    weight = variance_first.sqrt()
    lost: Tensor = ((1 - agreement.clamp_max(1)) * weight).sum() / weight.sum().clamp_min(1e-6)
    return lost


def lesion_contrast(images: Tensor, labels: Tensor) -> Tensor:
    """How much brighter each labelled region is than what lies around all of them: (B, L, C), nan where there is none.

    The mean inside minus the mean of a ring that begins a 32nd of the side away from the labels and is twice as wide,
    as far as the head reaches. Half of the value is the difference on the cohort's scale.

    Args:
        images: (B, C, S, S) in -1..1.
        labels: (B, L, S, S), above 0 inside.
    """
    inside = (labels > 0).to(images.dtype)
    gap = max(1, images.shape[-1] // 32)
    ring = _grown(inside.amax(dim=1, keepdim=True), 3 * gap) - _grown(inside.amax(dim=1, keepdim=True), gap)
    ring = ring * (images.detach().amax(dim=1, keepdim=True) > DARK)
    area, room = inside.sum(dim=(2, 3))[:, :, None], ring.sum(dim=(1, 2, 3))[:, None, None]
    # Divided by 1 where nothing is: a gradient through 0 / 0 would be nan even where it is not wanted.
    within = torch.einsum("bchw,blhw->blc", images, inside) / area.clamp_min(1)
    around = torch.einsum("bchw,bhw->bc", images, ring[:, 0])[:, None] / room.clamp_min(1)
    return (within - around).masked_fill((area == 0) | (room == 0), torch.nan)


def _grown(inside: Tensor, pixels: int) -> Tensor:
    return F.max_pool2d(inside, 2 * pixels + 1, stride=1, padding=pixels)
