"""How a network learns the tissues of a head: slices whose tissue is known, contrast drawn at random, loss and steps.

Half of the slices show a sequence as a scanner would; the others are painted, each tissue with a grey value drawn at
random, so that no contrast is taken for granted (Billot et al. 2023, "SynthSeg", Medical Image Analysis 86).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from synthoma.core.seeding import stream_key
from synthoma.core.tissues import BRAIN, TISSUES, HeadTissue
from synthoma.core.types import Bools, Bytes, Ints
from synthoma.detectors.augment import augment_scans, drop_neighbours
from synthoma.detectors.learning import AugmentConfig
from synthoma.detectors.slices import neighbours
from synthoma.training.device import fast_bf16

KINDS = len(TISSUES) + 1
"""Kinds with the background: maps that a network gives, and one more for the brain as a whole."""

CONTEXT = 3
STEP_MM = 4.0
"""Slices seen at once, and about how far apart."""

LEVELS = 100.0
"""Steps of stored grey values on a cohort's scale: 1.0 is stored as 100."""

RATE, DECAY = 3e-3, 1e-4
RARE = {HeadTissue.EYE: 2.0, HeadTissue.VESSEL: 2.0, HeadTissue.VENTRICLE: 1.5, HeadTissue.TUMOUR: 1.5}
"""Weights in the cross-entropy of kinds that fill few pixels."""

SCANNERS = AugmentConfig(
    rotation=0.0, scale=0.0, shift=0.0, flip=0.0, gamma=0.5, contrast=0.3, bias=0.4, noise=0.1, ghosting=0.1, blur=0.3
)
"""What scanners do to a slice; the head is moved by ``_moved`` first, its codes with it."""


@dataclass
class TissueSlices:
    """Slices of which the tissue of each pixel is known.

    Attributes:
        images: grey values times ``LEVELS``, uint8 (N, C, S, S).
        codes: of the tissue that is painted, uint8 (N, S, S); finer than the kinds.
        kinds: code -> ``HeadTissue``, uint8 (256,).
        brain: the brain as a whole, with its sulci, bool (N, S, S).
        stacks: rows of the slices that are seen with each, (N, ``CONTEXT``).
    """

    images: Bytes
    codes: Bytes
    kinds: Bytes
    brain: Bools
    stacks: Ints = field(repr=False)


def stacks_of(slices: int, step_mm: float | None, first: int = 0) -> Ints:
    """Rows of the slices that are seen with each slice of a volume, (slices, ``CONTEXT``).

    Args:
        slices: how many there are.
        step_mm: distance between them; None where unknown.
        first: row of the first.
    """
    stride = max(1, round(STEP_MM / step_mm)) if step_mm else 1
    return first + neighbours(np.arange(slices), CONTEXT, stride)


def draw_batch(
    slices: TissueSlices, count: int, draws: Generator, painted: float = 0.5
) -> tuple[Tensor, Tensor, Tensor]:
    """Slices, moved and with a contrast of their own.

    Args:
        slices: where from.
        count: how many.
        draws: source of all randomness.
        painted: share of slices whose contrast is drawn at random.

    Returns:
        Images (B, ``CONTEXT``, S, S) on a cohort's scale; kinds, int64 (B, S, S); brain, float32 (B, S, S).
    """
    rows = torch.randint(len(slices.codes), (count,), generator=draws).numpy()
    stack = slices.stacks[rows]
    sequences = torch.randint(slices.images.shape[1], (count,), generator=draws).numpy()
    images = torch.from_numpy(slices.images[stack, sequences[:, None]]).float() / LEVELS
    codes = torch.from_numpy(slices.codes[stack]).float()
    brain = torch.from_numpy(slices.brain[stack]).float()
    images, codes, brain = _moved(images, codes, brain, draws)
    chosen = torch.rand(count, 1, 1, 1, generator=draws) < painted
    images = torch.where(chosen, paint(codes.long(), draws), images)
    images, codes = _stripped(images, codes, brain, draws)
    images = drop_neighbours(images, 0.15, draws, 1)
    images, _ = augment_scans(images, torch.zeros_like(images[:, :1]), SCANNERS, draws, 1)
    middle = CONTEXT // 2
    kinds = torch.from_numpy(slices.kinds)[codes[:, middle].long()].long()
    return images.clamp(0, 2), kinds, (brain[:, middle] > 0.5).float()


def _moved(images: Tensor, codes: Tensor, brain: Tensor, draws: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Turn, mirror, scale and shift: grey values are interpolated, codes are names and are not."""
    count = len(images)

    def spread(reach: float) -> Tensor:
        return (torch.rand(count, generator=draws) * 2 - 1) * reach

    angle = spread(math.radians(20))
    # A few lie in any direction, as pictures that somebody turned.
    angle = torch.where(torch.rand(count, generator=draws) < 0.08, spread(math.pi), angle)
    size, stretch = torch.exp(spread(0.25)), torch.exp(spread(0.08))
    mirror = torch.where(torch.rand(count, generator=draws) < 0.5, -1.0, 1.0)
    cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
    rows = [
        torch.stack([mirror * cosine * stretch, -sine / stretch, spread(0.15)], 1),
        torch.stack([mirror * sine * stretch, cosine / stretch, spread(0.15)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), [count, 1, *images.shape[2:]], align_corners=False)
    # Both in one pass, nearest: half way between two names lies the name of another tissue.
    named = F.grid_sample(torch.cat([codes, brain], 1), grid, mode="nearest", align_corners=False)
    codes, brain = named.chunk(2, 1)
    return F.grid_sample(images, grid, align_corners=False), codes, brain


def paint(codes: Tensor, draws: Generator) -> Tensor:
    """Slices whose tissues have grey values drawn at random, (B, K, S, S) of codes -> of 0..1; code 0 is air."""
    count = len(codes)
    # Never as black as air: what is outside is told by that.
    levels = 0.05 + torch.rand(count, 256, generator=draws)
    levels[:, 0] = 0
    # Half of them have a dark skull, as most sequences do: else scalp, bone and brain would seldom be told apart.
    dark = torch.rand(count, generator=draws) < 0.5
    # 3 is compact bone in simulated heads, whose room lies beside this one and is not imported.
    levels[dark, 3] = 0.15 * torch.rand(int(dark.sum()), generator=draws)
    image = torch.gather(levels, 1, codes.flatten(1)).view(codes.shape)
    # Voxels at a border hold some of either tissue.
    soft = F.avg_pool2d(image, 3, stride=1, padding=1)
    share = torch.rand(count, 1, 1, 1, generator=draws)
    image = share * soft + (1 - share) * image
    grain = torch.randn(image.shape, generator=draws) * (0.05 * torch.rand(count, 1, 1, 1, generator=draws))
    return image * (1 + grain)


def _stripped(images: Tensor, codes: Tensor, brain: Tensor, draws: Generator) -> tuple[Tensor, Tensor]:
    """Some slices without what lies outside the brain, cut by a mask that is not exact."""
    hit = torch.rand(len(images), 1, 1, 1, generator=draws) < 0.25
    wide = F.max_pool2d(brain, 3, stride=1, padding=1)
    kept = torch.where(torch.rand(len(images), 1, 1, 1, generator=draws) < 0.5, wide, brain) > 0.5
    # Where nothing of the brain is in the picture it stays as it is: an empty one would teach nothing.
    hit = hit & kept.flatten(1).any(1)[:, None, None, None]
    keep = torch.where(hit, kept, torch.ones_like(kept)).float()
    return images * keep, codes * keep


def tissue_loss(logits: Tensor, kinds: Tensor, brain: Tensor) -> Tensor:
    """Cross-entropy and soft Dice over the kinds, and cross-entropy of the brain as a whole; a scalar.

    Args:
        logits: (B, ``KINDS`` + 1, S, S), the last one of the brain.
        kinds: int64 (B, S, S).
        brain: 0 and 1, float32 (B, S, S).
    """
    weights = torch.ones(KINDS)
    for kind, weight in RARE.items():
        weights[kind] = weight
    entropy = F.cross_entropy(logits[:, :-1], kinds, weights)
    chances = logits[:, :-1].softmax(1)
    truth = F.one_hot(kinds, KINDS).permute(0, 3, 1, 2).to(chances.dtype)
    overlap = (chances * truth).sum((0, 2, 3))
    dice = (2 * overlap + 1) / (chances.sum((0, 2, 3)) + truth.sum((0, 2, 3)) + 1)
    return entropy + (1 - dice).mean() + F.binary_cross_entropy_with_logits(logits[:, -1], brain)


def brain_of(kinds: Bytes, reach: int = 4) -> Bools:
    """The brain as a whole in slices of known kinds, (..., S, S): its kinds with clefts closed and holes filled.

    Args:
        kinds: ``HeadTissue`` values.
        reach: half the width in pixels of the widest cleft that is closed.
    """
    from scipy import ndimage

    flat = np.isin(kinds, BRAIN).reshape(-1, *kinds.shape[-2:])
    disc = np.hypot(*np.indices((2 * reach + 1, 2 * reach + 1)) - reach) <= reach + 0.3
    found = np.zeros_like(flat)
    for z, layer in enumerate(flat):
        padded = np.pad(layer, 2 * reach)
        closed = ndimage.binary_closing(padded, disc)[2 * reach : -2 * reach, 2 * reach : -2 * reach]
        found[z] = ndimage.binary_fill_holes(closed)
    return found.reshape(kinds.shape)


@dataclass
class Pupil:
    """A network in training: its optimiser, and how many steps it has done."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0


def learn(
    pupil: Pupil,
    slices: TissueSlices,
    *,
    steps: int,
    batch: int,
    seed: int,
    kept: Callable[[Pupil, float], None] | None = None,
    every: int = 200,
    until: int | None = None,
) -> None:
    """Train up to step ``steps`` of a cosine schedule; batch n is a function of seed and n.

    Args:
        pupil: changed in place, from the step that it has reached.
        slices: to learn from.
        steps: length of the whole training.
        batch: slices in a step.
        seed: of all draws.
        kept: called with the mean loss since the last call, every ``every`` steps and at the end.
        every: see ``kept``.
        until: the step at which the schedule is left before its end.
    """
    pupil.network.train()
    losses: list[float] = []
    last = min(steps, until or steps)
    while pupil.step < last:
        draws = Generator().manual_seed(stream_key(seed, "tissues.batch", pupil.step) % 2**63)
        images, kinds, brain = draw_batch(slices, batch, draws)
        share = pupil.step / steps
        # The first steps are small ones: batch norm has seen nothing yet.
        rate = (
            RATE
            * min(1.0, (pupil.step + 1) / min(100, max(1, steps // 10)))
            * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)
        )
        for group in pupil.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_bf16()):
            logits = pupil.network(images.contiguous(memory_format=torch.channels_last))
        loss = tissue_loss(logits.float(), kinds, brain)
        pupil.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(pupil.network.parameters(), 5.0)
        pupil.optimiser.step()
        losses.append(float(loss.detach()))
        pupil.step += 1
        if kept is not None and (pupil.step % every == 0 or pupil.step == last):
            kept(pupil, float(np.mean(losses)))
            losses.clear()
