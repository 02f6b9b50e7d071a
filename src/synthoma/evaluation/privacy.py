"""Does a synthetic cohort give training scans away? Copies, what the search for them is worth, and membership."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats

from synthoma.data.duplicates import THRESHOLD
from synthoma.data.registration import prepare, register
from synthoma.data.thumbnails import thumbnail
from synthoma.errors import InputError
from synthoma.evaluation.comparison import LEAST, Comparison
from synthoma.metrics.copies import Gallery, Nearest, altered
from synthoma.metrics.membership import membership
from synthoma.metrics.tails import Tail, fisher, fit_tail, proportion_bounds, rank_p, share_bound
from synthoma.seeding import stream
from synthoma.types import Bools, Floats, Ints

FALSE_ALARMS = 0.01
"""Share of honest slices that may be flagged."""

MISSED = 0.1
"""Share of altered copies that may score below what a copy is expected to score."""

LEAST_RECALL = 0.5
"""Lower limit of the recall on planted copies below which finding none says nothing."""

SHOWN = 24
SETTING = 100  # planted copies that set the threshold; others measure the recall
ATTACKED = 500  # members, and as many others, whose nearest synthetic slice is looked for
LEVELS = (0.05, 0.5, 0.95, 1.0)
TWIN_FROM = 0.8  # held-out slices less alike than this are no twins
SMALLEST_P = 1e-12  # what is said of smaller ones


@dataclass(frozen=True)
class _Rule:
    """From which score a slice is flagged, and by how many honest slices that is known.

    Attributes:
        threshold: flagged is what scores above; 1 where too little is known.
        rank: the threshold is not below the rank-th highest honest score.
        honest: number of honest scores.
        tail: of the honest scores; None where too little is known.
    """

    threshold: float
    rank: int
    honest: int
    tail: Tail | None

    def tests(self, scores: Floats, alpha: float) -> dict[str, Any]:
        """Chances of as much if all N slices are honest: of so many flagged, and of one so near.

        Args:
            scores: (N,) of the slices in question.
            alpha: level; three tests share it.
        """
        if self.tail is None:
            return {"p": 1.0, "tests": {}, "certain": 0}
        flagged = scores[scores > self.threshold]
        alone = [min(1.0, len(scores) * self.tail.chance(float(score))) for score in flagged]
        tests = {
            "ranks": rank_p(len(flagged), len(scores), self.rank, self.honest),
            "tail": float(stats.binom.sf(len(flagged) - 1, len(scores), self.tail.chance(self.threshold))),
            "nearest": min(alone, default=1.0),
        }
        certain = sum(3 * p < alpha for p in alone)
        return {"p": min(1.0, 3 * min(tests.values())), "tests": tests, "certain": certain}


def privacy(
    comparison: Comparison,
    *,
    canaries: int = 200,
    seed: int = 0,
    alpha: float = 0.05,
    discriminator: tuple[Floats, Floats] | None = None,
) -> dict[str, Any]:
    """Copies of training scans among synthetic slices, and whether one can tell who was in the training set.

    Membership has two attacks: how near the nearest synthetic slice is to training and to held-out slices (Chen et al.
    2020, GAN-Leaks), and what a discriminator thinks of them (Hayes et al. 2019, LOGAN).

    Args:
        comparison: what is compared.
        canaries: planted copies that measure the recall, 1 or more.
        seed: of the canaries, and of who is attacked.
        alpha: chance that an honest cohort is accused of copies.
        discriminator: its scores of ``comparison.training`` and ``comparison.held_out``, in their order; higher is
            more real.

    Returns:
        What `copies` returns, and "membership": "distance" and "discriminator", each with the fields of
        `metrics.membership.Membership`, or None where there is nothing to attack.

    Raises:
        InputError: no canaries, or discriminator scores of another number.
    """
    if discriminator is not None:
        _check_scores(comparison, *discriminator)
    found = copies(comparison, canaries=canaries, seed=seed, alpha=alpha)
    twins = {twin["held_out_row"] for twin in found["null"]["twins"]}
    others = np.flatnonzero([row not in twins for row in comparison.held_out_rows.tolist()])
    attacks: dict[str, Any] = {"distance": _distance_attack(comparison, others, seed), "discriminator": None}
    if discriminator is not None:
        # Members are the slices that the discriminator takes for real.
        ours, theirs = discriminator
        members = np.arange(len(comparison.training))
        attacks["discriminator"] = _attack(comparison, ours, theirs[others], members, others, seed)
    return {**found, "membership": attacks}


def copies(
    comparison: Comparison, *, canaries: int = 200, seed: int = 0, alpha: float = 0.05, share: float = 0.1
) -> dict[str, Any]:
    """Copies of training scans among synthetic slices, and what the search for them is worth.

    Every synthetic slice is searched among all training slices (`metrics.copies`). It is flagged above a threshold that
    lies halfway (in Fisher's z) between what one honest slice in 100 reaches and what nine in ten altered copies
    exceed: a generator that draws typical heads may exceed the first, but only copies reach the second. Honest slices
    are held-out ones, less the twins of training slices that the duplicate search confirms. Fewer than 99 of them have
    no 99 % quantile; an exponential tail gives it (`metrics.tails`). Where copies score no higher than honest slices,
    the threshold is the honest one.

    Three tests share ``alpha`` (Bonferroni): the number flagged, by ranks, for any distribution of scores since the
    threshold is never below the k-th highest honest score (exact where slices are independent; where a few held-out
    patients give all of them, each with scores of its own, honest cohorts were accused in up to 9 % of simulations);
    the number flagged, by the tail; the nearest slice alone, by the tail, so that a single perfect copy is found where
    patients are many enough.

    Canaries, which are altered copies of training slices drawn at random, are scored like synthetic slices: 100 of
    them set the threshold, ``canaries`` others measure the recall. The share of copies is bounded by the number
    flagged over that recall (`metrics.tails.share_bound`). The bound speaks of copies altered alike: mirrored, turned
    by up to 4 degrees, shifted by up to 2/64 of the side, gamma 0.85 to 1.15, noise of 2 %.

    Args:
        comparison: what is compared.
        canaries: planted copies that measure the recall, 1 or more.
        seed: of the canaries.
        alpha: chance that an honest cohort is accused.
        share: upper bound of the share of copies above which nobody says that there are none.

    Returns:
        Plain data: word ("COPIES FOUND" if p < alpha; "NONE FOUND" if not, canaries are found and the bound is low
        enough; else "CANNOT TELL"), because, p, tests, certain (flagged slices that are evidence each alone),
        threshold, flagged, of, searched, upper_share, recall, null, quantiles, distinct_sources, quarantine (all
        flagged rows) and pairs (most alike first).

    Raises:
        InputError: no canaries.
    """
    if canaries < 1:
        raise InputError("one canary or more", str(canaries), "use 200")
    gallery = Gallery(comparison.gallery)
    held_out, found = gallery.nearest(comparison.held_out), gallery.nearest(comparison.synthetic)
    sources, planted = _planted(comparison, gallery, SETTING + canaries, seed)
    twins = _twins(comparison, held_out)
    groups = np.array(comparison.held_out_groups)[~twins].tolist()
    rule = _rule(held_out.score[~twins], groups, planted.score[:SETTING])
    flagged = found.score > rule.threshold
    hits = int((planted.score[SETTING:] > rule.threshold).sum())
    low, high = proportion_bounds(hits, canaries)
    rows, training_rows = comparison.synthetic_rows, comparison.gallery_rows
    result = {
        **rule.tests(found.score, alpha),
        "threshold": rule.threshold,
        "flagged": int(flagged.sum()),
        "of": len(flagged),
        "searched": len(training_rows),
        "absent": comparison.absent,
        "upper_share": share_bound(int(flagged.sum()), len(flagged), hits, canaries),
        "recall": {
            "value": hits / canaries,
            "low": low,
            "high": high,
            "found": hits,
            "of": canaries,
            "right_source": float((planted.index == sources)[SETTING:].mean()),
        },
        "null": {
            "of": len(groups),
            "groups": len(set(groups)),
            "twins": [
                {"held_out_row": int(comparison.held_out_rows[at]), "training_row": int(training_rows[index])}
                for at, index in zip(np.flatnonzero(twins), held_out.index[twins], strict=True)
            ],
        },
        "quantiles": {
            "levels": list(LEVELS),
            "synthetic": np.quantile(found.score, LEVELS).tolist(),
            "held_out": np.quantile(held_out.score, LEVELS).tolist(),
            "canaries": np.quantile(planted.score, LEVELS).tolist(),
        },
        "distinct_sources": len(set(found.index.tolist())),
        "quarantine": rows[flagged].tolist(),
        "pairs": [
            {
                "synthetic_row": int(rows[at]),
                "training_row": int(training_rows[found.index[at]]),
                "score": float(found.score[at]),
                "mirrored": bool(found.mirrored[at]),
                "flagged": bool(flagged[at]),
            }
            for at in np.argsort(-found.score, kind="stable")[:SHOWN]
        ],
    }
    word, because = _word(result, alpha, share)
    return {"word": word, "because": because, **result}


def blind(found: dict[str, Any]) -> str:
    """Why the search for copies (a result of ``copies``) may have missed any number of them; empty where it sees."""
    recall, null = found["recall"], found["null"]
    if not found["tests"]:
        return f"{null['of']} held-out slices of {null['groups']} groups that are no twins are too few to compare with"
    if recall["low"] < LEAST_RECALL:
        return f"only {100 * recall['value']:.0f} % of planted copies can be told from scans of other patients"
    if found["absent"]:
        return (
            f"{found['absent']:,} patients or groups that the generator learned from are not in the real cohort, so "
            "nobody looked for copies of their scans: evaluate on the cohort that it was trained on"
        )
    return ""


def quarantine(evaluation: dict[str, Any]) -> list[int]:
    """Rows of the synthetic slices that an evaluation took for copies, in order."""
    return sorted(int(row) for row in evaluation["privacy"]["quarantine"])


# --- copies ------------------------------------------------------------------------------------------------------


def _rule(honest: Floats, groups: Sequence[str], copies: Floats) -> _Rule:
    """The threshold, from the scores of honest slices, whose they are, and the scores of altered copies."""
    if len(honest) < LEAST or len(set(groups)) < 2:
        return _Rule(1.0, 1, len(honest), None)
    tail = fit_tail(honest, groups)
    rank = max(1, int(FALSE_ALARMS * (len(honest) + 1)))
    reached = float(np.sort(honest)[-rank])
    if len(honest) + 1 < 1 / FALSE_ALARMS:
        reached = max(reached, tail.quantile(FALSE_ALARMS))
    middle = (fisher(reached) + fisher(float(np.quantile(copies, MISSED)))) / 2
    return _Rule(max(reached, math.tanh(middle)), rank, len(honest), tail)


def _word(result: dict[str, Any], alpha: float, share: float) -> tuple[str, str]:
    """The word and its reason."""
    recall, bound = result["recall"], f"{100 * result['upper_share']:.1f} %"
    flagged = f"{result['flagged']} of {result['of']} slices are as near to a training scan as altered copies are"
    if result["p"] < alpha:
        likely = f"p = {result['p']:.2g}" if result["p"] > SMALLEST_P else f"p < {SMALLEST_P:g}"
        return "COPIES FOUND", f"{flagged} ({likely}); at most {bound} are copies"
    if why := blind(result):
        return "CANNOT TELL", why
    if result["upper_share"] > share:
        why = f"{flagged}, but up to {bound} could be copies: generate more"
    else:
        found = f"{100 * recall['value']:.0f} % of {recall['of']} planted copies were found"
        return "NONE FOUND", f"{flagged}; {found}, so at most {bound} are copies (95 %)"
    return "CANNOT TELL", why


def _planted(comparison: Comparison, gallery: Gallery, count: int, seed: int) -> tuple[Ints, Nearest]:
    """Sources (count,) of altered copies of random training slices, and what is found for them."""
    draws = stream(seed, "evaluation.canaries")
    sources = draws.integers(0, len(comparison.gallery), count)
    images = np.clip(comparison.gallery[sources].astype(np.float32), 0, 1)
    return sources, gallery.nearest(altered(images, draws))


def _twins(comparison: Comparison, nearest: Nearest) -> Bools:
    """Which held-out slices (N,) show the same as their nearest training slice, by the duplicate search's own score.

    Left in the null, hidden twins blind the search: the threshold rises to 1.
    """
    twins = np.zeros(len(nearest.score), dtype=np.bool_)
    near = np.flatnonzero(nearest.score > TWIN_FROM)
    for part in (near[at : at + 128] for at in range(0, len(near), 128)):
        slices = [*comparison.held_out[part], *comparison.gallery[nearest.index[part]]]
        views = prepare(np.stack([thumbnail(np.asarray(image)) for image in slices]))
        first = torch.arange(len(part))
        twins[part] = register(views, first, first + len(part)).score >= THRESHOLD
    return twins


# --- membership --------------------------------------------------------------------------------------------------


def _distance_attack(comparison: Comparison, others: Ints, seed: int) -> dict[str, float | None] | None:
    """Members are the slices that have a synthetic one near them."""
    draws = stream(seed, "evaluation.membership")
    members = np.sort(draws.permutation(len(comparison.training))[:ATTACKED])
    others = np.sort(draws.permutation(others)[:ATTACKED])
    drawn = Gallery(comparison.synthetic)
    scores = [drawn.nearest(images).score for images in (comparison.training[members], comparison.held_out[others])]
    return _attack(comparison, scores[0], scores[1], members, others, seed)


def _check_scores(comparison: Comparison, ours: Floats, theirs: Floats) -> None:
    if (np.shape(ours), np.shape(theirs)) != ((len(comparison.training),), (len(comparison.held_out),)):
        came = f"{np.shape(ours)} and {np.shape(theirs)} for {len(comparison.training)} and {len(comparison.held_out)}"
        raise InputError("a discriminator's score of each training and held-out slice", came, "score what is compared")


def _attack(
    comparison: Comparison, ours: Floats, theirs: Floats, members: Ints, others: Ints, seed: int
) -> dict[str, float | None] | None:
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
    return {name: None if math.isnan(value) else value for name, value in vars(found).items()}
