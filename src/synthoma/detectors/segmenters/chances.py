"""From a segmenter's map of probabilities to one figure for a slice, and from that to the chance of a tumour."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from synthoma.core.types import Float32, Floats
from synthoma.training.meta import StoredCalibration

TOP_SHARE = 0.001
LEAST_TOP = 4
"""A slice is as suspicious as its most suspicious pixels: this share of them, and at least so many."""

UNKNOWN = "unknown"
"""What is shown, where a picture does not say which sequence it is and stands for one that the model knows."""

Kind = Literal["scan", "planes", "picture"]
"""A scan of several slices, one that was looked at in three planes, or a picture: a slice without known neighbours.

What three planes say is an average, and averages are less extreme: the same figure means more than of one plane.
"""

_LEAST = 1e-7
"""No figure of a network is taken for nearer to 0 or 1."""


def slice_probabilities(maps: Float32) -> Floats:
    """Probability that each slice shows tumour: the mean of its highest 0.1 % of pixels, but of at least 4.

    Args:
        maps: (n, S, S) at the network's resolution, in 0..1.

    Returns:
        (n,) in 0..1.
    """
    flat = maps.reshape(len(maps), -1)
    count = min(max(LEAST_TOP, round(TOP_SHARE * flat.shape[1])), flat.shape[1])
    # `partition` puts the highest last without sorting tens of thousands of pixels.
    top = np.partition(flat, flat.shape[1] - count, axis=1)[:, -count:]
    return np.asarray(top.mean(axis=1, dtype=np.float64))


def scan_probability(slices: Floats) -> float:
    """Probability that a scan shows tumour: the largest mean of two neighbouring slices; of a single slice, its own.

    A tumour is rarely in one slice alone, an artefact often is.
    """
    return float(slices[0] if len(slices) == 1 else ((slices[1:] + slices[:-1]) / 2).max())


def logits(values: Floats) -> Floats:
    """Logarithm of the odds of values in 0..1; those at the ends are finite too."""
    near = np.clip(np.asarray(values, dtype=np.float64), _LEAST, 1 - _LEAST)
    # log1p keeps the digits of 1 - p where p is tiny.
    return np.asarray(np.log(near) - np.log1p(-near))


@dataclass(frozen=True)
class Calibration:
    """How a network's figure of a scan or picture becomes the chance of tumour (Platt 1999), and when tumour is said.

    A network that learned pixel by pixel finds something in nearly every scan: the largest figure of some thousand
    pixels lies near 1 in health too. What it means is told by scans with and without tumour.

    Attributes:
        slope, offset: of the logit of the chance over the logit of the figure; slope above 0.
        limit: chance from which tumour is said, 0..1.
        ill, found: scans with tumour that it was made from, and those of them in which tumour is said.
        healthy, alarms: the same of scans without tumour.
    """

    slope: float
    offset: float
    limit: float
    ill: int
    found: int
    healthy: int
    alarms: int

    def __post_init__(self) -> None:
        if not (self.slope > 0 and math.isfinite(self.offset) and 0 <= self.limit <= 1):
            came = f"slope {self.slope}, offset {self.offset}, limit {self.limit}"
            todo = "train the model again"
            raise ValueError(f"expected a slope above 0, a finite offset and a limit in 0..1; came {came}; {todo}")

    def chance(self, figures: Floats) -> Floats:
        """Chance of tumour for figures of the network, of any shape, 0..1; as if half of all scans showed one."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * logits(figures) + self.offset))))

    @property
    def figure(self) -> float:
        """The network's figure at which tumour is said, as a logit."""
        return (float(logits(np.array(self.limit))) - self.offset) / self.slope


Calibrations = Mapping[tuple[Kind, str], Calibration]
"""By kind, and by what is shown (``shown_name``)."""


def shown_name(modalities: Collection[str]) -> str:
    """Name of a set of sequences, in one order whatever theirs."""
    return "+".join(sorted(modalities))


def calibration_of(
    known: Calibrations, kind: Kind, modalities: Collection[str], *, guessed: bool
) -> Calibration | None:
    """The calibration for a scan.

    Args:
        known: those of the model.
        kind: a scan, a scan that was looked at in three planes, or a picture.
        modalities: sequences that the model was shown.
        guessed: whether the one sequence is a guess.

    Returns:
        Of what is shown; where that is not known, the strictest one of any of its sequences; None where none is. Where
        nobody counted what three planes say of it, that of scans.
    """
    if kind == "planes":
        if found := known.get((kind, shown_name(modalities))):
            return found
        kind = "scan"
    names = [UNKNOWN] if guessed and (kind, UNKNOWN) in known else [shown_name(modalities)]
    if (kind, names[0]) not in known:
        names = [name for name in modalities if (kind, name) in known]
    fitting = [known[kind, name] for name in names]
    return max(fitting, key=lambda one: one.figure, default=None)


def read_calibrations(stored: Mapping[str, Mapping[str, StoredCalibration]]) -> dict[tuple[Kind, str], Calibration]:
    """Calibrations as a model file has them, see ``stored_calibrations``.

    Raises:
        ValueError, TypeError: figures that are missing, unknown or out of range.
    """
    kinds: tuple[Kind, ...] = get_args(Kind)
    return {(kind, str(name)): Calibration(**values) for kind in kinds for name, values in stored.get(kind, {}).items()}


def stored_calibrations(known: Calibrations) -> dict[str, dict[str, StoredCalibration]]:
    """Calibrations as a model file has them: kind -> what is shown -> its figures."""
    stored: dict[str, dict[str, StoredCalibration]] = {}
    for (kind, name), one in known.items():
        stored.setdefault(kind, {})[name] = StoredCalibration(
            slope=one.slope,
            offset=one.offset,
            limit=one.limit,
            ill=one.ill,
            found=one.found,
            healthy=one.healthy,
            alarms=one.alarms,
        )
    return stored
