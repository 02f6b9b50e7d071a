"""What the two networks are told of their work: the hinge, what is known of the region, and features of the judge.

The hinge is that of Lim and Ye 2017 (arXiv:1705.02894), feature matching that of Wang et al. 2018 (arXiv:1711.11585),
equation 4. Patches count where the region and its surroundings lie: elsewhere both slices are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

INSIDE, RING, FEATURES = 2.0, 4.0, 2.0
"""Weights of the difference inside of real lesions, in the soft margin, and of the judge's features."""
BLUR = 5
"""Inside, means over so many pixels are compared: each pixel for itself would be the mean of all lesions there are."""


def judged(margin: Tensor) -> Tensor:
    """Weights (B, 1, H / 4, W / 4) of the judge's patches: those that see the region, in all 1 a slice."""
    seen = (F.max_pool2d(margin, 8, 4, 2) > 0).float()[..., : margin.shape[-2] // 4, : margin.shape[-1] // 4]
    return seen / seen.sum((1, 2, 3), keepdim=True).clamp(min=1)


def judge_loss(real: Tensor, made: Tensor, real_weight: Tensor, made_weight: Tensor) -> Tensor:
    """max(0, 1 - real) + max(0, 1 + made), mean over patches that count."""
    return ((1 - real).relu() * real_weight).sum((1, 2, 3)).mean() + ((1 + made).relu() * made_weight).sum(
        (1, 2, 3)
    ).mean()


def fooled(made: Tensor, weight: Tensor) -> Tensor:
    """-made, mean over patches that count."""
    return -(made * weight).sum((1, 2, 3)).mean()


def known_loss(filled: Tensor, own: Tensor, margin: Tensor, present: Tensor, real: Tensor) -> Tensor:
    """Difference to what is known: in the margin the scan itself, inside of real lesions these, blurred.

    Args:
        filled: (B, 4, H, W), what the filler gave.
        own: (B, 4, H, W), the slices.
        margin: (B, 1, H, W).
        present: (B, 4, 1, 1), 1 for sequences that there are.
        real: (B, 1, 1, 1), 1 where a real lesion was to be filled again.
    """
    ring = ((margin > 0) & (margin < 1)).float()
    # Of healthy slices the outer margin alone: further in, the tumour's own margin begins.
    ring = ring * (real + (1 - real) * (1 - margin))
    inside = (margin > 0).float() * real
    apart = (filled - own) * present
    smooth = F.avg_pool2d(apart * (margin > 0), BLUR, 1, BLUR // 2)
    return RING * _mean(apart.abs(), ring * present) + INSIDE * _mean(smooth.abs(), inside * present)


def features_loss(real: Sequence[Tensor], made: Sequence[Tensor], margin: Tensor) -> Tensor:
    """Difference of the judge's features of a lesion and of the same one filled again, where it lies."""
    total = margin.new_zeros(())
    for own, other in zip(real, made, strict=True):
        weight = F.adaptive_max_pool2d((margin > 0).float(), own.shape[-2:])
        total = total + _mean((own.detach() - other).float().abs(), weight.expand_as(own))
    return FEATURES * total / len(real)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)
