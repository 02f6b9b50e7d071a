"""Whether a repainted picture still shows what the original showed."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


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
