"""Whether one can tell who was in the training set: attacks by what is near, and by what a discriminator thinks."""

from __future__ import annotations

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.private.result import Attack
from synthoma.metrics.copies.whole import Gallery
from synthoma.metrics.membership import membership

ATTACKED = 300
"""Members, and as many others, whose nearest synthetic slice is looked for."""


def distance_attack(comparison: Comparison, others: Ints, seed: int) -> Attack | None:
    """Members are the slices that have a synthetic one near them."""
    draws = stream(seed, "evaluation.membership")
    # Drawn, and not the first ones: rows are sorted by patient.
    members = np.sort(draws.permutation(len(comparison.training))[:ATTACKED])
    others = np.sort(draws.permutation(others)[:ATTACKED])
    drawn = Gallery(comparison.synthetic)
    scores = [drawn.nearest(images).score for images in (comparison.training[members], comparison.held_out[others])]
    return attack(comparison, scores[0], scores[1], members, others, seed)


def check_scores(comparison: Comparison, ours: Floats, theirs: Floats) -> None:
    """Raise InputError unless there is a score of each training and of each held-out slice."""
    if (np.shape(ours), np.shape(theirs)) != ((len(comparison.training),), (len(comparison.held_out),)):
        came = f"{np.shape(ours)} and {np.shape(theirs)} for {len(comparison.training)} and {len(comparison.held_out)}"
        raise InputError("a discriminator's score of each training and held-out slice", came, "score what is compared")


def attack(
    comparison: Comparison, ours: Floats, theirs: Floats, members: Ints, others: Ints, seed: int
) -> Attack | None:
    """Figures of an attack by scores of the slices at these places; None where all held-out slices are twins."""
    if not len(others):
        return None
    found = membership(
        ours,
        theirs,
        member_groups=[comparison.training_groups[at] for at in members],
        other_groups=[comparison.held_out_groups[at] for at in others],
        seed=seed,
    )
    return Attack(**vars(found))
