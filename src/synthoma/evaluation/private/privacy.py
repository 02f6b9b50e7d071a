"""Does a synthetic cohort give training scans away? Copies, what the search for them is worth, and membership."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats

from synthoma.cohorts.copies.duplicates import THRESHOLD
from synthoma.cohorts.copies.registration import prepare, register
from synthoma.cohorts.copies.thumbnails import thumbnail
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Bools, Floats, Ints
from synthoma.evaluation.comparison import LEAST, Comparison
from synthoma.evaluation.private.kinds import (
    NO_MASKS,
    NO_PATIENTS,
    UNSEARCHED,
    Search,
    blends,
    crops,
    lesion_patches,
    whole_slices,
)
from synthoma.evaluation.private.volumes import volumes
from synthoma.metrics.copies.whole import Gallery, Nearest
from synthoma.metrics.membership import membership
from synthoma.metrics.tails import Tail, at_most, fisher, fit_tail, mixture_bound, proportion_bounds, rank_p

FALSE_ALARMS = 0.01
"""Share of honest slices that may be flagged."""

MISSED = 0.1
"""Share of altered copies that may score below what a copy is expected to score."""

LEAST_RECALL = 0.5
"""Finding none says nothing where the recall on planted copies may be below this, or is below it for an alteration."""

SHOWN = 24
NULL = 400  # held-out slices that are searched
ATTACKED = 300  # members, and as many others, whose nearest synthetic slice is looked for
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

    Several kinds are searched, each with honest scores, planted copies, threshold, recall and bound of its own
    (`copy_kinds`): whole slices (flipped, turned, zoomed, shifted), blends of two, enlarged crops, lesions in another
    brain where masks outline them; and whole patients (`copy_volumes`) where slices belong to some. More freedom finds
    more likeness among honest slices too: each kind's threshold is set with what its own search finds in held-out ones.

    A slice is flagged above a threshold that lies halfway (in Fisher's z) between what one honest slice in 100 reaches
    and what nine in ten altered copies exceed: a generator that draws typical heads may exceed the first, but only
    copies reach the second. Honest slices are held-out ones (at most 400, drawn at random), less the twins of training
    slices that the duplicate search confirms. Fewer than 99 of them have no 99 % quantile; an exponential tail gives it
    (`metrics.tails`). Where copies score no higher than honest slices, the threshold is the honest one.

    The kinds share ``alpha``, and within each three tests do (Bonferroni): the number flagged, by ranks, for any
    distribution of scores since the threshold is never below the k-th highest honest score (exact where slices are
    independent; where a few held-out patients give all of them, each with scores of its own, honest cohorts were
    accused in up to 9 % of simulations); the number flagged, by the tail; the nearest slice alone, by the tail, so that
    a single perfect copy is found where patients are many enough.

    Canaries, which are altered copies of training slices drawn at random, are scored like synthetic slices: some set
    the threshold, others measure the recall. The share of copies of a kind is bounded by the number flagged over the
    recall of the alteration that is hardest to find (`metrics.tails.mixture_bound`), so the bound holds for any mixture
    of the alterations of that kind; it says nothing of others, which are listed.

    Args:
        comparison: what is compared.
        canaries: planted copies of whole slices that measure the recall, 1 or more; a quarter as many of each other
            kind. At least 10 of each alteration.
        seed: of the canaries, and of which held-out slices are looked at.
        alpha: chance that an honest cohort is accused.
        share: upper bound of the share of copies above which nobody says that there are none.

    Returns:
        Plain data: word ("COPIES FOUND" if p < alpha; "NONE FOUND" if not, canaries are found and the bounds are low
        enough; else "CANNOT TELL"), because, p, flagged (by any search), of, searched, upper_share (largest of the
        kinds'), quarantine (all flagged rows), kinds, volumes, unsearched (what nobody looked for) and, of whole
        slices: tests, certain (flagged slices that are evidence each alone), threshold, recall, null, quantiles,
        distinct_sources and pairs (most alike first).

    Raises:
        InputError: no canaries.
    """
    if canaries < 1:
        raise InputError("one canary or more", str(canaries), "use 200")
    gallery = Gallery(comparison.gallery)
    looked = np.sort(stream(seed, "evaluation.null").permutation(len(comparison.held_out))[:NULL])
    held_out = gallery.nearest(comparison.held_out[looked])
    twins = _twins(comparison, looked, held_out)
    honest, others = _only(held_out, ~twins), looked[~twins]
    whole = whole_slices(comparison, gallery, honest, others, canaries, seed)
    searches = [whole]
    if len(others):
        searches.append(blends(comparison, gallery, others, canaries, seed))
        searches.append(crops(comparison, others, canaries, seed))
        if (patches := lesion_patches(comparison, others, canaries, seed)) is not None:
            searches.append(patches)
    patients = volumes(comparison, gallery, whole.found, honest, others, seed)
    tests = len(searches) + (patients is not None)
    judged = [_judged(search, comparison, alpha / tests) for search in searches]
    first = judged[0]
    rows, training_rows = comparison.synthetic_rows, comparison.gallery_rows
    found, flagged = whole.found, np.isin(rows, first["quarantine"])
    every = sorted({row for one in (*judged, patients or {"quarantine": []}) for row in one["quarantine"]})
    result = {
        "p": min(1.0, tests * min([kind["p"] for kind in judged] + ([patients["p"]] if patients else []))),
        "tests": first["tests"],
        "certain": first["certain"],
        "threshold": first["threshold"],
        "flagged": len(every),
        "of": len(rows),
        "searched": len(training_rows),
        "absent": comparison.absent,
        "upper_share": max(kind["upper_share"] for kind in judged if kind is first or not kind["unseen"]),
        "recall": first["recall"],
        "null": {
            **first["null"],
            "twins": [
                {"held_out_row": int(comparison.held_out_rows[at]), "training_row": int(training_rows[index])}
                for at, index in zip(looked[twins], held_out.index[twins], strict=True)
            ],
        },
        "quantiles": first["quantiles"],
        "distinct_sources": len(set(found.index.tolist())),
        "quarantine": every,
        "kinds": judged,
        "volumes": patients,
        "unsearched": [
            *UNSEARCHED,
            *([] if searches[-1].name == "lesions" else [NO_MASKS]),
            *([] if patients and patients["recall"] else [NO_PATIENTS]),
        ],
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
    """Why the search for copies (a result of ``copies``) may have missed any number of them; empty where it sees.

    Other kinds than whole slices may be unseen beside that: the bound then does not speak of them.
    """
    why: str = found["kinds"][0]["unseen"]
    if why:
        return why
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


def _judged(search: Search, comparison: Comparison, alpha: float) -> dict[str, Any]:
    """What a search found, as plain data; the share is that of all synthetic slices."""
    scores, many = search.found.score, len(comparison.synthetic)
    setting = np.concatenate([one.setting for one in search.planted.values()])
    rule = _rule(search.honest, search.groups, setting)
    flagged = scores > rule.threshold
    measured = {name: one.scores for name, one in search.planted.items()}
    hits = {name: (int((found > rule.threshold).sum()), len(found)) for name, found in measured.items()}
    planted = np.concatenate(list(measured.values()))
    bound = mixture_bound(int(flagged.sum()), len(flagged), list(hits.values()))
    found, of = (sum(column) for column in zip(*hits.values(), strict=True))
    low, high = proportion_bounds(found, of)
    alterations = [_alteration(name, *pair) for name, pair in hits.items()]
    worst = min(alterations, key=lambda one: float(one["low"]))
    shared = proportion_bounds(*hits[worst["name"]], 1 - 0.05 / len(hits))[0]
    levels = list(LEVELS)
    judged = {
        "name": search.name,
        "words": search.words,
        **rule.tests(scores, alpha),
        "threshold": rule.threshold,
        "flagged": int(flagged.sum()),
        "of": len(flagged),
        "upper_share": bound * len(flagged) / many if rule.tail else 1.0,
        "recall": {
            "value": found / of,
            "low": low,
            "high": high,
            "found": found,
            "of": of,
            "right_source": float(
                np.average(
                    [one.right_source for one in search.planted.values()], weights=[many for _, many in hits.values()]
                )
            ),
            "worst": {**worst, "low": shared},
        },
        "alterations": alterations,
        "null": {"of": len(search.honest), "groups": len(set(search.groups))},
        "quantiles": {
            "levels": levels,
            "synthetic": np.quantile(scores, levels).tolist(),
            "held_out": np.quantile(search.honest, levels).tolist() if len(search.honest) else [0.0] * len(levels),
            "canaries": np.quantile(planted, levels).tolist(),
        },
        "quarantine": comparison.synthetic_rows[search.rows[flagged]].tolist(),
    }
    return {**judged, "unseen": _unseen(judged)}


def _unseen(kind: dict[str, Any]) -> str:
    """Why copies of a kind could not have been seen; empty if they could."""
    recall, null = kind["recall"], kind["null"]
    worst = recall["worst"]
    if not kind["tests"]:
        return f"{null['of']} held-out slices of {null['groups']} groups that are no twins are too few to compare with"
    if recall["low"] < LEAST_RECALL or worst["high"] < LEAST_RECALL:
        planted = "planted copies" if kind["name"] == "whole slices" else f"planted {kind['name']}"
        return (
            f"only {100 * worst['value']:.0f} % of {planted} ({worst['name']}) can be told from scans of other patients"
        )
    return ""


def _alteration(name: str, found: int, of: int) -> dict[str, Any]:
    low, high = proportion_bounds(found, of)
    return {"name": name, "value": found / of, "low": low, "high": high, "found": found, "of": of}


def _only(nearest: Nearest, which: Bools) -> Nearest:
    return Nearest(*(column[which] for column in vars(nearest).values()))


def _word(result: dict[str, Any], alpha: float, share: float) -> tuple[str, str]:
    """The word and its reason, which says what was looked for and what was not."""
    flagged = f"{result['flagged']} of {result['of']} slices are as near to a training scan as altered copies are"
    seen = [kind for kind in result["kinds"] if not kind["unseen"]]
    bounds = [f"{at_most(kind['upper_share'])} {kind['words']}" for kind in seen]
    if (patients := result["volumes"]) and patients["recall"]:
        if patients["flagged"]:
            flagged = (
                f"{patients['flagged']} of {patients['of']} synthetic patients show one training patient, slice by "
                f"slice; with theirs, {flagged}"
            )
        bounds.append(f"{at_most(patients['upper_share'])} of the synthetic patients are copies of whole patients")
    said = f"at most {', '.join(bounds)} (95 % each)" if bounds else "how many could be is not known"
    if result["p"] < alpha:
        likely = f"p = {result['p']:.2g}" if result["p"] > SMALLEST_P else f"p < {SMALLEST_P:g}"
        return "COPIES FOUND", f"{flagged} ({likely}); {said}"
    if why := blind(result):
        return "CANNOT TELL", why
    if result["upper_share"] > share:
        most = max(seen, key=lambda kind: float(kind["upper_share"]))
        why = f"{flagged}, but up to {at_most(most['upper_share'])} could be that {most['words']}: generate more"
        return "CANNOT TELL", why
    missed = [f"{kind['name']} ({kind['unseen']})" for kind in result["kinds"] if kind["unseen"]]
    return "NONE FOUND", f"{flagged}; {said}; not searched: {'; '.join([*missed, *result['unsearched']])}"


def _twins(comparison: Comparison, looked: Ints, nearest: Nearest) -> Bools:
    """Which of the held-out slices ``looked`` (N,) show what their nearest training slice shows.

    The duplicate search's own score decides. Left in the null, hidden twins blind the search: the threshold rises to 1.
    """
    twins = np.zeros(len(nearest.score), dtype=np.bool_)
    near = np.flatnonzero(nearest.score > TWIN_FROM)
    for part in (near[at : at + 128] for at in range(0, len(near), 128)):
        slices = [*comparison.held_out[looked[part]], *comparison.gallery[nearest.index[part]]]
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
