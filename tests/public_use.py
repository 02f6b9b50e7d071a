"""What a user writes in Python, as the type checker sees it. Nothing runs: `make check` reads it with mypy --strict."""

from __future__ import annotations

from pathlib import Path

import synthoma
from synthoma import Cohort, Findings, Run
from synthoma.cohorts.settings import PrepareConfig
from synthoma.evaluation.heldout.result import ModelScores
from synthoma.evaluation.result import Evaluation
from synthoma.exports.forms import Export
from synthoma.generators.family import GeneratorFamily
from synthoma.metrics.own import Metric
from synthoma.scans.layouts.listing import Layout
from synthoma.settings import TrainConfig


def the_chain(scans: Path) -> None:
    """From a folder to a verdict, and to masks."""
    cohort: Cohort = synthoma.prepare(scans, "cohort", size=64, modalities=("flair",))
    same: Cohort = synthoma.prepare(scans, "cohort", config=PrepareConfig(size=64), force=True)
    run: Run = synthoma.train(cohort, "run", minutes=10)
    planned: TrainConfig = synthoma.planned(same, TrainConfig(images=1000))
    synthetic: Cohort = synthoma.generate(run, "synthetic", 500, form="nifti")
    found: Evaluation = synthoma.evaluate("cohort", synthetic.path, "evaluation", preset="quick")
    findings: Findings = synthoma.detect(scans, "findings")
    scores: ModelScores = synthoma.evaluate_model(cohort, run)
    page: Path = synthoma.report("cohort")
    exported: Export = synthoma.export(synthetic, "nnunet", to="nnunet", name="Glioma")
    counts: dict[str, int] = exported.counts
    print(
        planned.model,
        found.verdict.word,
        [light.state for light in found.lights],
        len(findings),
        page,
        scores.model,
        counts,
    )


def what_an_artefact_says(cohort: Cohort, evaluation: Evaluation) -> tuple[int, str, tuple[str, ...], float | None]:
    """Fields of artefacts have types."""
    families = evaluation.fidelity.families
    coverage = families["wavelet"]["coverage"].value
    return cohort.meta.slices, cohort.meta.plane, cohort.meta.classes, coverage


def what_is_plugged_in(family: GeneratorFamily, layout: Layout, metric: Metric) -> list[str]:
    """Records of other packages have names."""
    return [family.network, layout.name, metric.name]
