"""On which scale slices reach a network: a cohort's usual one, or with mean 0 and deviation 1."""

from __future__ import annotations

import torch
from torch import Tensor

from synthoma.detectors.learning import Scale

BRIGHTEST = 2.0
"""Intensities above twice the brightest ordinary tissue are cut: they say nothing more, and unsettle a network."""

FARTHEST = 10.0
"""Of z-scores, what lies more than so many deviations from the mean is cut likewise."""


def as_input(images: Tensor, scale: Scale = "zero-to-one") -> Tensor:
    """Images on a cohort's scale as a detector takes them: cut below the background and far above bright tissue."""
    return images.clamp(0, BRIGHTEST) if scale == "zero-to-one" else images.clamp(-FARTHEST, FARTHEST)


def lifted(images: Tensor, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images of any scale with each modality's darkest pixel at 0 and its brightest at 1, and the way back.

    Args:
        images: (B, K * C, H, W), K slices of C modalities.
        channels: C. The K slices of one modality are scaled alike: they come from one scan.

    Returns:
        The images, and offset and range (B, K * C, 1, 1): images = lifted * range + offset. A modality of one value,
        as one that is missing, stays as it is.
    """
    stack = images.view(len(images), -1, channels, *images.shape[2:])
    low, high = stack.amin(dim=(1, 3, 4), keepdim=True), stack.amax(dim=(1, 3, 4), keepdim=True)
    flat = high <= low
    offset = torch.where(flat, 0.0, low).expand(-1, stack.shape[1], -1, -1, -1).flatten(1, 2)
    span = torch.where(flat, 1.0, high - low).expand(-1, stack.shape[1], -1, -1, -1).flatten(1, 2)
    return (images - offset) / span, offset, span
