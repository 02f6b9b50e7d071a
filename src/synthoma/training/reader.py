"""A segmenter beside a generator: drawn tumours must be found where their masks say that they are."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from synthoma.augment.scans import AugmentConfig, augment_scans
from synthoma.losses.segmentation import segmentation_loss
from synthoma.models.bundle import Bundle
from synthoma.models.registry import ImageShape
from synthoma.models.segmenters import SegmenterNetwork, SegmenterShape, as_input, build_segmenter
from synthoma.training.checkpoint import network_state, optimiser_state, restore_optimiser
from synthoma.training.frozen import held_still

NETWORK = SegmenterNetwork(network="unet-25d", context=1, stem=1, width=16, levels=4)

COARSE = 2
"""Side of the squares of pixels whose mean the reader sees.

It costs time in every step and need not draw fine outlines. And what it sees, a generator learns to show it: a reader
of single pixels is soon told of tumours by patterns from one pixel to the next, which nobody else takes for one.
"""

RATE = 1e-3
BEGIN = 2000.0
"""Images over which its opinion comes to its full weight: at first it knows nothing."""


class MaskReader:
    """A small segmenter that learns from the real slices while the generator does.

    It is the auxiliary classifier of a conditional GAN (Odena et al. 2017) for a condition that is a mask: real slices
    teach it what tumours look like, and the generator is told where it does not find the one that it should have drawn.

    Args:
        shape: of the images; each label is found for itself.
        device: where it computes.
    """

    def __init__(self, shape: ImageShape, device: str) -> None:
        self.channels = shape.channels
        self.network = build_segmenter(NETWORK, SegmenterShape(shape.size // COARSE, shape.channels, shape.labels)).to(
            device
        )
        self.optimiser = torch.optim.AdamW(self.network.parameters(), RATE)

    def learn(self, planes: Tensor, draws: Generator) -> None:
        """One step on real slices with their masks (B, C + L, S, S) in -1..1."""
        images, masks = (planes + 1).div(2).split([self.channels, planes.shape[1] - self.channels], dim=1)
        images, masks = augment_scans(images.clone(), masks, AugmentConfig(), draws, self.channels)
        loss = segmentation_loss("bce-dice", self.network(as_input(_coarse(images))), _coarse(masks))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    def missed(self, planes: Tensor, draws: Generator) -> Tensor:
        """How far it is from finding the masks in drawn slices (B, C + L, S, S) in -1..1: cross-entropy and Dice."""
        # Squares that lie elsewhere each time: no border between two of them is a place of its own.
        moved = planes.roll(torch.randint(COARSE, (2,), generator=draws).tolist(), (2, 3))
        images, masks = moved.split([self.channels, planes.shape[1] - self.channels], dim=1)
        with held_still(self.network):
            said = self.network(as_input(_coarse((images + 1) / 2)))
        return segmentation_loss("bce-dice", said, _coarse((masks > 0).to(said.dtype)))

    def state(self) -> dict[str, Tensor]:
        """Weights and moments."""
        return {**network_state("reader", self.network), **optimiser_state("reader_adam", self.optimiser)}

    def restore(self, bundle: Bundle) -> None:
        """Put back what ``state`` took."""
        self.network.load_state_dict(bundle.weights("reader"))
        restore_optimiser("reader_adam", self.optimiser, bundle)


def _coarse(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, COARSE)


def weight_at(images: int, weight: float) -> float:
    """Weight of its opinion after so many images."""
    return weight * min(1.0, images / BEGIN)
