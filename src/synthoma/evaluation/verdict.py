"""Four lights and one verdict, by thresholds that were fixed before anything was measured."""

from __future__ import annotations

from typing import Any

from synthoma.evaluation.fidelity import WORSE
from synthoma.evaluation.nulls import joint_p
from synthoma.evaluation.settings import Thresholds
from synthoma.evaluation.useful.worth import worth_text
from synthoma.metrics.tails import at_most

ORDER = ("HARMS", "NO EVIDENCE", "CANNOT TELL", "HELPS")
"""Words of the verdict, worst first."""

STATES = ("GOOD", "FAIR", "POOR", "CANNOT TELL")
"""What a light can say."""

LEARNED = "learned"
"""The family of a detector trained here: shown, without a say. Its null holds slices that it learned from."""

FEW = "too few patients for a real-vs-real comparison"

JUDGES = {"linear": "a linear model", "network": "a small network"}
"""Who tells synthetic from real slices."""

Light = dict[str, str]


def lights(result: dict[str, Any], thresholds: Thresholds) -> list[Light]:
    """The four questions, each with a state (GOOD, FAIR, POOR, CANNOT TELL), a word or figure, and a sentence.

    Args:
        result: content of evaluation.json as far as it was measured: fidelity, agreement, privacy, utility.
        thresholds: where colours change.
    """
    blind = result.get("compared", {}).get("blind", "")
    return [
        realism_light(result["fidelity"], result.get("agreement") or {}, thresholds, blind=blind),
        diversity_light(result["fidelity"], thresholds, blind=blind),
        _privacy(result["privacy"], thresholds),
        _utility(result.get("utility")),
    ]


def verdict(four: list[Light], utility: dict[str, Any] | None) -> dict[str, str]:
    """One word, never better than its weakest leg, and the reason.

    - HARMS: detectors learn worse with it.
    - NO EVIDENCE: it was tested and did not help, or one of the other three questions has a bad answer. Copies of
      patients are such an answer: what helps may be the copies.
    - CANNOT TELL: not tested, or too few patients to see the effect.
    - HELPS: detectors learn more with it, and no other answer is bad.
    """
    state = {light["question"]: light for light in four}
    legs: list[tuple[str, str]] = []
    if utility is None:
        legs.append(("CANNOT TELL", "whether it helps a detector was not tested (use --preset standard)"))
    else:
        legs.append((utility["word"], utility["because"]))
    if state["private"]["state"] == "POOR":
        legs.append(("NO EVIDENCE", f"{state['private']['text']}; do not share this cohort"))
    elif state["private"]["state"] == "CANNOT TELL":
        legs.append(("CANNOT TELL", f"whether it holds copies is not known: {state['private']['text']}"))
    bad = [name for name in ("realistic", "diverse") if state[name]["state"] == "POOR"]
    if bad:
        legs.append(("NO EVIDENCE", f"it is not {' and not '.join(bad)}"))
    unknown = [name for name in ("realistic", "diverse") if state[name]["state"] == "CANNOT TELL"]
    if unknown:
        legs.append(("CANNOT TELL", f"whether it is {' and '.join(unknown)} is not known"))
    word = min((leg[0] for leg in legs), key=ORDER.index)
    reasons = [because for leg, because in legs if leg == word]
    # What was tested and is better than the verdict is said too, after what decides.
    rest = [f"useful: {legs[0][0]} ({legs[0][1]})"] if legs[0][0] != word else []
    return {"word": word, "because": "; ".join(reasons + rest)}


def realism_light(
    fidelity: dict[str, Any], agreement: dict[str, Any], thresholds: Thresholds, *, blind: str = ""
) -> Light:
    """Whether synthetic slices lie as near to held-out patients as other real ones do, and masks on the tumours."""
    distances = _distances(fidelity)
    if not distances:
        return _light("realistic", "CANNOT TELL", "", blind or FEW)
    scored = [fidelity["families"][family] for family in distances]
    tested = [(scores[name], WORSE[name]) for scores in scored for name in ("sliced_wasserstein", "kid")]
    far = joint_p([entry for entry, _ in tested], [bad for _, bad in tested])
    judges = {name: one for name, one in fidelity["told_apart"].items() if one["p"] is not None}
    told = joint_p(list(judges.values()), ["high"] * len(judges))
    known = [p for p in (far, told) if p is not None]
    least = min((len(known) * p for p in known), default=1.0)
    worst = max(distances, key=lambda name: float(distances[name]["ratio"] or 0))
    ratio = float(distances[worst]["ratio"] or 0)
    poor = any(
        found["ratio"] and found["ratio"] >= thresholds.unrealistic_ratio and _beyond(found)
        for found in distances.values()
    )
    # What is beyond chance and yet small does not matter: a model of many features finds the smallest flaw.
    apart_from_real = least <= thresholds.alpha and ratio > thresholds.realistic_ratio
    if told is not None and len(known) * told <= thresholds.alpha:
        apart_from_real |= any(_tells(one, thresholds) for one in judges.values())
    text = f"distance to held-out scans {ratio:.2f}x what other patients' scans have ({worst})"
    if judges:
        best = max(judges, key=lambda name: float(judges[name]["value"]))
        text += f"; {JUDGES[best]} tells it from real scans with AUC {judges[best]['value']:.2f}"
    if _disagree(agreement, thresholds):
        text += f"; its masks agree less with a detector (Dice {agreement['synthetic']['value']:.2f}) than real ones "
        text += f"do ({agreement['real']['value']:.2f})"
        poor = True
    tests = [list(distances.values()), *([list(judges.values())] if told is not None else [])]
    if not poor and any(_blind(entries, thresholds, len(known)) for entries in tests):
        return _light("realistic", "CANNOT TELL", f"{ratio:.2f}x", f"{text}; patients are too few for a test")
    return _light("realistic", "POOR" if poor else "FAIR" if apart_from_real else "GOOD", f"{ratio:.2f}x", text)


def _tells(judge: dict[str, Any], thresholds: Thresholds) -> bool:
    """Whether a model tells synthetic slices from the held-out ones, and better than it tells other real ones."""
    return bool(judge["value"] > max(thresholds.told_apart, *judge["others"], 0))


def _disagree(agreement: dict[str, Any], thresholds: Thresholds) -> bool:
    """Whether a detector clearly agrees less with the synthetic masks than with real ones."""
    if not agreement:
        return False
    apart = agreement["real"]["low"] > agreement["synthetic"]["high"]
    return bool(apart and agreement["gap"] > thresholds.agreement_gap)


def _blind(entries: list[dict[str, Any]], thresholds: Thresholds, tests: int = 1) -> bool:
    """Whether divisions are so few that none of so many tests, which share the level, could have spoken."""
    return bool(tests / (1 + max(len(entry["null"]) for entry in entries)) > thresholds.alpha)


def _beyond(found: dict[str, Any]) -> bool:
    """Whether a score is worse than all of its real-vs-real values."""
    return bool(found["p"] * (1 + len(found["null"])) < 1.5)


def diversity_light(fidelity: dict[str, Any], thresholds: Thresholds, *, blind: str = "") -> Light:
    """Whether recall and coverage reach what other real patients reach, and no slice has a twin beside it."""
    alike = fidelity.get("twins") or {"excess": 0.0}
    many, some = (alike["excess"] >= limit for limit in (thresholds.many_twins, thresholds.twins_share))
    twins = ""
    if some:
        twins = (
            f"{100 * alike['share']:.0f} % of the slices have a near-identical one beside them (real slices: "
            f"{100 * alike['real_share']:.1f} %)"
        )
    found = _overlaps(fidelity)
    if not found:
        text = twins or blind or FEW
        return _light("diverse", "POOR" if many else "FAIR" if some else "CANNOT TELL", "", text)
    poor = any(one["ratio"] <= thresholds.poor_share and _beyond(one) for one in found.values())
    (family, name), least = min(found.items(), key=lambda item: float(item[1]["ratio"]))
    p = joint_p(list(found.values()), ["low"] * len(found))
    fair = least["ratio"] < thresholds.diverse_share and (p is not None and p <= thresholds.alpha)
    text = f"reaches {100 * least['ratio']:.0f} % of the variety that other real patients reach ({name}, {family})"
    text += f"; {twins}" if twins else ""
    state = "POOR" if poor or many else "FAIR" if fair or some else "GOOD"
    if state == "GOOD" and _blind(list(found.values()), thresholds):
        state = "CANNOT TELL"
    return _light("diverse", state, f"{100 * least['ratio']:.0f} %", text)


def _overlaps(fidelity: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Recall and coverage in all families that have a say, where there is a null."""
    return {
        (family, name): scores[name]
        for family, scores in fidelity["families"].items()
        for name in ("recall", "coverage")
        if family != LEARNED and scores[name]["ratio"] is not None and scores[name]["p"] is not None
    }


def _distances(fidelity: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The sliced Wasserstein distance in all families that have a say, where there is a null."""
    return {
        family: scores["sliced_wasserstein"]
        for family, scores in fidelity["families"].items()
        if family != LEARNED and scores["sliced_wasserstein"]["p"] is not None
    }


def figures(fidelity: dict[str, Any]) -> dict[str, float | None]:
    """What the lights of realism and diversity go by: the largest distance and the least overlap, as ratios."""
    far = [float(one["ratio"] or 0) for one in _distances(fidelity).values()]
    near = [float(one["ratio"]) for one in _overlaps(fidelity).values()]
    return {"realistic": max(far, default=None), "diverse": min(near, default=None)}


def _privacy(privacy: dict[str, Any], thresholds: Thresholds) -> Light:
    word, bound = privacy["word"], privacy["upper_share"]
    if word == "CANNOT TELL":
        return _light("private", "CANNOT TELL", "CANNOT TELL", privacy["because"])
    if word == "COPIES FOUND":
        return _light("private", "POOR", "COPIES FOUND", f"COPIES FOUND: {privacy['because']}")
    state = "GOOD" if bound <= thresholds.copies_share else "FAIR"
    return _light("private", state, f"< {at_most(bound)}", f"NONE FOUND: {privacy['because']}")


def _utility(utility: dict[str, Any] | None) -> Light:
    if utility is None:
        return _light("useful", "CANNOT TELL", "not tested", "not tested by the preset quick")
    state = {"HELPS": "GOOD", "NO EVIDENCE": "FAIR", "HARMS": "POOR"}.get(utility["word"], "CANNOT TELL")
    text = utility["because"]
    if utility.get("worth"):
        text = f"{worth_text(utility['worth'])}; {text}"
    return _light("useful", state, utility["word"], text)


def _light(question: str, state: str, figure: str, text: str) -> Light:
    return {"question": question, "state": state, "figure": figure, "text": text}
