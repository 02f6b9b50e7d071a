"""How a detector of any kind learns: optimiser, learning rate, batches, and how strongly slices are changed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthoma.core.config import Config
from synthoma.core.fields import said

Schedule = Literal["one-cycle", "constant", "plateau"]

Scale = Literal["zero-to-one", "zscore"]
"""``zero-to-one``: 0 is the background, 1 bright tissue. ``zscore``: each image has mean 0 and deviation 1."""


STILL = dict.fromkeys(
    ("flip", "rotation", "scale", "shift", "gamma", "contrast", "bias", "noise", "ghosting", "blur"), 0.0
)
"""Strengths with which slices stay as they are."""


class AugmentConfig(Config):
    """How strongly slices are changed; 0 switches a change off."""

    flip: float = Field(0.5, ge=0, le=1, description="chance of a left-right flip", examples=[0.0])
    rotation: float = Field(
        20.0, ge=0, le=180, description="largest rotation", examples=[10.0], json_schema_extra=said(unit="degrees")
    )
    scale: float = Field(0.2, ge=0, lt=1, description="largest change of size, as a share", examples=[0.1])
    shift: float = Field(0.08, ge=0, lt=1, description="largest shift, as a share of the side", examples=[0.05])
    gamma: float = Field(
        0.35, ge=0, le=1, description="largest change of the intensity curve, in powers of e", examples=[0.2]
    )
    contrast: float = Field(0.2, ge=0, lt=1, description="largest factor on intensities, as a share", examples=[0.1])
    bias: float = Field(0.3, ge=0, lt=1, description="largest smooth brightening across the slice", examples=[0.0])
    noise: float = Field(0.05, ge=0, lt=1, description="largest deviation of the noise", examples=[0.0])
    ghosting: float = Field(
        0.1, ge=0, le=1, description="chance of a motion ghost along the rows or columns", examples=[0.0]
    )
    blur: float = Field(0.25, ge=0, le=1, description="chance of a picture of lower resolution", examples=[0.0])


def learning_rate(default: float) -> float:
    """The setting of the learning rate, which differs among kinds of detector."""
    return Field(
        default,
        gt=0,
        description="learning rate, halved by --init for a segmenter: the highest one, where it rises and falls",
        examples=[1e-3],
    )


def tumour_share(default: float | None) -> float | None:
    """The setting of how often tumours are shown, which differs among kinds of detector."""
    return Field(
        default,
        ge=0,
        le=1,
        description="chance of a tumour slice once a patient is drawn",
        examples=[0.5],
        json_schema_extra=said(unset="all slices evenly"),
    )


class LearnerConfig(Config):
    """How a detector of any kind learns from labelled slices."""

    batch: int = Field(
        16, ge=2, le=1024, description="slices in a step", examples=[32], json_schema_extra=said(unit="slices")
    )
    rate: float = learning_rate(2e-3)
    optimiser: Literal["adamw", "adam"] = Field(
        "adamw",
        description="adamw shrinks weights by themselves (Loshchilov 2019), adam through the gradient (Kingma 2015)",
        examples=["adam"],
    )
    weight_decay: float = Field(1e-2, ge=0, description="the optimiser's weight decay", examples=[0.0])
    epsilon: float = Field(1e-8, gt=0, description="the optimiser's epsilon", examples=[1e-6])
    beta1: float = Field(0.9, ge=0, lt=1, description="the optimiser's memory of the mean gradient", examples=[0.5])
    clip: float = Field(5.0, ge=0, description="largest norm of the gradient; 0 for any", examples=[0.0])
    schedule: Schedule = Field(
        "one-cycle",
        description="the learning rate rises and falls over the budget (one-cycle), stays (constant), or falls by a "
        "factor where the validation score no longer does (plateau)",
        examples=["plateau"],
    )
    plateau_patience: int = Field(
        10,
        ge=1,
        description="the rate falls after so many snapshots without a better score (plateau)",
        examples=[5],
        json_schema_extra=said(unit="snapshots"),
    )
    plateau_factor: float = Field(
        0.2, gt=0, lt=1, description="what the rate is multiplied by then (plateau)", examples=[0.5]
    )
    plateau_delta: float = Field(
        1e-4, ge=0, description="by how much a score must be lower to be better (plateau)", examples=[0.0]
    )
    plateau_least: float = Field(0.0, ge=0, description="rate below which it does not fall (plateau)", examples=[1e-6])
    draw: Literal["patients", "slices"] = Field(
        "patients",
        description="draw patients evenly, whatever the number of their slices, or all slices alike",
        examples=["slices"],
    )
    tumour_share: float | None = tumour_share(None)
    with_ratio: float = Field(
        0.5, gt=0, lt=1, description="share of a batch that comes from the --with cohorts", examples=[0.3]
    )
    painted_ratio: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="share of what is left that comes from --with cohorts in which the cohort's own patients are "
        "painted: they stand in for repeats of the real slices, and take no room of other --with cohorts",
        examples=[0.25],
    )
    modality_dropout: float = Field(
        0.3, ge=0, le=1, description="chance that a slice loses some of its modalities", examples=[0.0]
    )
    context_dropout: float = Field(
        0.15, ge=0, le=1, description="chance that a slice is shown without its neighbours", examples=[0.0]
    )
    context_mm: float = Field(
        4.0,
        gt=0,
        description="least distance between neighbouring slices that are seen",
        examples=[3.0],
        json_schema_extra=said(unit="mm"),
    )
    ema_images: float = Field(
        1000.0,
        ge=0,
        description="half-life of the moving average of weights; 0 for none",
        examples=[0.0],
        json_schema_extra=said(unit="images"),
    )
    precision: Literal["fast", "double"] = Field(
        "fast",
        description="how the network computes: in single precision, and in half where that is faster; or in double, "
        "several times slower, so that any number of processes comes to the same weights",
        examples=["double"],
    )
    augment: AugmentConfig = Field(default_factory=AugmentConfig, description="how strongly slices are changed")
