"""A small evaluation, for tests of what reads one."""

from __future__ import annotations

from synthoma.evaluation.private.result import Privacy
from synthoma.evaluation.result import (
    Compared,
    Evaluation,
    Fidelity,
    Light,
    Provenance,
    RealSource,
    Rows,
    SyntheticSource,
    Verdict,
)
from synthoma.evaluation.score import Score
from synthoma.evaluation.settings import EvaluateConfig


def small_evaluation() -> Evaluation:
    """An evaluation with one score, all that must be there, and nothing else."""
    score = Score(value=0.5, null=(0.25, 0.75), null_median=0.5, ratio=1.0, p=0.75, n=20)
    compared = Compared(
        modality="flair", training=30, held_out=20, synthetic=20, of_synthetic=20, training_groups=15,
        held_out_groups=10, synthetic_groups=20, count=20, divisions=2,
        rows=Rows(training=(0, 1), held_out=(2,), synthetic=(0,)),
    )  # fmt: skip
    return Evaluation(
        version="synthoma.evaluation/3",
        preset="quick",
        compared=compared,
        fidelity=Fidelity(families={"wavelet": {"kid": score}}),
        privacy=Privacy(word="CANNOT TELL", because="too few slices", upper_share=1.0),
        lights=(Light(question="realistic", state="GOOD", figure="1.0x", text="near"),),
        verdict=Verdict(word="CANNOT TELL", because="not tested"),
        provenance=Provenance(
            config=EvaluateConfig(preset="quick"),
            extractors={"wavelet": "1"},
            real=RealSource(origin="real", images_sha256="ab"),
            synthetic=SyntheticSource(origin="synthetic", images_sha256="cd"),
            software={"numpy": "2"},
        ),
    )
