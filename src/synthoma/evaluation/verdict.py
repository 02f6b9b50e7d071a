"""Four lights and one verdict, by thresholds that were fixed before anything was measured."""

from __future__ import annotations

from collections.abc import Sequence

from synthoma.evaluation.diverse.light import diversity_light
from synthoma.evaluation.private.light import privacy_light
from synthoma.evaluation.realistic.light import realism_light
from synthoma.evaluation.result import Evidence, Light, Verdict, VerdictWord
from synthoma.evaluation.settings import Thresholds
from synthoma.evaluation.useful.light import utility_light
from synthoma.evaluation.useful.result import Utility

ORDER: tuple[VerdictWord, ...] = ("HARMS", "NO EVIDENCE", "CANNOT TELL", "HELPS")
"""Words of the verdict, worst first."""


def lights(evidence: Evidence, thresholds: Thresholds) -> tuple[Light, Light, Light, Light]:
    """The four questions, each with a state (GOOD, FAIR, POOR, CANNOT TELL), a word or figure, and a sentence.

    Args:
        evidence: all that was measured.
        thresholds: where colours change.
    """
    blind = evidence.compared.blind
    return (
        realism_light(evidence.fidelity, evidence.agreement, thresholds, blind=blind),
        diversity_light(evidence.fidelity, thresholds, blind=blind),
        privacy_light(evidence.privacy, thresholds),
        utility_light(evidence.utility),
    )


def verdict(four: Sequence[Light], utility: Utility | None) -> Verdict:
    """One word, never better than its weakest leg, and the reason.

    - HARMS: detectors learn worse with it.
    - NO EVIDENCE: it was tested and did not help, or one of the other three questions has a bad answer. Copies of
      patients are such an answer: what helps may be the copies.
    - CANNOT TELL: not tested, or too few patients to see the effect.
    - HELPS: detectors learn more with it, and no other answer is bad.
    """
    by_question = {light.question: light for light in four}
    private = by_question["private"]
    legs: list[tuple[VerdictWord, str]] = []
    if utility is None:
        legs.append(("CANNOT TELL", "whether it helps a detector was not tested (use --preset standard)"))
    else:
        legs.append((utility.word, utility.because))
    # Copies and poor images take HELPS away and are no HARMS: that a detector gets worse, only a detector can show.
    if private.state == "POOR":
        legs.append(("NO EVIDENCE", f"{private.text}; do not share this cohort"))
    elif private.state == "CANNOT TELL":
        legs.append(("CANNOT TELL", f"whether it holds copies is not known: {private.text}"))
    images = [by_question["realistic"], by_question["diverse"]]
    if bad := [light.question for light in images if light.state == "POOR"]:
        legs.append(("NO EVIDENCE", f"it is not {' and not '.join(bad)}"))
    if unknown := [light.question for light in images if light.state == "CANNOT TELL"]:
        legs.append(("CANNOT TELL", f"whether it is {' and '.join(unknown)} is not known"))
    # The worst leg decides. None makes up for another: useful copies are still copies.
    word = min((leg[0] for leg in legs), key=ORDER.index)
    reasons = [because for leg, because in legs if leg == word]
    # What was tested and is better than the verdict is said too, after what decides.
    rest = [f"useful: {legs[0][0]} ({legs[0][1]})"] if legs[0][0] != word else []
    return Verdict(word=word, because="; ".join(reasons + rest))
