"""Which slices readers are shown: held-out patients against synthetic ones, of the same classes, drawn by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthoma.cohorts.changed_copies import as_scanned
from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.slicing import shown_modality
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.seeding import stream
from synthoma.core.types import UNLABELLED, Array, Ints
from synthoma.evaluation.comparison import check_alike, drawn_classes, refuse_leak, showing
from synthoma.evaluation.readers.settings import TuringConfig

ANY = "any"
"""The class of all pictures where the synthetic ones have none."""


@dataclass(frozen=True)
class Drawn:
    """Slices of both kinds: the i-th real and the i-th synthetic one are of one class.

    Attributes:
        real, synthetic: rows (N,) of their cohorts.
        labels: class of each.
        sequence: which one is shown.
        remarks: what limits the choice.
    """

    real: Ints
    synthetic: Ints
    labels: tuple[str, ...]
    sequence: str
    remarks: tuple[str, ...]


def drawn(real: Cohort, synthetic: Cohort, config: TuringConfig) -> Drawn:
    """Slices for a set.

    Args:
        real: with its splits; patients of its training split are never shown.
        synthetic: of a generator that saw none of those who are held out.
        config: how many, of which sequence, and seed.

    Raises:
        InputError: cohorts that were not prepared alike or are the wrong way round, or too few slices.
        LeakError: the generator saw held-out patients.
        ConfigError: a sequence that a cohort lacks.
    """
    if real.origin == "synthetic" or synthetic.origin == "real":
        came = f"{real.origin} and {synthetic.origin} ones"
        raise InputError("a real and then a synthetic cohort", came, "give the real one first")
    check_alike(real, synthetic)
    refuse_leak(real, synthetic)
    sequence = _sequence(real, config)
    rows = np.flatnonzero(
        (real.slices["split"] != "train").to_numpy() & showing(real, sequence) & as_scanned(real.slices)
    )
    made = np.flatnonzero(showing(synthetic, sequence))
    labels = np.asarray(real.slices["label"].astype(str))[rows], np.asarray(synthetic.slices["label"].astype(str))[made]
    if UNLABELLED in labels[1]:
        usable = np.isin(labels[0], sorted(drawn_classes(real, synthetic)))
        rows, labels = rows[usable], (np.full(int(usable.sum()), ANY), np.full(len(made), ANY))
    quotas = _checked_quotas(labels[0], labels[1], real, rows, config.number)
    ours: list[int] = []
    theirs: list[int] = []
    classes: list[str] = []
    cases = tuple(np.asarray(cohort.slices["group"].astype(str)) for cohort in (real, synthetic))
    used = Counter[str](), Counter[str]()
    # Classes of few patients choose first: those of many can then avoid whoever was shown already.
    scarce = sorted(quotas, key=lambda label: (len(set(cases[0][rows[labels[0] == label]])), label))
    for number, label in enumerate(scarce):
        sides = ((rows[labels[0] == label], cases[0], used[0]), (made[labels[1] == label], cases[1], used[1]))
        for side, (pool, names, seen), chosen in zip(("real", "synthetic"), sides, (ours, theirs), strict=True):
            order = stream(config.seed, f"turing.{side}", number).permutation(pool)
            chosen += _spread(order, names, quotas[label], seen)
        classes += [label] * quotas[label]
    remarks = _remarks(synthetic, used, labels)
    return Drawn(np.array(ours), np.array(theirs), tuple(classes), sequence, remarks)


def _sequence(real: Cohort, config: TuringConfig) -> str:
    name = config.sequence or shown_modality(real.modalities)
    if name not in real.modalities:
        raise ConfigError(f"a sequence of the cohorts: {', '.join(real.modalities)}", repr(name), "choose one of them")
    return name


def quotas_of(labels: Sequence[str], number: int) -> dict[str, int]:
    """How many of each class are shown: in proportion to ``labels``, by largest remainder; classes of none left out."""
    counts = Counter(labels)
    shares = {label: number * count / counts.total() for label, count in sorted(counts.items())}
    # Cut down first: rounded one by one they could be more in all than are wanted.
    quotas = {label: int(share) for label, share in shares.items()}
    # The largest remainder first. The sort is stable, so ties go by the name of the class, not by the order of rows.
    by_rest = sorted(shares, key=lambda label: quotas[label] - shares[label])
    for label in by_rest[: number - sum(quotas.values())]:
        quotas[label] += 1
    return {label: quota for label, quota in quotas.items() if quota}


def _checked_quotas(ours: Array, theirs: Array, real: Cohort, rows: Ints, number: int) -> dict[str, int]:
    """Quotas that both sides can fill.

    Raises:
        InputError: one cannot, with the number that could be.
    """
    have = Counter(ours.tolist()), Counter(theirs.tolist())

    def lacking(count: int) -> str:
        quotas = quotas_of(theirs.tolist(), count)
        return next((label for label, need in quotas.items() for side in have if side[label] < need), "")

    short = lacking(number) if len(theirs) else "any"
    if not short:
        return quotas_of(theirs.tolist(), number)
    possible = next((count for count in range(number - 1, 3, -1) if len(theirs) and not lacking(count)), 0)
    less = f"show fewer (--number {possible}), " if possible else ""
    patients = len(set(real.slices["group"].iloc[rows[ours == short]].astype(str)))
    few_made = have[1][short] < quotas_of(theirs.tolist(), number).get(short, 1)
    came = (
        f"{have[1][short]} synthetic ones"
        if few_made
        else f"{have[0][short]} of {patients} held-out patients or groups"
    )
    todo = f"{less}or generate more" if few_made else (
        f"{less}or hold out more patients before training (`synthoma prepare --split 0.6,0.2,0.2`): those who were "
        "learned from are never shown"
    )  # fmt: skip
    what = "slices" if short == ANY else f"slices of class {short}"
    wanted = quotas_of(theirs.tolist(), number).get(short, number)
    raise InputError(f"{wanted} {what} on each side", came, todo.removeprefix("or "))


def _spread(order: Ints, names: Array, count: int, used: Counter[str]) -> list[int]:
    """The first so many rows in this order, nobody twice before everybody was taken once; ``used`` counts along."""
    left, chosen = order.tolist(), []
    for _ in range(count):
        # `min` takes the first of equals: among patients shown equally often the drawn order decides.
        place = min(range(len(left)), key=lambda at: used[names[left[at]]])
        row = left.pop(place)
        used[names[row]] += 1
        chosen.append(row)
    return chosen


def _remarks(
    synthetic: Cohort, used: tuple[Counter[str], Counter[str]], labels: tuple[Array, Array]
) -> tuple[str, ...]:
    remarks = []
    for counts, kind in zip(used, ("real", "synthetic"), strict=True):
        if counts and max(counts.values()) > 1:
            whose = "patients or groups" if kind == "real" else "groups"
            remarks.append(
                f"the {counts.total()} {kind} pictures are of {len(counts)} {whose}, up to {max(counts.values())} of "
                "one: answers to them are not independent, and intervals of single readers are too narrow"
            )
    if synthetic.origin == "synthetic" and synthetic.meta.provenance.trained_on is None:
        remarks.append(
            "the synthetic cohort does not say whom its generator learned from: it may have seen the patients who are "
            "shown as real"
        )
    if labels[1].size and (labels[1] == ANY).all():
        remarks.append("the synthetic pictures have no class, so that classes may be mixed otherwise on both sides")
    return tuple(remarks)
