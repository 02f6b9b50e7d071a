"""The whole chain on simulated patients: one simulated hospital plays the few scans that somebody has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthoma.core.outputs import new_folder
from synthoma.core.progress import Progress, named
from synthoma.core.types import Place
from synthoma.core.whole_files import write_json, write_text
from synthoma.pipeline.detection import detect
from synthoma.pipeline.generation import generate
from synthoma.pipeline.judgement import evaluate
from synthoma.pipeline.preparation import prepare_phantom
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.training import telling_training, train

if TYPE_CHECKING:
    from synthoma.phantom import PhantomConfig
    from synthoma.training.loop import Report

DEMO = "synthoma.demo/1"
PATIENTS = 14
"""Of the hospital: few, as people have them."""
SIMULATED = 24
"""Patients that the generator simulates for itself and repaints."""
MINUTES = 1.5
IMAGES = 300
HOSPITAL = 2026
"""Seed of the hospital: its scanner and its patients are none that the model of the package has seen."""
PIXEL_MM = 1.5
"""Of the hospital's scanner: half the time of 1 mm, and as good at 64 px."""
PARTS = ("hospital", "run", "synthetic", "evaluation", "patient", "found")


@in_python
def demo(output: Place, *, force: bool = False, progress: Progress | None = None, report: Report | None = None) -> Path:
    """The chain on simulated patients, in about three minutes on two cores: nothing is downloaded, no data is needed.

    Patients of one simulated scanner stand for the few scans of a hospital. A phantom-gan learns their look and draws
    slices with masks, which are judged; and the tumour of one further patient is found.

    Args:
        output: the folder to write; it gets a folder for each step and report.html, which leads to all.
        force: replace an earlier demonstration.
        progress: told how far the work is.
        report: told how far the training is. Where nobody is told of either, both are shown.

    Returns:
        The path of the page.

    Raises:
        InputError: the output place is taken.
    """
    from synthoma.phantom import PhantomConfig
    from synthoma.reports.demo_page import demo_page

    hospital = PhantomConfig(modalities=("flair",), sites=1, skull="stripped", pixel_mm=PIXEL_MM)
    taking: dict[str, Any] = {"size": 64, "slices": "tumour", "merge": "whole-tumour", "split": (0.5, 0.2, 0.3)}
    with telling_training(report, progress) as (report, progress), new_folder(Path(output), force=force) as partial:
        told: dict[str, Any] = {"report": report, "progress": named(progress, "simulating patients to repaint")}
        cohort = prepare_phantom(
            PATIENTS,
            partial / "hospital",
            phantom=hospital,
            seed=HOSPITAL,
            progress=named(progress, "simulating the hospital", "simulating patients"),
            **taking,
        )
        run = train(
            cohort, partial / "run", model="phantom-gan", init="phantom", with_masks=True, simulate=SIMULATED,
            minutes=MINUTES, **told,
        )  # fmt: skip
        synthetic = generate(run, partial / "synthetic", IMAGES, progress=progress)
        evaluation = evaluate(cohort, synthetic, partial / "evaluation", progress=progress)
        truth = _new_patient(partial / "patient", hospital)
        found = detect(partial / "patient" / "patient_flair.nii.gz", partial / "found", progress=progress)
        write_json(partial / "demo.json", {"schema": DEMO, "artefacts": list(PARTS)})
        name = Path(output).resolve().name
        page = demo_page(name, evaluation, cohort, synthetic, run.path, found.path, truth)
        write_text(partial / "report.html", page)
    return Path(output) / "report.html"


def _new_patient(folder: Path, hospital: PhantomConfig) -> float:
    """Write one further patient of the hospital as a file, and say how large the tumour is, in ml."""
    from synthoma.core.types import tumour_of
    from synthoma.phantom import simulate
    from synthoma.scans.case import Volume
    from synthoma.scans.volumes import write_volume

    study = simulate(seed=HOSPITAL, index=PATIENTS, config=hospital).study
    assert study.mask is not None
    assert study.geometry is not None
    folder.mkdir()
    image = np.asarray(study.images["flair"], np.float32)
    write_volume(Volume(image, study.geometry), folder / "patient_flair.nii.gz", description="simulated: no patient")
    return float(tumour_of(study.mask).sum() * np.prod(study.geometry.spacing) / 1000)
