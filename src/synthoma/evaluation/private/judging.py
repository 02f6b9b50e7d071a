"""What a search for copies found, and what finding none is worth: threshold, tests, recall and bound of one kind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from synthoma.core.types import Floats
from synthoma.evaluation.comparison import LEAST, Comparison
from synthoma.evaluation.private.kinds import Search
from synthoma.evaluation.private.result import Alteration, Kind, Null, Quantiles, Recall
from synthoma.metrics.tails import Tail, fisher, fit_tail, mixture_bound, proportion_bounds, rank_p

FALSE_ALARMS = 0.01
"""Share of honest slices that may be flagged."""

MISSED = 0.1
"""Share of altered copies that may score below what a copy is expected to score."""

LEAST_RECALL = 0.5
"""Finding none says nothing where the recall on planted copies may be below this, or is below it for an alteration."""

LEVELS = (0.05, 0.5, 0.95, 1.0)


@dataclass(frozen=True)
class Chances:
    """Chances of as much if all slices are honest.

    Attributes:
        p: 0..1, of all tests together.
        each: of each test by name; empty where honest slices are too few.
        certain: flagged slices that are evidence each alone.
    """

    p: float
    each: Mapping[str, float]
    certain: int


@dataclass(frozen=True)
class Rule:
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

    def tests(self, scores: Floats, alpha: float) -> Chances:
        """Chances of as much if all N slices are honest: of so many flagged, and of one so near.

        Args:
            scores: (N,) of the slices in question.
            alpha: level; three tests share it.
        """
        if self.tail is None:
            return Chances(1.0, {}, 0)
        flagged = scores[scores > self.threshold]
        alone = [min(1.0, len(scores) * self.tail.chance(float(score))) for score in flagged]
        tests = {
            "ranks": rank_p(len(flagged), len(scores), self.rank, self.honest),
            "tail": float(stats.binom.sf(len(flagged) - 1, len(scores), self.tail.chance(self.threshold))),
            # Of the nearest of N: as many chances as there are slices (Bonferroni).
            "nearest": min(alone, default=1.0),
        }
        # Times 3, here and below: the three tests share the level (Bonferroni).
        certain = sum(3 * p < alpha for p in alone)
        return Chances(min(1.0, 3 * min(tests.values())), tests, certain)


def rule_of(honest: Floats, groups: Sequence[str], copies: Floats) -> Rule:
    """The threshold, from the scores of honest slices, whose they are, and the scores of altered copies."""
    if len(honest) < LEAST or len(set(groups)) < 2:
        return Rule(1.0, 1, len(honest), None)
    tail = fit_tail(honest, groups)
    # One more honest slice is above the k-th highest of n with chance k / (n + 1), whatever the distribution.
    rank = max(1, int(FALSE_ALARMS * (len(honest) + 1)))
    reached = float(np.sort(honest)[-rank])
    # The highest of n scores is exceeded by one more with chance 1 / (n + 1): of fewer than 99 that is not rare enough.
    if len(honest) + 1 < 1 / FALSE_ALARMS:
        reached = max(reached, tail.quantile(FALSE_ALARMS))
    middle = (fisher(reached) + fisher(float(np.quantile(copies, MISSED)))) / 2
    return Rule(max(reached, math.tanh(middle)), rank, len(honest), tail)


def judged(search: Search, comparison: Comparison, alpha: float) -> Kind:
    """What a search found; the share is that of all synthetic slices.

    Args:
        search: one kind of copies, searched.
        comparison: what is compared.
        alpha: level of its tests together.
    """
    scores, many = search.found.score, len(comparison.synthetic)
    rule = rule_of(search.honest, search.groups, np.concatenate([one.setting for one in search.planted.values()]))
    flagged = scores > rule.threshold
    hits = {name: (int((one.scores > rule.threshold).sum()), len(one.scores)) for name, one in search.planted.items()}
    bound = mixture_bound(int(flagged.sum()), len(flagged), list(hits.values()))
    chances, recall = rule.tests(scores, alpha), _recall(search, hits)
    null = Null(of=len(search.honest), groups=len(set(search.groups)))
    return Kind(
        name=search.name,
        words=search.words,
        p=chances.p,
        tests=dict(chances.each),
        certain=chances.certain,
        threshold=rule.threshold,
        flagged=int(flagged.sum()),
        of=len(flagged),
        # The bound is one of what was searched. Of lesions that is only the slices that show one.
        upper_share=bound * len(flagged) / many if rule.tail else 1.0,
        recall=recall,
        alterations=tuple(_alteration(name, *pair) for name, pair in hits.items()),
        null=null,
        quantiles=_quantiles(search),
        quarantine=tuple(comparison.synthetic_rows[search.rows[flagged]].tolist()),
        unseen=_unseen(search.name, bool(chances.each), recall, null),
    )


def _recall(search: Search, hits: Mapping[str, tuple[int, int]]) -> Recall:
    """Share of planted copies found, of all and of the alteration that is hardest to find."""
    found, of = (sum(column) for column in zip(*hits.values(), strict=True))
    low, high = proportion_bounds(found, of)
    # By the lower end: of few planted copies an alteration may be harder to find than its share says.
    worst = min((_alteration(name, *pair) for name, pair in hits.items()), key=lambda one: one.low)
    shared = proportion_bounds(*hits[worst.name], 1 - 0.05 / len(hits))[0]
    right = np.average(
        [one.right_source for one in search.planted.values()], weights=[many for _, many in hits.values()]
    )
    return Recall(
        value=found / of, low=low, high=high, found=found, of=of, right_source=float(right),
        worst=worst.model_copy(update={"low": shared}),
    )  # fmt: skip


def _quantiles(search: Search) -> Quantiles:
    planted = np.concatenate([one.scores for one in search.planted.values()])
    none = (0.0,) * len(LEVELS)
    return Quantiles(
        levels=LEVELS,
        synthetic=tuple(np.quantile(search.found.score, LEVELS).tolist()),
        held_out=tuple(np.quantile(search.honest, LEVELS).tolist()) if len(search.honest) else none,
        canaries=tuple(np.quantile(planted, LEVELS).tolist()),
    )


def _unseen(name: str, tested: bool, recall: Recall, null: Null) -> str:
    """Why copies of a kind could not have been seen; empty if they could."""
    if not tested:
        return f"{null.of} held-out slices of {null.groups} groups that are no twins are too few to compare with"
    worst = recall.worst
    if worst is not None and (recall.low < LEAST_RECALL or worst.high < LEAST_RECALL):
        planted = "planted copies" if name == "whole slices" else f"planted {name}"
        return f"only {100 * worst.value:.0f} % of {planted} ({worst.name}) can be told from scans of other patients"
    return ""


def _alteration(name: str, found: int, of: int) -> Alteration:
    low, high = proportion_bounds(found, of)
    return Alteration(name=name, value=found / of, low=low, high=high, found=found, of=of)
