"""Which synthetic cases to make."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from synthoma.cohorts import cohort as folders
from synthoma.core.config import settled
from synthoma.core.display import telling
from synthoma.core.errors import InputError
from synthoma.core.outputs import new_folder
from synthoma.core.progress import Progress
from synthoma.core.types import Place
from synthoma.pipeline.description import add_plan_page
from synthoma.pipeline.keywords import PlanKeywords
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.signature import with_settings
from synthoma.planning.result import Curve, Gain, Order, Plan, Point, Provenance, write_plan
from synthoma.planning.settings import PlanConfig

if TYPE_CHECKING:
    from synthoma.evaluation.result import Evaluation
    from synthoma.planning.counting import Counts
    from synthoma.planning.result import Axis, Verdict

CELLS = "cells"
"""Folder of finished trainings, thrown away at the end."""


@in_python
@with_settings(PlanConfig)
def plan(
    cohort: Place,
    output: Place | None = None,
    *,
    config: PlanConfig | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **settings: Unpack[PlanKeywords],
) -> Plan:
    """Say which synthetic cases are worth making, how many, and what is to be expected of them.

    Training patients alone are counted, and the learning curve is asked of validation patients; test patients decide
    nothing, unless an evaluation that asked them is given.

    Args:
        cohort: of real or simulated patients, with its splits.
        output: folder for plan.json and report.html; None writes nothing.
        config: the settings; or give single ones by name (``minutes=5, share=0.8``).
        force: replace an earlier plan.
        progress: told how far it is; None shows it, see ``core.display``.
        settings: fields of ``PlanConfig``.

    Raises:
        InputError: no training patients, too few for a learning curve, an evaluation of another cohort, or the output
            place is taken.
        ConfigError: a setting out of its range.
    """
    from tempfile import TemporaryDirectory

    options, source = settled(PlanConfig, config, settings), folders.Cohort(cohort)
    with telling(progress) as told:
        if output is None:
            with TemporaryDirectory(prefix="synthoma-") as aside:
                return _planned(source, options, Path(aside), told)
        with new_folder(Path(output), force=force, inputs=(source.path, options.evaluation)) as partial:
            found = _planned(source, options, partial / CELLS, told)
            shutil.rmtree(partial / CELLS, ignore_errors=True)
            write_plan(partial, found)
            add_plan_page(partial, Path(output).name)
    return found


def _planned(cohort: folders.Cohort, config: PlanConfig, cells: Path, progress: Progress) -> Plan:
    """Count, measure, decide."""
    from synthoma.cohorts.leaks import source_of
    from synthoma.core.provenance import software
    from synthoma.planning.counting import counts_of, seen_of
    from synthoma.planning.deciding import orders_of, with_orders, with_usual

    if cohort.origin == "synthetic":
        todo = "give the cohort of patients that it is to stand beside"
        raise InputError("a cohort of patients", f"{cohort.path.name}, which is synthetic", todo)
    evaluation = _evaluation_of(config, cohort)
    counts = counts_of(seen_of(cohort, progress), cohort, config.edges)
    orders, remarks = orders_of(counts, config), _remarks(counts, cohort)
    curve: Curve | None = None
    gain: Gain | None = None
    if evaluation is not None:
        gain, ratio = _measured(evaluation)
        if ratio and evaluation.utility is not None and evaluation.utility.word == "HELPS":
            orders = with_usual(orders, round(min(ratio, config.ratio) * counts.patients))
        remarks.append("the evaluation asked all held-out patients: judge what is made by this plan on other patients")
    if config.minutes is not None:
        further = _further(orders, counts, config)
        curve, from_curve = _curve(cohort, config, cells, further, progress)
        gain = gain or from_curve
    make = sum(order.count for order in orders)
    return Plan(
        version="synthoma.plan/1",
        patients=counts.patients,
        cases=counts.cases,
        slices_each=counts.slices_each,
        tallies=with_orders(counts, orders),
        unknown=counts.unknown,
        orders=orders,
        ratio=round(make / counts.patients, 3),
        curve=curve,
        gain=gain,
        verdict=_verdict(counts, orders, curve, gain, evaluation, config),
        remarks=tuple(remarks),
        provenance=Provenance(
            cohort=source_of(cohort),
            config=PlanConfig.model_validate(config.model_dump(mode="json", exclude={"evaluation"})),
            software=software(),
        ),
    )


def _further(orders: Sequence[Order], counts: Counts, config: PlanConfig) -> int:
    """Real patients whose gain is looked up: as many as cases are ordered, or as may be made where none is."""
    return sum(order.count for order in orders) or max(1, round(config.ratio * counts.patients))


def _evaluation_of(config: PlanConfig, cohort: folders.Cohort) -> Evaluation | None:
    """The evaluation that was given.

    Raises:
        InputError: of another cohort, or without trainings.
    """
    from synthoma.core.artefacts import verified_digest
    from synthoma.evaluation.result import read_evaluation

    if config.evaluation is None:
        return None
    found = read_evaluation(config.evaluation)
    if found.provenance.real.images_sha256 != verified_digest(cohort.path / "images.npy"):
        raise InputError(
            "an evaluation beside this cohort", f"{config.evaluation}, of another", "leave out --evaluation"
        )
    if found.utility is None:
        todo = "evaluate with --preset standard, or leave out --evaluation"
        raise InputError("an evaluation that trained detectors", f"{config.evaluation}, which did not", todo)
    return found


def _measured(evaluation: Evaluation) -> tuple[Gain | None, float]:
    """What an evaluation measured of its best mixture, and at which ratio; None and 0 where it trained none."""
    utility = evaluation.utility
    assert utility is not None
    mixtures = {name: one for name, one in utility.comparisons.items() if name.startswith("mixed ")}
    if not mixtures:
        return None, 0.0
    name = utility.mixture if utility.mixture in mixtures else max(mixtures, key=lambda key: mixtures[key].value)
    best, worth = mixtures[name], utility.worth
    return Gain(
        source="evaluation",
        value=best.value,
        low=best.low,
        high=best.high,
        n=best.n,
        real_patients=None if worth is None else worth.value,
        real_low=None if worth is None else worth.low,
        real_high=None if worth is None else worth.high,
    ), float(name.removeprefix("mixed "))


def _curve(
    cohort: folders.Cohort, config: PlanConfig, cells: Path, further: int, progress: Progress
) -> tuple[Curve, Gain]:
    """The learning curve, measured on validation patients, and what so many further patients would give."""
    from synthoma.evaluation.useful.growth import growth
    from synthoma.planning.power import followed, power_law

    assert config.minutes is not None
    found = growth(
        cohort, cells, minutes=config.minutes, steps=config.steps, seed=config.seed, device=config.device,
        progress=lambda done, total: progress("learning curve", done, total),
    )  # fmt: skip
    scores = found.scores
    points = [
        Point(patients=count, score=float(part.mean()), by_seed=tuple(part.mean(axis=1).round(5).tolist()))
        for count, part in sorted(scores.items())
    ]
    scale, power = power_law([one.patients for one in points], [one.score for one in points])
    intervals = followed(scores, further, seed=config.seed)
    asked = next(iter(scores.values())).shape[1]
    curve = Curve(
        endpoint=found.endpoint,
        points=tuple(points),
        validation_patients=asked,
        scale=scale,
        power=power,
        power_low=intervals["power"].low,
        power_high=intervals["power"].high,
        steps=config.steps,
    )
    gain = intervals["gain"]
    # Where more patients do not clearly help, no number of them is what a gain costs.
    rises = intervals["power"].low > 0
    return curve, Gain(
        source="learning curve", value=gain.value, low=gain.low, high=gain.high, n=asked,
        real_patients=further if rises else None,
    )  # fmt: skip


def _verdict(
    counts: Counts, orders: Sequence[Order], curve: Curve | None, gain: Gain | None, evaluation: Evaluation | None,
    config: PlanConfig,
) -> Verdict:  # fmt: skip
    """By what was measured of synthetic slices, else by what real ones would give, else by counts alone."""
    from synthoma.planning.deciding import judged_by_counts, judged_by_curve, judged_by_evaluation, too_few
    from synthoma.planning.result import Verdict

    if evaluation is not None and evaluation.utility is not None:
        if gain is None or gain.source != "evaluation":
            return Verdict(word="CANNOT TELL", because="the evaluation trained no detector with synthetic slices")
        return judged_by_evaluation(evaluation.utility.word, gain, config.matters)
    if curve is not None and gain is not None:
        return judged_by_curve(curve, gain, _further(orders, counts, config), config.matters)
    lost: list[Axis] = [*dict.fromkeys([*(one.axis for one in counts.unknown if one.axis != "site"), *too_few(counts)])]
    return judged_by_counts(counts, orders, lost)


def _remarks(counts: Counts, cohort: folders.Cohort) -> list[str]:
    """What the reader of a plan must know."""
    from synthoma.planning.deciding import too_few

    remarks = []
    if counts.of("site"):
        remarks.append("sites are counted and not planned for: no painter and no generator draws the look of a site")
    if few := too_few(counts):
        remarks.append(f"too few patients to say which kinds of {' and '.join(few)} are rare: not planned for")
    if not any(counts.of("side").values()):
        remarks.append("no training patient has a tumour whose place is known")
    if cohort.meta.patients == 0:
        remarks.append("the cohort does not say who its slices show: each group of duplicates counts as a patient")
    return remarks
