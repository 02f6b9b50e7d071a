"""A painter taught by the training patients of a cohort."""

from __future__ import annotations

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import names_of, patients_behind
from synthoma.core.errors import InputError
from synthoma.core.progress import Progress, silent
from synthoma.painting.gan.learning import Apprentice, learn
from synthoma.painting.gan.model import PainterModel
from synthoma.painting.gan.plates import Plate, Plates, plate_of
from synthoma.painting.stacks import stacks_of


def plates_of(cohort: Cohort, shows: str | None = None) -> tuple[Plates, set[str]]:
    """What the training patients of a cohort show, and their names.

    Args:
        cohort: axial slices, with masks.
        shows: the sequence that plain pictures show.

    Raises:
        InputError: another plane, no masks, or no outlined tumour.
    """
    if cohort.meta.plane != "axial":
        raise InputError("axial slices for a painter to learn from", cohort.meta.plane, "prepare the cohort axially")
    if not cohort.labels:
        raise InputError("a cohort with masks", f"{cohort.path.name} without", "leave --learn out, or add the masks")
    plates, used = list[Plate](), list[int]()
    for stack in stacks_of(cohort, ("train",)):
        scan = stack.scan().showing(shows)
        try:
            plates.append(plate_of(scan))
        except InputError:  # a scan that tells nothing
            continue
        used += stack.rows
    regions = set(cohort.tumour_labels.values()) != {"tumour"}
    return Plates(plates, regions=regions), names_of(cohort, np.array(used, np.int64))


def taught(
    begun: PainterModel, cohort: Cohort, *, steps: int, seed: int, shows: str | None = None, progress: Progress = silent
) -> PainterModel:
    """A painter that went on learning from the training patients of a cohort.

    Args:
        begun: where it begins.
        cohort: whose training patients.
        steps: of 16 squares each.
        seed: of every draw.
        shows: the sequence that plain pictures show.
        progress: told how far it is.

    Raises:
        InputError: as ``plates_of``.
    """
    plates, names = plates_of(cohort, shows)
    # Names of simulated patients are those of other simulations too, and mean nothing.
    real = {*(names if cohort.origin != "phantom" else ()), *patients_behind(cohort)}
    pupil = begun.apprentice()

    def told(now: Apprentice, losses: dict[str, float]) -> None:
        progress("teaching the painter", now.step, steps)

    learn(pupil, plates, steps=steps, seed=seed, told=told)
    return PainterModel.of(pupil, plates.modalities, tuple({*begun.patients, *real}), regions=plates.regions)
