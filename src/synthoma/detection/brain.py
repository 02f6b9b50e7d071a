"""What the tissue map of a head says in numbers: volumes, how far the midline moved, and lobes of places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from synthoma.core.lobes import FRONT_MM, LEFT_MM, TOP_MM, lobe
from synthoma.core.records import Number, Record
from synthoma.core.tissues import TISSUES, HeadTissue
from synthoma.core.types import Bools, Bytes, Floats
from synthoma.scans.case import Geometry, Study
from synthoma.scans.orientation import to_lps, turning

if TYPE_CHECKING:
    from synthoma.detectors.segmenters.tissues import TissueMap  # loads torch

LEAST_WIDTH_MM = 50.0
"""Rows of a brain that are narrower say little of where its middle is."""

LEAST_SLICES, LEAST_REACH_MM = 6, 60.0
"""Slices, and height in mm, of a brain that can be laid beside a template."""

NEAR_MM = 26.0
"""Ventricles this far from the middle plane at most: horns further out are those of one side alone."""

LEAST_ROWS = 12
"""Rows with ventricles of which a middle can be told."""

UNIT: Literal["ml"] = "ml"


class TissueFindings(Record):
    """Tissues of a scan, in numbers. Estimates of a network that learned from simulated patients alone."""

    sure: bool = Field(description="whether a brain was found for sure; if not, nothing here is to be relied on")
    brain_ml: Number = Field(description="brain with its sulci and ventricles, as far as the scan shows it")
    volumes_ml: dict[str, Number] = Field(description="of each tissue")
    midline_shift_mm: Number = Field(
        description="how far the middle of the ventricles lies to the patient's left of the brain's mirror plane; "
        "negative to the right; None where it cannot be told"
    )
    values: dict[str, str] = Field(description="what values of the tissue map mean")


def tissue_findings(found: TissueMap, geometry: Geometry | None) -> TissueFindings | None:
    """The numbers of a map on the scan's own grid; None where nobody knows the size of a voxel."""
    if found.spacing is None:
        return None
    volumes = {TISSUES[kind]: round(size, 1) for kind, size in found.volumes().items()}
    labels, brain, grid = upright(found, geometry)
    return TissueFindings(
        sure=found.sure,
        brain_ml=round(found.millilitres(found.mask), 1),
        volumes_ml=volumes,
        midline_shift_mm=midline_shift(labels, brain, grid.spacing) if found.sure else None,
        values={str(int(kind)): name for kind, name in TISSUES.items()},
    )


def upright(found: TissueMap, geometry: Geometry | None) -> tuple[Bytes, Bools, Geometry]:
    """Labels and brain (z, y, x) in LPS order, with their grid."""
    assert found.spacing is not None
    own = geometry or Geometry(found.spacing)
    turned = to_lps(Study({"labels": found.labels, "brain": found.mask}, own))
    assert turned.geometry is not None
    return turned.images["labels"], turned.images["brain"], turned.geometry


def mirror_plane(brain: Bools, spacing: Sequence[float]) -> Floats | None:
    """The plane x = a + b y + c z between the halves of a brain, by its outline: (a, b, c), all in mm from the corner.

    Middles of rows from the right to the left border lie on it, but for dents; a least-squares fit that drops what
    lies far off finds it.

    Args:
        brain: (z, y, x) in LPS order.
        spacing: (x, y, z) in mm.
    """
    wide = brain.any(axis=2)
    z, y = np.nonzero(wide)
    first = brain.argmax(axis=2)[z, y]
    last = brain.shape[2] - 1 - brain[..., ::-1].argmax(axis=2)[z, y]
    enough = (last - first + 1) * spacing[0] >= LEAST_WIDTH_MM
    if np.count_nonzero(enough) < LEAST_ROWS:
        return None
    z, y, middle = z[enough], y[enough], (first + last)[enough] * spacing[0] / 2
    terms = np.stack([np.ones(len(y)), y * spacing[1], z * spacing[2]], axis=1)
    # In one slice nothing says how the plane leans.
    terms = terms if len(np.unique(z)) > 2 else terms[:, :2]
    kept = np.ones(len(y), bool)
    for _ in range(5):
        plane = np.linalg.lstsq(terms[kept], middle[kept], rcond=None)[0]
        off = np.abs(middle - terms @ plane)
        # Rows farther off are dents or a bulging tumour; never less than a voxel, by which all middles are rounded.
        kept = off <= max(2.0 * float(np.median(off)), spacing[0])
    return np.pad(plane, (0, 3 - len(plane)))


def midline_shift(labels: Bytes, brain: Bools, spacing: Sequence[float]) -> float | None:
    """How far the ventricles' middle lies to the patient's left of the brain's mirror plane, in mm.

    The middle of a row is that of the gap between the two ventricles nearest to the plane, or of the one that crosses
    it; of all rows the upper tenth of what they say by size is reported, with its sign, as a reader measures where the
    shift is largest.

    Args:
        labels: ``HeadTissue`` values (z, y, x) in LPS order.
        brain: likewise.
        spacing: (x, y, z) in mm.

    Returns:
        None where the brain or its ventricles are too small a part of the scan.
    """
    plane = mirror_plane(brain, spacing)
    ventricles = labels == HeadTissue.VENTRICLE
    if plane is None:
        return None
    shifts = []
    for z, y in np.argwhere(ventricles.any(axis=2)):
        middle = float(plane @ (1.0, y * spacing[1], z * spacing[2]))
        row = np.flatnonzero(ventricles[z, y]) * spacing[0] - middle
        if (found := _row_middle(row[np.abs(row) <= NEAR_MM], spacing[0])) is not None:
            shifts.append(found)
    if len(shifts) < LEAST_ROWS:
        return None
    # The median of all is the side; what a reader measures is the largest, and single rows are not believed.
    low, high = np.percentile(shifts, [10, 90])
    return round(float(high if np.median(shifts) > 0 else low), 1)


def _row_middle(places: Floats, step: float) -> float | None:
    """The middle between two ventricles of one row, from places of its ventricle voxels in mm; None for one-sided."""
    if not len(places):
        return None
    gaps = np.diff(places)
    apart = np.flatnonzero(gaps > 1.5 * step)
    if not len(apart):
        # One piece is the middle of the head only where it is narrow (third ventricle) or reaches to both sides.
        narrow = places[-1] - places[0] <= 12
        both = places[0] < -4 and places[-1] > 4
        return float(places.mean()) if (narrow and abs(places.mean()) < 12) or both else None
    nearest = min(apart, key=lambda at: abs(places[at] + places[at + 1]))
    return float(places[nearest] + places[nearest + 1]) / 2


def lobes_of(centres: Sequence[Sequence[float]], found: TissueMap, geometry: Geometry | None) -> list[str | None]:
    """The lobe in which each place lies, as an estimate: the brain's box is laid over that of the MNI152 template.

    Args:
        centres: (z, y, x) voxels of the scan's own grid.
        found: on that grid.
        geometry: of the study; None where unknown.

    Returns:
        None for each where the scan shows too little of a brain.
    """
    if found.spacing is None or not found.sure:
        return [None] * len(centres)
    _, brain, grid = upright(found, geometry)
    z, y, x = (np.flatnonzero(brain.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    if len(z) < LEAST_SLICES or (z[-1] - z[0] + 1) * grid.spacing[2] < LEAST_REACH_MM:
        return [None] * len(centres)
    order, back = turning(geometry)
    names: list[str | None] = []
    for centre in centres:
        at = [centre[axis] for axis in order]
        at = [brain.shape[i] - 1 - v if back[i] else v for i, v in enumerate(at)]
        # LPS columns run to the left, and the template's x to the right; rows run to the back, and its y to the front.
        across = (at[2] - x[0]) / max(x[-1] - x[0], 1)
        along = (at[1] - y[0]) / max(y[-1] - y[0], 1)
        right = LEFT_MM[1] - across * (LEFT_MM[1] - LEFT_MM[0])
        front = FRONT_MM[1] - along * (FRONT_MM[1] - FRONT_MM[0])
        # Scans often end above the brain's lower end: heights are counted from the top, in the scale of its length.
        scale = (FRONT_MM[1] - FRONT_MM[0]) / max((y[-1] - y[0] + 1) * grid.spacing[1], 1.0)
        up = TOP_MM - (z[-1] - at[0]) * grid.spacing[2] * scale
        names.append(str(lobe(np.array([-right]), np.array([front]), np.array([up]))[0]))
    return names
