"""Where a head may lie on a lattice: elsewhere is air, however heads differ, and nothing needs to be computed there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthoma.phantom.atlas import Atlas
from synthoma.phantom.fields import nearest_of, places_of, sample

CAVITY_MM, FACE_MM = 45.0, 25.0
"""Nodes farther than this from the skull's cavity and from the face are air: bone and scalp take 25 mm at most, and
outlines of heads differ by some 4 mm (standard deviation)."""


@dataclass(frozen=True)
class Near:
    """The nodes of a lattice on which a head may lie, and what the template has about the others.

    Attributes:
        index: their flat indices, int64 (n,).
        distances: of the template, at each node as it lies in the posed head, to its 2 mm; float32 (4, z, y, x).
    """

    index: Tensor
    distances: Tensor

    def around(self) -> Tensor:
        """What ``Atlas.ventricles`` has where no head lies: the distance, and no direction."""
        wall = self.distances[3:]
        return torch.cat((wall, wall.new_zeros((3, *wall.shape[1:]))))


def near_head(template: Atlas, unit: Tensor) -> Near:
    """The nodes that a head may reach, about two in three.

    Args:
        template: the template head.
        unit: template coordinates -1..1 of the nodes in a head posed but not deformed, float32 (3, z, y, x).
    """
    channels, *shape = template.distances.shape
    rows = template.distances.movedim(0, -1).reshape(-1, channels)  # a view: channels lie side by side
    nearest = nearest_of(shape, unit)
    distances = rows.index_select(0, nearest.flatten()).T.reshape(channels, *nearest.shape)
    return Near(places_of((distances[0] < CAVITY_MM) | (distances[2] < FACE_MM)), distances)


def sampled(values: Tensor, unit: Tensor, near: Near | None, others: Tensor | None = None) -> Tensor:
    """``sample`` at unit coordinates (3, z, y, x) of all nodes.

    Where ``near`` is given it is that at its nodes alone, and ``others`` (channels, z, y, x) elsewhere: the template's
    distances where None.
    """
    if near is None:
        return sample(values, unit)
    others = near.distances if others is None else others
    found = others.flatten(1).clone()
    found.index_copy_(1, near.index, sample(values, unit.flatten(1).index_select(1, near.index)))
    return found.view(others.shape)
