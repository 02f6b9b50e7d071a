"""Readers' answers beside what is measured: they are mentioned, and change no light (decision 0016)."""

from __future__ import annotations

from synthoma.core.errors import InputError
from synthoma.evaluation.readers.result import Readers
from synthoma.evaluation.result import Evaluation


def check_readers(readers: Readers, *, real: str, synthetic: str) -> None:
    """Raise InputError where readers looked at other cohorts.

    Args:
        readers: what their answers were worth.
        real: SHA-256 of images.npy of the real cohort.
        synthetic: the same of the synthetic one.
    """
    for kind, source, digest in (("real", readers.real, real), ("synthetic", readers.synthetic, synthetic)):
        if source.images_sha256 != digest:
            todo = "give the result of a set that was made from these cohorts, or leave out --turing"
            raise InputError("answers of readers who saw these cohorts", f"those of another {kind} cohort", todo)


def with_readers(evaluation: Evaluation, readers: Readers) -> Evaluation:
    """An evaluation that says what readers said; states of lights and verdict stay what they were."""
    lights = tuple(
        light.model_copy(update={"text": f"{light.text}; readers: {said(readers)}"})
        if light.question == "realistic"
        else light
        for light in evaluation.lights
    )
    return evaluation.model_copy(update={"lights": lights, "readers": readers})


def said(readers: Readers) -> str:
    """The verdict of the readers in a few words."""
    count = readers.pooled.readers
    d, low, high = readers.pooled.d.value, readers.pooled.d.low, readers.pooled.d.high
    figure = "" if d is None or low is None or high is None else f", d' {d:.2f} [{low:.2f}, {high:.2f}]"
    return f"{readers.verdict.word.lower()}{figure} ({count} reader{'s' if count > 1 else ''})"
