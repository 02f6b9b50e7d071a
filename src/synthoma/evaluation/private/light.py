"""The light of "is it private?": by what the search for copies found."""

from __future__ import annotations

from synthoma.evaluation.private.result import Privacy
from synthoma.evaluation.result import Light, State
from synthoma.evaluation.settings import Thresholds
from synthoma.metrics.tails import at_most


def privacy_light(privacy: Privacy, thresholds: Thresholds) -> Light:
    """Whether copies were found, and if not, how small their share must be."""
    if privacy.word == "CANNOT TELL":
        return Light(question="private", state="CANNOT TELL", figure="CANNOT TELL", text=privacy.because)
    if privacy.word == "COPIES FOUND":
        text = f"COPIES FOUND: {privacy.because}"
        return Light(question="private", state="POOR", figure="COPIES FOUND", text=text)
    bound = privacy.upper_share
    text = f"NONE FOUND: {privacy.because}"
    state: State = "GOOD" if bound <= thresholds.copies_share else "FAIR"
    return Light(question="private", state=state, figure=f"< {at_most(bound)}", text=text)
