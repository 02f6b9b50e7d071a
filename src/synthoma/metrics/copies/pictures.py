"""What all searches for copies do with pictures of 64 px: detail, motion, likeness, exact position.

Maps (P, 2, 3) take places of one picture to places of another. Places are (right, down) in px from the centre. Motions
are similarities: shift, turn and one zoom. The exact position is found by Gauss-Newton steps (inverse compositional,
Baker and Matthews 2004, "Lucas-Kanade 20 years on", IJCV 56(3)). It is the exact position that tells copies from
similar heads: two degrees or 1.3 px beside it, altered copies score no higher than slices of other patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from synthoma.core.threads import single_threaded
from synthoma.core.types import Array
from synthoma.metrics.features import SIDE, standard_images

T = TypeVar("T")

COARSE = SIDE // 2  # px

Band = tuple[float, float]
"""The sigmas in px at 64 px between which detail lies."""

HEAD: Band = (0.9, 3.5)
"""Below is noise, above is what all heads share."""

_LOCAL = 5.0  # px: how far "local strength" reaches
_FLOOR = 0.15  # share of a picture's rms detail below which detail fades out instead of being amplified
_FAINT = 0.003  # rms of detail below which there is none: 8-bit rounding has 0.001, noise of 2 % has 0.005
_MOST = (2.0, 2.0, 0.1, 0.06)  # px, px, radians and share of the size in one step
_EDGE = 1.0  # px: how near to its edge a picture is not trusted


def detail(images: Array, band: Band = HEAD) -> Tensor:
    """Difference of Gaussians (N, 64, 64); all zero where an image has nothing but rounding errors."""
    standard = standard_images(images)
    # The coarser blur takes away shading, the finer one noise: both change in a copy that was retouched.
    difference = (blur(standard, band[0]) - blur(standard, band[1]))[:, 0]
    # What is only rounding must not be amplified by `evened` or a correlation.
    return difference * (difference.square().mean((1, 2), keepdim=True).sqrt() > _FAINT)


def evened(details: Tensor) -> Tensor:
    """Detail (N, s, s) divided by its local strength: a bright skull counts no more than faint gyri."""
    power = details.square()[:, None]
    # Relative and absolute: air beside a head, and pictures of next to nothing, both stay dark.
    floor = _FLOOR**2 * power.mean((2, 3), keepdim=True) + _FAINT**2
    even: Tensor = details / (blur(power, _LOCAL) + floor).sqrt()[:, 0]
    return even


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (N, 1, H, W), mirrored at the edges."""
    reach = int(3 * sigma + 0.5)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    # Zeros beyond the frame would draw an edge along it, which all pictures would have in common.
    padded = F.pad(images, [reach] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def halved(images: Tensor) -> Tensor:
    """Means of 2 x 2 px (N, s/2, s/2)."""
    return F.avg_pool2d(images[:, None], 2)[:, 0]


def unit(rows: Tensor) -> Tensor:
    """Rows (..., D) of length 1; rows of zeros stay."""
    length: Tensor = rows / rows.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    return length


def doubled(maps: Tensor) -> Tensor:
    """Maps for pictures of twice the side: only shifts change their unit."""
    return maps * torch.tensor([1.0, 1.0, 2.0])


def inverse(maps: Tensor) -> Tensor:
    """Maps (P, 2, 3) the other way."""
    back = torch.linalg.inv(maps[:, :, :2])
    return torch.cat([back, -(back @ maps[:, :, 2:])], dim=2)


def warp(images: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Images (P, s, s) seen through maps (P, 2, 3) from places of the result, and where (P, s, s) they show something.

    Beyond the edge is 0.
    """
    side = images.shape[-1]
    # Middles of pixels: the outermost ones are half a pixel from the edge, as `align_corners=False` takes it.
    line = (torch.arange(side) - (side - 1) / 2) / (side / 2)
    # grid_sample counts places in half sides, from -1 to 1.
    across = maps[:, :, 0, None] * line
    along = maps[:, :, 1, None] * line + maps[:, :, 2, None] / (side / 2)
    place = across[:, :, None, :] + along[..., None]
    seen = F.grid_sample(images[:, None], place.permute(0, 2, 3, 1), align_corners=False)[:, 0]
    # Interpolated against zeros beyond the edge: such pixels are darker than the picture is.
    inside = place.abs() < 1 - 2 * _EDGE / side
    return seen, (inside[:, 0] & inside[:, 1]).float()


def correlation(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Correlation (P,) of pictures (P, s, s) whose mean is about 0, under a weight; 0 where one is empty."""
    power = (first.square() * weight).sum((1, 2)) * (second.square() * weight).sum((1, 2))
    alike: Tensor = (first * second * weight).sum((1, 2)) / power.sqrt().clamp_min(1e-9)
    return alike


def refine(moving: Tensor, fixed: Tensor, maps: Tensor, steps: int, weight: Tensor | None = None) -> Tensor:
    """Maps (P, 2, 3) after Gauss-Newton steps over shift, turn and zoom; contrast is fitted anew at each step.

    Args:
        moving: (P, s, s), seen through the maps.
        fixed: (P, s, s).
        maps: from places of ``fixed`` to places of ``moving``.
        steps: their number.
        weight: (P, s, s) of each pixel of ``fixed``; all alike if not given.
    """
    side = fixed.shape[-1]
    line = torch.arange(side) - (side - 1) / 2
    right, down = torch.zeros_like(fixed), torch.zeros_like(fixed)
    # Central differences; the outermost pixels lack a neighbour and have no say.
    right[:, :, 1:-1] = (fixed[:, :, 2:] - fixed[:, :, :-2]) / 2
    down[:, 1:-1] = (fixed[:, 2:] - fixed[:, :-2]) / 2
    # How the fixed picture changes with a shift to the right or downwards, a turn and a zoom, all by about a pixel.
    turned, zoomed = down * line - right * line[:, None], right * line + down * line[:, None]
    slope = torch.stack([right, down, turned / (side / 2), zoomed / (side / 2)], dim=1).flatten(2)
    weighed = slope if weight is None else slope * weight.flatten(1)[:, None]
    normal = weighed @ slope.mT
    # Damped (Levenberg-Marquardt): a flat picture, or a round one for its turn, leaves nothing to solve for.
    damped = normal + torch.diag_embed(1e-3 * normal.diagonal(dim1=1, dim2=2) + 1e-6)
    # Slopes are the fixed picture's, which does not move: solved for once, used in all steps (inverse compositional).
    solve = torch.linalg.inv(damped) @ weighed
    target, most = fixed.flatten(1), torch.tensor(_MOST)
    for _ in range(steps):
        seen, valid = (part.flatten(1) for part in warp(moving, maps))
        counts = valid if weight is None else valid * weight.flatten(1)
        gain = (seen * target * counts).sum(1) / (seen.square() * counts).sum(1).clamp_min(1e-9)
        # A gain below 0 would match a picture with its negative.
        # Without the weight, which `solve` holds already.
        error = (gain.clamp_min(0)[:, None] * seen - target) * valid
        step = (solve @ error[..., None])[..., 0] * torch.tensor([1.0, 1.0, 2 / side, 2 / side])
        # Slopes hold for about a pixel. A longer step leads away as often as not.
        x, y, turn, zoom = step.clamp(-most, most).unbind(1)
        # The fixed picture would have to move by the step; the map is followed by the inverse of that motion.
        cosine, sine = turn.cos() * (1 + zoom), turn.sin() * (1 + zoom)
        moved = torch.stack([torch.stack([cosine, -sine, x], 1), torch.stack([sine, cosine, y], 1)], 1)
        maps = after(maps, inverse(moved))
    return maps


def after(maps: Tensor, first: Tensor) -> Tensor:
    """Maps (P, 2, 3) that do ``first`` (P, 2, 3) and then ``maps``."""
    linear = maps[:, :, :2]
    return torch.cat([linear @ first[:, :, :2], linear @ first[:, :, 2:] + maps[:, :, 2:]], dim=2)


def take(items: Tensor, best: Tensor) -> Tensor:
    """Of items (B, K, ...), those at places (B, F), in one row: (B * F, ...)."""
    return items[torch.arange(len(items))[:, None], best].flatten(0, 1)


def owners(count: int, each: int) -> Tensor:
    """0 0 0 1 1 1 2 2 2 ...: ``count`` numbers, ``each`` times."""
    return torch.arange(count).repeat_interleave(each)


def in_blocks(search: Callable[[Array], T], queries: Array, size: int) -> Iterator[T]:
    """Results of a search for so many queries at a time, in order, in as many threads as torch would use.

    Each block is searched in one thread: no sum is ever split, so no rounding depends on the number of cores.
    """
    threads = torch.get_num_threads()

    def alone(block: Array) -> T:
        with torch.inference_mode(), single_threaded():
            return search(block)

    # `map` gives results in the order of the blocks, whichever ends first.
    with single_threaded(), ThreadPoolExecutor(threads) as pool:
        yield from pool.map(alone, parts(queries, size))


def parts(images: Array, size: int) -> Sequence[Array]:
    """The images, so many at a time."""
    return [images[at : at + size] for at in range(0, len(images), size)]
