"""What images are drawn from: numbers of a normal distribution, or something else that a family provides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.seeding import stream
from synthoma.core.types import UNLABELLED, Bytes
from synthoma.generators.shape import ImageShape
from synthoma.training.bundle import Bundle


class Latents(Protocol):
    """What a generator in training makes its images of."""

    def batch(self, count: int, draws: Generator) -> Tensor:
        """As many latents, float32 (count, ...) on the CPU."""


class LatentSource(Protocol):
    """What a trained generator makes its numbered images of, and what is known of an image from that alone."""

    @property
    def free(self) -> bool:
        """Whether latents are numbers between which there is a way, and of which there are always more."""

    @property
    def labels(self) -> Mapping[str, str]:
        """What masks tell apart, by value; empty where none are drawn."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What should be known of all that is drawn."""

    @property
    def spacing(self) -> Mapping[str, int]:
        """Settings of ``prepare`` that say how far slices lie from one another, where the latents decide that."""

    def numbered(self, seed: int, indices: range, truncation: float = 1.0) -> Tensor:
        """Latents (N, ...) of these images, each a function of (seed, index); ``truncation`` scales what is random."""

    def masks(self, seed: int, indices: range) -> Bytes | None:
        """Exact masks (N, S, S) of these images; None where masks are read from what is drawn."""

    def origin(self, seed: int, index: int) -> tuple[str, str]:
        """Group that an image belongs to, and the case and slice that it shows again; empty where there are none."""

    def label(self, asked: str, area: int) -> str:
        """Class of an image for which ``asked`` was wanted and whose mask holds so many pixels of tumour."""

    def names(self, labels: Collection[str]) -> list[str]:
        """Classes of a cohort whose images bear these labels."""


@dataclass(frozen=True)
class GaussianLatents:
    """Standard normal numbers.

    Attributes:
        shape: of one latent.
        labels: what drawn masks tell apart, by value.
        classes: names of the classes that were learned.
        conditional: a class can be asked for.
    """

    shape: tuple[int, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[str] = ()
    conditional: bool = False

    free = True
    remarks: tuple[str, ...] = ()
    spacing: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def open(
        cls, bundle: Bundle, shape: ImageShape, latent: tuple[int, ...], phantom: Cohort | None, label: str | None
    ) -> GaussianLatents:
        """The latents of a trained model.

        Raises:
            ConfigError: simulated slices, of which it can make no use.
        """
        meta = bundle.meta
        if phantom is not None:
            raise ConfigError("a model that repaints simulated slices", meta.model, "leave out --phantom")
        return cls(latent, meta.labels, list(meta.classes), bool(shape.classes))

    def batch(self, count: int, draws: Generator) -> Tensor:
        """As many latents, float32 (count, ...)."""
        return torch.randn(count, *self.shape, generator=draws)

    def numbered(self, seed: int, indices: range, truncation: float = 1.0) -> Tensor:
        """Latents (N, ...), each from a stream of its own."""
        # A stream for each image: number 7 is the same image whether six or a million others are drawn.
        rows = [stream(seed, "synthesis.latent", index).standard_normal(self.shape) for index in indices]
        return torch.from_numpy(np.stack(rows).astype(np.float32)) * truncation

    def masks(self, seed: int, indices: range) -> None:
        """None: masks are drawn."""

    def origin(self, seed: int, index: int) -> tuple[str, str]:
        """Nothing is shown again."""
        return "", ""

    def label(self, asked: str, area: int) -> str:
        """The class that was asked for, or that the mask shows, or the only one; else nobody knows."""
        if self.labels and set(self.classes) == {"tumour", "healthy"}:  # they only say what a mask shows
            return "tumour" if area else "healthy"
        return asked if self.conditional or len(self.classes) == 1 else UNLABELLED

    def names(self, labels: Collection[str]) -> list[str]:
        """The classes that were learned; UNLABELLED where images bear none of them."""
        return [UNLABELLED] if UNLABELLED in labels else list(self.classes)
