"""Registration of small pictures in bulk: is one a flipped, turned, shifted or re-encoded copy of another?

All steps work on 64 x 64 px thumbnails and on thousands of pairs at a time:

1. *Detail*: a band-pass (difference of Gaussians) divided by its own local strength. Brightness, contrast and gamma
   drop out, and a bright skull counts no more than faint gyri.
2. *Rotation and zoom*, after Reddy and Chatterji (1996, "An FFT-based technique for translation, rotation, and
   scale-invariant image registration", IEEE Trans. Image Processing 5(8)): the magnitude of the Fourier spectrum
   ignores shifts, turns with the picture and is mirrored with it. On a log-polar grid a turn shifts the angle and a
   zoom the radius.
3. *Shift*: cross-correlation by FFT for every candidate turn and mirror state, at 32 px.
4. *Refinement*: Gauss-Newton on an affine map, inverse compositional form (Baker and Matthews 2004, "Lucas-Kanade 20
   years on", IJCV 56(3)), at 32 px and then at 64 px. Affine rather than rigid, because re-saved pictures are often
   squeezed a little by a crop.
5. *Score*: the correlation coefficient in a Gaussian window around every pixel, and of those values the one that
   three quarters of the detail exceed. Two heads at the same level agree along the skull; only copies agree
   nearly everywhere, and a watermark or a cut edge touches less than a quarter. A change of size costs a little.

Coordinates are in thumbnail pixels from the centre, u to the right and v downwards. Angles are counter-clockwise as
displayed, like ``numpy.rot90`` and ``scipy.ndimage.rotate``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from synthoma.cohorts.copies.thumbnails import SIDE
from synthoma.cohorts.copies.views import ANGLES, COARSE, HIGHEST, LOWEST, RADII, Views, blur
from synthoma.core.types import Float32

_ZOOM_STEPS = 2  # log radii tried to either side, 6.6 % each
_REACH = 8  # px at the coarse side: largest shift tried
_WINDOW = 2.0  # px: Gaussian window of the local correlation
_WORST = 0.25  # share of the detail that may agree less than the score says
_MIN_SPECTRUM, _MIN_SHIFT, _MIN_COARSE = 0.25, 0.40, 0.75  # gates before the next, dearer step
_MIN_OVERLAP = 0.5  # share of the thumbnail that both pictures must cover
_MIN_DETAIL = 0.1  # share of the thumbnail that must hold detail in both: less is no evidence
_SIZE_COST, _SIZE_MOST = 3.0, 0.025  # score lost per change of size, and the most that is ever lost
_ZOOM = (0.8, 1.25)  # range of the affine map's singular values


@dataclass(frozen=True)
class Poses:
    """How P first pictures lie over P second ones: ``score`` (P,) in [-1, 1] and ``maps`` (P, 2, 3).

    A map takes a place of the *second* picture to the place of the first that shows the same tissue. Pairs that
    cannot be copies of one another score 0 and keep no meaningful map.
    """

    score: Float32
    maps: Float32


def _poses_of_spectrum(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best spectrum correlation, its angle in radians and its zoom, each (P, 2): without and with a mirror.

    A mirrored picture has the complex conjugate harmonics; an enlarged one a spectrum that shrank by as many radii.
    """
    curves = []
    for step in range(-_ZOOM_STEPS, _ZOOM_STEPS + 1):
        inner, outer = slice(max(0, -step), RADII - max(0, step)), slice(max(0, step), RADII - max(0, -step))
        a, b = first[:, outer], second[:, inner]
        cross = torch.stack([(a.conj() * b).sum(1), (a * b).sum(1)], 1)
        # Back from harmonics: the correlation at all 64 turns in one short transform.
        curves.append(torch.fft.irfft(cross, n=ANGLES))
    curve = torch.stack(curves, 2)
    peak, place = curve.flatten(2).max(-1)
    at = place % ANGLES
    row = curve.gather(2, (place // ANGLES)[..., None, None].expand(-1, -1, 1, ANGLES))[:, :, 0]
    left = row.gather(-1, ((at - 1) % ANGLES)[..., None])[..., 0]
    right = row.gather(-1, ((at + 1) % ANGLES)[..., None])[..., 0]
    # A parabola through the peak and its neighbours gives the angle between two samples of 2.8 degrees.
    between = 0.5 * (left - right) / (left - 2 * peak + right).clamp_max(-1e-9)
    zoom = torch.exp((place // ANGLES - _ZOOM_STEPS) * (math.log(HIGHEST / LOWEST) / (RADII - 1)))
    return peak, (at + between.clamp(-0.5, 0.5)) * (math.pi / ANGLES), zoom


def _pull(mirrored: Tensor, angle: Tensor, zoom: Tensor) -> Tensor:
    """Linear maps (..., 2, 2) that undo "mirror left-right if asked, turn by angle, enlarge by zoom"."""
    cos, sin = angle.cos(), angle.sin()
    back = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    return torch.stack([1 - 2 * mirrored, torch.ones_like(mirrored)], -1)[..., None] * back / zoom[..., None, None]


@cache
def _places(side: int) -> Tensor:
    """Homogeneous centred places (side x side, 3) in px of a picture of that side."""
    line = torch.arange(side) - (side - 1) / 2
    down, right = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([right, down, torch.ones_like(right)], -1).reshape(-1, 3)


def _warp(pictures: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (P, s, s) seen through maps (P, 2, 3), and where (P, s, s) they have something to show."""
    side = pictures.shape[-1]
    line = (torch.arange(side) - (side - 1) / 2) / (side / 2)
    # grid_sample counts places in half sides, from -1 to 1.
    across = maps[:, :, 0, None] * line
    along = maps[:, :, 1, None] * line + maps[:, :, 2, None] / (side / 2)
    place = across[:, :, None, :] + along[..., None]
    seen = torch.nn.functional.grid_sample(pictures[:, None], place.permute(0, 2, 3, 1), align_corners=False)[:, 0]
    inside = place.abs() < 1
    return seen, (inside[:, 0] & inside[:, 1]).float()


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    power = first.square().sum((1, 2)) * second.square().sum((1, 2))
    return (first * second).sum((1, 2)) / power.sqrt().clamp_min(1e-9)


def _shifts(first: Tensor, second: Tensor, linear: Tensor) -> tuple[Tensor, Tensor]:
    """Best correlation (P, H) over whole-pixel shifts for linear maps (P, H, 2, 2), and that shift (P, H, 2)."""
    count, tried = linear.shape[:2]
    still = torch.cat([linear, torch.zeros(count, tried, 2, 1)], -1).flatten(0, 1)
    turned, _ = _warp(first.repeat_interleave(tried, 0), still)
    target = torch.fft.rfft2(second).repeat_interleave(tried, 0)
    curve = torch.fft.irfft2(torch.fft.rfft2(turned).conj() * target, s=(COARSE, COARSE))
    width = 2 * _REACH + 1
    # Negative shifts stand at the far end of the curve: rolled, all up to `_REACH` lie in one corner.
    near = curve.roll((_REACH, _REACH), (1, 2))[:, :width, :width].flatten(1)
    peak, at = near.max(1)
    power = turned.square().sum((1, 2)) * second.square().sum((1, 2)).repeat_interleave(tried)
    shift = torch.stack([at % width - _REACH, at // width - _REACH], -1).float()
    return (peak / power.sqrt().clamp_min(1e-9)).view(count, tried), shift.view(count, tried, 2)


def _start(first: Tensor, second: Tensor, angle: Tensor, zoom: Tensor) -> tuple[Tensor, Tensor]:
    """Best poses without and with a mirror: correlations (P, 2) and maps (P, 2, 2, 3) at the coarse side.

    The spectrum leaves 180 degrees open, so each mirror state has two poses; two more have the angle rounded to a
    quarter turn: the exact answer for the commonest copies.
    """
    quarter = (angle / (math.pi / 2)).round() * (math.pi / 2)
    angles = torch.stack([angle, angle + math.pi, quarter, quarter + math.pi], 2)
    mirrored = torch.tensor([0.0, 1.0])[None, :, None].expand_as(angles)
    linear = _pull(mirrored, angles, zoom[..., None].expand_as(angles))
    correlation, shift = _shifts(first, second, linear.flatten(1, 2))
    best, at = correlation.view(angles.shape).max(2)
    chosen = linear.gather(2, at[..., None, None, None].expand(-1, -1, 1, 2, 2))[:, :, 0]
    moved = shift.view(*angles.shape, 2).gather(2, at[..., None, None].expand(-1, -1, 1, 2))[:, :, 0]
    return best, torch.cat([chosen, -(chosen @ moved[..., None])], -1)


def _refine(first: Tensor, second: Tensor, maps: Tensor, steps: int) -> Tensor:
    """Maps (P, 2, 3) improved by Gauss-Newton steps on the squared difference of first, warped, and second."""
    count, side = len(first), first.shape[-1]
    right, down = torch.zeros_like(second), torch.zeros_like(second)
    right[:, :, 1:-1] = (second[:, :, 2:] - second[:, :, :-2]) / 2
    down[:, 1:-1] = (second[:, 2:] - second[:, :-2]) / 2
    slope = torch.stack([right.flatten(1), down.flatten(1)], 1)
    # Linear parts are scaled by half a side, so that all six parameters move the picture by about as much.
    unit = torch.tensor([side / 2, side / 2, 1.0])
    jacobian = (slope[:, :, None] * (_places(side) / unit).T).reshape(count, 6, side * side)
    normal = jacobian @ jacobian.mT
    # Damped (Levenberg-Marquardt): where a picture has no detail across one direction there is nothing to solve for.
    damped = normal + torch.diag_embed(1e-3 * normal.diagonal(dim1=1, dim2=2) + 1e-6)
    inverse = torch.linalg.inv(damped)
    bottom = torch.tensor([[[0.0, 0.0, 1.0]]]).expand(count, 1, 3)
    for _ in range(steps):
        seen, valid = _warp(first, maps)
        gradient = jacobian @ ((seen - second) * valid).flatten(1)[..., None]
        step = (inverse @ gradient).view(count, 2, 3) / unit + torch.eye(3)[:2]
        # A step is never allowed to fold the picture; where it would, that pair stays as it is.
        sane = (torch.linalg.det(step[:, :, :2]) > 0.25)[:, None, None]
        step = torch.where(sane, step, torch.eye(3)[:2])
        maps = maps @ torch.linalg.inv(torch.cat([step, bottom], 1))
    return maps


def _agreement(first: Tensor, second: Tensor, maps: Tensor) -> Tensor:
    """Score (P,): the local correlation that three quarters of the detail exceed, less a cost of changed size.

    It is 0 where the pictures share too little detail.
    """
    seen, valid = _warp(first, maps)
    seen, fixed = seen * valid, second * valid
    power = torch.stack([blur(seen.square(), _WINDOW), blur(fixed.square(), _WINDOW)])
    # Where neither shows anything there is no correlation, rather than one of rounding errors.
    local = blur(seen * fixed, _WINDOW) / power.prod(0).sqrt().clamp_min(1e-6)
    shared = power.amin(0)
    ordered, at = local.flatten(1).sort(1)
    weight = shared.sqrt().flatten(1).gather(1, at).cumsum(1)
    rank = (weight < _WORST * weight[:, -1:]).sum(1, keepdim=True).clamp_max(SIDE * SIDE - 1)
    score = ordered.gather(1, rank)[:, 0]
    zoom = torch.linalg.svdvals(maps[:, :, :2])
    # Copies on the same grid keep their size to 0.5 %; neighbouring slices fit best a little larger or squeezed.
    score = score - (_SIZE_COST * (zoom - 1).abs().amax(1)).clamp_max(_SIZE_MOST)
    enough = (valid.mean((1, 2)) >= _MIN_OVERLAP) & (shared.mean((1, 2)) >= _MIN_DETAIL)
    enough &= (zoom.amax(1) <= _ZOOM[1]) & (zoom.amin(1) >= _ZOOM[0])
    return torch.where(enough, score, 0.0)


def _coarse_pose(first: Tensor, second: Tensor, angle: Tensor, zoom: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation (P,) and map (P, 2, 3) of the better mirror state after refinement at the coarse side.

    Heads are so symmetric that the whole-pixel search alone often takes the wrong state.
    """
    start, maps = _start(first, second, angle, zoom)
    # -1 for what is not tried: it loses to any pose that was.
    correlation = torch.full_like(start, -1.0)
    pair, state = (start >= _MIN_SHIFT).nonzero(as_tuple=True)
    refined = _refine(first[pair], second[pair], maps[pair, state], steps=6)
    seen, valid = _warp(first[pair], refined)
    correlation[pair, state], maps[pair, state] = _correlation(seen, second[pair] * valid), refined
    best, at = correlation.max(1)
    return best, maps[torch.arange(len(first)), at]


def register(views: Views, first: Tensor, second: Tensor) -> Poses:
    """Poses of P pairs of pictures given by their indices (P,) each.

    Pairs that fail a cheap step are not taken through the dearer ones and score 0.
    """
    score, maps = torch.zeros(len(first)), torch.zeros(len(first), 2, 3)
    peak, angle, zoom = _poses_of_spectrum(views.harmonics[first], views.harmonics[second])
    left = (peak.amax(1) >= _MIN_SPECTRUM).nonzero()[:, 0]
    if len(left) == 0:  # the FFT takes no empty batch
        return Poses(score.numpy(), maps.numpy())
    best, pose = _coarse_pose(views.coarse[first[left]], views.coarse[second[left]], angle[left], zoom[left])
    keep = best >= _MIN_COARSE
    left, pose = left[keep], pose[keep]
    a, b = views.fine(first[left]), views.fine(second[left])
    # From coarse to fine pixels only the shift changes its unit.
    pose = _refine(a, b, pose * torch.tensor([1.0, 1.0, SIDE / COARSE]), steps=6)
    score[left], maps[left] = _agreement(a, b, pose), pose
    return Poses(score.numpy(), maps.numpy())
