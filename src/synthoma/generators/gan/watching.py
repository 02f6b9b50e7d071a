"""What a discriminator makes of slices that it has not learned from: whether it can still tell, and what it memorised.

It is asked in evaluation mode, about pictures as they are (without the changes of ``gan.augment``): what it would say
of one picture alone. Accuracy is the mean of two shares, of real slices that it calls real and of generated ones that
it calls generated, so that it is 0.5 for a discriminator that cannot tell them apart, however many there are of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.cohorts.dataset import TrainingSlices, spread
from synthoma.core.types import Floats
from synthoma.generators.gan.losses import SHIFT_FREE
from synthoma.generators.settings import AdversarialLoss
from synthoma.metrics.two_sample import area

BLOCK = 64
"""Pictures that are judged at once."""

BAND = 0.1
"""So near to 0.5 the accuracy on held-out slices is that of a discriminator that cannot tell."""

RANKED = 0.65
"""Chance that a held-out slice is scored above a generated one, above which another cut would tell them apart.

A normal score that is cut best with an accuracy of 0.6 has 0.64. As far below 0.5 a discriminator is wrong, but not
undecided.
"""

BY_HEART = 0.7
"""Accuracy on training slices above which it does tell those: then it is not fooled, it has learned them by heart."""

WITHOUT_ZERO = SHIFT_FREE | {"equilibrium"}
"""Losses whose scores have no zero of their own: those of differences, and errors of rebuilding (BEGAN)."""

AHEAD = 0.7
"""Accuracy that it must have had once: networks that have not learned anything cannot tell either."""


def best_cut(real: Floats, generated: Floats) -> float:
    """The score above which a slice is best called real: half-way between two scores, where the accuracy is highest.

    Of several such places the one in the middle. Critics of differences (``SHIFT_FREE``) have no zero of their own.

    Args:
        real: scores (N,) of real slices, one or more.
        generated: scores (M,) of generated ones, one or more.
    """
    known = np.unique(np.concatenate([real, generated]))
    # Also below all scores and above all: a discriminator may be right to call everything one thing.
    cuts = np.concatenate([[known[0] - 1], (known[1:] + known[:-1]) / 2, [known[-1] + 1]])
    accuracies = np.array([accuracy(real, generated, cut) for cut in cuts])
    # Accuracies of two cuts that should be equal may differ by rounding.
    best = np.flatnonzero(accuracies >= accuracies.max() - 1e-12)
    return float(cuts[best[len(best) // 2]])


def accuracy(real: Floats, generated: Floats, cut: float) -> float:
    """Mean of the share of real slices scored above ``cut`` and of generated ones at or below it, 0..1."""
    return float(((real > cut).mean() + (generated <= cut).mean()) / 2)


def ranked(real: Floats, generated: Floats) -> float:
    """Chance that a real slice is scored above a generated one, ties half: the area under the ROC curve."""
    return area(np.concatenate([generated, real]), np.repeat([0, 1], [len(generated), len(real)]))


@dataclass
class Watch:
    """Asks a discriminator at every snapshot, and says when it has been fooled for long enough.

    Attributes:
        loss: what it learned from, which says what its outputs mean.
        training: the slices that it learns from.
        held_out: slices of patients that it never saw; None where there are too few.
        until: snapshots in a row at which it must be fooled for the training to end; 0 to go on regardless.
        was_ahead: whether it has told slices apart at some snapshot.
        fooled: snapshots in a row at which it could not, since then.
    """

    loss: AdversarialLoss
    training: TrainingSlices
    held_out: TrainingSlices | None
    until: int = 0
    was_ahead: bool = False
    fooled: int = 0

    def figures(self, scores: Callable[[Tensor, Tensor], Floats], samples: Tensor, classes: Tensor) -> dict[str, float]:
        """Accuracy and mean D(x) on held-out, training and generated slices, by their names in the log.

        Of losses ``WITHOUT_ZERO`` the cut between real and generated is found on training slices and every second
        generated one; only the others are counted.

        Args:
            scores: a discriminator's outputs (B,) for planes (B, C + L, S, S) and class numbers (B,).
            samples: generated planes (N, C + L, S, S) in -1..1, two or more, that no network has learned from.
            classes: their classes (N,).

        Returns:
            Accuracies and the chance that a held-out slice is scored above a generated one (AUC), in 0..1. The means
            are probabilities with ``bce``, raw scores with other losses. What is of held-out slices is nan where there
            are none.
        """
        generated, learned = scores(samples, classes), self._asked(self.training, len(samples), scores)
        cut, counted = 0.0, generated
        if self.loss in WITHOUT_ZERO:
            cut, counted = best_cut(learned, generated[::2]), generated[1::2]
        held_out = np.array([math.nan])
        if self.held_out is not None:
            held_out = self._asked(self.held_out, len(samples), scores)
        mean = _mean_probability if self.loss.startswith("bce") else np.mean
        return {
            "d_accuracy_held_out": math.nan if self.held_out is None else accuracy(held_out, counted, cut),
            "d_accuracy_training": accuracy(learned, counted, cut),
            "d_auc_held_out": math.nan if self.held_out is None else ranked(held_out, counted),
            "d_held_out": float(mean(held_out)),
            "d_training": float(mean(learned)),
            "d_generated": float(mean(generated)),
        }

    def _asked(self, slices: TrainingSlices, most: int, scores: Callable[[Tensor, Tensor], Floats]) -> Floats:
        batch = slices.fetch(spread(np.arange(len(slices)), most))
        return scores(batch.planes(), batch.classes)

    def ended(self, figures: dict[str, float]) -> str:
        """Count a snapshot; why the training should end here, or empty text.

        A snapshot counts where accuracy on held-out slices is within ``BAND`` of 0.5 and no other cut would part them
        (``RANKED``), and not because the discriminator knows its training slices by heart, which makes held-out ones
        look generated to it. None counts before a discriminator was ``AHEAD`` once.
        """
        held_out, learned = figures["d_accuracy_held_out"], figures["d_accuracy_training"]
        # Without held-out slices these are nan: the comparisons are False, and no snapshot ever counts.
        told = learned > BY_HEART or abs(figures["d_auc_held_out"] - 0.5) > RANKED - 0.5
        cannot_tell = abs(held_out - 0.5) <= BAND and not told
        self.fooled = self.fooled + 1 if self.was_ahead and cannot_tell else 0
        self.was_ahead = self.was_ahead or max(held_out, learned) > AHEAD
        if not self.until or self.fooled < self.until:
            return ""
        snapshots = f"{self.fooled} snapshot{'s' if self.fooled > 1 else ''}"
        return (
            f"Stopped early (--until-fooled): for {snapshots} in a row the discriminator could not tell held-out "
            f"slices from generated ones (accuracy {held_out:.2f})."
        )

    def state(self) -> dict[str, Tensor]:
        """What the next snapshot depends on; nothing where the training does not end by it."""
        return {"watched": torch.tensor([int(self.was_ahead), self.fooled])} if self.until else {}

    def restore(self, saved: Tensor | None) -> None:
        """Put a state back."""
        if saved is not None:
            self.was_ahead, self.fooled = bool(saved[0]), int(saved[1])


@torch.no_grad()
def outputs(network: nn.Module, planes: Tensor, classes: Tensor | None, place: Callable[[Tensor], Tensor]) -> Floats:
    """A discriminator's outputs (N,) in evaluation mode, of pieces their mean, for planes (N, C + L, S, S) in -1..1.

    Args:
        network: it is left in the mode it was in, and nothing in it changes.
        planes: on the CPU.
        classes: (N,), or None where it knows none.
        place: puts pictures and classes on its device.
    """
    mode = network.training
    network.eval()
    try:
        parts = [
            network(place(planes[at : at + BLOCK]), None if classes is None else place(classes[at : at + BLOCK]))
            for at in range(0, len(planes), BLOCK)
        ]
    finally:
        network.train(mode)
    found: Floats = (
        torch.cat([part.reshape(len(part), -1).float().mean(dim=1) for part in parts]).double().cpu().numpy()
    )
    return found


def _mean_probability(logits: Floats) -> float:
    # Cut where the probability is 0 or 1 anyway: `exp` would overflow far out.
    return float((1 / (1 + np.exp(-np.clip(logits, -60, 60)))).mean())
