"""Who stands in a batch: real slices, the same patients with tumours painted in, and those of --with cohorts beside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import names_of, patients_behind, shared_names
from synthoma.core.types import Bools, Ints
from synthoma.detectors.learning import LearnerConfig


def painted_in(cohort: Cohort, other: Cohort, taken: Ints) -> Bools:
    """Which slices of a --with cohort are those of this cohort's own training patients, changed by a painter.

    A row says so itself: its group or patient is one of the training split, and the cohort that it stands in is
    synthetic and names the same one behind it. Slices that a generator drew have no such parent, as they are nobody's;
    nor have slices that were painted into simulated patients, beside a cohort of real ones.

    Args:
        cohort: what is learned from first.
        other: the --with cohort.
        taken: rows of ``other`` that are learned from, (n,).

    Returns:
        (n,), False throughout where nobody was painted.
    """
    none = np.zeros(len(taken), np.bool_)
    if other.origin != "synthetic" or not len(taken):
        return none
    training = np.flatnonzero((cohort.slices["split"] == "train").to_numpy())
    behind = patients_behind(other, simulated=cohort.origin == "phantom")
    parents = shared_names(cohort, names_of(cohort, training), other, behind)
    if not parents:
        return none
    table = other.slices.iloc[taken]
    return np.asarray(table["group"].astype(str).isin(parents) | table["patient"].astype(str).isin(parents), np.bool_)


def batch_counts(painted: Sequence[bool], config: LearnerConfig) -> list[int]:
    """Slices of each source in a batch.

    ``with_ratio`` of them come from others than the cohort's own patients, in equal parts; ``painted_ratio`` of those
    that are left show its own patients with a painted tumour. So painted slices stand in for repeats of the few real
    ones: taken from the others' share, they cost a segmenter more than they taught (decision 0028).

    Args:
        painted: for each source whether it shows the own patients, painted; the first is the cohort itself.
        config: says the shares and the size of a batch.

    Returns:
        As many numbers as sources, in sum the batch. One slice of each further source at least, and one of the first,
        while a batch holds as many.
    """
    batch, others = config.batch, painted[1:].count(False) if len(painted) > 1 else 0
    own = len(painted) - 1 - others
    # Room is left for one slice of the cohort itself and one of each painted source, whatever the ratio.
    room = max(1, batch - 1 - own)
    borrowed = min(room, max(others, round(batch * config.with_ratio))) if others else 0
    left = batch - borrowed
    repeated = min(left - 1, max(own, round(left * config.painted_ratio))) if own else 0
    parts = {False: iter(_evenly(borrowed, others)), True: iter(_evenly(repeated, own))}
    return [left - repeated, *(next(parts[one]) for one in painted[1:])]


def _evenly(count: int, parts: int) -> list[int]:
    return [count // parts + (number < count % parts) for number in range(parts)]
