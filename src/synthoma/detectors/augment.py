"""Augmentation of labelled slices for a detector: what moves a head, and what a scanner does to its picture.

Works on whole batches of tensors; every draw comes from one generator, so a batch is a function of its step.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from synthoma.detectors.learning import AugmentConfig


def augment_scans(
    images: Tensor, masks: Tensor, config: AugmentConfig, draws: Generator, channels: int
) -> tuple[Tensor, Tensor]:
    """Change a batch of slices and their masks.

    Args:
        images: (B, K * C, H, W) on a cohort's scale: 0 background, 1 bright tissue; K slices of C modalities.
        masks: (B, T, H, W) of 0 and 1; move with the images.
        config: how strongly.
        draws: source of all randomness, on the CPU.
        channels: C. The K slices of one modality are changed alike: they come from one scan.

    Returns:
        Images and masks of the same shapes. Background stays near 0, as normalisation leaves it: scanners scale what
        is bright, they do not lift the air.
    """
    present = present_modalities(images, channels)
    images, masks = _moved(images, masks, config, draws)
    images = _rescanned(images, config, draws, channels)
    if not bool(present.all()):  # what is missing stays 0: noise in it would look like a scan
        images = _only(images, present, channels)
    return images, masks


def present_modalities(images: Tensor, channels: int) -> Tensor:
    """Which modalities show anything at all in any of their slices, (B, C) of bool, on the CPU."""
    stack = images.view(len(images), -1, channels, *images.shape[2:])
    return stack.abs().amax(dim=(1, 3, 4)).cpu() > 0


def _only(images: Tensor, kept: Tensor, channels: int) -> Tensor:
    """Images with the modalities that are not ``kept`` (B, C) set to 0."""
    stack = images.view(len(images), -1, channels, *images.shape[2:])
    return (stack * kept.to(images.device)[:, None, :, None, None]).view(images.shape)


def _moved(images: Tensor, masks: Tensor, config: AugmentConfig, draws: Generator) -> tuple[Tensor, Tensor]:
    """Flip, turn, scale and shift, in one resampling."""
    count = len(images)
    angle = _spread(count, math.radians(config.rotation), draws)
    # Even in the logarithm: half the size is as likely as twice, and the mean size stays.
    size = torch.exp(_spread(count, math.log1p(config.scale), draws))
    stretch = torch.exp(_spread(count, math.log1p(config.scale) / 3, draws))  # heads differ in shape too
    mirror = torch.where(torch.rand(count, generator=draws) < config.flip, -1.0, 1.0)
    # `grid_sample` asks from where each pixel comes: to enlarge, places move together.
    cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
    affine = torch.stack(
        [
            # Twice the share, since the grid counts in halves of the side.
            torch.stack([mirror * cosine * stretch, -sine / stretch, 2 * _spread(count, config.shift, draws)], dim=1),
            torch.stack([mirror * sine * stretch, cosine / stretch, 2 * _spread(count, config.shift, draws)], dim=1),
        ],
        dim=1,
    ).to(images.device)
    both = torch.cat([images, masks], dim=1)
    grid = F.affine_grid(affine, [count, 1, *images.shape[2:]], align_corners=False)
    moved = F.grid_sample(both, grid, padding_mode="zeros", align_corners=False)
    images, masks = moved.split([images.shape[1], masks.shape[1]], dim=1)
    # Where interpolation leaves more than half, tumour it is: areas stay as they are in the mean.
    return images, (masks > 0.5).to(images.dtype)


def _rescanned(images: Tensor, config: AugmentConfig, draws: Generator, channels: int) -> Tensor:
    """Intensity curve, gain, ghosts, resolution and noise, drawn for each slice; changes ``images`` in place.

    Rare changes are made on the slices that they hit only, and all others in place: on a CPU this is a good part of
    what a training step costs.
    """
    count, planes, height, width = images.shape
    stack = images.view(count, planes // channels, channels, height, width)
    if config.gamma:
        power = torch.exp(_spread((count, 1, channels, 1, 1), config.gamma, draws)).to(images.device)
        # Moving may leave values a little below 0, of which there is no power.
        stack.clamp_min_(1e-4).pow_(power)
    if config.contrast or config.bias:
        coarse = _spread((count, channels, 4, 4), config.bias, draws)
        gain = 1 + coarse + _spread((count, channels, 1, 1), config.contrast, draws)
        # A factor, not a sum: the background stays 0.
        # Corners on corners: the field changes up to the edge, where cells on their middles would leave a flat rim.
        field = F.interpolate(gain.to(images.device), size=(height, width), mode="bilinear", align_corners=True)
        stack.mul_(field[:, None])
    for number in _hit(count, config.ghosting, draws):
        strength = 0.25 * float(torch.rand(1, generator=draws))
        # From an eighth of the side on: nearer ghosts are blur, and those beyond half come back from the other side.
        step = int(torch.randint(height // 8, height // 2, (1,), generator=draws))
        axis = 1 + int(torch.randint(0, 2, (1,), generator=draws))
        images[number] = images[number] * (1 - strength) + images[number].roll(step, dims=axis) * strength
    if hit := _hit(count, config.blur, draws):
        # Means of four pixels and back, as a scan of half the resolution that was interpolated.
        coarse = F.avg_pool2d(images[hit], 2)
        images[hit] = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    if config.noise:
        # Windows of one field: normal draws are what costs most here.
        # Seven rows apart, so that no two slices of a batch have the same noise.
        field = torch.randn(planes, height + 7 * count, width, generator=draws).to(images.device)
        levels = (config.noise * torch.rand(count, generator=draws)).tolist()
        for number, level in enumerate(levels):
            images[number].add_(field[:, 7 * number : 7 * number + height], alpha=level)
    return images


def _hit(count: int, chance: float, draws: Generator) -> list[int]:
    """Which of ``count`` slices a change hits."""
    hit: list[int] = torch.nonzero(torch.rand(count, generator=draws) < chance).flatten().tolist()
    return hit


def _spread(shape: int | tuple[int, ...], reach: float, draws: Generator) -> Tensor:
    """Uniform draws in -reach..reach."""
    return (torch.rand(shape, generator=draws) * 2 - 1) * reach


def drop_modalities(images: Tensor, chance: float, draws: Generator, channels: int) -> Tensor:
    """Blank modalities of some slices, at least one always staying, so that a network learns to work on any subset.

    Args:
        images: (B, K * C, H, W); a modality that is all 0 is missing already.
        chance: that a slice loses modalities at all. Then one alone is left in half of the cases of four modalities,
            and each higher number more rarely: one sequence alone is what is hardest, and what is often all there is.
        draws: source of all randomness, on the CPU.
        channels: C.
    """
    count = len(images)
    present = present_modalities(images, channels)
    # Missing ones come last, whatever is drawn: what stays must show something.
    order = torch.rand(count, channels, generator=draws).masked_fill(~present, -1.0)
    # Sorting twice turns an order into ranks.
    rank = order.argsort(dim=1, descending=True).argsort(dim=1)  # 0 for the modality that stays longest
    keep = torch.ceil(torch.rand(count, 1, generator=draws) ** 2 * present.sum(dim=1, keepdim=True)).clamp_min(1)
    hit = torch.rand(count, 1, generator=draws) < chance
    kept = torch.where(hit, rank < keep, torch.ones_like(present))
    return _only(images, kept, channels)


def drop_neighbours(images: Tensor, chance: float, draws: Generator, channels: int) -> Tensor:
    """Show some slices without their neighbours, themselves in their places, as a single picture has to be shown.

    Args:
        images: (B, K * C, H, W), K slices of C modalities, the middle one being the slice itself.
        chance: for each slice.
        draws: source of all randomness, on the CPU.
        channels: C.
    """
    count, planes = images.shape[:2]
    stack = images.view(count, planes // channels, channels, *images.shape[2:])
    hit = (torch.rand(count, 1, 1, 1, 1, generator=draws) < chance).to(images.device)
    middle = stack[:, stack.shape[1] // 2, None]
    return torch.where(hit, middle, stack).view(images.shape)
