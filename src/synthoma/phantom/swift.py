"""Tissue on many planes of a body, a few at once: what ``anatomy.resolve`` gives, in a fraction of the time.

The operations are the same. What changes is that their results stay in a processor's cache, that codes are read from a
template of one byte a place, and that only nodes beside the planes are looked at.
"""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from synthoma.core.types import Floats
from synthoma.phantom.anatomy import Body, Brain, Traits, resolved
from synthoma.phantom.atlas import Atlas, to_unit
from synthoma.phantom.fields import nearest_of

AT_ONCE = 262_144
"""Samples of a few planes that are looked at together; fewer would spend more time between operations than in them."""


def resolve_planes(
    body: Body, traits: Traits, template: Atlas, z: Floats, y: Floats, x: Floats
) -> tuple[Tensor, Brain]:
    """Tissue on the grid spanned by three axes in mm, as ``anatomy.resolve`` gives it, but for rounding.

    Args:
        body: the person's.
        traits: of the person.
        template: the template head.
        z: heights of the planes in mm.
        y: rows in mm.
        x: columns in mm.

    Returns:
        A code for every sample, uint8 (z, y, x), and the brain's soft fractions.
    """
    codes = torch.empty((len(z), len(y), len(x)), dtype=torch.uint8)
    plane = len(y) * len(x)
    count = max(1, AT_ONCE // plane)
    carried = torch.cat((to_unit(body.places), body.layers, body.noise))
    brains: list[Brain] = []
    for number, part in enumerate(body.lattice.slabs(carried, z, y, x, count)):
        unit, layers, noise = part.split((3, 5, 3))
        start = number * count
        codes[start : start + count], brain = resolved(
            traits, template, unit, layers, noise, _painted(template.codes, unit)
        )
        brain.index += start * plane
        brains.append(brain)
    return codes, _joined(brains)


def _painted(codes: Tensor, unit: Tensor) -> Tensor:
    """Codes (z, y, x) nearest to unit coordinates (3, ...) ordered (x, y, z), uint8 (...)."""
    nearest = nearest_of(codes.shape, unit)
    return codes.flatten().index_select(0, nearest.flatten()).view(nearest.shape)


def _joined(brains: list[Brain]) -> Brain:
    """Lists of places one after the other."""
    return Brain(*(torch.cat([getattr(brain, field.name) for brain in brains], dim=-1) for field in fields(Brain)))
