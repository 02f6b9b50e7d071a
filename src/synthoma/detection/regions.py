"""Each connected region of a tumour by itself: its size and side."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synthoma.core.types import Array, Bools
from synthoma.detection.findings import connected, head_columns, largest_diameter, side_of, tidy
from synthoma.detection.scan_findings import Region
from synthoma.scans.case import Geometry
from synthoma.scans.orientation import turning

MOST = 12
"""So many are told; what is smaller than these is hardly ever a tumour of its own."""


def largest_regions(mask: Bools, image: Array, source: Geometry | None) -> list[Region]:
    """The largest connected regions of a mask, the largest first.

    Args:
        mask: (z, y, x) on the scan's own grid.
        image: of the same scan, (z, y, x) in LPS order.
        source: geometry of the own grid, as ``findings.measurements`` takes it; None where unknown.

    Returns:
        At most ``MOST``. Volumes and diameters have the units that the measurements of the whole have.
    """
    if not mask.any():
        return []
    # Only the box of the mask is looked at: a volume is mostly background.
    [around] = ndimage.find_objects(mask.astype(np.uint8))
    numbers, _ = connected(mask[around])
    middle, width = head_columns(image)
    order, back = turning(source)
    # The first count is that of the background.
    sizes = np.bincount(numbers.ravel())[1:]
    voxel = float(np.prod(source.spacing)) if source is not None and source.thick else 1.0
    spatial = source is not None and min(mask.shape) > 1
    places = ndimage.find_objects(numbers)
    found = []
    for at in np.argsort(-sizes, kind="stable")[:MOST].tolist():
        alone = numbers[places[at]] == at + 1
        corner = [part.start + whole.start for part, whole in zip(places[at], around, strict=True)]
        centre = (np.argwhere(alone).mean(axis=0) + corner).tolist()
        across = centre[order[2]]
        # `middle` counts columns in LPS order, which this axis may run against.
        column = mask.shape[order[2]] - 1 - across if back[2] else across
        diameter = largest_diameter(alone, source.spacing[::-1]) if spatial and source is not None else None
        found.append(
            Region(
                volume=tidy(float(sizes[at]) * voxel),
                diameter=tidy(diameter),
                side=side_of((column - middle) / width),
                centroid_voxel=dict(zip("zyx", map(tidy, centre), strict=True)),
            )
        )
    return found
