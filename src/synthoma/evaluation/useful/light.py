"""The light of "is it useful?": by what detectors learn."""

from __future__ import annotations

from synthoma.evaluation.result import Light, State
from synthoma.evaluation.useful.result import Utility
from synthoma.evaluation.useful.worth import worth_text

STATES: dict[str, State] = {"HELPS": "GOOD", "NO EVIDENCE": "FAIR", "HARMS": "POOR"}
"""Word of the comparison -> what the light says; CANNOT TELL of any other."""


def utility_light(utility: Utility | None) -> Light:
    """Whether detectors learn more with the cohort; None where none was trained."""
    if utility is None:
        text = "not tested by the preset quick"
        return Light(question="useful", state="CANNOT TELL", figure="not tested", text=text)
    text = utility.because if utility.worth is None else f"{worth_text(utility.worth)}; {utility.because}"
    return Light(question="useful", state=STATES.get(utility.word, "CANNOT TELL"), figure=utility.word, text=text)
