"""The page of a plan: what training patients have and lack, what is to be made, what to expect of it."""

from __future__ import annotations

from synthoma.planning.result import Axis, Gain, Order, Plan
from synthoma.reports.figures import Added, added, power_curve
from synthoma.reports.page import render
from synthoma.reports.wording import MINUS, NONE, sentence
from synthoma.scans.layouts.listing import counted

STATES = {"WORTH IT": "helps", "NOT WORTH IT": "harms", "CANNOT TELL": "cannot-tell"}
"""Colour of the word."""

AXES: dict[Axis, str] = {
    "class": "Class",
    "size": "Size of the tumour",
    "side": "Side",
    "lobe": "Lobe",
    "site": "Site",
    "sequence": "Sequence",
}


def plan_page(plan: Plan, name: str) -> str:
    """The whole page of a plan called ``name``, as HTML text."""
    curve = plan.curve
    return render(
        "plan.html",
        title=f"Plan {name}",
        plan=plan,
        state=STATES[plan.verdict.word],
        because=sentence(plan.verdict.because),
        charts=[(AXES[axis], chart) for axis in AXES if (chart := _chart(plan, axis))],
        orders=[(order.name, order.count, _volumes(order), _where(order)) for order in plan.orders],
        unknown=[(AXES[one.axis], one.patients, one.because) for one in plan.unknown],
        gain=[] if plan.gain is None else _gain_rows(plan.gain),
        curve="" if curve is None else power_curve(
            [(point.patients, point.by_seed) for point in curve.points], (curve.scale, curve.power), curve.endpoint
        ),
        rates=_rates(plan),
        remarks=[sentence(text) for text in plan.remarks],
        sizes=", ".join(f"{edge:g}" for edge in plan.provenance.config.edges),
    )  # fmt: skip


def plan_lines(plan: Plan) -> list[str]:
    """What matters most, for the terminal."""
    lines = [f"{plan.patients} training patients, {plan.cases} scans"]
    for axis, title in AXES.items():
        if found := [one for one in plan.tallies if one.axis == axis]:
            each = ", ".join(f"{one.have}{f' + {one.make}' if one.make else ''} {one.kind}" for one in found)
            lines.append(f"{title.lower()}: {each}")
    lines += [f"unknown: {AXES[one.axis].lower()} of {one.patients} ({one.because})" for one in plan.unknown]
    lines += [f"make {order.count}: {order.name}{_volumes(order, ', ')}" for order in plan.orders]
    if plan.orders:
        lines.append(f"{counted(plan.make, 'synthetic case')}, {plan.ratio:g} for each training patient")
    if plan.gain is not None:
        lines += [f"{name}: {value} {interval}" for name, value, interval in _gain_rows(plan.gain)]
    lines += [f"note: {text}" for text in plan.remarks]
    return [*lines, f"{plan.verdict.word}: {plan.verdict.because}"]


def _chart(plan: Plan, axis: Axis) -> str:
    """Patients of each kind, and what would be added; empty where nothing is known."""
    rows = [Added(one.kind, one.have, one.make) for one in plan.tallies if one.axis == axis]
    return added(rows, "training patients") if any(row.have or row.more for row in rows) else ""


def _volumes(order: Order, before: str = "") -> str:
    return "" if order.size_ml is None else f"{before}{order.size_ml[0]:g} to {order.size_ml[1]:g} ml"


def _where(order: Order) -> str:
    return " ".join(word for word in (order.side, order.lobe) if word) or "anywhere"


def _gain_rows(gain: Gain) -> list[tuple[str, str, str]]:
    """Name, value and interval of what is expected."""
    measured = gain.source == "evaluation"
    name = "gain that was measured with synthetic slices" if measured else "gain of as many real patients, at most"
    rows = [(name, _signed(gain.value, 3), _interval(gain.low, gain.high, 3))]
    cost = "the same gain in real patients" if measured else "the same gain in real patients, at most"
    rows.append((cost, _signed(gain.real_patients, 0), _interval(gain.real_low, gain.real_high, 0)))
    return rows


def _rates(plan: Plan) -> str:
    curve = plan.curve
    if curve is None:
        return ""
    found = _interval(curve.power_low, curve.power_high, 2)
    return (
        f"1 {MINUS} score = {curve.scale:.3f} · patients^({_signed(-curve.power, 2)}); power {found}. "
        f"{curve.validation_patients} validation patients, {len(curve.points[0].by_seed)} trainings a point."
    )


def _signed(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:+.{digits}f}".replace("-", MINUS)


def _interval(low: float | None, high: float | None, digits: int) -> str:
    return "" if low is None or high is None else f"[{_signed(low, digits)}, {_signed(high, digits)}]"
