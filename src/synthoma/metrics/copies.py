"""The nearest training image of a picture, found also when it was mirrored, turned or shifted.

Plain pixel distance misses a copy that moved by two pixels. Here pictures are compared by the correlation of fine
detail, in which smooth shading counts little and contrast not at all, in three steps: all training images against 54
rough positions of the query at 32 px; the most alike of them by Gauss-Newton steps to the exact position, first at 32
and then at 64 px (inverse compositional, Baker and Matthews 2004, "Lucas-Kanade 20 years on", IJCV 56(3)); the
correlation there. It is the exact position that tells copies from similar heads. Two degrees or 1.3 px beside it, half
of the altered copies of real FLAIR slices score below .96 and the most similar slices of other patients .95; in it,
nine in ten copies score above .955 and half above .985, the others no more than before. `benchmarks/privacy.py`
measures what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from synthoma.errors import InputError
from synthoma.metrics.features import standard_images
from synthoma.types import Array, Bools, Float32, Floats, Ints

_FINE, _BROAD = 0.9, 3.5  # px at 64 px: below is noise, above is what all heads share
_COARSE = 32  # px
_ANGLES, _SHIFTS = (-3.0, 0.0, 3.0), (-1.5, 0.0, 1.5)  # degrees, and px at 64 px: rough positions, mirrored or not
_CANDIDATES, _FINALISTS = 6, 2
_STEPS = 4  # of Gauss-Newton, at either side
_FAINT = 0.003  # rms of detail below which there is none: 8-bit rounding has 0.001, noise of 2 % has 0.005
_BLOCK = 32  # queries at once
_MANY = 256  # images, or pairs, at once


@dataclass(frozen=True)
class Nearest:
    """For each query: the most alike training image.

    Attributes:
        index: its position (N,).
        score: correlation in the best position (N,), -1..1; 0 where either has no detail.
        mirrored: whether the query was mirrored for it (N,).
    """

    index: Ints
    score: Floats
    mirrored: Bools


class Gallery:
    """Training images, made ready once for any number of searches.

    Args:
        training: (M, H, W), 0..1, M >= 1. Beside them some 8 kB are held for each.

    Raises:
        InputError: no image.
    """

    def __init__(self, training: Array) -> None:
        if not len(training):
            raise InputError("training images to search", "none", "give the cohort that the generator learned from")
        self.training = training
        self.coarse = torch.cat([_halved(_detail(part)) for part in _parts(training, _MANY)])
        self.rows = _unit(self.coarse.flatten(1)).T.contiguous()

    def nearest(self, queries: Array) -> Nearest:
        """Most alike training image of each query, in its best position.

        Positions within about 6 degrees and 2.5 px (of 64) are found, mirrored left-right or not; other sizes and
        up-down flips are not. Time is linear in the queries: on one core some 6 ms each among 1,000 training images.

        Args:
            queries: (N, H, W), 0..1, as large as the training images.
        """
        pieces = [_search(block, self) for block in _parts(queries, _BLOCK)]
        if not pieces:
            return Nearest(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_))
        index, score, mirrored = (torch.cat(column).numpy() for column in zip(*pieces, strict=True))
        return Nearest(index.astype(np.int64), score.astype(np.float64), mirrored)


def nearest_images(queries: Array, training: Array) -> Nearest:
    """Most alike training image of each query: one search in a `Gallery`."""
    return Gallery(training).nearest(queries)


def altered(images: Array, draws: np.random.Generator) -> Float32:
    """Copies (N, H, W) of images (N, H, W) in 0..1, each altered at random, as a copy would be that hides itself.

    Mirrored left-right half the time; turned by up to 4 degrees and shifted by up to 2/64 of the side to either side
    (linear interpolation, 0 outside); gamma 0.85 to 1.15; Gaussian noise of 0.02; cut to 0..1.
    """
    copies = np.empty(images.shape, dtype=np.float32)
    for at, image in enumerate(images):
        picture = image[:, ::-1] if draws.random() < 0.5 else image
        turn, centre = np.deg2rad(draws.uniform(-4, 4)), (np.array(picture.shape) - 1) / 2
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        shift = draws.uniform(-2, 2, 2) * picture.shape[0] / 64
        moved = ndimage.affine_transform(
            picture.astype(np.float32), matrix, centre - matrix @ (centre + shift), order=1
        )
        curved = np.clip(moved, 0, 1) ** draws.uniform(0.85, 1.15)
        copies[at] = np.clip(curved + draws.normal(0, 0.02, curved.shape), 0, 1)
    return copies


def _search(queries: Array, gallery: Gallery) -> tuple[Tensor, Tensor, Tensor]:
    """Index, score and mirror state (B,) of the training image nearest to each of B queries."""
    fine, small = _detail(queries), gallery.coarse
    coarse = _halved(fine)
    rough = _rough_maps()
    views = _warp(coarse.repeat_interleave(len(rough), dim=0), rough.repeat(len(coarse), 1, 1))
    alike = (_unit(views.flatten(1)) @ gallery.rows).view(len(coarse), len(rough), -1)
    best, position = alike.max(dim=1)
    index = best.topk(min(_CANDIDATES, len(small)), dim=1).indices
    maps = rough[position.gather(1, index)]

    owner = torch.arange(len(coarse))[:, None].expand_as(index)
    maps = _refine(coarse[owner.flatten()], small[index.flatten()], maps.flatten(0, 1))
    score = _correlation(_warp(coarse[owner.flatten()], maps), small[index.flatten()]).view(index.shape)
    at = score.topk(min(_FINALISTS, index.shape[1]), dim=1).indices
    maps = maps.view(*index.shape, 2, 3).gather(1, at[..., None, None].expand(-1, -1, 2, 3)).flatten(0, 1)
    index, owner = index.gather(1, at), owner[:, : at.shape[1]].flatten()

    target = _detail(gallery.training[index.flatten().numpy()])
    maps = _refine(fine[owner], target, maps * torch.tensor([1.0, 1.0, 2.0]))  # only shifts change their unit
    score = _correlation(_warp(fine[owner], maps), target).view(index.shape)
    score, at = score.max(dim=1, keepdim=True)
    mirrored = torch.linalg.det(maps[:, :, :2]).view(index.shape) < 0
    return index.gather(1, at)[:, 0], score[:, 0], mirrored.gather(1, at)[:, 0]


def _parts(images: Array, size: int) -> list[Array]:
    return [images[at : at + size] for at in range(0, len(images), size)]


def _detail(images: Array) -> Tensor:
    """Difference of Gaussians (N, 64, 64); all zero where an image has nothing but rounding errors."""
    standard = standard_images(images)
    detail = (_blur(standard, _FINE) - _blur(standard, _BROAD))[:, 0]
    return detail * (detail.square().mean((1, 2), keepdim=True).sqrt() > _FAINT)


def _blur(images: Tensor, sigma: float) -> Tensor:
    reach = int(3 * sigma + 0.5)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(images, [reach] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def _halved(images: Tensor) -> Tensor:
    return F.avg_pool2d(images[:, None], 2)[:, 0]


def _unit(rows: Tensor) -> Tensor:
    unit: Tensor = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-9)
    return unit


def _rough_maps() -> Tensor:
    """Maps (54, 2, 3) of the rough positions, at the coarse side; the mirrored half comes last."""
    maps = []
    for mirror in (1.0, -1.0):
        for angle in np.deg2rad(_ANGLES).tolist():
            cosine, sine = float(np.cos(angle)), float(np.sin(angle))
            turned = [[mirror * cosine, -mirror * sine], [sine, cosine]]
            maps += [[[*turned[0], right / 2], [*turned[1], down / 2]] for down in _SHIFTS for right in _SHIFTS]
    return torch.tensor(maps)


def _warp(images: Tensor, maps: Tensor) -> Tensor:
    """Images (P, s, s) seen through maps (P, 2, 3), which take places of the result to places of the image.

    Places are (right, down) in px from the centre; 0 outside.
    """
    half = torch.tensor([1.0, 1.0, 2.0 / images.shape[-1]])
    grid = F.affine_grid(maps * half, [len(images), 1, *images.shape[1:]], align_corners=False)
    seen: Tensor = F.grid_sample(images[:, None], grid, align_corners=False)[:, 0]
    return seen


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Correlation (P,) of pictures (P, s, s) whose mean is about 0; 0 where one is empty."""
    power = first.square().sum((1, 2)) * second.square().sum((1, 2))
    correlation: Tensor = (first * second).sum((1, 2)) / power.sqrt().clamp_min(1e-9)
    return correlation


def _refine(moving: Tensor, fixed: Tensor, maps: Tensor) -> Tensor:
    """Maps (P, 2, 3) after Gauss-Newton steps over shift and turn; contrast is fitted anew at each step."""
    side = fixed.shape[-1]
    line = torch.arange(side) - (side - 1) / 2
    right, down = torch.zeros_like(fixed), torch.zeros_like(fixed)
    right[:, :, 1:-1] = (fixed[:, :, 2:] - fixed[:, :, :-2]) / 2
    down[:, 1:-1] = (fixed[:, 2:] - fixed[:, :-2]) / 2
    # How the fixed picture changes with a shift to the right, a shift downwards and a turn.
    slope = torch.stack([right, down, down * line - right * line[:, None]], dim=1).flatten(2)
    normal = slope @ slope.mT
    damped = normal + torch.diag_embed(1e-3 * normal.diagonal(dim1=1, dim2=2) + 1e-6)
    solve = torch.linalg.inv(damped) @ slope
    target = fixed.flatten(1)
    most = torch.tensor([2.0, 2.0, 0.1])  # px, px and radians in one step
    for _ in range(_STEPS):
        seen = _warp(moving, maps).flatten(1)
        gain = (seen * target).sum(1) / seen.square().sum(1).clamp_min(1e-9)
        x, y, turn = (solve @ (gain[:, None] * seen - target)[..., None])[..., 0].clamp(-most, most).unbind(1)
        # The fixed picture would have to move by the step; the map is followed by the inverse of that motion.
        cosine, sine = turn.cos(), turn.sin()
        back = torch.stack([torch.stack([cosine, sine], 1), torch.stack([-sine, cosine], 1)], 1)
        shift = -(back @ torch.stack([x, y], 1)[..., None])
        linear = maps[:, :, :2]
        maps = torch.cat([linear @ back, maps[:, :, 2:] + linear @ shift], dim=2)
    return maps
