"""A scan as painters see it, and what they make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import PLAIN_MODALITY, Bools, Bytes, Float32, tumour_of
from synthoma.scans.intensity import floor_of, lifted

Spacing = tuple[float, float, float]
"""Distances between voxels (z, y, x) in mm."""

HEAD_MM = 185.0
"""Length of an adult head from front to back, by which a scan without stated size is measured."""
STEP_MM = 6.0
"""Distance between slices where nobody states it."""


@dataclass(frozen=True)
class Scan:
    """One study, array axes nearest to (up, back, left) as ``scans.orientation.to_lps`` gives them.

    Attributes:
        images: modality -> float32 (z, y, x); a single slice has z = 1.
        spacing: between voxels in mm.
        mask: the tumour that is there already, uint8 (z, y, x); None where nobody outlined any.
        remarks: what its reader should know.
        floors: modality -> what its file holds in place of 0, see ``raised``; those that are missing hold 0.
    """

    images: Mapping[str, Float32]
    spacing: Spacing
    mask: Bytes | None = None
    remarks: tuple[str, ...] = ()
    floors: Mapping[str, float] = field(default_factory=dict)

    def lowered(self, images: Mapping[str, Float32]) -> dict[str, Float32]:
        """Images of this scan on the scale of its files again."""
        return {
            name: image + np.float32(self.floors[name]) if name in self.floors else image
            for name, image in images.items()
        }

    def showing(self, sequence: str | None) -> Scan:
        """The same, with a plain picture under the name of the sequence that it shows.

        Raises:
            InputError: a plain picture of which nobody says what it shows: tissue cannot be told, nor a tumour's look.
        """
        if PLAIN_MODALITY not in self.images:
            return self
        if sequence is None:
            came = "a picture that does not say which it shows"
            raise InputError("a sequence: t1, t1c, t2 or flair", came, "say it with --shows")
        images = {sequence if name == PLAIN_MODALITY else name: image for name, image in self.images.items()}
        floors = {sequence if name == PLAIN_MODALITY else name: floor for name, floor in self.floors.items()}
        return Scan(images, self.spacing, self.mask, self.remarks, floors)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        z, y, x = next(iter(self.images.values())).shape
        return z, y, x

    @property
    def flat(self) -> bool:
        """Whether it is a single slice, of which sizes are areas."""
        return self.shape[0] == 1

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing)) / 1000

    @property
    def tumour(self) -> Bools:
        """Where it shows a tumour already."""
        return np.zeros(self.shape, np.bool_) if self.mask is None else tumour_of(self.mask)


@dataclass(frozen=True)
class Painted:
    """A scan with a tumour in it that nobody had.

    Attributes:
        images: modality -> float32 (z, y, x); where nothing was painted, bit for bit those of the scan.
        mask: what was painted, values of ``core.types.REGIONS``, uint8 (z, y, x).
        changed: where any pixel may differ from the scan's.
        facts: what was asked for and what came out, by name of a column.
    """

    images: Mapping[str, Float32]
    mask: Bytes
    changed: Bools
    facts: Mapping[str, float | str] = field(default_factory=dict)


def raised(images: Mapping[str, Float32]) -> tuple[dict[str, Float32], dict[str, float]]:
    """Images on a scale on which air is 0, as the signal of a scanner is, and what was taken off those that were not.

    How bright tissue is says nothing where 0 lies anywhere: a tumour of 1.4 times white matter would be darker than
    white matter in a scan that was shifted below 0. Of images with negative values (z-scores, a shift by a constant)
    the darkest thousandth is taken for 0. Where what lies around the brain was set to exactly 0, it stays 0.
    """
    found, floors = dict(images), dict[str, float]()
    for name, image in images.items():
        floor = floor_of(image)
        if floor is not None:
            found[name], floors[name] = lifted(image, floor), floor
    return found, floors


def unmeasured(images: Mapping[str, Float32]) -> tuple[Spacing, str]:
    """A spacing for a scan that states none, and the remark that says so."""
    longest = 1
    for image in images.values():
        shown = image.max(0) > 0.1 * float(np.percentile(image, 99.5))
        # Front to back: heads are of about one length there, and of many breadths.
        rows = np.flatnonzero(shown.any(1))
        longest = max(longest, int(np.ptp(rows)) + 1 if len(rows) else 1)
    side = HEAD_MM / longest
    text = f"its head is taken for {HEAD_MM:g} mm long, its slices for {STEP_MM:g} mm apart"
    return (STEP_MM, side, side), f"the scan does not say how large it is: {text}"


def anisotropic(mm: float, spacing: Spacing, flat: bool) -> tuple[float, float, float]:
    """A length in mm as voxels along each axis; 0 across a single slice."""
    return (0.0 if flat else mm / spacing[0]), mm / spacing[1], mm / spacing[2]
