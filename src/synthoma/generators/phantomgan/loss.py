"""Whether a repainted picture still shows what the original showed, and its lesions as clearly as they should be."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DARK = -0.8
"""In -1..1: what is darker in all sequences is air or empty bone."""

NOISE = 1e-6
"""Added to the product of both variances, so that what deviates by less than about 0.03 (of -1..1) is no structure; and
to single variances, whose root it makes smooth."""

GAIN, GRAIN, INVENTED = 1.5, 0.05, 10.0
"""By how much a neighbourhood may deviate more than it did, by factor and by itself, and what more than that costs."""


def structure_loss(original: Tensor, repainted: Tensor, window: int = 7) -> Tensor:
    """1 - mean local correlation of two pictures, and what was invented where there was nothing.

    The correlation coefficient in a sliding window (local cross-correlation, as in registration: Avants et al. 2008) is
    1 where neighbourhoods differ by gain and level alone. It is weighted by the original's local deviation: what is
    flat has no structure to keep. Registration squares it, so that sequences of opposite contrast agree. Here that
    would let a bright scalp turn dark half way round a head.

    So a bright band in flat tissue, a lesion that no label knows, would cost nothing. Hence deviations count too that
    are more than ``GAIN`` times the original's and ``GRAIN``, of means of 3x3 pixels: grain averages out in them, a
    band does not.

    Args:
        original: (B, C, H, W); no gradient flows to it.
        repainted: the same shape.
        window: side of the window in pixels, odd.
    """
    first, second = original.detach(), repainted

    def mean(maps: Tensor, side: int = window) -> Tensor:
        return F.avg_pool2d(maps, side, stride=1, padding=side // 2, count_include_pad=False)

    def variance(maps: Tensor) -> Tensor:
        # The difference of two nearly equal numbers: where a neighbourhood is flat, rounding leaves it below 0.
        return (mean(maps * maps) - mean(maps) ** 2).clamp_min(0)

    variance_first, variance_second = variance(first), variance(second)
    together = mean(first * second) - mean(first) * mean(second)
    # The product and not each variance is kept from 0: in flat places a correlation of rounding would be any number.
    agreement = together / (variance_first * variance_second + NOISE).sqrt()
    weight = variance_first.sqrt()
    before, after = ((variance(mean(maps, 3)) + NOISE).sqrt() for maps in (first, second))
    invented = (after - GAIN * before - GRAIN).clamp_min(0)
    # Rounding may put a correlation above 1, which would reward it; an empty picture has no structure to lose.
    lost: Tensor = ((1 - agreement.clamp_max(1)) * weight + INVENTED * invented).sum() / weight.sum().clamp_min(1e-6)
    return lost


def lesion_contrast(images: Tensor, labels: Tensor) -> Tensor:
    """How far the brighter and the darker half of each labelled region are from what lies around all of them.

    Two numbers, since one cannot tell a faint lesion from a bright one with a dark middle. Each is the mean of those
    pixels of the region that are at least, or at most, as bright as its median, minus the median of a ring that begins
    a 32nd of the side away from the labels and is twice as wide, as far as the head reaches: a median, since fluid and
    scalp lie in it too. Half of the value is the difference on the cohort's scale. No gradient flows to the ring.

    Args:
        images: (B, C, S, S) in -1..1.
        labels: (B, L, S, S), above 0 inside.

    Returns:
        (B, L, C, 2), the brighter half first; nan where there is no region or no ring.
    """
    inside = labels > 0
    gap = max(1, images.shape[-1] // 32)
    everywhere = inside.any(dim=1, keepdim=True).to(images.dtype)
    # The gap keeps the ring clear of the lesion's own edge, which is neither inside nor around it.
    ring = (_grown(everywhere, 3 * gap) > _grown(everywhere, gap)) & (images.amax(dim=1, keepdim=True) > DARK)
    around = _median(images.detach().flatten(2), ring.flatten(2))
    values, region = images.flatten(2)[:, None], inside.flatten(2)[:, :, None]
    # No gradient to where the halves are cut: pixels would be paid for changing sides.
    middle = _median(values.detach(), region)[..., None]
    halves = torch.stack([region & (values >= middle), region & (values <= middle)], dim=3)
    # Divided by 1 where nothing is: a gradient through 0 / 0 would be nan even where it is not wanted.
    means = (values[:, :, :, None] * halves).sum(dim=-1) / halves.sum(dim=-1).clamp_min(1)
    contrast = means - around[:, None, :, None]
    return contrast.masked_fill(~region.any(dim=-1)[..., None], torch.nan)


def _median(values: Tensor, chosen: Tensor) -> Tensor:
    """Median over the last axis of the chosen values; nan where none is."""
    return torch.where(chosen, values, torch.nan).nanmedian(dim=-1).values


def _grown(inside: Tensor, pixels: int) -> Tensor:
    """Grown by so many pixels, by rows and then by columns: the same as by squares, many times as fast."""
    rows = F.max_pool2d(inside, (2 * pixels + 1, 1), stride=1, padding=(pixels, 0))
    return F.max_pool2d(rows, (1, 2 * pixels + 1), stride=1, padding=(0, pixels))
