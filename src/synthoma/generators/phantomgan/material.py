"""What a generator that repaints is given: simulated slices in the shares and in the air of the real ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.dataset import TrainingSlices, spread
from synthoma.core.errors import InputError
from synthoma.core.types import MODALITIES, Floats, Ints
from synthoma.generators.family import GeneratorPlan, Material, Term
from synthoma.generators.phantomgan.air import air_of
from synthoma.generators.phantomgan.contrast import LesionContrast, contrasts_of
from synthoma.generators.phantomgan.latents import SimulatedLatents
from synthoma.generators.phantomgan.loss import structure_loss
from synthoma.generators.phantomgan.matching import FEATURES, Matching, heads_of
from synthoma.generators.phantomgan.simulated import (
    SimulatedSlices,
    can_be_simulated,
    kinds_shown,
    masks_can_be_simulated,
    repaintable_slices,
    row_structure,
)
from synthoma.training.meta import Simulation

MATCHED, LOOKED_AT = 2000, 300
"""Real slices that shares are learned from, and whose heads and air are looked at."""

USUAL_SIZE, USUAL_VOLUME = -4.4, 45.0
"""Mean log share of a slice that a simulated tumour takes, where the median volume is so many ml."""


def material(plan: GeneratorPlan, phantom: Path) -> Material:
    """Latents, terms of the loss and description, from the real slices and a simulated cohort.

    Raises:
        InputError: the cohort is not there, was not prepared like the real one, or shows none of its classes.
    """
    cohort, rows, gan = plan.cohort, plan.rows, plan.config.gan
    source, matching = source_slices(plan, phantom), None
    if gan.match:
        matching = Matching.fit(row_structure(cohort, spread(rows, MATCHED)), source.structure())
        source.match(matching)
    airs = airs_of(cohort, rows)
    described = {
        "simulate": simulation_settings(cohort, rows),
        "air": airs.tolist(),
        "kinds": list(kinds_shown(cohort, rows)),
        "matching": matching.to_meta() if matching is not None else None,
    }
    return Material(SimulatedLatents(source, airs=airs), _terms(plan, source), described)


def _terms(plan: GeneratorPlan, source: SimulatedSlices) -> tuple[Term, ...]:
    """What is lost where the structure of a simulated slice is, or its lesions are fainter or brighter than real ones.

    The latents of both are simulated planes (B, C + L, S, S) with one of noise behind them.
    """
    gan, channels = plan.config.gan, plan.shape.channels
    terms: list[Term] = []
    if gan.structure:
        terms.append(partial(_structure_lost, gan.structure, channels))
    if (contrast := lesion_contrasts(plan.slices, source, gan.contrast)) is not None:
        terms.append(partial(_contrast_missed, gan.contrast, contrast, channels))
    return tuple(terms)


def _structure_lost(weight: float, channels: int, latents: Tensor, drawn: Tensor) -> Tensor:
    return weight * structure_loss(latents[:, :channels].float(), drawn[:, :channels].float())


def _contrast_missed(weight: float, contrast: LesionContrast, channels: int, latents: Tensor, drawn: Tensor) -> Tensor:
    return weight * contrast.missed(latents[:, :-1], drawn, channels)


def check(plan: GeneratorPlan) -> None:
    """Raise InputError where simulated slices do not fit the cohort, or patients simulated beside it would not."""
    if plan.config.phantom is not None:
        source_slices(plan, plan.config.phantom)
        return
    cohort = plan.cohort
    if not can_be_simulated(cohort.modalities):
        todo = "give --model dcgan, or prepare the cohort with --modalities"
        raise InputError(f"modalities among {', '.join(MODALITIES)}", ", ".join(cohort.modalities), todo)
    if plan.config.with_masks and not masks_can_be_simulated(tuple(cohort.tumour_labels.values())):
        todo = "prepare the cohort with --merge whole-tumour, or leave out --with-masks"
        raise InputError("masks that simulated patients have too", ", ".join(cohort.tumour_labels.values()), todo)


def source_slices(plan: GeneratorPlan, phantom: Path) -> SimulatedSlices:
    """The simulated slices that are repainted.

    Raises:
        InputError: they were not prepared like the cohort, or show none of its classes.
    """
    cohort = plan.cohort
    return repaintable_slices(
        Cohort(phantom),
        size=cohort.size,
        modalities=cohort.modalities,
        plane=cohort.meta.plane,
        labels=tuple(cohort.tumour_labels.values()) if plan.config.with_masks else (),
        kinds=kinds_shown(cohort, plan.rows),
    )


def simulation_settings(cohort: Cohort, rows: Ints) -> Simulation:
    """What patients must be like who are simulated beside these slices: settings of a phantom.

    Heads are whole, stripped or mixed. The median volume follows the mean size of the tumours in slices, as far as one
    can be told from the other; ``matching`` does the rest. Beside single pictures, which were cropped one by
    one, simulated slices are cropped so: in the box of a whole head most of them would be too small. The whole cohort
    says what it holds: of few slices of volumes, too, each may be of another patient.
    """
    measured = row_structure(cohort, spread(rows, LOOKED_AT))
    measured = measured[measured[:, FEATURES.index("head area")] > 0]
    if not len(measured):
        return {}
    found: Simulation = {"skull": heads_of(float(measured[:, FEATURES.index("scalp")].mean()))}
    table = cohort.slices
    # Of the whole table: of few slices of volumes each is of another case, too.
    pictures = table["case"].is_unique and ("slice" not in table or not table["slice"].any())
    found["apart"] = bool(pictures or cohort.meta.provenance.config.get("apart"))
    sizes = measured[measured[:, FEATURES.index("tumour")] > 0, FEATURES.index("tumour size")]
    if np.isfinite(sizes).any():
        # Areas grow as volumes to the power of 2/3: 1.5 turns a difference of log areas into one of log volumes.
        larger = np.exp(1.5 * (np.nanmean(sizes) - USUAL_SIZE))
        found["volume_ml"] = round(float(USUAL_VOLUME * np.clip(larger, 0.4, 2.5)), 1)
    return found


def airs_of(cohort: Cohort, rows: Ints) -> Floats:
    """Level and grain of the air in each modality of at most 300 of these slices (K, C, 2), see ``air.air_of``."""
    images = np.asarray(cohort.images[spread(rows, LOOKED_AT)], np.float64)
    return np.array([[air_of(part) for part in image] for image in images]).round(4)


def lesion_contrasts(slices: TrainingSlices, source: SimulatedSlices, weight: float) -> LesionContrast | None:
    """How clearly lesions stand out in at most 2,000 real slices, and how it is to be had from simulated ones."""
    if not (weight and slices.labels):
        return None
    channels = len(slices.cohort.modalities)
    real = spread(np.arange(len(slices)), MATCHED)
    # Evenly over the cumulative chances: each slice as often as it will be drawn, and no chance in it.
    simulated = source.drawn((np.arange(MATCHED) + 0.5) / MATCHED)
    own = contrasts_of(lambda first, last: slices.fetch(real[first:last]).planes(), len(real), channels)
    others = contrasts_of(lambda first, last: source.fetch(simulated[first:last]).planes(), MATCHED, channels)
    return LesionContrast(others, own)
