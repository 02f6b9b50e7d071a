"""Augmentation that gradients pass through, for what a discriminator sees (Zhao et al. 2020, DiffAugment).

Real and generated images go through the same kinds of change, so the generator never learns to draw the changes. The
kinds are those that make plausible MRI: brightness, contrast, shift, a covered square, and a mirror for anatomy whose
side does not matter. Turning by 90 degrees and inverting grey values, usual elsewhere, do not.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

Change = Literal["brightness", "contrast", "translation", "cutout", "mirror"]


def augment(
    images: Tensor, changes: tuple[Change, ...], probability: float, draws: Generator, intensity: int
) -> Tensor:
    """Apply each change to each image with the given probability.

    Args:
        images: (B, C, H, W) in -1..1; the first ``intensity`` channels are modalities, the others labels.
        changes: kinds, applied in this order.
        probability: of each change for each image, 0..1.
        draws: source of all randomness, on the CPU.
        intensity: number of channels that hold intensities. Labels move with the image but keep their values.

    Returns:
        Changed images, same shape.
    """
    if probability <= 0:
        return images
    for change in changes:
        # Drawn on the CPU: the same images are hit on every device.
        hit = (torch.rand(len(images), generator=draws) < probability).to(images.device)
        # Made of all images, hit or not, so that how much is drawn never depends on a draw.
        changed = _CHANGES[change](images, draws, intensity)
        images = torch.where(hit.view(-1, 1, 1, 1), changed, images)
    return images


def _uniform(images: Tensor, draws: Generator, low: float, high: float) -> Tensor:
    """One draw an image, shape (B, 1, 1, 1)."""
    values = torch.rand(len(images), 1, 1, 1, generator=draws) * (high - low) + low
    return values.to(images.device, images.dtype)


def _brightness(images: Tensor, draws: Generator, intensity: int) -> Tensor:
    # Weaker than in the paper, which changes photographs: a grey value of MRI says which tissue it is.
    shift = _uniform(images, draws, -0.2, 0.2)
    return torch.cat([images[:, :intensity] + shift, images[:, intensity:]], dim=1)


def _contrast(images: Tensor, draws: Generator, intensity: int) -> Tensor:
    factor = _uniform(images, draws, 0.7, 1.3)
    part = images[:, :intensity]
    # Each image's own mean, of all modalities: contrast changes, brightness does not.
    mean = part.mean(dim=(1, 2, 3), keepdim=True)
    return torch.cat([(part - mean) * factor + mean, images[:, intensity:]], dim=1)


def _translation(images: Tensor, draws: Generator, intensity: int) -> Tensor:
    """Shift by up to an eighth of the side; what comes in from outside is background (-1)."""
    # An eighth of the side, as in the paper: heads stay within the frame.
    reach = max(1, images.shape[-1] // 8)
    moves = torch.randint(-reach, reach + 1, (len(images), 2), generator=draws)
    # -1 is a scan's background, and that of label planes.
    padded = F.pad(images, [reach] * 4, value=-1.0)
    side = images.shape[-1]
    parts = [
        padded[i, :, reach + dy : reach + dy + side, reach + dx : reach + dx + side]
        for i, (dy, dx) in enumerate(moves.tolist())
    ]
    return torch.stack(parts)


def _cutout(images: Tensor, draws: Generator, intensity: int) -> Tensor:
    """Cover a square of three eighths of the side with the middle grey 0, labels with background."""
    side = images.shape[-1]
    width = max(1, side * 3 // 8)
    centre = torch.randint(0, side, (len(images), 2), generator=draws).to(images.device)
    places = torch.arange(side, device=images.device) - (centre[:, :, None] - width // 2)
    rows, columns = ((places >= 0) & (places < width)).unbind(dim=1)
    covered = (rows[:, :, None] & columns[:, None, :])[:, None]
    # A square of air would be a wound; grey says that nothing is known there.
    fill = torch.zeros_like(images)
    fill[:, intensity:] = -1.0
    return torch.where(covered, fill, images)


def _mirror(images: Tensor, draws: Generator, intensity: int) -> Tensor:
    """Left and right changed in half of the images: in all of them, none would have been augmented."""
    turned = (torch.rand(len(images), 1, 1, 1, generator=draws) < 0.5).to(images.device)
    return torch.where(turned, images.flip(-1), images)


_CHANGES = {
    "brightness": _brightness,
    "contrast": _contrast,
    "translation": _translation,
    "cutout": _cutout,
    "mirror": _mirror,
}
