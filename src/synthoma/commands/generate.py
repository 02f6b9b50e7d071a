"""``synthoma generate``: a synthetic cohort from a generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthoma.commands.options import SPREAD, Force, Given, Output, takes
from synthoma.commands.printing import say, share_told
from synthoma.commands.progress import shown
from synthoma.core.fanned import FanoutConfig, fanned
from synthoma.core.untrusted import visible
from synthoma.generators.request import GenerateConfig

EXAMPLES = (
    "synthoma generate run -n 500 -o synthetic --class tumour --seed 1",
    "synthoma generate run -n 500 -o synthetic --export dicom",
    "synthoma generate run --patients 20 -o synthetic --export nifti",
    "synthoma generate run -n 100000 -o part3 --shard 3/8",
    "synthoma generate run --plan plan -o synthetic",
    'synthoma generate run -n 20 -o synthetic --interpolation --arithmetic "12,15,18 - 3,4 + 7"',
)
USUAL = 500
"""Images where no number is given."""


@takes(
    GenerateConfig,
    *(
        "count",
        "per_patient",
        "patients",
        "label",
        "seed",
        "truncation",
        "keep_share",
        "shard",
        "form",
        "interpolation",
        "arithmetic",
        "nearest",
    ),
    *("plan", "phantom", "tumour_ml", "tumour_lobe", "tumour_side", "only_private", "jobs"),
)
@takes(FanoutConfig, *SPREAD[:-1], into="of_fan")
def run(
    trained: Annotated[
        Path, typer.Argument(metavar="RUN", help="A finished run of a generator, or its model.safetensors.")
    ],
    output: Output,
    given: Given,
    of_fan: Given,
    force: Force = False,
) -> None:
    """Run the command."""
    settings = GenerateConfig.resolve(flags=given)
    part = settings.part()
    if "parts" in of_fan and "shard" in given:
        of_fan, part = {**of_fan, "shard": given["shard"]}, (1, 1)
    from synthoma import pipeline

    own = settings.count is None and settings.patients is None and settings.plan is None
    count = USUAL if own else settings.count
    with fanned(FanoutConfig.resolve(flags=of_fan)) as fan, shown() as display:
        cohort = pipeline.generate(
            trained,
            output,
            count,
            patients=settings.patients,
            per_patient=settings.per_patient,
            seed=settings.seed,
            label=settings.label,
            truncation=settings.truncation,
            keep_share=settings.keep_share,
            shard=part,
            form=settings.form,
            interpolation=settings.interpolation,
            arithmetic=settings.arithmetic,
            nearest=settings.nearest,
            only_private=settings.only_private,
            phantom=settings.phantom,
            tumour=settings.tumour(),
            plan=settings.plan,
            jobs=settings.jobs,
            force=force,
            progress=display.work,
        )
    if share_told(fan):
        return
    if settings.only_private is not None:
        drawn = len(cohort) + (cohort.meta.left_out or 0)
        say(f"left out {cohort.meta.left_out} of {drawn:,} as near to training slices as copies are")
    if settings.patients is not None:
        say(f"{cohort.meta.cases} patients, of {cohort.meta.groups} simulated ones")
    for remark in cohort.meta.remarks:
        say(f"note: {remark}")
    counts = cohort.slices["label"].value_counts()
    each = ", ".join(f"{counts[name]:,} {visible(name)}" for name in cohort.classes if name in counts)
    say(f"{len(cohort):,} synthetic slices: {each}\npage: {cohort.path / 'report.html'}")
