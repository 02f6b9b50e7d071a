"""Whether a small neural network can tell real from synthetic images where a linear model may not.

A linear model sees what moves the mean of a feature; a network with a hidden layer sees, too, what only changes how
features vary together. All networks of an evaluation, one for each comparison and fold, learn side by side in one
batch: alone, each would take as long as all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Floats, Ints
from synthoma.metrics.two_sample import area, balanced_folds, shared_ranks

HIDDEN = 16
STEPS = 60
RATE = 0.1
DECAY = 0.05
"""Weight decay: with some hundred images a network would otherwise learn them by heart."""

FOLDS = 4
MOST = 200
"""Images of each side; more hardly change what so small a network finds."""


@dataclass(frozen=True)
class _Lesson:
    """One comparison: its images, the sides they are of (1: synthetic), and the fold of each."""

    rows: Ints
    made: Array
    fold: Ints
    folds: int


def network_aucs(
    points: Floats, groups: Ints, comparisons: Sequence[tuple[Ints, Ints]], *, seed: int = 0
) -> list[float]:
    """Areas under the ROC curve of networks that tell the second side of each comparison from the first.

    One hidden layer (16 units, tanh), 60 full steps of Adam with weight decay; cross-validated, a group (all slices of
    a patient) in one fold, ranks within folds as in ``two_sample_auc``. Both sides weigh the same.

    Args:
        points: features of all images (N, D).
        groups: number of each image's group (N,).
        comparisons: places of the first and of the second side; at most 200 of each are used, evenly.
        seed: of folds and first weights.

    Returns:
        One for each comparison, 0..1; 0.5 is guessing; nan where a side has fewer than two groups.

    Raises:
        InputError: vectors and groups that do not belong together.
    """
    if points.ndim != 2 or len(points) != len(groups):
        came = f"{points.shape} and {len(groups)}"
        raise InputError("feature vectors (N, D) and a group for each", came, "give both in one order")
    lessons = [_lesson(groups, one, other, seed) for one, other in comparisons]
    found = [math.nan] * len(lessons)
    # Networks of one batch have equally many images to learn from.
    for size in sorted({len(lesson.rows) for lesson in lessons if lesson is not None}):
        at = [place for place, lesson in enumerate(lessons) if lesson is not None and len(lesson.rows) == size]
        batch = [lesson for lesson in lessons if lesson is not None and len(lesson.rows) == size]
        for place, auc in zip(at, _aucs(points, batch, seed), strict=True):
            found[place] = auc
    return found


def _lesson(groups: Ints, one: Ints, other: Ints, seed: int) -> _Lesson | None:
    # Evenly over the side: slices lie sorted by patient, and the first 200 would be those of a few.
    sides = [np.asarray(side)[np.linspace(0, len(side) - 1, min(len(side), MOST)).round().astype(int)]
             for side in (one, other)]  # fmt: skip
    folds = min(FOLDS, *(len(np.unique(groups[side])) for side in sides))
    # With one group there is nobody left to test on once it is learned from.
    if folds < 2:
        return None
    rows = np.concatenate(sides)
    made = np.repeat([0, 1], [len(side) for side in sides])
    names = np.unique(groups[rows], return_inverse=True)[1]
    return _Lesson(rows, made, balanced_folds(names, made, folds, seed), folds)


def _aucs(points: Floats, lessons: Sequence[_Lesson], seed: int) -> list[float]:
    found = []
    for lesson, said in zip(lessons, _learn(points, lessons, seed), strict=True):
        ranks = np.full(len(lesson.rows), np.nan)
        for fold in range(lesson.folds):
            test = lesson.fold == fold
            if len(np.unique(lesson.made[test])) == len(np.unique(lesson.made[~test])) == 2:
                # Networks of two folds have outputs on scales of their own: ranks compare, outputs do not.
                ranks[test] = shared_ranks(said[test, fold], lesson.made[test])
        known = ~np.isnan(ranks)
        found.append(area(ranks[known], lesson.made[known]) if known.any() else math.nan)
    return found


def _learn(points: Floats, lessons: Sequence[_Lesson], seed: int) -> Floats:
    """What the network without a fold says of each image of a lesson, (lessons, N, FOLDS)."""
    # By all images, those of the test fold too. Which side they are of is not seen, so nothing is given away.
    images = torch.from_numpy(np.stack([_standardised(points[lesson.rows]) for lesson in lessons]))
    made = torch.from_numpy(np.stack([lesson.made for lesson in lessons]).astype(np.float32))[..., None]
    fold = torch.from_numpy(np.stack([lesson.fold for lesson in lessons]))[..., None]
    # A lesson of fewer folds has networks that learn from all its images; nobody asks them.
    learned = (fold != torch.arange(FOLDS)).float()
    # A fold that lacks a side divides by 0 else; its sums are 0 then, and no nan spreads to the other networks.
    weights = learned * sum(side / (learned * side).sum(dim=1, keepdim=True).clamp_min(1) for side in (made, 1 - made))
    made = made.expand_as(weights)
    draws, width, count = stream(seed, "metrics.network_judge"), points.shape[1], len(lessons)

    def drawn(rows: int, columns: int, scale: float) -> Tensor:
        """The same first weights in all lessons."""
        # Networks of all lessons begin alike, so that areas differ by images and not by luck of the start.
        first = torch.from_numpy(draws.normal(0, scale, (rows, columns)).astype(np.float32))
        return first.expand(count, rows, columns).clone().requires_grad_()

    # The networks of all folds are one wide layer: units of two folds meet nowhere, since answers are summed by fold.
    units = FOLDS * HIDDEN
    # Sums of standardised features have about deviation 1: tanh is neither flat nor a straight line there.
    inner, outer = drawn(width, units, width**-0.5), drawn(1, units, HIDDEN**-0.5)
    bias = torch.zeros(count, 1, units, requires_grad=True)

    def said() -> Tensor:
        hidden = torch.tanh(torch.baddbmm(bias, images, inner))
        answers: Tensor = (hidden * outer).unflatten(2, (FOLDS, HIDDEN)).sum(dim=3)
        return answers

    # Adam by hand (Kingma and Ba 2015, algorithm 1): torch's own takes longer to import than this takes to run.
    parameters = [inner, outer, bias]
    first, second = ([torch.zeros_like(one) for one in parameters] for _ in range(2))
    for step in range(1, STEPS + 1):
        # A sum: networks share no weight, so each gets the gradient that it would have alone.
        loss = torch.nn.functional.binary_cross_entropy_with_logits(said(), made, weights, reduction="sum")
        slopes = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for one, mean, square, slope in zip(parameters, first, second, slopes, strict=True):
                # 0.1 and 0.001 are 1 - beta, with the paper's betas of 0.9 and 0.999.
                mean.lerp_(slope, 0.1)
                square.lerp_(slope**2, 0.001)
                scaled = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
                # Decay beside the gradient and not in it (Loshchilov and Hutter 2019), or Adam would scale it away.
                one.mul_(1 - RATE * DECAY).addcdiv_(mean, scaled, value=-RATE / (1 - 0.9**step))
    with torch.no_grad():
        return np.asarray(said().double().numpy())


def _standardised(points: Floats) -> Array:
    deviation = points.std(axis=0)
    # A feature that does not vary is divided by infinity and says nothing; 0 / 0 would be nan in every weight.
    scale = np.where(deviation > 1e-9, deviation, np.inf)
    return np.asarray((points - points.mean(axis=0)) / scale, dtype=np.float32)
