"""What the evidence engine would have noticed: its self-test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthoma.evaluation.diverse.result import OVERLAPS
from synthoma.evaluation.result import Evaluation
from synthoma.reports.blocks import Block, family_name, score_name, thresholds_of
from synthoma.reports.fidelity_blocks import SHORT
from synthoma.reports.wording import percent, plain


def faults(result: Evaluation) -> Block:
    """The self-test: which planted fault each score noticed, and what the lights would have missed."""
    if "self_test" not in result.model_fields_set:
        how = "Not asked: with `--set faults=true` known faults are planted into real scans, to see who notices."
        return Block("faults", "", (how,))
    test = result.self_test
    if test is None:
        why = "There are too few real patients to compare them with one another, so no fault could be planted."
        return Block("faults", "", (why,))
    found = test.faults
    first = next(iter(found.values()))
    pairs = [(family, score) for family, scores in first.items() for score in scores]
    shares = tuple(tuple(found[fault][family][score] for family, score in pairs) for fault in found)
    rows = tuple((fault, *(percent(one) for one in row)) for fault, row in zip(found, shares, strict=True))
    text = (
        "A score that stays silent says something only if it would have spoken. Known faults were planted into real "
        f"scans, {test.n:,} on each side, {test.trials} times each: the share of times in which a score noticed "
        f"(p ≤ {plain(thresholds_of(result).alpha)}).",
        _missed(found, ("sliced_wasserstein", "kid"), "realistic"),
        _missed(found, OVERLAPS, "diverse"),
    )
    columns = ("fault", *(SHORT.get(score, score) for _, score in pairs))
    groups = tuple((family_name(family), len(scores)) for family, scores in first.items())
    return Block("faults", "", text, columns, rows, groups=groups, shades=tuple((None, *row) for row in shares))


def _missed(found: Mapping[str, Mapping[str, Mapping[str, float]]], scores: Sequence[str], question: str) -> str:
    """What the scores behind a light would have let pass in at least half of the trials, whatever the features."""
    missed = [
        fault
        for fault, families in found.items()
        if max(one[name] for one in families.values() for name in scores if name in one) <= 0.5
    ]
    names = " and ".join(score_name(name) for name in scores)
    what = (
        f"would have missed, at least every second time: {', '.join(missed)}"
        if missed
        else "noticed each more often than not"
    )
    return f"The scores behind “{question}” ({names}) {what}."
