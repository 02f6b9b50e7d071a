"""Plans carried out: what painters are told of one, and a generator that draws what one orders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.cohorts import cohort as folders
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.seeding import stream_key
from synthoma.core.types import HEALTHY, Place
from synthoma.painting.settings import PaintConfig
from synthoma.planning.result import Order, Plan, read_plan

if TYPE_CHECKING:
    from synthoma.painting.wanted import Wishes
    from synthoma.training.bundle import Bundle
    from synthoma.training.meta import Simulation

DECIDED = ("size_ml", "place", "count", "mask", "copies", "splits", "like")
"""Settings of painting that a plan decides."""

FLAGS = {"label": "class", "form": "export", "tumour": "tumour-ml"}
"""Options that are called otherwise than their arguments."""

MOST_EACH = 16
"""Most images of one simulated patient."""


def plan_of(place: Place, digests: tuple[str | None, str | None], what: str) -> Plan:
    """A plan that was made for the very cohort, with the very splits, that something is made from.

    Args:
        place: of the plan.
        digests: SHA-256 of the cohort's slices.csv and images.npy.
        what: which cohort that is, for the error.

    Raises:
        InputError: a plan of another cohort or of other splits, or one that orders nothing.
    """
    found = read_plan(Path(place))
    known = found.provenance.cohort
    if digests != (known.slices_sha256, known.images_sha256):
        todo = "make a plan of that cohort: whom one holds out, the other may train on"
        raise InputError(f"a plan of {what}", f"{place}, of another one or of other splits", todo)
    if not found.orders:
        raise InputError(
            "a plan that orders something", f"{place}: {found.verdict.because}", "there is nothing to make"
        )
    return found


# Painters ------------------------------------------------------------------------------------------------------------


def wishes_of(config: PaintConfig, cohort: folders.Cohort) -> Wishes:
    """What a plan orders of a painter.

    Raises:
        ConfigError: settings that the plan decides.
        InputError: the plan is of another cohort, or orders nothing that can be painted.
    """
    from synthoma.cohorts.leaks import source_of
    from synthoma.painting.wanted import Wish, Wishes

    assert config.plan is not None
    check_left_out(**{name: name in config.model_fields_set for name in DECIDED})
    source = source_of(cohort)
    plan = plan_of(config.plan, (source.slices_sha256, source.images_sha256), "this cohort")
    dials, wishes, left = config.dials(), list[Wish](), list[tuple[str, str]]()
    for order in plan.orders:
        if why := unpaintable(order, cohort):
            left.append((order.name, why))
            continue
        place = tuple(word for word in (order.side, order.lobe) if word is not None)
        wishes.append(Wish(order.name, order.count, replace(dials, size_ml=order.size_ml, place=place)))
    if not wishes:
        came = "; ".join(f"{name}: {why}" for name, why in left)
        raise InputError("an order that can be painted", came, "draw it with `synthoma generate --plan`")
    return Wishes(tuple(wishes), tuple(left))


def unpaintable(order: Order, cohort: folders.Cohort) -> str:
    """Why an order is none for a painter; empty where it is one."""
    ill = [name for name in cohort.classes if name.lower() not in HEALTHY]
    painted = "tumour" if "tumour" in ill or not ill else ill[0]
    if order.sequences:
        return "a painter adds no sequence to a scan"
    if order.label is not None and order.label != painted:
        return f"a painter draws {painted}, no {order.label}"
    return ""


# Generators ----------------------------------------------------------------------------------------------------------


def generate_orders(
    run: Path, place: Path, folder: Path, seed: int, draw: Callable[..., folders.Cohort], **given: object
) -> None:
    """Draw what a plan orders, each order by itself, and put all together as one cohort.

    Args:
        run: of the generator.
        place: of the plan.
        folder: existing and empty.
        seed: of all draws.
        draw: ``generate``.
        given: arguments of it that hold for all orders.

    Raises:
        ConfigError: what the plan decides was given.
        InputError: the generator learned from another cohort, or can draw nothing of what is ordered.
    """
    from synthoma.cohorts.joined import write_joined
    from synthoma.training.bundle import open_model

    bundle = open_model(run, "generator")
    known = bundle.meta.provenance.cohort
    plan = plan_of(
        place, (known.slices_sha256, known.images_sha256), f"the cohort that {bundle.meta.model} learned from"
    )
    parts, remarks = list[tuple[str, folders.Cohort]](), list[str]()
    for number, order in enumerate(plan.orders, start=1):
        try:
            asked = generation_of(order, bundle, plan.slices_each)
        except ConfigError as error:
            remarks.append(f"{order.name} left out: expected {error.expected}; came {error.came}")
            continue
        # A seed for each order: with one and the same, all would draw the same heads.
        own = stream_key(seed, "plan.order", number) % 2**31
        parts.append((f"order{number}", draw(run, folder / f"order{number}", seed=own, **asked, **given)))
        remarks.append(f"{order.name}: {len(parts[-1][1])} slices drawn, as {order.count} cases show")
    if not parts:
        raise InputError("an order that this generator can draw", "; ".join(remarks), "see docs/plan.md")
    write_joined(parts, folder, remarks, seed=seed, count=sum(len(part) for _, part in parts))
    for name, _ in parts:
        shutil.rmtree(folder / name)


def generation_of(order: Order, bundle: Bundle, each: int) -> dict[str, Any]:
    """Arguments of ``generate`` for an order: as many images as so many cases show tumour in.

    Args:
        order: what is wanted.
        bundle: the generator.
        each: slices with tumour of one case.

    Raises:
        ConfigError: this generator cannot be told that.
    """
    from synthoma.generators.sampling import repaints_slices

    meta, each = bundle.meta, min(each, MOST_EACH)
    simulates = repaints_slices(bundle)
    known = meta.classes if meta.shape["classes"] else ()
    kinds = meta.kinds if simulates else known
    ill = [name for name in known if name.lower() not in HEALTHY]
    label = order.label
    placed = order.size_ml is not None or order.side is not None or order.lobe is not None
    if placed and not simulates:
        todo = "paint it with `synthoma paint --plan`, or train a phantom-gan"
        raise ConfigError("a generator that is told sizes and places", f"a {meta.model}", todo)
    if label is not None and label not in known and not (simulates and label in kinds):
        came = f"a {meta.model} that knows {', '.join(kinds) or 'no classes'}"
        raise ConfigError(f"a generator of the class {label}", came, "train with --conditional")
    if label is None and placed:
        label = "tumour" if "tumour" in kinds else ill[0] if ill else None
    asked: dict[str, Any] = {"count": order.count * each, "label": label, "tumour": _tumour(order)}
    return asked | ({"per_patient": each} if simulates else {})


def _tumour(order: Order) -> Simulation:
    """What is asked of simulated tumours."""
    asked: Simulation = {}
    if order.size_ml is not None:
        low, high = order.size_ml
        # The middle of small and large, and none far from it: simulated volumes obey to some per cent.
        asked |= {"volume_ml": float((low * high) ** 0.5), "volume_spread": 0.0}
    if order.lobe is not None:
        asked["lobe"] = order.lobe
    if order.side is not None:
        asked["side"] = order.side
    return asked


def check_left_out(**given: object) -> None:
    """Raise ConfigError where something is given that a plan decides, or that is not made of one."""
    if names := [FLAGS.get(name, name) for name, value in given.items() if value]:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in names)
        raise ConfigError("a plan alone, which decides what is made", named, "leave it out, or leave out --plan")
