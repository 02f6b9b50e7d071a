"""Which sequence a series shows, by its description, its timing and what was injected."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from synthoma.core.types import PLAIN_MODALITY
from synthoma.scans.dicom.files import text, words
from synthoma.scans.sequence_names import Judgement, Timing, agent_given, judged


def image_kinds(header: Dataset, frame: Dataset) -> tuple[str, ...]:
    """What kind of image a frame is: FrameType of an enhanced file, else ImageType."""
    return words(frame, "FrameType") or words(header, "ImageType")


def stated_element(header: Dataset, frame: Dataset, keyword: str) -> object:
    """An element of a frame, or of the file as a whole."""
    own: object = frame.get(keyword)
    return header.get(keyword) if own is None else own


def stated_number(header: Dataset, frame: Dataset, *keywords: str) -> float:
    """The first of these elements that is stated as a number; 0 where none is."""
    for keyword in keywords:
        stored = stated_element(header, frame, keyword)
        value = stored if isinstance(stored, (int, float, str)) else next(iter(stored or ()), None)  # type: ignore[call-overload]
        if value not in (None, "") and math.isfinite(number := float(value)):
            return number
    return 0.0


def echo_time(header: Dataset, frame: Dataset) -> float:
    """Echo time in ms; 0 where none is stated."""
    return stated_number(header, frame, "EffectiveEchoTime", "EchoTime")


def agent_of(header: Dataset, frame: Dataset) -> bool | None:
    """Whether a contrast agent was given: by its name, or by a list of agents (enhanced files)."""
    usage = frame.get("ContrastBolusUsageSequence") or ()
    # Enhanced files name the agent once, and say of each frame whether it had been given by then.
    if usage and text(usage[0], "ContrastBolusAgentAdministered").upper() == "NO":
        return False
    said = agent_given(text(header, "ContrastBolusAgent"))
    return True if said is None and (usage or header.get("ContrastBolusAgentSequence")) else said


def judge(header: Dataset, frame: Dataset) -> Judgement:
    """Which sequence a slice shows, by the file's header and what its functional groups say of the frame."""
    # CT: what reads like a weighting in its description is none.
    if text(header, "Modality") != "MR":
        return Judgement(PLAIN_MODALITY, "words")
    component = text(frame, "ComplexImageComponent") or text(header, "ComplexImageComponent")
    pulses = {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(text(header, "EchoPulseSequence"), set())
    planar = {"EP"} if text(header, "EchoPlanarPulseSequence") == "YES" else set()
    timing = Timing(
        repetition=stated_number(header, frame, "RepetitionTime"),
        echo=echo_time(header, frame),
        inversion=stated_number(header, frame, "InversionTimes", "InversionTime"),
        pulse=frozenset({*words(header, "ScanningSequence"), *pulses, *planar}),
        variant=frozenset(words(header, "SequenceVariant")),
        name=f"{text(header, 'SequenceName')} {text(header, 'PulseSequenceName')}".upper(),
        weighting=str(stated_element(header, frame, "AcquisitionContrast") or "").upper(),
        kinds=frozenset((*image_kinds(header, frame), component.upper())),
    )
    description, protocol = text(header, "SeriesDescription"), text(header, "ProtocolName")
    return judged(description, agent=agent_of(header, frame), timing=timing, otherwise=protocol)


def guess_modality(header: Dataset) -> str:
    """Which of t1, t1c, t2, flair a slice of a classic file shows; "image" where unsure."""
    return judge(header, header).sequence or PLAIN_MODALITY
