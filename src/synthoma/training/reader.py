"""A segmenter beside a generator: drawn tumours must be found where their masks say that they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from synthoma.augment.scans import AugmentConfig, augment_scans
from synthoma.losses.segmentation import segmentation_loss
from synthoma.models.bundle import Bundle
from synthoma.models.registry import ImageShape
from synthoma.models.segmenters import SegmenterNetwork, SegmenterShape, as_input, build_segmenter
from synthoma.seeding import stream
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.frozen import held_still
from synthoma.types import Ints

NETWORK = SegmenterNetwork(network="unet-25d", context=1, stem=1, width=16, levels=4)

COARSE = 2
"""Side of the squares of pixels whose mean the reader sees.

It costs time in every step and need not draw fine outlines. And what it sees, a generator learns to show it: a reader
of single pixels is soon told of tumours by patterns from one pixel to the next, which nobody else takes for one.
"""

RATE = 1e-3
MEMORY = 500.0
"""Images over which its losses are averaged."""

UNSEEN = 1 / 3
"""Share of the patients whom it does not learn from: it is compared on them."""


class MaskReader:
    """A small segmenter that learns from the real slices while the generator does.

    It is the auxiliary classifier of a conditional GAN (Odena et al. 2017) for a condition that is a mask: real slices
    teach it what tumours look like, and the generator is told where it does not find the one that it should have drawn.

    Told so without end, a generator draws what is easy to find: tumours brighter than any real one, and no faint ones
    (such GANs are known to lose variety so). Therefore the reader learns from some of the patients and is examined on
    the others, and it only speaks while it finds drawn tumours less well than theirs.

    Args:
        shape: of the images; each label is found for itself.
        device: where it computes.
        batch: slices of a step.
    """

    def __init__(self, shape: ImageShape, device: str, batch: int) -> None:
        self.channels, self.step = shape.channels, min(batch / MEMORY, 1.0)
        self.network = build_segmenter(NETWORK, SegmenterShape(shape.size // COARSE, shape.channels, shape.labels)).to(
            device
        )
        self.levels = torch.zeros(2)  # running means of its loss on unseen real slices, and on drawn ones
        self.optimiser = torch.optim.AdamW(self.network.parameters(), RATE)

    def learn(self, planes: Tensor, draws: Generator) -> None:
        """One step on real slices with their masks (B, C + L, S, S) in -1..1."""
        images, masks = (planes + 1).div(2).split([self.channels, planes.shape[1] - self.channels], dim=1)
        images, masks = augment_scans(images.clone(), masks, AugmentConfig(), draws, self.channels)
        loss = segmentation_loss("bce-dice", self.network(as_input(_coarse(images))), _coarse(masks))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    @torch.no_grad()
    def examine(self, planes: Tensor, draws: Generator) -> None:
        """Note how well it does on real slices of patients that it has not seen, like ``learn``'s."""
        self._note(0, self._loss(planes, draws))

    def missed(self, planes: Tensor, draws: Generator) -> Tensor:
        """How far it is from finding the masks in drawn slices, cross-entropy and Dice; less as they get findable.

        Args:
            planes: (B, C + L, S, S) in -1..1.
            draws: source of the raster's place.
        """
        loss = self._loss(planes, draws)
        self._note(1, loss)
        return self.excess() * loss

    def excess(self) -> float:
        """By what share of its loss on unseen real slices its loss on drawn ones is higher, 0..1."""
        real, drawn = self.levels.tolist()
        return min(max(drawn / real - 1, 0.0), 1.0) if real > 0 else 0.0

    def _note(self, level: int, loss: Tensor) -> None:
        self.levels[level] += self.step * (loss.detach().float().cpu() - self.levels[level])

    def _loss(self, planes: Tensor, draws: Generator) -> Tensor:
        # Squares that lie elsewhere each time: no border between two of them is a place of its own.
        moved = planes.roll(torch.randint(COARSE, (2,), generator=draws).tolist(), (2, 3))
        images, masks = moved.split([self.channels, planes.shape[1] - self.channels], dim=1)
        with held_still(self.network):
            said = self.network(as_input(_coarse((images + 1) / 2)))
        return segmentation_loss("bce-dice", said, _coarse((masks > 0).to(said.dtype)))

    def state(self) -> dict[str, Tensor]:
        """Weights and moments."""
        return {
            **network_state("reader", self.network),
            **optimiser_state("reader_adam", self.optimiser),
            "reader_levels": self.levels.clone(),
        }

    def restore(self, bundle: Bundle) -> None:
        """Put back what ``state`` took."""
        self.network.load_state_dict(bundle.weights("reader"))
        restore_optimiser("reader_adam", self.optimiser, bundle)
        self.levels = bundle.tensors["reader_levels"].clone()


def _coarse(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, COARSE)


def divided(groups: Sequence[str], seed: int) -> tuple[Ints, Ints]:
    """Positions of the slices that it learns from, and of those it is examined on: other patients', of two or more.

    Args:
        groups: patient of each slice.
        seed: of the choice.
    """
    names = sorted(set(groups))
    order = stream(seed, "training.reader.patients").permutation(len(names))
    unseen = {names[number] for number in order[: round(UNSEEN * len(names))]}
    apart = np.array([name in unseen for name in groups], dtype=bool)
    everything = np.arange(len(groups))
    return (np.flatnonzero(~apart), np.flatnonzero(apart)) if unseen else (everything, everything)
