"""Membership inference: can scores tell the scans that a generator was trained on from other scans?

Patients differ, and a score may tell one half of the patients from the other by that alone ("Membership inference or
data split bias"). So patients as a whole change sides under the null hypothesis, and members are also held against
members.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Bools, Floats, Ints

NAN = float("nan")
# Four groups a side can be relabelled in 70 ways: of three in 20, no p lies below 5 %.
_LEAST_GROUPS = 4


@dataclass(frozen=True)
class Membership:
    """How well scores tell members from non-members.

    Attributes:
        auc: chance that a member scores higher than a non-member, 0..1; 0.5 where nothing is told.
        sensitivity: share of members above all but 1 % of the non-members (rounded down: of fewer than 100, above all).
        p: one-sided, of whole groups relabelled; nan with fewer than four groups on either side.
        control: 95 % quantile of the area between random halves of the members' groups, which differ by patients only;
            nan with fewer than four groups.
        members, others: how many scores.
    """

    auc: float
    sensitivity: float
    p: float
    control: float
    members: int
    others: int


def membership(
    members: Floats,
    others: Floats,
    *,
    member_groups: Sequence[Hashable],
    other_groups: Sequence[Hashable],
    draws: int = 2000,
    seed: int = 0,
) -> Membership:
    """Area under the ROC curve of an attack by scores, sensitivity at 1 % false alarms, and what patients alone do.

    Args:
        members: (N,) scores of images that the generator was trained on; higher should mean "member".
        others: (M,) of images that it was not trained on.
        member_groups: N names.
        other_groups: M names; a name on both sides is two groups.
        draws: relabellings, and halvings of the members.
        seed: of the draws.

    Raises:
        InputError: no scores on a side, scores that are not finite, or not one group for each.
    """
    scores = np.concatenate([members, others]).astype(np.float64)
    if not (len(members) and len(others)) or not np.isfinite(scores).all():
        came = f"{len(members)} and {len(others)}, {np.count_nonzero(~np.isfinite(scores))} of them not finite"
        raise InputError("finite scores of members and others", came, "leave out what could not be scored")
    if (len(member_groups), len(other_groups)) != (len(members), len(others)):
        came = f"{len(member_groups)} and {len(other_groups)} groups for {len(members)} and {len(others)} scores"
        raise InputError("one group for each score", came, "give both in one order")
    names = [(True, name) for name in member_groups] + [(False, name) for name in other_groups]
    places = {name: at for at, name in enumerate(dict.fromkeys(names))}
    owner = np.array([places[name] for name in names], dtype=np.int64)
    first = np.array([name[0] for name in places])
    auc = float(_areas(scores, owner, first[None])[0])
    inside, outside = int(first.sum()), int((~first).sum())
    p = control = NAN
    if min(inside, outside) >= _LEAST_GROUPS:
        null = _areas(scores, owner, _sides(len(first), inside, draws, seed, "relabelled"))
        # The labels as they are count as one relabelling, or p could be 0. Equal areas may differ by rounding.
        p = float((1 + np.count_nonzero(null >= auc - 1e-12)) / (1 + draws))
    if inside >= _LEAST_GROUPS:
        halves = _areas(scores[: len(members)], owner[: len(members)], _sides(inside, inside // 2, draws, seed, "half"))
        control = float(np.quantile(halves, 0.95))
    # Strictly above it are at most 1 % of the others.
    limit = np.sort(others)[-1 - int(0.01 * len(others))]
    return Membership(auc, float((members > limit).mean()), p, control, len(members), len(others))


def _sides(count: int, inside: int, draws: int, seed: int, purpose: str) -> Bools:
    """Random choices (draws, count) of ``inside`` groups each."""
    # The order of random numbers is a random permutation, for all draws at once.
    order = stream(seed, f"metrics.membership.{purpose}").random((draws, count)).argsort(axis=1)
    chosen: Bools = order < inside
    return chosen


def _areas(scores: Floats, owner: Ints, sides: Bools) -> Floats:
    """Mann-Whitney areas (D,): scores of the groups chosen in each row of ``sides`` (D, groups) over the others'."""
    # Ranks do not change with labels: summed by group once, a relabelling is a product of two matrices.
    ranks = np.bincount(owner, stats.rankdata(scores))
    sizes = np.bincount(owner).astype(np.float64)
    count = sides @ sizes
    area: Floats = (sides @ ranks - count * (count + 1) / 2) / (count * (sizes.sum() - count))
    return area
