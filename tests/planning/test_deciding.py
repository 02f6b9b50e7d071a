"""What is rare, what is ordered, and when it is worth it: by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synthoma.core.errors import ConfigError
from synthoma.planning.counting import Counts, size_names, size_of
from synthoma.planning.deciding import (
    USUAL,
    gaps_of,
    judged_by_counts,
    judged_by_curve,
    judged_by_evaluation,
    orders_of,
    too_few,
    with_orders,
    with_usual,
)
from synthoma.planning.result import Axis, Curve, Gain, Point, Tally, Unknown
from synthoma.planning.settings import PlanConfig

LOBES = {"frontal": 7, "temporal": 3, "parietal": 4, "occipital": 3, "deep": 1, "posterior fossa": 0}


def counts(patients: int = 18, unknown: tuple[Unknown, ...] = (), **kinds: dict[str, int]) -> Counts:
    """Counts by axis; ``classes`` stands for class."""
    axes: dict[str, Axis] = {
        "classes": "class",
        "size": "size",
        "side": "side",
        "lobe": "lobe",
        "sequence": "sequence",
        "site": "site",
    }
    tallies = [
        Tally(axis=axes[name], kind=kind, have=have) for name, one in kinds.items() for kind, have in one.items()
    ]
    return Counts(tuple(tallies), unknown, patients, patients, 7, (10.0, 40.0))


def test_gaps_by_hand() -> None:
    found = counts(side={"left": 18, "right": 0}, lobe=LOBES, sequence={"t1": 18, "t1c": 4})
    assert gaps_of(found, "side", 0.5) == {"right": 5}  # half of 9 is 4.5
    assert gaps_of(found, "lobe", 0.5) == {"deep": 1, "posterior fossa": 2}  # half of 3 is 1.5
    assert gaps_of(found, "sequence", 0.5) == {"t1c": 5}  # half of all 18
    assert gaps_of(found, "class", 0.5) == {}
    assert gaps_of(counts(30, side={"left": 27, "right": 2, "x": 1}), "side", 0.3) == {"right": 1, "x": 2}


def test_nothing_is_planned_for_what_is_not_known() -> None:
    lost = (Unknown(axis="side", patients=3, because="no spacing"),)
    assert gaps_of(counts(unknown=lost, side={"left": 18, "right": 0}), "side", 0.5) == {}
    few = (Unknown(axis="side", patients=2, because="no spacing"),)
    assert gaps_of(counts(unknown=few, side={"left": 18, "right": 0}), "side", 0.5) == {"right": 5}


def test_the_most_that_is_made_is_the_ratio_of_the_patients() -> None:
    """0.29 of 100 patients are 29, though the product of the machine is a little less."""
    found = counts(100, side={"left": 100, "right": 0})
    assert gaps_of(found, "side", 1.0) == {"right": 50}
    assert sum(order.count for order in orders_of(found, PlanConfig(share=1.0, ratio=0.29))) == 29


@pytest.mark.parametrize(
    ("edges", "rare", "wanted"),
    [
        ((10.0, 40.0), "small", (1.0, 10.0)), ((10.0, 40.0), "large", (40.0, 150.0)),
        ((0.5, 20.0), "small", (0.25, 0.5)), ((0.2, 0.5), "medium", (0.2, 0.5)),
        ((10.0, 160.0), "large", (160.0, 240.0)),
    ],
)  # fmt: skip
def test_a_size_is_ordered_from_less_to_more(edges: tuple[float, ...], rare: str, wanted: tuple[float, float]) -> None:
    found = counts(30, size={name: 0 if name == rare else 15 for name in ("small", "medium", "large")})
    found = replace(found, edges=edges)
    (order,) = orders_of(found, PlanConfig(edges=edges))
    assert order.size_ml == wanted
    made = {one.kind: one.make for one in with_orders(found, [order]) if one.axis == "size"}
    assert made == {name: order.count if name == rare else 0 for name in made}


def test_few_patients_do_not_say_what_is_rare() -> None:
    few = counts(5, size={"small": 5, "medium": 0, "large": 0}, side={"left": 4, "right": 0})
    assert gaps_of(few, "size", 0.5) == {}
    assert gaps_of(few, "side", 0.5) == {"right": 1}
    assert too_few(few) == ["size"]


def test_one_case_fills_several_gaps() -> None:
    found = counts(size={"small": 0, "medium": 9, "large": 9}, side={"left": 18, "right": 0}, lobe=LOBES)
    orders = orders_of(found, PlanConfig())
    assert [(order.name, order.count) for order in orders] == [
        ("small right posterior fossa", 2),
        ("small right deep", 1),
        ("right", 2),
    ]
    assert orders[0].size_ml == (1.0, 10.0)
    added = {one.kind: one.make for one in with_orders(found, orders) if one.make}
    assert added == {"small": 3, "right": 5, "deep": 1, "posterior fossa": 2}


def test_no_more_than_the_ratio_allows() -> None:
    found = counts(20, side={"left": 20, "right": 0}, classes={"healthy": 3, "tumour": 20})
    orders = orders_of(found, PlanConfig(ratio=0.1))
    assert sum(order.count for order in orders) == 2
    whole = orders_of(found, PlanConfig(ratio=1))
    assert [(order.name, order.count, order.label) for order in whole] == [
        ("right", 5, None),
        ("healthy", 3, "healthy"),
    ]


def test_rare_class_of_tumour_and_missing_sequence() -> None:
    found = counts(100, classes={"healthy": 100, "tumour": 3}, sequence={"flair": 100, "t1c": 10})
    orders = orders_of(found, PlanConfig())
    assert [(order.label, order.count, order.sequences) for order in orders] == [
        ("tumour", 23, False),
        (None, 40, True),
    ]
    assert sum(one.make for one in with_orders(found, orders) if one.kind == "t1c") == 40


def test_sizes_on_an_edge_and_names() -> None:
    assert [size_of(ml, (10, 40)) for ml in (9.9, 10, 40, None)] == ["small", "medium", "large", None]
    assert size_names((5, 20, 60)) == ("below 5 ml", "5 to 20 ml", "20 to 60 ml", "60 ml or more")
    with pytest.raises(ConfigError, match="rise"):
        PlanConfig.resolve(flags={"edges": ["40", "10"]})


def gain(value: float, low: float, high: float) -> Gain:
    """Of an evaluation."""
    return Gain(source="evaluation", value=value, low=low, high=high, n=20, real_patients=None)


@pytest.mark.parametrize(
    ("word", "found", "wanted"),
    [
        ("HELPS", gain(0.05, 0.02, 0.08), "WORTH IT"),
        ("HARMS", gain(-0.05, -0.08, -0.02), "NOT WORTH IT"),
        ("NO EVIDENCE", gain(0.0, -0.005, 0.006), "NOT WORTH IT"),
        ("NO EVIDENCE", gain(0.01, -0.03, 0.05), "CANNOT TELL"),
    ],
)
def test_an_evaluation_decides_by_its_interval(word: str, found: Gain, wanted: str) -> None:
    assert judged_by_evaluation(word, found, 0.01).word == wanted


def test_a_curve_never_promises() -> None:
    """Synthetic cases are at most worth as many real ones: a curve can refuse them, not recommend them."""
    points = tuple(Point(patients=count, score=0.5, by_seed=(0.5, 0.5)) for count in (5, 10))
    steep = Curve(
        endpoint="Dice",
        points=points,
        validation_patients=9,
        scale=1,
        power=0.3,
        power_low=0.1,
        power_high=0.5,
        steps=9,
    )
    assert judged_by_curve(steep, gain(0.2, 0.1, 0.3), 5, 0.01).word == "CANNOT TELL"
    assert judged_by_curve(steep, gain(0.002, 0.001, 0.004), 5, 0.01).word == "NOT WORTH IT"
    flat = steep.model_copy(update={"power_low": -0.1})
    assert "do not clearly" in judged_by_curve(flat, gain(0.02, -0.1, 0.1), 5, 0.01).because


def test_counts_alone_and_the_usual_kind() -> None:
    even = counts(side={"left": 9, "right": 9})
    assert judged_by_counts(even, (), ()).word == "NOT WORTH IT"
    assert judged_by_counts(even, (), ("size",)).word == "CANNOT TELL"
    orders = orders_of(counts(side={"left": 18, "right": 0}), PlanConfig())
    assert judged_by_counts(even, orders, ()).word == "CANNOT TELL"
    assert [(order.name, order.count) for order in with_usual(orders, 9)] == [("right", 5), (USUAL, 4)]
    assert with_usual(orders, 5) == orders
