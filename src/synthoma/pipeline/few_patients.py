"""What a segmenter of few patients begins with and learns from beside them, where nobody says.

Of 70 LGG patients kept apart, at ten minutes on one core each (one training each): five real patients begun from the
phantom and beside 60 simulated ones reach a mean Dice of .793, 34 real ones from random weights .790, and 34 with both
.824 (docs/detect.md).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.types import MODALITIES
from synthoma.detectors.models import SEGMENTERS
from synthoma.detectors.settings import SegmenterConfig, SegmenterNetwork
from synthoma.detectors.shares import painted_in
from synthoma.generators.auto import SIMULATING
from synthoma.generators.phantomgan.simulated import masks_can_be_simulated
from synthoma.settings import TrainConfig
from synthoma.training.bundle import SHIPPED
from synthoma.training.device import usable_cores
from synthoma.training.settings import DEFAULT_MINUTES

SEGMENTER = "unet-25d"
"""The network that is part of the package, and so the only one that can begin with it."""

SIMULATED, FEWEST = 60, 12
"""Patients that are simulated beside the real ones; where the budget has no room for the second number, none are."""

SMALLEST = 64
"""Pixels of a side: in smaller slices what was learned from slices of 128 is of little use."""

LEAST_IMAGES = 10_000
"""Budget in images from which simulating patients is worth its time."""


def plan_segmenter(cohort: Cohort, config: TrainConfig, seconds_a_patient: Callable[[], float]) -> TrainConfig:
    """The settings with a start and simulated patients, where nobody chose any and they fit; else as they are.

    Args:
        cohort: what will be learned from.
        config: the settings.
        seconds_a_patient: measures how long a core of this machine simulates a patient beside this cohort.
    """
    if config.init is not None or not _can_begin(cohort, config):
        return config
    reasons = [
        "it begins with what the segmenter inside the package learned from simulated patients (else --init none)"
    ]
    changes: dict[str, object] = {"init": SHIPPED}
    count = _simulated(cohort, config, seconds_a_patient)
    if count:
        changes["simulate"] = count
        reasons.append(f"{count} patients are simulated first and learned from too (else --set simulate=0)")
    settings = config.model_dump(exclude={"gan", "classifier", "segmenter"})
    told = config.segmenter.model_dump()
    usual = SEGMENTERS[SEGMENTER][1]
    begun = TrainConfig.begun(usual, {"init": SHIPPED})
    assert isinstance(usual, SegmenterConfig)
    assert isinstance(begun, SegmenterConfig)
    if config.segmenter.rate == usual.rate:  # a rate that somebody chose stays
        told["rate"] = begun.rate
    return TrainConfig.model_validate({**settings, **changes, "segmenter": told, "reasons": tuple(reasons)})


def _can_begin(cohort: Cohort, config: TrainConfig) -> bool:
    """Whether real scans are learned from that look like those which the network inside the package knows."""
    if config.model != SEGMENTER or config.recipe is not None or cohort.origin != "real":
        return False
    usual, own = SEGMENTERS[SEGMENTER][1].model_dump(), config.segmenter.model_dump()
    as_shipped = all(own[name] == usual[name] for name in SegmenterNetwork.model_fields)
    known = bool(set(cohort.modalities) & set(MODALITIES)) and set(cohort.modalities) <= set(MODALITIES)
    return as_shipped and known and cohort.meta.plane == "axial" and cohort.size >= SMALLEST


def _of_own_patients(cohort: Cohort, path: Path) -> bool:
    """Whether a --with cohort shows the cohort's own patients, painted: it takes no room of simulated ones."""
    other = Cohort(path)
    return bool(painted_in(cohort, other, np.arange(len(other))).all())


def _simulated(cohort: Cohort, config: TrainConfig, seconds_a_patient: Callable[[], float]) -> int:
    """How many patients are simulated; 0 where somebody said so, gave others, or the budget has no room for them."""
    chosen = config.simulate is not None or not all(_of_own_patients(cohort, path) for path in config.extra)
    if chosen or not masks_can_be_simulated(tuple(cohort.tumour_labels.values())):
        return config.simulate or 0
    if config.images is not None or config.epochs is not None:
        return SIMULATED if (config.images or 0) >= LEAST_IMAGES else 0
    room = 60 * (config.minutes or DEFAULT_MINUTES) * SIMULATING * usable_cores()
    count = int(np.clip(room / seconds_a_patient(), 0, SIMULATED))
    return count if count >= FEWEST else 0
