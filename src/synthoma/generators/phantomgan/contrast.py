"""How clearly lesions stand out: measured in real slices, demanded of drawn ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from synthoma.core.types import Floats
from synthoma.generators.phantomgan.loss import lesion_contrast

# Not to the ends: the least and the largest of a few lesions are chance.
KNOTS = np.linspace(0.02, 0.98, 25)
"""Shares of the lesions at which two distributions of contrast are laid onto one another."""

BLOCK = 64
"""Slices that are measured at once."""

LEAST = 4
"""Lesions on each side below which nothing is demanded."""


class LesionContrast:
    """What the contrast of each simulated lesion becomes, so that all together are as clear as real ones.

    The faintest of the simulated lesions become as faint as the faintest real ones, the brightest as bright as the
    brightest: histogram matching of one number a lesion. A discriminator learns of it slowly, since few of the slices
    that it sees show a tumour, and a segmenter that must find each of them makes the faint ones bright.

    Args:
        simulated: contrasts of simulated slices (N, L, C, 2), see ``loss.lesion_contrast``; nan for none.
        real: contrasts of real slices (M, L, C, 2).
    """

    def __init__(self, simulated: Floats, real: Floats) -> None:
        self.lines: dict[int, tuple[Tensor, Tensor]] = {}
        columns = [side.reshape(len(side), -1).T for side in (simulated, real)]
        for place, sides in enumerate(zip(*columns, strict=True)):
            known = [side[np.isfinite(side)] for side in sides]
            if min(map(len, known)) >= LEAST:
                first, second = (np.quantile(side, KNOTS) for side in known)
                # The same number twice would be no place between two knots.
                first = first + np.arange(len(KNOTS)) * 1e-6
                self.lines[place] = torch.from_numpy(first).float(), torch.from_numpy(second).float()

    def wanted(self, contrasts: Tensor) -> Tensor:
        """What simulated contrasts (B, L, C, 2) should become; nan where nothing is demanded."""
        columns = contrasts.flatten(1)
        wanted = torch.full_like(columns, torch.nan)
        for place, (first, second) in self.lines.items():
            own = columns[:, place].contiguous()
            first, second = first.to(own), second.to(own)
            after = torch.searchsorted(first, own.nan_to_num()).clamp(1, len(first) - 1)
            # Cut to 0..1: beyond the last knots nothing is known, and a line drawn on would ask for contrasts that no
            # lesion has.
            share = ((own - first[after - 1]) / (first[after] - first[after - 1])).clamp(0, 1)
            wanted[:, place] = second[after - 1] + share * (second[after] - second[after - 1])
        return wanted.reshape(contrasts.shape)

    def missed(self, simulated: Tensor, drawn: Tensor, channels: int) -> Tensor:
        """Mean distance of the contrasts in drawn planes (B, C + L, S, S) from what those simulated ones should become.

        0 where no slice shows a lesion.
        """
        original, labels = simulated[:, :channels].float(), simulated[:, channels:]
        wanted = self.wanted(lesion_contrast(original, labels))
        found = lesion_contrast(drawn[:, :channels], labels)
        known = torch.isfinite(wanted) & torch.isfinite(found)
        # Not multiplied by 0 but left out: the gradient of nan is nan.
        return (found[known] - wanted[known]).abs().sum() / max(int(known.sum()), 1)


def contrasts_of(fetch: Callable[[int, int], Tensor], count: int, channels: int) -> Floats:
    """Contrasts (count, L, C, 2) of planes that are read in parts: ``fetch(first, last)`` gives (B, C + L, S, S)."""
    parts = (fetch(first, min(first + BLOCK, count)) for first in range(0, count, BLOCK))
    found = [lesion_contrast(part[:, :channels], part[:, channels:]) for part in parts]
    return torch.cat(found).double().numpy()
