"""What a plan orders, and whether that is worth it. No figure is guessed: what is not known is said to be unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from typing import get_args

from synthoma.core.types import HEALTHY
from synthoma.planning.counting import Counts, size_names
from synthoma.planning.result import Axis, Curve, Gain, Lobe, Order, Tally, Verdict
from synthoma.planning.settings import PlanConfig

PLANNED: tuple[Axis, ...] = ("class", "size", "side", "lobe")
"""What one case can fill up at once."""

MOST_UNKNOWN = 0.1
"""Share of the patients of whom a quantity may be unknown if it is to be planned for."""

USUAL = "as the training patients have it"
"""Name of an order that asks for nothing in particular."""

LEAST_EVEN = 2.0
"""Patients in an even part below which a kind may be missing by chance alone."""

Kinds = tuple[str | None, ...]
"""One kind or none of each axis of ``PLANNED``."""


def gaps_of(counts: Counts, axis: Axis, share: float) -> dict[str, int]:
    """Kind -> patients who are wanting until it has ``share`` of its even part; none where too little is known.

    The even part of a sequence is every patient; that of other kinds is one of as many parts as there are kinds.
    """
    have = counts.of(axis)
    lost = sum(one.patients for one in counts.unknown if one.axis == axis)
    known = sum(have.values())
    if not have or lost > MOST_UNKNOWN * (known + lost):
        return {}
    # Sequences do not exclude one another: each should be there of every patient.
    even = counts.patients if axis == "sequence" else known / len(have)
    if even < LEAST_EVEN:
        return {}
    # Rounded first: 0.1 * 30 is a little more than 3.
    aim = ceil(round(share * even, 9))
    return {kind: aim - count for kind, count in have.items() if count < aim}


def too_few(counts: Counts) -> list[Axis]:
    """What has too many kinds for so few patients: which of them are rare nobody can say."""
    found = {axis: counts.of(axis) for axis in PLANNED}
    return [axis for axis, have in found.items() if 0 < sum(have.values()) < LEAST_EVEN * len(have)]


def orders_of(counts: Counts, config: PlanConfig) -> tuple[Order, ...]:
    """What is to be made: as few cases as fill all gaps, each of what is most wanting, within the ratio."""
    # Rounded first, as the aim of a gap: 0.29 * 100 is a little less than 29.
    most = int(round(config.ratio * counts.patients, 9))
    gaps = {axis: gaps_of(counts, axis, config.share) for axis in PLANNED}
    # Ordered apart: a healthy case has no size, side or lobe that it could fill up beside its class.
    healthy = [(kind, gap) for kind, gap in gaps["class"].items() if kind.lower() in HEALTHY]
    gaps["class"] = {kind: gap for kind, gap in gaps["class"].items() if kind.lower() not in HEALTHY}
    cases: Counter[Kinds] = Counter()
    # One case fills a gap of each axis at once, so that as many are made as the largest gap asks for and not as their
    # sum.
    while any(gaps.values()) and cases.total() < most:
        case = tuple(_most_wanting(gaps[axis]) for axis in PLANNED)
        cases[case] += 1
    orders = [_order(case, count, counts.edges) for case, count in cases.items()]
    left = most - cases.total()
    for kind, gap in healthy:
        if left > 0:
            orders.append(Order(name=kind, count=min(gap, left), label=kind))
            left -= orders[-1].count
    # Last: cases of all sequences are any cases, and those that are ordered above may have them already.
    lacking = gaps_of(counts, "sequence", config.share)
    if lacking and left > 0:
        name = f"with {', '.join(lacking)}"
        orders.append(Order(name=name, count=min(max(lacking.values()), left), sequences=True))
    return tuple(orders)


def _most_wanting(gaps: dict[str, int]) -> str | None:
    """The kind with the largest gap, the first of equals, whose gap becomes one less; None where there is none."""
    if not gaps:
        return None
    kind = max(gaps, key=lambda name: gaps[name])
    gaps[kind] -= 1
    if not gaps[kind]:
        del gaps[kind]
    return kind


def _order(case: Kinds, count: int, edges: Sequence[float]) -> Order:
    label, size, side, lobe = case
    names = size_names(edges)
    # Only the open ends are limited. With edges below 1 ml or above 150, limits on all of them would have sizes that
    # begin above their own end.
    least = SMALLEST_ML if edges[0] > SMALLEST_ML else edges[0] / 2
    most = LARGEST_ML if edges[-1] < LARGEST_ML else 1.5 * edges[-1]
    bounds = (least, *edges, most)
    at = names.index(size) if size is not None else None
    return Order(
        name=" ".join(word for word in (label, size, side, lobe) if word),
        count=count,
        label=label,
        size_ml=None if at is None else (bounds[at], bounds[at + 1]),
        side=None if side is None else "left" if side == "left" else "right",
        lobe=next((name for name in LOBE_NAMES if name == lobe), None),
    )


LOBE_NAMES: tuple[Lobe, ...] = get_args(Lobe)
SMALLEST_ML, LARGEST_ML = 1.0, 150.0
"""Volumes within which tumours are ordered, unless sizes are divided beyond them."""


def with_usual(orders: Sequence[Order], count: int) -> tuple[Order, ...]:
    """The orders, filled up to so many cases by ones that ask for nothing in particular."""
    left = count - sum(order.count for order in orders)
    return (*orders, Order(name=USUAL, count=left)) if left > 0 else tuple(orders)


def with_orders(counts: Counts, orders: Sequence[Order]) -> tuple[Tally, ...]:
    """The tallies, with what the orders add to each."""
    added: Counter[tuple[str, str]] = Counter()
    for order in orders:
        kinds: Mapping[str, str | None] = {
            "class": order.label, "size": size_in(order, counts.edges), "side": order.side, "lobe": order.lobe,
        }  # fmt: skip
        for axis, kind in kinds.items():
            added[axis, kind or ""] += order.count
        if order.sequences:
            for kind in counts.of("sequence"):
                added["sequence", kind] += order.count
    return tuple(
        Tally(axis=one.axis, kind=one.kind, have=one.have, make=added[one.axis, one.kind]) for one in counts.tallies
    )


def size_in(order: Order, edges: Sequence[float]) -> str | None:
    """Name of the size that an order asks for."""
    if order.size_ml is None:
        return None
    below = sum(edge <= order.size_ml[0] for edge in edges)
    return size_names(edges)[below]


# Whether it is worth it ----------------------------------------------------------------------------------------------


def judged_by_curve(curve: Curve, gain: Gain, make: int, matters: float) -> Verdict:
    """What a learning curve of real patients says of as many synthetic ones, which are worth no more."""
    if gain.value is None or gain.high is None or curve.power_low is None:
        return Verdict(word="CANNOT TELL", because="the learning curve has no interval: too few patients were asked")
    told = f"{make} further real patients would give {gain.value:+.3f} (95 % CI {gain.low:+.3f} to {gain.high:+.3f})"
    if gain.high < matters:
        because = f"even {told}, less than the {matters:g} that matters"
        return Verdict(word="NOT WORTH IT", because=because)
    # Synthetic cases are held to be worth no more than as many real ones: where those show nothing, no bound can be
    # read off.
    if curve.power_low <= 0:
        because = "more real patients do not clearly raise the score here, so nothing can be said of synthetic ones"
        return Verdict(word="CANNOT TELL", because=f"{because}; {told}")
    because = f"{told}, and synthetic cases at most that: make them, and ask `synthoma evaluate` what they gave"
    return Verdict(word="CANNOT TELL", because=because)


def judged_by_evaluation(word: str, gain: Gain, matters: float) -> Verdict:
    """What an evaluation of synthetic slices says of more of them.

    Args:
        word: of its question "is it useful?".
        gain: of its best mixture over real slices duplicated to the same count.
        matters: the least gain that does.
    """
    if gain.value is None or gain.low is None or gain.high is None:
        return Verdict(word="CANNOT TELL", because="the evaluation trained no detector with synthetic slices")
    told = f"synthetic slices gave {gain.value:+.3f} (95 % CI {gain.low:+.3f} to {gain.high:+.3f})"
    if word == "HELPS":
        return Verdict(word="WORTH IT", because=told)
    # By the upper end: what may still be worth it is not called worthless.
    if word == "HARMS" or gain.high < matters:
        return Verdict(word="NOT WORTH IT", because=f"{told}, the evaluation says {word}")
    return Verdict(word="CANNOT TELL", because=f"{told}, the evaluation says {word}")


def judged_by_counts(counts: Counts, orders: Sequence[Order], lost: Sequence[Axis]) -> Verdict:
    """What counts alone say: which kinds are rare, not what filling them up gives."""
    if orders:
        because = "kinds are rare, but nothing is known of the gain: add --minutes or --evaluation"
        return Verdict(word="CANNOT TELL", because=because)
    if lost:
        because = f"nothing is rare of what is known, and {', '.join(lost)} cannot be told"
        return Verdict(word="CANNOT TELL", because=because)
    return Verdict(word="NOT WORTH IT", because=f"no kind is rare among {counts.patients} training patients")
