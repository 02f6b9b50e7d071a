"""Which slices detectors learn from, and which they are asked about."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import rows_named
from synthoma.cohorts.splits import LEAST_HELD_OUT
from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import UNLABELLED, Bools
from synthoma.evaluation.comparison import check_alike
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.arms import Material
from synthoma.evaluation.useful.trainings import DetectorTest, Source


def prepared(
    real: Cohort, synthetic: Cohort, config: EvaluateConfig, *, seen: Collection[str] | None, phantom: Cohort | None
) -> tuple[Material, DetectorTest]:
    """Which slices are learned from and which are asked.

    Raises:
        InputError: nothing can be taught, or there are too few patients on either side.
    """
    labelled = bool(real.tumour_labels and synthetic.tumour_labels)
    masks = labelled and bool((synthetic.slices["tumour_pixels"] > 0).any())
    task = "outline" if masks else "classify"
    classes: tuple[str, ...] = ()
    if task == "classify":
        made = set(synthetic.slices["label"]) - {UNLABELLED}
        classes = tuple(name for name in real.classes if name in made and name != UNLABELLED)
        if len(classes) < 2:
            came = f"no masks on both sides, and the classes {', '.join(classes) or 'of no slice'}"
            raise InputError("synthetic images with masks, or of two classes that the real cohort has", came,
                             "generate with --with-masks or all classes")  # fmt: skip
    table = real.slices
    usable = _usable(real, task, classes)
    training = usable & np.array(table["split"] == "train")
    groups = table["group"].astype(str).to_numpy()
    rows = np.flatnonzero(training)
    own = sorted(set(groups[rows]))
    known = set(groups[training & rows_named(real, seen)]) if seen is not None else set()
    had = tuple(name for name in own if not known or name in known)
    if config.utility.patients is not None:
        had = tuple(had[i] for i in np.sort(stream(config.seed, "evaluation.utility.had").permutation(len(had))
                                            [: config.utility.patients]))  # fmt: skip
    # Else the generator would bring patients into the mixtures whom the real arms do not have.
    if not known <= set(had):
        came = f"{len(known)} that the generator learned from, and {len(had)} that one is to have"
        raise InputError("a generator that saw no more patients than one has", came, "leave out utility.patients")
    # Validation patients too, since nothing is chosen on anybody here.
    asked = np.flatnonzero(usable & ~np.array(table["split"] == "train"))
    # Where tumours are outlined, healthy patients are asked too but have no Dice: they do not count as held out.
    shown = asked[table["tumour_pixels"].to_numpy()[asked] > 0] if task == "outline" else asked
    held = sorted(set(groups[shown]))
    if len(had) < 2 or len(held) < LEAST_HELD_OUT:
        came = f"{len(had)} and {len(held)}"
        wanted = f"2 real training patients and {LEAST_HELD_OUT} held-out ones"
        raise InputError(wanted, came, "add patients, or prepare with another --split")
    material = Material(
        Source(real, rows),
        tuple(groups[rows]),
        had,
        Source(synthetic, np.flatnonzero(_usable(synthetic, task, classes))),
        _simulated(real, phantom, task, classes) if phantom is not None else None,
    )
    return material, DetectorTest(Source(real, asked), task, real.modalities, classes)


def _simulated(real: Cohort, phantom: Cohort, task: str, classes: tuple[str, ...]) -> Source:
    """Slices of simulated patients that teach the same task.

    Raises:
        InputError: real patients, another preparation, or nothing that teaches the task.
    """
    check_simulated(real, phantom)
    rows = np.flatnonzero(_usable(phantom, task, classes))
    if not len(rows) or (task == "outline" and not phantom.tumour_labels):
        wanted = "simulated slices with masks" if task == "outline" else f"simulated slices of {', '.join(classes)}"
        raise InputError(wanted, "none", "leave out --phantom, or prepare another one")
    return Source(phantom, rows)


def check_simulated(real: Cohort, phantom: Cohort) -> None:
    """Raise InputError unless a cohort shows simulated patients, prepared like the real ones."""
    if phantom.origin != "phantom":
        raise InputError(
            "a cohort of simulated patients (--phantom)", phantom.origin, "make one with prepare --phantom"
        )
    check_alike(real, phantom, classes=False)


def _usable(cohort: Cohort, task: str, classes: tuple[str, ...]) -> Bools:
    table = cohort.slices
    if task == "classify":
        return np.array(table["label"].isin(classes), dtype=bool)
    labelled = table["has_mask"].fillna(0).astype(bool) if "has_mask" in table else np.ones(len(cohort), bool)
    return np.array(labelled, dtype=bool)
