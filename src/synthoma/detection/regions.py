"""Each connected region of a tumour by itself: its size and side."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthoma.core.types import Array, Bools
from synthoma.detection.findings import connected, head_columns, largest_diameter, side_of, tidy
from synthoma.detection.scan_findings import Region
from synthoma.scans.case import Geometry
from synthoma.scans.orientation import from_lps

MOST = 12
"""So many are told; what is smaller than these is hardly ever a tumour of its own."""


def largest_regions(mask: Bools, image: Array, source: Geometry | None) -> list[Region]:
    """The largest connected regions of a mask, the largest first.

    Args:
        mask: (z, y, x) in LPS order.
        image: of the same shape.
        source: geometry of the scan's own grid, as ``findings.measurements`` takes it; None where unknown.

    Returns:
        At most ``MOST``. Volumes and diameters have the units that the measurements of the whole have.
    """
    upright, count = connected(mask)
    if not count:
        return []
    numbers = from_lps(upright, source)
    middle, width = head_columns(image)
    sizes = np.bincount(numbers.ravel())[1:]
    voxel = float(np.prod(source.spacing)) if source is not None and source.thick else 1.0
    spatial = source is not None and min(numbers.shape) > 1
    places = ndimage.find_objects(numbers)
    columns = ndimage.center_of_mass(upright > 0, upright, np.arange(1, count + 1))
    found = []
    for at in np.argsort(-sizes, kind="stable")[:MOST].tolist():
        alone = numbers[places[at]] == at + 1
        corner = [part.start for part in places[at]]
        centre = (np.argwhere(alone).mean(axis=0) + corner).tolist()
        diameter = largest_diameter(alone, source.spacing[::-1]) if spatial and source is not None else None
        found.append(
            Region(
                volume=tidy(float(sizes[at]) * voxel),
                diameter=tidy(diameter),
                side=side_of((float(columns[at][2]) - middle) / width),
                centroid_voxel=dict(zip("zyx", map(tidy, centre), strict=True)),
            )
        )
    return found
