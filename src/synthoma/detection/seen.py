"""A scan with the model's answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from synthoma.cohorts.squares import Framing
from synthoma.core.types import PLAIN_MODALITY, Bools, Bytes, Float32, Floats, Plane
from synthoma.detectors.segmenters.chances import Calibration, Kind, scan_probability, slice_probabilities
from synthoma.detectors.segmenters.label_maps import target_masks
from synthoma.detectors.segmenters.tissues import TissueMap
from synthoma.scans.case import Case, Study
from synthoma.scans.orientation import to_lps, to_plane


@dataclass(frozen=True)
class Seen:
    """A scan with the model's answer.

    Attributes:
        case: the scan.
        study: as loaded, with its modalities named as the model knows them.
        framing: how its slices became squares.
        pixels: the squares, (n, C, S, S).
        maps: probabilities over the squares, (n, T, S, S).
        probabilities: the same on the scan's own grid, (T, z, y, x).
        labels: mask on the scan's own grid, (z, y, x), see ``label_maps.label_map``.
        targets: what the maps show.
        thresholds: probability from which a pixel belongs to each target.
        calibration: what the model's figures mean for such a scan; None where nobody measured it.
        limit: probability from which the scan is said to show tumour.
        guessed: the sequence that a picture was taken for without saying so itself; else None.
        types: probability of each kind of tumour, where a classifier was asked; else empty.
        remarks: what the reader of the result should know.
        planes: in which it was looked at, the model's own first.
        tissues: of the head, on the scan's own grid; None where nobody asked.
        gate: each slice's probability of tumour by the classifier that looked first, NaN on empty ones; None without.
    """

    case: Case
    study: Study
    framing: Framing
    pixels: Float32
    maps: Float32
    probabilities: Float32
    labels: Bytes
    targets: tuple[str, ...]
    thresholds: tuple[float, ...]
    calibration: Calibration | None
    limit: float
    guessed: str | None
    types: dict[str, float]
    remarks: tuple[str, ...]
    planes: tuple[Plane, ...]
    tissues: TissueMap | None = None
    gate: Floats | None = None

    @property
    def pictures(self) -> bool:
        """Whether the scan is a picture or a stack of them, and so has no geometry."""
        return self.study.geometry is None

    @property
    def kind(self) -> Kind:
        """Whether it is a scan of several slices or a single picture."""
        return kind_of(self.framing)

    @cached_property
    def mask(self) -> Bools:
        """Whole tumour (z, y, x)."""
        return self.labels > 0

    @cached_property
    def regions(self) -> dict[str, Bools]:
        """Region of each target."""
        return target_masks(self.labels, self.targets)

    @cached_property
    def slices(self) -> Floats:
        """The network's figure of each slice, in the order of ``framing``: see ``slice_probabilities``."""
        return slice_probabilities(self.maps[:, 0])

    @cached_property
    def slice_chances(self) -> Floats:
        """Probability of tumour that each slice speaks for, on the scale of ``probability``."""
        return self.slices if self.calibration is None else self.calibration.chance(self.slices)

    @cached_property
    def probability(self) -> float:
        """Probability that the scan shows tumour, if half of all scans did."""
        figure = scan_probability(self.slices)
        return figure if self.calibration is None else float(self.calibration.chance(np.array(figure)))

    @property
    def has_tumour(self) -> bool:
        """Whether the scan as a whole says so, which is more than a pixel of its mask."""
        return self.probability >= self.limit

    def in_plane(self, array: Bools) -> Bools:
        """A mask (z, y, x) of the scan's grid as (slices, rows, columns) of ``framing``."""
        stand_in: Study = Study({PLAIN_MODALITY: array}, self.study.geometry)
        return to_plane(to_lps(stand_in), self.framing.plane)[0][PLAIN_MODALITY]

    def slice_name(self, z: int) -> str | None:
        """Name of the file that a slice is, where slices are files."""
        names = self.case.slice_names
        return names[z] if self.pictures and len(names) == self.framing.shape[0] else None


def kind_of(framing: Framing) -> Kind:
    """Whether a scan has several slices, or is a picture alone."""
    return "scan" if framing.shape[0] > 1 else "picture"
