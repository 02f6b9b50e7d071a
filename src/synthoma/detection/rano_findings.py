"""RANO measures of a scan as findings.json says them."""

from __future__ import annotations

from collections.abc import Mapping

from synthoma.core.types import Bools
from synthoma.detection.board_records import RanoFindings, RanoLesion
from synthoma.detection.findings import tidy
from synthoma.detection.rano import MEASURABLE, measured
from synthoma.scans.case import Geometry
from synthoma.scans.orientation import turning

SUMMED = 5
"""Lesions whose products are added up (RANO 2010)."""

CONVENTION = (
    "in the axial slice where the product is largest, between the outer edges of the pixels of one connected part; "
    f"measurable where both diameters reach {MEASURABLE:g} mm; a sum is over the {SUMMED} largest measurable lesions"
)


def rano_findings(regions: Mapping[str, Bools], geometry: Geometry | None) -> RanoFindings | None:
    """Measure the whole tumour, and the enhancing tumour where it is told apart.

    Args:
        regions: (z, y, x) of each target on the scan's own grid, the whole tumour first.
        geometry: of the grid; None where nobody knows how large a pixel is.

    Returns:
        None without a geometry, or where nothing was outlined.
    """
    whole = next(iter(regions))
    if geometry is None or not regions[whole].any():
        return None
    lesions, sums = [], {}
    voxel = geometry.spacing[0] * geometry.spacing[1] * geometry.spacing[2] / 1000
    for target in dict.fromkeys((whole, *(name for name in ("enhancing",) if name in regions))):
        own = measured(regions[target], geometry)
        lesions += [
            RanoLesion(
                target=target,
                largest_mm=tidy(one.diameters.largest),
                perpendicular_mm=tidy(one.diameters.perpendicular),
                product_mm2=tidy(one.diameters.product),
                measurable=one.measurable,
                slice=one.at,
                volume_ml=tidy(one.voxels * voxel) if geometry.thick else None,
            )
            for one in own
        ]
        sums[target] = tidy(
            sum(one.diameters.product for one in [lesion for lesion in own if lesion.measurable][:SUMMED])
        )
    return RanoFindings(
        lesions=tuple(lesions), sum_mm2=sums, axis="zyx"[turning(geometry)[0][0]], convention=CONVENTION
    )
