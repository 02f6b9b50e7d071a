"""What the question "is it realistic?" leaves in evaluation.json."""

from __future__ import annotations

from pydantic import Field

from synthoma.core.records import Number, Record
from synthoma.evaluation.score import Estimate, Score

JUDGES = {"linear": "a linear model", "network": "a small network"}
"""Who tells synthetic from real slices."""


class Difference(Record):
    """A named feature in which synthetic slices lie far from held-out ones."""

    feature: str = Field(description="name of the radiomics feature")
    effect: Number = Field(description="synthetic minus held-out mean, in standard deviations of real slices")
    others: Number = Field(description="the same of other real patients; None where there are none")
    real: Number = Field(description="mean of held-out slices, in the feature's unit")
    synthetic: Number = Field(description="mean of synthetic slices")
    p: Number = Field(description="0..1, adjusted for having looked at all features; None without a null")


class Authenticity(Record):
    """Shares of slices that are not nearer to a training slice than other training slices are."""

    synthetic: Number = Field(description="0..1, of synthetic slices")
    held_out: Number = Field(description="0..1, of held-out slices")


class Repainted(Record):
    """How like the simulated slices synthetic ones are that repaint them, and how like others of these."""

    n: int = Field(description="pairs of slices")
    ssim: Number = Field(description="mean structural similarity to the slice that was repainted; None if undefined")
    ssim_others: Number = Field(description="the same to another simulated slice")
    psnr: Number = Field(description="mean peak signal-to-noise ratio in dB; None where images are equal")
    psnr_others: Number = Field(description="the same to another simulated slice")


class Spread(Record):
    """A distribution in two figures."""

    mean: Number
    deviation: Number = Field(description="standard deviation")


class ComparedNumber(Score):
    """A number of single slices: Wasserstein-1 in deviations of real slices beside its null, and the means."""

    effect: Number = Field(description="synthetic minus held-out mean, in standard deviations of real slices")
    real: Spread = Field(description="of held-out slices, in the number's unit")
    synthetic: Spread = Field(description="of synthetic slices")


class GreyDistance(Record):
    """Distances of two samples of grey values."""

    wasserstein_1: Number = Field(description="in grey units, 0..1")
    kolmogorov_smirnov: Number = Field(description="0..1")


class GreyShares(Record):
    """Shares of pixels inside the head in each bin of a histogram, each adding up to 1."""

    real: tuple[float, ...] = Field(description="of held-out slices")
    synthetic: tuple[float, ...]
    training: tuple[float, ...]


class Intensities(Record):
    """Grey values inside the head."""

    edges: tuple[float, ...] = Field(description="of the bins, 0 background to 1 bright tissue")
    shares: GreyShares
    synthetic: GreyDistance = Field(description="of synthetic and held-out slices")
    null: GreyDistance = Field(description="of training and held-out slices")


class Agreement(Record):
    """Dice between given masks and those of a detector that learned from real scans only."""

    real: Estimate = Field(description="of held-out real slices")
    synthetic: Estimate = Field(description="of synthetic slices")
    gap: Number = Field(description="real minus synthetic mean, in Dice")
    rejected: tuple[int, ...] = Field(
        description="rows of the synthetic cohort that must go for the others to agree as real ones do"
    )
    rejected_share: Number = Field(description="their share of the synthetic slices with tumour, 0..1")
