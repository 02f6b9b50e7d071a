"""Arms against the control and against real scans, and the word that follows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synthoma.core.types import Floats
from synthoma.evaluation.settings import EvaluateConfig, Thresholds
from synthoma.evaluation.useful.arms import CONTROL, Arm
from synthoma.evaluation.useful.differences import paired
from synthoma.evaluation.useful.patient_scores import HeldOut, PatientScores
from synthoma.evaluation.useful.result import Areas, Comparison, Difference, McNemar, Word
from synthoma.evaluation.useful.trainings import Answers
from synthoma.metrics.significance import delong, holm, mcnemar, minimum_detectable_effect, needed_patients


@dataclass(frozen=True)
class Decision:
    """What the mixtures say together.

    Attributes:
        word: HELPS, HARMS, NO EVIDENCE or CANNOT TELL.
        because: its reason.
        mixture: the one that decided, which is the one that every headline shows.
    """

    word: Word
    because: str
    mixture: str


def comparisons_of(
    arms: Sequence[Arm], answers: Mapping[str, Sequence[Answers]], scores: Mapping[str, PatientScores],
    held_out: HeldOut, noise: float, config: EvaluateConfig,
) -> dict[str, Comparison]:  # fmt: skip
    """Every other arm against the control and against real scans; p of the mixtures adjusted after Holm.

    Args:
        arms: all of them.
        answers: of each arm's detectors, one for each seed.
        scores: of the patients, for each arm.
        held_out: what was asked.
        noise: standard deviation of an arm's mean from seed to seed.
        config: level of the tests.
    """
    mixed = [arm.name for arm in arms if arm.kind == "mixed"]
    alpha = config.thresholds.alpha
    found = {
        # To help, a mixture has to be better than either, and Holm has the mixtures share the level.
        arm.name: _comparison(
            arm.name, answers, scores, held_out, noise, alpha, alpha / max(1, len(mixed) if arm.name in mixed else 1)
        )
        for arm in arms
        if arm.name != CONTROL and arm.kind != "real"
    }
    for name, adjusted in zip(mixed, holm([found[name].p for name in mixed]), strict=True):
        found[name] = found[name].model_copy(update={"p_holm": adjusted})
    return found


def _comparison(
    name: str, answers: Mapping[str, Sequence[Answers]], scores: Mapping[str, PatientScores], held_out: HeldOut,
    noise: float, alpha: float, shared: float,
) -> Comparison:  # fmt: skip
    against = paired(scores[name].scores, scores[CONTROL].scores, noise, name, alpha)
    against_real = paired(scores[name].scores, scores["real"].scores, noise, f"{name} real", alpha)
    # The wider one, since a mixture has to pass both comparisons.
    spread = max(against.spread, against_real.spread)
    # McNemar's test wants a yes or no of each patient: above a half, over the seeds, is a yes.
    ours, theirs = (scores[arm].raw.mean(axis=0) > 0.5 for arm in (name, CONTROL))
    test = mcnemar(ours, theirs)
    more = {"delong": _areas(answers[name], answers[CONTROL], held_out)} if held_out.outlined else {}
    return Comparison(
        against=CONTROL,
        **against.model_dump(),
        against_real=against_real,
        minimum_detectable=minimum_detectable_effect(spread, against.n, alpha=shared),
        mcnemar=McNemar(only_this=test.only_first, only_control=test.only_second, p=test.p),
        **more,
    )


def _areas(ours: Sequence[Answers], theirs: Sequence[Answers], held_out: HeldOut) -> Areas:
    # Averaged over the seeds before the test: DeLong's variance knows cases alone, and several seeds are no further
    # cases.
    first, second = (_mean_chances(answers) for answers in (ours, theirs))
    areas = delong(held_out.truth, first, second, groups=list(held_out.groups))
    return Areas(auc=areas.first, auc_control=areas.second, p=areas.p)


def _mean_chances(answers: Sequence[Answers]) -> Floats:
    return np.asarray(np.mean([one.chances for one in answers], axis=0))


def decision(comparisons: Mapping[str, Comparison], patients: int, what: str, thresholds: Thresholds) -> Decision:
    """HELPS, HARMS, NO EVIDENCE or CANNOT TELL, out of the mixtures alone: they were named before.

    Args:
        comparisons: all of them; the mixtures are those with an adjusted p.
        patients: held-out ones.
        what: what a difference is one of: "Dice" or "accuracy".
        thresholds: level, and the effect that matters.
    """
    mixed = {name: entry for name, entry in comparisons.items() if "p_holm" in entry.model_fields_set}
    # Chosen by what they are tested with. That is paid for: Holm has all mixtures share the level.
    first = max(mixed, key=lambda name: mixed[name].value)
    last = min(mixed, key=lambda name: mixed[name].value)
    best, worst = mixed[first], mixed[last]
    # Better than real slices duplicated is not enough: duplicating may harm, and nobody has to do it.
    if best.value > 0 and _surely(best, thresholds) and best.against_real.low > 0:
        because = f"{what} {_said(best)} against real scans duplicated to the same count"
        return Decision("HELPS", because, first)
    if worst.value < 0 and _surely(worst, thresholds) and worst.against_real.high < 0:
        because = f"{what} {_said(worst)} against real scans duplicated to the same count"
        return Decision("HARMS", because, last)
    found = math.nan if best.minimum_detectable is None else best.minimum_detectable
    # So written that nan, where nobody knows what would have been found, counts as too much.
    if not found <= thresholds.least_effect:
        todo = _needed(best, thresholds, len(mixed))
        because = (
            f"{what} {_said(best)}; with {patients} held-out patients only a difference of {found:.2f} would be found, "
            f"{todo}"
        )
        return Decision("CANNOT TELL", because, first)
    because = f"{what} {_said(best)}; a difference of {found:.3f} would have been found"
    return Decision("NO EVIDENCE", because, first)


def _surely(entry: Comparison, thresholds: Thresholds) -> bool:
    return entry.p_holm is not None and entry.p_holm < thresholds.alpha


def _needed(best: Comparison, thresholds: Thresholds, mixtures: int) -> str:
    """What it would take to find the effect that matters."""
    least = thresholds.least_effect
    wider: Difference = max(best, best.against_real, key=lambda entry: entry.spread)
    shake = wider.shake or 0.0
    # More patients do not lessen what seeds shake, so that part is counted apart.
    own = math.sqrt(max(wider.spread**2 - wider.n * shake**2, 0))
    needed = needed_patients(own, least, noise=shake, alpha=thresholds.alpha / mixtures)
    return f"{least:g} needs about {needed}" if needed else f"{least:g} needs more seeds, and patients"


def _said(entry: Difference) -> str:
    return f"{entry.value:+.3f} [{entry.low:+.3f}, {entry.high:+.3f}]"
