"""How often a discriminator's images are changed: always alike, more and more, or as much as it overfits.

Changes at full strength from the first image cost variety while the generator still draws blobs; none at all lets the
discriminator learn the few training images by heart.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ramped_probability(images: int, ramp: int, most: float) -> float:
    """Probability after ``images`` images: a straight line from 0 to ``most`` in ``ramp`` of them; 0 for no ramp."""
    return most * min(images / ramp, 1.0) if ramp else most


@torch.no_grad()
def overfitting(real: Tensor, fake: Tensor, *, shift_free: bool) -> float:
    """How sure the discriminator is of real images: E[sign(D(real))], r_t of Karras et al. 2020 (ADA), eq. 1.

    0 where it guesses, 1 where it is right about all of them. Outputs of a relativistic discriminator or a critic mean
    something by their differences alone, and a constant on all of them would change the sign; there the mean output of
    generated images takes the place of 0. The other figure of that work, which needs held-out images, would cost
    patients that the generator could learn from.

    Args:
        real: outputs for real images (B,), before any sigmoid.
        fake: outputs for generated images (B,).
        shift_free: whether a constant on all outputs means nothing.

    Returns:
        -1..1.
    """
    return float((real - fake.mean() if shift_free else real).sign().mean())


def adapted_probability(
    probability: float, sign: float, target: float, images: int, ramp: int, most: float = 1.0
) -> float:
    """The probability for the next batch, so that ``overfitting`` comes to its target.

    It moves by (sign - target) * images / ramp. Karras et al. 2020 take steps of one size after several batches; steps
    in proportion need no memory of earlier batches, and stand still on average where the mean meets the target.

    Args:
        probability: of this batch.
        sign: see ``overfitting``, of this batch.
        target: of it.
        images: in this batch.
        ramp: images in which the probability would rise by 1 if it were off by 1.
        most: upper limit.
    """
    # In images and not in steps: the same pace for any batch.
    return min(max(probability + (sign - target) * images / ramp, 0.0), most)
