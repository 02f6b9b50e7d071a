"""Drawing more images than are wanted, and keeping those that the run's own discriminator finds most real.

The limit comes from a reference draw that depends on the model alone, and candidates are numbered, so an image stays a
function of (model, seed, index) however a cohort is cut into shards (Azadi et al. 2019 reject by chance; a limit is
simpler and needs no calibrated discriminator). The discriminator knows the training slices: look at privacy afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.core.errors import ConfigError
from synthoma.core.seeding import stream_key
from synthoma.core.types import Floats
from synthoma.generators.families import build_discriminator, network_of
from synthoma.generators.sampling import BLOCK, Sampler
from synthoma.training.bundle import fitting

LEAST = 0.05
"""Smallest share that may be kept."""

REFERENCE = 4 * BLOCK
"""Images of each class whose scores set the limit."""

ATTEMPTS = 100
"""Candidates for one image; if none of them passes, the best is taken."""


@dataclass(frozen=True)
class Rejection:
    """Chooses among candidates.

    Attributes:
        sampler: draws them.
        discriminator: scores them, in evaluation mode.
        share: of all candidates that pass, 0..1.
        truncation: factor on the latents.
        limits: score that an image must reach, for each class; one number where the model knows no classes.
    """

    sampler: Sampler
    discriminator: nn.Module
    share: float
    truncation: float
    limits: tuple[float, ...]

    @classmethod
    def open(cls, sampler: Sampler, share: float, truncation: float = 1.0) -> Rejection:
        """Take the discriminator of the sampler's own run, and find the limits.

        Raises:
            ConfigError: a share out of range, or a model with which this makes no sense.
        """
        if not LEAST <= share < 1:
            raise ConfigError(f"a share to keep from {LEAST} and below 1", f"{share}", "try 0.5")
        weights = sampler.bundle.weights("discriminator")
        if not sampler.latents.free or not weights:
            came = f"{sampler.bundle.meta.model}, which {'repaints' if weights else 'has none'}"
            wanted = "a model with a discriminator that draws from latents alone"
            raise ConfigError(wanted, came, "leave out --reject-discriminator")
        with fitting("a discriminator"):
            config = network_of(sampler.bundle.meta.network)
            discriminator = build_discriminator(config, sampler.shape)
            discriminator.load_state_dict(weights)
        plain = cls(sampler, discriminator.eval().requires_grad_(False), share, truncation, ())
        limits = []
        for number in range(max(sampler.shape.classes, 1)):
            classes = torch.full((REFERENCE,), number)
            # Seed 0 whatever the cohort's: all shards, and all cohorts of one model, go by the same limits.
            latents = sampler.latents.numbered(stream_key(0, "synthesis.reference"), range(REFERENCE), truncation)
            # A limit for each class: a discriminator that finds one class easier would else reject the other.
            limits.append(float(np.quantile(plain.scores(sampler.draw(latents, classes), classes), 1 - share)))
        return cls(sampler, plain.discriminator, share, truncation, tuple(limits))

    @torch.no_grad()
    def scores(self, planes: Floats, classes: Tensor) -> Floats:
        """Scores (N,) of images (N, planes, S, S) in -1..1 of these classes (N,), N a multiple of 64."""
        known, parts = bool(self.sampler.shape.classes), []
        for at in range(0, len(planes), BLOCK):
            images = torch.from_numpy(planes[at : at + BLOCK])
            said = self.discriminator(images, classes[at : at + BLOCK] if known else None)
            parts.append(said.reshape(len(said), -1).mean(dim=1))
        return torch.cat(parts).double().numpy()

    def draw(self, seed: int, block: range, classes: Tensor) -> Floats:
        """Images (64, planes, S, S) in -1..1 of one block: of each number the first candidate that passes.

        All 64 candidates of an attempt are drawn together, those too whose number is settled: an image may not depend
        on which others still need one.
        """
        wanted = np.array([self.limits[int(number) if len(self.limits) > 1 else 0] for number in classes])
        best, chosen = np.full(len(block), -np.inf), None
        for attempt in range(ATTEMPTS):
            # The first candidates are the images that would be drawn without rejection.
            own = stream_key(seed, "synthesis.candidate", attempt) if attempt else seed
            planes = self.sampler.draw(self.sampler.latents.numbered(own, block, self.truncation), classes)
            scores = self.scores(planes, classes)
            # Settled ones are never replaced, though later candidates may score more: the first that passes is the
            # image.
            better = (best < wanted) & (scores > best)
            chosen = planes if chosen is None else np.where(better[:, None, None, None], planes, chosen)
            best = np.where(better, scores, best)
            if (best >= wanted).all():
                break
        assert chosen is not None
        return chosen
