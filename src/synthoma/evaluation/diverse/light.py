"""The light of "is it diverse?": by recall and coverage, and by twins."""

from __future__ import annotations

from collections.abc import Mapping

from synthoma.evaluation.diverse.result import OVERLAPS, Twins
from synthoma.evaluation.families import LEARNED
from synthoma.evaluation.nulls import cannot_speak, joint_p, worse_than_all
from synthoma.evaluation.realistic.light import FEW
from synthoma.evaluation.result import Fidelity, Light, State
from synthoma.evaluation.score import Score
from synthoma.evaluation.settings import Thresholds


def diversity_light(fidelity: Fidelity, thresholds: Thresholds, *, blind: str = "") -> Light:
    """Whether recall and coverage reach what other real patients reach, and no slice has a twin beside it.

    Args:
        fidelity: families of scores, and twins.
        thresholds: where the colour changes.
        blind: why there is no null; empty where there is one.
    """
    excess = fidelity.twins.excess if fidelity.twins is not None else 0.0
    many, some = excess >= thresholds.many_twins, excess >= thresholds.twins_share
    twins = _twins_text(fidelity.twins) if fidelity.twins is not None and some else ""
    state: State = "POOR" if many else "FAIR" if some else "CANNOT TELL"
    found = _overlaps(fidelity)
    if not found:
        return Light(question="diverse", state=state, figure="", text=twins or blind or FEW)
    poor = any((one.ratio or 0.0) <= thresholds.poor_share and worse_than_all(one) for one in found.values())
    (family, name), least = min(found.items(), key=lambda item: item[1].ratio or 0.0)
    # The least and no mean: a kind of images that is missing may show in one family alone.
    ratio = least.ratio or 0.0
    p = joint_p(list(found.values()), ["low"] * len(found))
    fair = ratio < thresholds.diverse_share and (p is not None and p <= thresholds.alpha)
    text = f"reaches {100 * ratio:.0f} % of the variety that other real patients reach ({name}, {family})"
    text += f"; {twins}" if twins else ""
    state = "POOR" if poor or many else "FAIR" if fair or some else "GOOD"
    if state == "GOOD" and cannot_speak(list(found.values()), thresholds.alpha):
        state = "CANNOT TELL"
    return Light(question="diverse", state=state, figure=f"{100 * ratio:.0f} %", text=text)


def least_overlap(fidelity: Fidelity) -> float | None:
    """The least overlap as a ratio to what real patients score; None without a null."""
    return min((score.ratio or 0.0 for score in _overlaps(fidelity).values()), default=None)


def _twins_text(twins: Twins) -> str:
    return (
        f"{100 * twins.share:.0f} % of the slices have a near-identical one beside them (real slices: "
        f"{100 * twins.real_share:.1f} %)"
    )


def _overlaps(fidelity: Fidelity) -> Mapping[tuple[str, str], Score]:
    """Recall and coverage in all families that have a say, where there is a null."""
    return {
        (family, name): scores[name]
        for family, scores in fidelity.families.items()
        for name in OVERLAPS
        if family != LEARNED and scores[name].ratio is not None and scores[name].p is not None
    }
