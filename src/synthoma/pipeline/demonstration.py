"""The whole chain on simulated patients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.core.outputs import new_folder
from synthoma.core.progress import Progress
from synthoma.core.types import Place
from synthoma.core.whole_files import write_json
from synthoma.pipeline.generation import generate
from synthoma.pipeline.judgement import evaluate
from synthoma.pipeline.preparation import prepare_phantom
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.training import telling_training, train

if TYPE_CHECKING:
    from synthoma.training.loop import Report

DEMO = "synthoma.demo/1"
DEMO_PATIENTS = 40
DEMO_MINUTES = 4.0


@in_python
def demo(output: Place, *, force: bool = False, progress: Progress | None = None, report: Report | None = None) -> Path:
    """The chain on simulated patients: phantom cohort, generator with masks, synthetic cohort, evaluation.

    Returns:
        The path of the evaluation's page.
    """
    with telling_training(report, progress) as (report, progress), new_folder(Path(output), force=force) as partial:
        settings: dict[str, Any] = {"size": 64, "modalities": ("flair",), "slices": "tumour", "merge": "whole-tumour"}
        prepare_phantom(DEMO_PATIENTS, partial / "phantom", progress=progress, **settings)
        told: dict[str, Any] = {"report": report, "progress": progress}
        train(partial / "phantom", partial / "run", model="dcgan", minutes=DEMO_MINUTES, with_masks=True, **told)
        generate(partial / "run", partial / "synthetic", 500, progress=progress)
        evaluate(partial / "phantom", partial / "synthetic", partial / "evaluation", progress=progress)
        parts = ["phantom", "run", "synthetic", "evaluation"]
        write_json(partial / "demo.json", {"schema": DEMO, "artefacts": parts})
    return Path(output) / "evaluation" / "report.html"
