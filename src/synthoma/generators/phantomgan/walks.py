"""Walks through what a generator repaints: from style to style with the anatomy held, or through a patient.

A simulated slice is no latent: half-way between the pixels of two slices lies no brain, and no mask. So anatomy is
walked along the slices of one simulated patient, as they were simulated, with their masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from synthoma.core.seeding import stream
from synthoma.core.types import Bytes, Floats
from synthoma.generators.phantomgan.patients import order_of, patients_of, simulated
from synthoma.generators.sampling import Sampler, great_circle


@dataclass(frozen=True)
class Walk:
    """One strip of images.

    Attributes:
        planes: (N, C + L, S, S) in -1..1.
        masks: exact ones (N, S, S).
        words: what changes and what stays.
    """

    planes: Floats
    masks: Bytes
    words: str


def style_walks(sampler: Sampler, seed: int, steps: int, rows: int) -> list[Walk]:
    """Slices numbered 0, 2, 4 ... of a cohort, each on the way from its own style to that of the next number.

    Anatomy, air and texture stay as they are in the first image; the style code goes along the great circle.

    Raises:
        ConfigError: a model that repaints nothing.
    """
    latents, codes, walks = simulated(sampler), _codes(sampler), []
    for row in range(rows):
        numbers = range(2 * row, 2 * row + 2)
        both = latents.numbered(seed, numbers)
        ends = both[:, -1].flatten(1)[:, :codes].double().numpy()
        # All of the first image but its style, so that what changes along the strip is the style alone.
        walk = both[:1].repeat(steps, 1, 1, 1)
        walk[:, -1].flatten(1)[:, :codes] = torch.from_numpy(great_circle(ends, steps).astype(np.float32))
        planes = sampler.draw(walk, torch.zeros(steps, dtype=torch.long))
        masks = latents.masks(seed, range(2 * row, 2 * row + 1)).repeat(steps, axis=0)
        walks.append(Walk(planes, masks, f"anatomy of image {numbers[0]}\nstyle: from {numbers[0]} to {numbers[1]}"))
    return walks


def patient_walks(sampler: Sampler, seed: int, steps: int, rows: int) -> list[Walk]:
    """Slices of one simulated patient each, evenly spaced over those that show a class which was learned.

    One style, one air and one texture go through the whole strip. A patient with fewer slices shows some twice.

    Raises:
        ConfigError: a model that repaints nothing.
    """
    latents, side, walks = simulated(sampler), sampler.shape.size, []
    names, members, chances = patients_of(latents.source)
    order = order_of(chances, stream(seed, "synthesis.walk.patients"))
    for row in range(rows):
        chosen = int(order[row % len(order)])
        positions = members[chosen][np.linspace(0, len(members[chosen]) - 1, steps).round().astype(int)]
        draws = stream(seed, "synthesis.walk.noise", row)
        noise = np.repeat(draws.standard_normal((1, 1, side, side)).astype(np.float32), steps, axis=0)
        planes = sampler.draw(latents.patient(positions, noise, draws), torch.zeros(steps, dtype=torch.long))
        walks.append(Walk(planes, latents.masks_at(positions), f"simulated patient {names[chosen]}\nstyle stays"))
    return walks


def _codes(sampler: Sampler) -> int:
    """Length of the style code, the first numbers of the noise plane."""
    return int(sampler.generator.latent)  # type: ignore[arg-type]
