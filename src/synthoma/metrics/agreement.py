"""Do readers say the same? Kappa: agreement beyond what their habits alone would bring, with intervals over cases.

kappa = (observed - expected) / (1 - expected). Two readers: expected from the habits of each (Cohen 1960). More: from
the habits of all together (Fleiss 1971). Where everybody always gives one and the same answer nothing is expected to
differ, and kappa is not defined: nan.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Ints
from synthoma.metrics.intervals import Interval, bootstrap

# Sums of shares miss 1 by rounding alone. Divided by what is left then, kappa could be any number.
_ALL_ALIKE = 1e-12


def cohen_kappa(first: Array, second: Array) -> float:
    """Kappa of two readers (Cohen 1960): categories of any kind, (N,) each, in one order.

    Raises:
        InputError: two lengths.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise InputError("answers of both to the same cases", f"{first.shape} and {second.shape}", "leave out the rest")
    if not len(first):
        return float("nan")
    kinds = np.unique(np.concatenate([first, second]))
    expected = sum(float(np.mean(first == kind) * np.mean(second == kind)) for kind in kinds)
    return _kappa(float(np.mean(first == second)), expected)


def fleiss_kappa(answers: Array) -> float:
    """Kappa of any number of readers (Fleiss 1971).

    Args:
        answers: (N, R) categories; every reader has answered every case.

    Raises:
        InputError: fewer than two readers.
    """
    if answers.ndim != 2 or answers.shape[1] < 2:
        raise InputError("answers (cases, readers) of two or more", f"{answers.shape}", "give more readers")
    if not len(answers):
        return float("nan")
    readers = answers.shape[1]
    # Pairs of two different readers: that a reader agrees with itself says nothing.
    counts = np.stack([(answers == kind).sum(axis=1) for kind in np.unique(answers)], axis=1)
    observed = (counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1))
    return _kappa(float(observed.mean()), float((counts.mean(axis=0) / readers) @ (counts.mean(axis=0) / readers)))


def kappa_interval(
    answers: Array, *, groups: Sequence[Hashable] | None = None, level: float = 0.95, seed: int = 0
) -> Interval:
    """Kappa with its bootstrap interval over cases: Cohen's of two readers, Fleiss' of more.

    Args:
        answers: (N, R) categories.
        groups: N names; answers to cases of one name (slices of a patient) are drawn together. Without it each case is
            a group.
        level: 0..1.
        seed: of the draws.

    Raises:
        InputError: as many names as cases are needed.
    """
    if groups is not None and len(groups) != len(answers):
        raise InputError("one group for each case", f"{len(groups)} for {len(answers)}", "give both in one order")
    seen: dict[Hashable, list[int]] = {}
    for row, name in enumerate(range(len(answers)) if groups is None else groups):
        seen.setdefault(name, []).append(row)
    members = [np.array(rows) for rows in seen.values()]

    def kappa(places: Ints) -> float:
        drawn = answers[np.concatenate([members[place] for place in places.tolist()])]
        return cohen_kappa(drawn[:, 0], drawn[:, 1]) if answers.shape[1] == 2 else fleiss_kappa(drawn)

    if len(answers) < 2 or not np.isfinite(value := kappa(np.arange(len(members)))):
        return Interval(*(float("nan"),) * 3, len(members))
    if value >= 1 - _ALL_ALIKE:  # no draw differs: how many others might is said by the limits of kappa
        return bootstrap(lambda places: 1.0, len(members), limits=(-1.0, 1.0), level=level, seed=seed)
    return bootstrap(kappa, len(members), limits=(-1.0, 1.0), level=level, seed=seed)


def _kappa(observed: float, expected: float) -> float:
    return float("nan") if 1 - expected <= _ALL_ALIKE else (observed - expected) / (1 - expected)
