"""Patients simulated beside a cohort, for a generator that repaints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.cohorts.cohort import Cohort
from synthoma.core.progress import Progress
from synthoma.pipeline.preparation import prepare_phantom

if TYPE_CHECKING:
    from synthoma.phantom import Look
    from synthoma.training.meta import Simulation

SIMULATED_PATIENTS = 80
"""Patients simulated where nobody says how many: always so many, or an image would depend on how many are drawn.

Where more whole patients than these are drawn without a simulated cohort, it does.
"""


def look_of(cohort: Cohort) -> Look:
    """What simulated slices must have in common with those of a cohort."""
    from synthoma.phantom import Look

    meta = cohort.meta
    return Look(meta.modalities, meta.labels, meta.size, meta.plane)


def simulate_beside(
    look: Look,
    prepared: Mapping[str, object],
    simulate: Simulation,
    folder: Path,
    patients: int,
    seed: int,
    progress: Progress,
) -> None:
    """Simulate patients whose slices look like those of a real cohort as far as preparation goes.

    They are others than those of any phantom cohort that somebody prepared: it may be the one that is learned from,
    and hold some of its patients out.
    """
    from synthoma.phantom import phantom_beside

    config = phantom_beside(look, prepared, **simulate)
    # As coarse as the slices, as those that are simulated for drawn images are: what repaints must know their look.
    config = config.model_copy(update={"seed": seed % 2**31, "grid": "slices"})
    prepare_phantom(patients, folder, config=config, progress=progress)
