"""What chance alone would give: real patients against other real patients, at the same number of slices.

Every score of an evaluation is held against the same divisions of the real slices. A division puts as many groups
(patients) into the place of the held-out ones as there are held-out ones, at random, and as many as there are synthetic
ones into the place of the synthetic slices. So the null holds what differs between patients, few or many, and no slice
stands on both sides of it.

The synthetic images of a generator are as many independent draws, where a division has a few dozen patients to put into
their place: the null is wider than the truth, and the tests say "different" rather too seldom than too often.

Which patients are held out is chance too. What other real patients score against these very ones, groups as many as the
synthetic side has, stands beside every score and is its measure where it is worse than the null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from synthoma.core.seeding import stream
from synthoma.core.types import Bools, Ints
from synthoma.evaluation.score import Score, Scores

LEAST_GROUPS = 2
"""Groups on each side of a division below which there is none."""

LEAST_REAL = 20
"""Real groups below which divisions must use all of them. Where few are drawn out of a dozen, divisions hold the same
patients again and again, and a few new ones lie outside all of them in 1 of 10 cases at 5 %."""

LEAST_SLICES = 20
"""Slices on each side of a division below which it is left out."""

MOST_SLICES = 1000
"""Slices on each side of one score; the cost of scores grows with their square, and more slices of the same patients
hardly narrow them."""

TRIES = 4
"""Divisions drawn for each one wanted, to find different ones."""

DRAWS = 9
"""Sets of the real slices that are not held out that are scored against those that are."""

LIMITS = {
    **dict.fromkeys(("precision", "recall", "coverage"), (0.0, 1.0)),
    **dict.fromkeys(("density", "sliced_wasserstein", "frechet"), (0.0, np.inf)),
}
"""What a score can be at least and at most, where that is known."""

SIGNED = frozenset(("kid", "frechet_radiomics"))
"""Unbiased estimates and logarithms, which may be below 0: a ratio to what may be nearly 0 would say nothing."""

FOLDS = 12
"""Parts of each side that the jackknife leaves out in turn, at most."""

SetScore = Callable[[Ints, Ints], Mapping[str, float]]
"""Scores of two sets of places among all images (real ones first), the real or held-out side first."""


@dataclass(frozen=True)
class NullPlan:
    """Who is compared with whom. Places count the real images first, then the synthetic ones.

    Attributes:
        held: held-out real slices.
        synthetic: synthetic slices, as many.
        divisions: pairs of real sets of different groups, each side as many again.
        groups: group of each real slice.
        made_by: group of each slice of ``synthetic``.
        others: sets of real slices that are not held out, as many, of as many groups as the synthetic side has.
        blind: why there are no divisions; empty where there are.
    """

    held: Ints
    synthetic: Ints
    divisions: tuple[tuple[Ints, Ints], ...]
    groups: tuple[str, ...]
    made_by: tuple[str, ...]
    others: tuple[Ints, ...] = ()
    blind: str = ""

    @property
    def count(self) -> int:
        """Slices on each side of every comparison."""
        return len(self.held)


def plan_null(groups: Sequence[str], held: Bools, synthetic: Sequence[str], *, halves: int, seed: int = 0) -> NullPlan:
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
    sides = len(np.unique(inverse[held])), len(set(synthetic))
    blind = why_blind(len(names), *sides)
    parts = [] if blind else _parted(draws, inverse, sides, halves)
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
    others = tuple(_others(draws, inverse, held, sides[1], count))
    return NullPlan(ours, len(groups) + theirs, divisions, tuple(groups), made_by, others, blind)


def _others(draws: np.random.Generator, numbers: Ints, held: Bools, groups: int, count: int) -> list[Ints]:
    """Sets of so many slices of so many groups that are not held out (of all, where there are no more)."""
    rest, found = np.unique(numbers[~held]), list[Ints]()
    for _ in range(TRIES * DRAWS):
        chosen = np.flatnonzero(np.isin(numbers, draws.permutation(rest)[:groups]) & ~held)
        if len(chosen) >= count:
            found.append(_some(draws, chosen, count))
        if len(found) == DRAWS:
            break
    return found


def why_blind(real: int, held_out: int, synthetic: int) -> str:
    """Why so few groups have no null, in plain words; empty where they have one.

    Args:
        real: groups of real slices.
        held_out: those of them that are held out.
        synthetic: groups of synthetic slices.
    """
    if min(held_out, real - held_out) < LEAST_GROUPS:
        return (
            f"of {real} real patients or groups {held_out} are held out: with fewer than {LEAST_GROUPS} on either side "
            "real ones cannot be compared with one another"
        )
    if synthetic < LEAST_GROUPS:
        return "all synthetic slices are of one patient or group, which says nothing of others"
    if real < LEAST_REAL and held_out + synthetic < real:
        return (
            f"{synthetic} synthetic patients or groups are too few to be judged beside {real} real ones: it takes "
            f"{LEAST_REAL} real ones, or {real - held_out} synthetic"
        )
    return ""


def _parted(draws: np.random.Generator, numbers: Ints, sides: tuple[int, int], most: int) -> list[tuple[Ints, Ints]]:
    """Different pairs of sets of slices, of so many groups each (of the second as many as are left)."""
    first, second = sides
    parts: list[tuple[Ints, Ints]] = []
    # A division that came before is no further evidence; where patients are few, there are few divisions.
    drawn: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
    for _ in range(TRIES * most):
        order = draws.permutation(int(numbers.max()) + 1)
        one, other = (tuple(sorted(side.tolist())) for side in (order[:first], order[first : first + second]))
        # Sides of equal size are the same division from either: distances would count it twice.
        if (one, other) in drawn or (other, one) in drawn or len(drawn) == most:
            continue
        drawn.add((one, other))
        parts.append((np.flatnonzero(np.isin(numbers, one)), np.flatnonzero(np.isin(numbers, other))))
    return parts


def _some(draws: np.random.Generator, places: Ints, count: int) -> Ints:
    return np.sort(draws.permutation(places)[:count])


def beside(
    score: SetScore, plan: NullPlan, *, worse: Mapping[str, str], interval: bool = True, divisions: int | None = None
) -> Scores:
    """Scores of synthetic against held-out slices, each beside its null.

    Args:
        score: what is computed of two sets; nan where it cannot be.
        plan: who is compared.
        worse: for each score which values are bad: "high" or "low".
        interval: add an interval by leaving out groups of held-out and parts of synthetic slices.
        divisions: use only so many.

    Returns:
        As ``weighed``.
    """
    values = score(plan.held, plan.synthetic)
    return weighed(
        values,
        [score(one, other) for one, other in plan.divisions[:divisions]],
        [score(plan.held, other) for other in plan.others],
        worse=worse,
        count=plan.count,
        bounds=_jackknife(score, plan, values) if interval else {},
    )


def weighed(
    values: Mapping[str, float],
    null: Sequence[Mapping[str, float]],
    others: Sequence[Mapping[str, float]],
    *,
    worse: Mapping[str, str],
    count: int,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Scores:
    """Scores beside what chance gives, and beside what other real patients score against the same held-out ones.

    Args:
        values: scores of the synthetic against the held-out slices.
        null: those of divisions of the real ones.
        others: those of real slices that are not held out, against the held-out ones.
        worse: for each score which values are bad: "high" or "low".
        count: slices on each side.
        bounds: intervals.

    Returns:
        A score by name.
    """
    return {
        name: _score(
            value, [row[name] for row in null], [row[name] for row in others], worse[name], count,
            (bounds or {}).get(name), name in SIGNED,
        )
        for name, value in values.items()
    }  # fmt: skip


def _score(
    value: float, null: Sequence[float], others: Sequence[float], worse: str, count: int,
    bounds: tuple[float, float] | None, signed: bool,
) -> Score:  # fmt: skip
    known, beside_them = (np.array([one for one in part if np.isfinite(one)]) for part in (null, others))
    others_median = float(np.median(beside_them)) if len(beside_them) else None
    null_median, p, ratio = None, None, None
    if len(known) and np.isfinite(value):
        null_median = float(np.median(known))
        bad = known >= value if worse == "high" else known <= value
        # The evaluation itself counts as a draw (Davison and Hinkley 1997, 4.2): p is never 0, however few divisions.
        p = (1 + int(bad.sum())) / (1 + len(known))
        measure = _measure(null_median, others_median, worse)
        ratio = None if signed or known.min() < 0 or abs(measure) < 1e-12 else float(value) / measure
    ends = {} if bounds is None else {"low": bounds[0], "high": bounds[1]}
    return Score(
        value=float(value), null=tuple(known.tolist()), null_median=null_median, others=tuple(beside_them.tolist()),
        others_median=others_median, ratio=ratio, p=p, n=count, **ends,
    )  # fmt: skip


def _measure(null_median: float, others_median: float | None, worse: str) -> float:
    """What a score is a multiple of: the worse of the medians of its null and of other real patients."""
    medians = [null_median] if others_median is None else [null_median, others_median]
    return float(max(medians) if worse == "high" else min(medians))


def joint_p(entries: Sequence[Score], worse: Sequence[str]) -> float | None:
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
        if entry.p is None or entry.value is None:
            continue
        # With the null alone six lognormal scores alarmed in 17.5 % of simulations with 19 divisions, at 5 %; so in 5 %
        # (decision 0008).
        every = np.append(np.array(entry.null), entry.value)
        far = (1.0 if bad == "high" else -1.0) * (every - every.mean()) / (float(every.std()) or 1e-12)
        rows.append(far[:-1])
        ours.append(float(far[-1]))
    if not rows or len({len(row) for row in rows}) > 1:
        return None
    largest = np.stack(rows).max(axis=0)
    return (1 + int((largest >= max(ours)).sum())) / (1 + len(largest))


def cannot_speak(scores: Sequence[Score], alpha: float, tests: int = 1) -> bool:
    """Whether divisions are so few that none of so many tests, which share the level, could have spoken."""
    return tests / (1 + max(len(score.null) for score in scores)) > alpha


def worse_than_all(score: Score) -> bool:
    """Whether a score is worse than all of its real-vs-real values."""
    # That product is one more than the number of values as bad; 1.5 leaves room for rounding.
    return score.p is not None and score.p * (1 + len(score.null)) < 1.5


def _jackknife(score: SetScore, plan: NullPlan, values: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Intervals at 95 % by leaving out parts of either side (Efron and Tibshirani 1993, 11.2).

    Parts are whole groups. Drawing groups with replacement, as elsewhere, would put twins of
    slices into a set, and to distances of sets twins are what memorised copies are.
    """
    sides = _parts([plan.groups[place] for place in plan.held]), _parts(plan.made_by)
    variance = dict.fromkeys(values, 0.0)
    for side, part in enumerate(sides):
        # Ten simulated patients of thirty slices each say as much as ten: taken for 300, an interval held the truth
        # in a third of the cases (decision 0008).
        number = int(part.max()) + 1
        if number < 2:
            return {}
        found = []
        for left in range(number):
            held, synthetic = plan.held, plan.synthetic
            if side == 0:
                held = held[part != left]
            else:
                synthetic = synthetic[part != left]
            found.append(score(held, synthetic))
        for name in values:
            left_out = np.array([row[name] for row in found if np.isfinite(row[name])])
            # (n - 1) / n times the sum of squares; both sides are drawn independently, so their variances add up. A
            # side of which nothing can be left out has a variance that nobody knows: without it the interval would be
            # that of the other side alone.
            variance[name] += (len(left_out) - 1) * float(left_out.var()) if len(left_out) > 1 else np.nan
    # Degrees of freedom of the side with fewer parts: the deviation is known no better than from them.
    reach = float(stats.t.ppf(0.975, max(1, min(int(part.max()) for part in sides))))

    def ends(name: str) -> tuple[float, float]:
        """Within what the score can be."""
        value, width = float(values[name]), reach * variance[name] ** 0.5
        least, most = LIMITS.get(name, (-np.inf, np.inf))
        # NumPy's own, which keep nan: Python's `max` would keep whichever stands first.
        return float(np.maximum(value - width, least)), float(np.minimum(value + width, most))

    return {name: ends(name) for name in values}


def _parts(groups: Sequence[str]) -> Ints:
    """Part of each slice: groups by falling size, dealt out in turn."""
    names, inverse, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    part = np.empty(len(names), dtype=np.int64)
    part[np.argsort(-sizes, kind="stable")] = np.arange(len(names)) % FOLDS
    return np.asarray(part[inverse])
