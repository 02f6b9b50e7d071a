"""What chance alone would give: real patients against other real patients, at the same number of slices.

Every score of an evaluation is held against the same divisions of the real slices. A division puts as many groups
(patients) into the place of the held-out ones as there are held-out ones, at random, and the rest into the place of
the synthetic slices. So the null holds what differs between patients, and no slice stands on both sides of it.

The synthetic images of a generator are as many independent draws, where the rest of a division is a few dozen
patients: the null is wider than the truth, and the tests say "different" rather too seldom than too often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from synthoma.seeding import stream
from synthoma.types import Bools, Ints

LEAST_GROUPS = 2
"""Groups on each side of a division below which there is none."""

LEAST_SLICES = 20
"""Slices on each side of a division below which it is left out."""

MOST_SLICES = 1000
"""Slices on each side of one score; the cost of scores grows with their square, and more slices of the same patients
hardly narrow them."""

TRIES = 4
"""Divisions drawn for each one wanted, to find different ones."""

LIMITS = {
    **dict.fromkeys(("precision", "recall", "coverage"), (0.0, 1.0)),
    **dict.fromkeys(("density", "sliced_wasserstein", "frechet"), (0.0, np.inf)),
}
"""What a score can be at least and at most, where that is known."""

SIGNED = frozenset(("kid",))
"""Unbiased estimates, which are below 0 by chance: a ratio to what may be nearly 0 would say nothing."""

FOLDS = 12
"""Parts of each side that the jackknife leaves out in turn, at most."""

Score = Callable[[Ints, Ints], Mapping[str, float]]
"""Scores of two sets of places among all images (real ones first), the real or held-out side first."""


@dataclass(frozen=True)
class Plan:
    """Who is compared with whom. Places count the real images first, then the synthetic ones.

    Attributes:
        held: held-out real slices.
        synthetic: synthetic slices, as many.
        divisions: pairs of real sets of different groups, each side as many again.
        groups: group of each real slice.
        made_by: group of each slice of ``synthetic``.
    """

    held: Ints
    synthetic: Ints
    divisions: tuple[tuple[Ints, Ints], ...]
    groups: tuple[str, ...]
    made_by: tuple[str, ...]

    @property
    def count(self) -> int:
        """Slices on each side of every comparison."""
        return len(self.held)


def plan(groups: Sequence[str], held: Bools, synthetic: Sequence[str], *, halves: int, seed: int = 0) -> Plan:
    """Draw the divisions and thin all sides to one number of slices, on which all scores depend.

    Args:
        groups: group of each real slice (N,).
        held: which of them are held out (N,).
        synthetic: group of each synthetic slice.
        halves: number of divisions.
        seed: of all draws.
    """
    draws = stream(seed, "evaluation.nulls")
    names, inverse = np.unique(np.array(groups), return_inverse=True)
    first = len(np.unique(inverse[held]))
    parts: list[tuple[Ints, Ints]] = []
    if min(first, len(names) - first) >= LEAST_GROUPS:
        # A division that came before is no further evidence; where patients are few, there are few divisions.
        drawn: set[tuple[int, ...]] = set()
        for _ in range(TRIES * halves):
            order = draws.permutation(len(names))
            picked = tuple(sorted(order[:first].tolist()))
            # Halves of equal size are the same division from either side: distances would count it twice.
            rest = tuple(sorted(order[first:].tolist()))
            if picked in drawn or len(drawn) == halves or (len(rest) == first and rest in drawn):
                continue
            drawn.add(picked)
            chosen = np.isin(inverse, picked)
            parts.append((np.flatnonzero(chosen), np.flatnonzero(~chosen)))
    smaller = [min(len(one), len(other)) for one, other in parts]
    # Groups differ in size: a count that nine of ten divisions reach, but not so few slices that no score means much.
    usual = [max(LEAST_SLICES, int(np.quantile(smaller, 0.1)))] if smaller else []
    count = min(int(held.sum()), len(synthetic), MOST_SLICES, *usual)
    divisions = tuple(
        (_some(draws, one, count), _some(draws, other, count))
        for (one, other), size in zip(parts, smaller, strict=True)
        if size >= count
    )
    ours, theirs = _some(draws, np.flatnonzero(held), count), _some(draws, np.arange(len(synthetic)), count)
    made_by = tuple(synthetic[place] for place in theirs)
    return Plan(ours, len(groups) + theirs, divisions, tuple(groups), made_by)


def _some(draws: np.random.Generator, places: Ints, count: int) -> Ints:
    return np.sort(draws.permutation(places)[:count])


def beside(
    score: Score, the: Plan, *, worse: Mapping[str, str], interval: bool = True, divisions: int | None = None
) -> dict[str, dict[str, Any]]:
    """Scores of synthetic against held-out slices, each beside its null.

    Args:
        score: what is computed of two sets; nan where it cannot be.
        the: who is compared.
        worse: for each score which values are bad: "high" or "low".
        interval: add an interval by leaving out groups of held-out and parts of synthetic slices.
        divisions: use only so many.

    Returns:
        {name: {"value", "low", "high", "null", "null_median", "ratio", "p", "n"}}. p is the share of null values at
        least as bad, one added on both sides, so that it is never 0; None without a null. ratio is None where the
        null's middle is 0 or the score may be negative.
    """
    values = score(the.held, the.synthetic)
    null = [score(one, other) for one, other in the.divisions[:divisions]]
    bounds = _jackknife(score, the, values) if interval else {}
    return {
        name: _entry(value, [row[name] for row in null], worse[name], the.count, bounds.get(name), name in SIGNED)
        for name, value in values.items()
    }


def _entry(
    value: float, null: Sequence[float], worse: str, count: int, bounds: tuple[float, float] | None, signed: bool
) -> dict[str, Any]:
    known = np.array([one for one in null if np.isfinite(one)])
    entry: dict[str, Any] = {
        "value": float(value), "null": known.tolist(), "null_median": None, "ratio": None, "p": None, "n": count,
    }  # fmt: skip
    if bounds is not None:
        entry["low"], entry["high"] = bounds
    if not len(known) or not np.isfinite(value):
        return entry
    middle = float(np.median(known))
    bad = known >= value if worse == "high" else known <= value
    entry["null_median"] = middle
    entry["ratio"] = None if signed or known.min() < 0 or abs(middle) < 1e-12 else float(value) / middle
    entry["p"] = (1 + int(bad.sum())) / (1 + len(known))
    return entry


def joint_p(entries: Sequence[Mapping[str, Any]], worse: Sequence[str]) -> float | None:
    """One p for several scores together: how often chance makes *any* of them as striking as the most striking one.

    Each score is measured in deviations of its null, in its bad direction; the largest of a division is held against
    the largest of the evaluation (max-T of Westfall and Young 1993, with divisions in the place of permutations). An
    adjustment of single p-values could never reach 5 % with a hundred divisions and ten scores. Deviations are those of
    null and evaluation together: were they of the null alone, the evaluation would lie farther out than a division that
    sets them, and 5 % would be 8 % with 39 divisions.

    Args:
        entries: of ``beside``, all over the same divisions.
        worse: "high" or "low" for each.

    Returns:
        0..1; None without a null. Scores that have none are left out.
    """
    rows, ours = [], []
    for entry, bad in zip(entries, worse, strict=True):
        null = np.array(entry["null"])
        if entry["p"] is None:
            continue
        every = np.append(null, entry["value"])
        far = (1.0 if bad == "high" else -1.0) * (every - every.mean()) / (float(every.std()) or 1e-12)
        rows.append(far[:-1])
        ours.append(float(far[-1]))
    if not rows or len({len(row) for row in rows}) > 1:
        return None
    largest = np.stack(rows).max(axis=0)
    return (1 + int((largest >= max(ours)).sum())) / (1 + len(largest))


def _jackknife(score: Score, the: Plan, values: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Intervals at 95 % by leaving out parts of either side (Efron and Tibshirani 1993, 11.2).

    Parts are whole groups. Drawing groups with replacement, as elsewhere, would put twins of
    slices into a set, and to distances of sets twins are what memorised copies are.
    """
    sides = _parts([the.groups[place] for place in the.held]), _parts(the.made_by)
    variance = dict.fromkeys(values, 0.0)
    for side, part in enumerate(sides):
        number = int(part.max()) + 1
        if number < 2:
            return {}
        found = []
        for left in range(number):
            held, synthetic = the.held, the.synthetic
            if side == 0:
                held = held[part != left]
            else:
                synthetic = synthetic[part != left]
            found.append(score(held, synthetic))
        for name in values:
            left_out = np.array([row[name] for row in found if np.isfinite(row[name])])
            if len(left_out) > 1:
                variance[name] += (len(left_out) - 1) * float(left_out.var())
    reach = float(stats.t.ppf(0.975, max(1, min(int(part.max()) for part in sides))))

    def ends(name: str) -> tuple[float, float]:
        """Within what the score can be."""
        value, width = float(values[name]), reach * variance[name] ** 0.5
        least, most = LIMITS.get(name, (-np.inf, np.inf))
        return max(value - width, least), min(value + width, most)

    return {name: ends(name) for name in values}


def _parts(groups: Sequence[str]) -> Ints:
    """Part of each slice: groups by falling size, dealt out in turn."""
    names, inverse, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    part = np.empty(len(names), dtype=np.int64)
    part[np.argsort(-sizes, kind="stable")] = np.arange(len(names)) % FOLDS
    return np.asarray(part[inverse])
