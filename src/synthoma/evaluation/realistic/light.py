"""The light of "is it realistic?": by distances, by models that tell both sides apart, and by masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthoma.evaluation.families import LEARNED, WORSE
from synthoma.evaluation.nulls import cannot_speak, joint_p, worse_than_all
from synthoma.evaluation.realistic.result import JUDGES, Agreement
from synthoma.evaluation.result import Fidelity, Light, State
from synthoma.evaluation.score import Score
from synthoma.evaluation.settings import Thresholds

FEW = "too few patients for a real-vs-real comparison"


def realism_light(fidelity: Fidelity, agreement: Agreement | None, thresholds: Thresholds, *, blind: str = "") -> Light:
    """Whether synthetic slices lie as near to held-out patients as other real ones do, and masks on the tumours.

    Args:
        fidelity: families of scores, and whether models tell both sides apart.
        agreement: of masks with a detector; None without masks.
        thresholds: where the colour changes.
        blind: why there is no null; empty where there is one.
    """
    distances = _distances(fidelity)
    if not distances:
        return Light(question="realistic", state="CANNOT TELL", figure="", text=blind or FEW)
    judges = {name: one for name, one in fidelity.distinguished.items() if one.p is not None}
    # All distances share one p, and both models another: tested one by one they would alarm by their number.
    far = _far(fidelity, list(distances))
    classified = joint_p(list(judges.values()), ["high"] * len(judges))
    tests = len([p for p in (far, classified) if p is not None])
    worst = max(distances, key=lambda family: distances[family].ratio or 0.0)
    ratio = distances[worst].ratio or 0.0
    text = f"distance to held-out scans {ratio:.2f}x what other patients' scans have ({worst})"
    if judges:
        best = max(judges, key=lambda name: judges[name].value or 0.0)
        text += f"; {JUDGES[best]} tells it from real scans with AUC {judges[best].value or 0.0:.2f}"
    # Without a test: twice as far as real patients and worse than every division needs none. Milder answers do.
    poor = any(
        found.ratio and found.ratio >= thresholds.unrealistic_ratio and worse_than_all(found)
        for found in distances.values()
    )
    if agreement is not None and _disagree(agreement, thresholds):
        text += f"; its masks agree less with a detector (Dice {agreement.synthetic.value or 0.0:.2f}) than real ones "
        text += f"do ({agreement.real.value or 0.0:.2f})"
        poor = True
    tested = [list(distances.values()), *([list(judges.values())] if classified is not None else [])]
    state: State = "GOOD"
    if poor:
        state = "POOR"
    elif any(cannot_speak(scores, thresholds.alpha, tests) for scores in tested):
        state, text = "CANNOT TELL", f"{text}; patients are too few for a test"
    elif _differs(far, classified, ratio, list(judges.values()), thresholds):
        state = "FAIR"
    return Light(question="realistic", state=state, figure=f"{ratio:.2f}x", text=text)


def largest_distance(fidelity: Fidelity) -> float | None:
    """The largest distance as a ratio to what real patients score; None without a null."""
    return max((score.ratio or 0.0 for score in _distances(fidelity).values()), default=None)


def _distances(fidelity: Fidelity) -> Mapping[str, Score]:
    """The sliced Wasserstein distance in all families that have a say, where there is a null."""
    return {
        family: scores["sliced_wasserstein"]
        for family, scores in fidelity.families.items()
        if family != LEARNED and scores["sliced_wasserstein"].p is not None
    }


def _far(fidelity: Fidelity, families: Sequence[str]) -> float | None:
    """One p for all distances of these families."""
    names = [(family, name) for family in families for name in ("sliced_wasserstein", "kid")]
    return joint_p([fidelity.families[family][name] for family, name in names], [WORSE[name] for _, name in names])


def _differs(
    far: float | None, classified: float | None, ratio: float, judges: Sequence[Score], thresholds: Thresholds
) -> bool:
    """Whether synthetic slices differ from held-out ones by more than chance, and by enough to matter."""
    known = [p for p in (far, classified) if p is not None]
    # Two tests share the level (Bonferroni).
    least = min((len(known) * p for p in known), default=1.0)
    # What is beyond chance and yet small does not matter: a model of many features finds the smallest flaw.
    differs = least <= thresholds.alpha and ratio > thresholds.realistic_ratio
    if classified is not None and len(known) * classified <= thresholds.alpha:
        differs |= any(_recognises(judge, thresholds) for judge in judges)
    return differs


def _recognises(judge: Score, thresholds: Thresholds) -> bool:
    """Whether a model tells synthetic slices from the held-out ones, and better than it tells other real ones."""
    return judge.value is not None and judge.value > max(thresholds.told_apart, *judge.others, 0)


def _disagree(agreement: Agreement, thresholds: Thresholds) -> bool:
    """Whether a detector clearly agrees less with the synthetic masks than with real ones."""
    low, high, gap = agreement.real.low, agreement.synthetic.high, agreement.gap
    if low is None or high is None or gap is None:
        return False
    return low > high and gap > thresholds.agreement_gap
