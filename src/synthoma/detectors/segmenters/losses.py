"""Losses of segmenters, on logits and 0/1 targets of shape (B, T, H, W); each target is judged for itself.

Overlaps are sums over the whole batch: a slice without tumour then counts as what it is, some voxels that should stay
empty, and needs no convention of its own. MONAI has the same losses, but its sum of Dice and cross-entropy takes
several channels for classes that exclude one another; ours contain one another (the core is part of the tumour).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from synthoma.detectors.settings import SegmentationLoss
from synthoma.training.device import single_or_more

SMOOTH = 1.0
"""Pixels added to both sides of an overlap, so that a batch without tumour has a gradient and no division by 0."""


@dataclass(frozen=True)
class Tversky:
    """What the Tversky losses weigh.

    Attributes:
        false_negatives: weight of missed tumour, 0..1; tumour that is none weighs the rest of 1.
        gamma: exponent of the focal one, above 0.
        smooth: pixels added to both sides of the overlap, above 0.
    """

    false_negatives: float = 0.7
    gamma: float = 0.75
    smooth: float = SMOOTH


def segmentation_loss(
    name: SegmentationLoss, logits: Tensor, targets: Tensor, weights: Tversky | None = None
) -> Tensor:
    """The loss of that name, as a scalar.

    Args:
        name: which.
        logits: (B, T, H, W).
        targets: likewise, 0 and 1.
        weights: of the Tversky losses.
    """
    if name == "bce-dice":
        return F.binary_cross_entropy_with_logits(logits, targets) + dice_loss(logits, targets)
    if name in ("tversky", "focal-tversky"):
        known = weights or Tversky()
        missed, smooth = known.false_negatives, known.smooth
        # 1 - 0.7 is 0.30000000000000004.
        shares = {"false_negatives": missed, "false_positives": round(1 - missed, 12), "smooth": smooth}
        if name == "tversky":
            return tversky_loss(logits, targets, **shares)
        return focal_tversky_loss(logits, targets, gamma=known.gamma, **shares)
    return dice_loss(logits, targets) + focal_loss(logits, targets)


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 - soft Dice, mean over targets (Milletari et al. 2016, without their squares)."""
    return tversky_loss(logits, targets, false_negatives=0.5, false_positives=0.5)


def tversky_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    false_negatives: float = 0.7,
    false_positives: float = 0.3,
    smooth: float = SMOOTH,
) -> Tensor:
    """1 - Tversky index, mean over targets.

    Args:
        logits: (B, T, H, W).
        targets: likewise, 0 and 1.
        false_negatives: weight of missed tumour. Half and half is Dice; more finds more and says too much more often.
        false_positives: weight of tumour that is none.
        smooth: pixels added to both sides of the overlap.

    Source: Salehi et al. 2017, eq. 3 (there alpha weighs the false positives).
    """
    return (1 - _tversky_index(logits, targets, false_negatives, false_positives, smooth)).mean()


def focal_tversky_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    false_negatives: float = 0.7,
    false_positives: float = 0.3,
    gamma: float = 0.75,
    smooth: float = SMOOTH,
) -> Tensor:
    """(1 - Tversky index) ** gamma, mean over targets (Abraham & Khan 2019, whose exponent is written 1 / gamma).

    Below 1, gamma makes the gradient steeper where the overlap is good already.
    """
    missing = 1 - _tversky_index(logits, targets, false_negatives, false_positives, smooth)
    return missing.clamp_min(1e-6).pow(gamma).mean()  # the power has no finite slope at 0


def focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Cross-entropy weighted by (1 - p of the truth) ** gamma, mean over pixels (Lin et al. 2017, eq. 4)."""
    # exp(-entropy) is the probability of the truth, whichever of both it is, without a logarithm of 0.
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return ((1 - torch.exp(-entropy)).pow(gamma) * entropy).mean()


def _tversky_index(
    logits: Tensor, targets: Tensor, false_negatives: float, false_positives: float, smooth: float
) -> Tensor:
    """Soft Tversky index of each target over the batch, (T,)."""
    # Sums over a hundred thousand pixels lose their small terms in half precision.
    chance, truth = torch.sigmoid(single_or_more(logits)), targets.float()
    over = (0, 2, 3)
    hit = (chance * truth).sum(over)
    missed = ((1 - chance) * truth).sum(over)
    wrong = (chance * (1 - truth)).sum(over)
    return (hit + smooth) / (hit + false_negatives * missed + false_positives * wrong + smooth)
