"""Which slices of simulated patients become images, where no patient may give many of them."""

from __future__ import annotations

import numpy as np

from synthoma.core.types import Floats, Ints
from synthoma.generators.phantomgan.patients import order_of

FAR_MM = 25.0
"""Slices of one patient this far apart show other anatomy."""


def chosen_slices(
    chances: Floats, patients: Ints, heights: Floats, count: int, per_patient: int, draws: np.random.Generator
) -> Ints:
    """Positions (at most ``count``) of slices in a random order in which likelier ones tend to come first.

    Of each patient at most ``per_patient`` are taken, 25 mm apart; nearer ones only where that leaves too few.

    Args:
        chances: share in which each slice should be drawn (N,), in all 1.
        patients: number of each slice's patient (N,).
        heights: how high in the head each slice lies (N,), mm.
        count: how many are wanted.
        per_patient: most of one patient.
        draws: source of the order (Efraimidis and Spirakis 2006).
    """
    order, taken = order_of(chances, draws), list[int]()
    of: dict[int, list[float]] = {}
    # In the same order both times: what the second round adds is the likeliest of what was too near.
    for gap in (FAR_MM, 0.0):
        for at in order.tolist():
            if len(taken) == count:
                return np.array(taken, dtype=np.int64)
            own = of.setdefault(int(patients[at]), [])
            if at not in taken and len(own) < per_patient and all(abs(heights[at] - other) >= gap for other in own):
                taken.append(at)
                own.append(float(heights[at]))
    return np.array(taken, dtype=np.int64)
