"""On which scale slices reach a network: a cohort's own, or each with mean 0 and deviation 1."""

from __future__ import annotations

from torch import Tensor

from synthoma.detectors.learning import Scale

BRIGHTEST = 2.0
"""Intensities above twice the brightest ordinary tissue are cut: they say nothing more, and unsettle a network."""

FLAT = 1e-6
"""Deviation below which an image shows nothing, as a sequence that is missing."""


def as_input(images: Tensor, scale: Scale = "zero-to-one") -> Tensor:
    """Images (..., H, W) on a cohort's scale as a detector takes them.

    Args:
        images: 0 is the background, 1 bright tissue.
        scale: "zero-to-one" cuts below the background and far above bright tissue. "zscore" takes from each image of
            each sequence its mean over all pixels, and divides by its deviation, as the LGG seed project does: what
            offset and factor a cohort stores it with then makes no difference. An image of one value stays 0.
    """
    if scale == "zero-to-one":
        return images.clamp(0, BRIGHTEST)
    deviation = images.std(dim=(-2, -1), correction=0, keepdim=True)
    centred = images - images.mean(dim=(-2, -1), keepdim=True)
    return (centred / deviation.clamp_min(FLAT)) * (deviation > FLAT)
