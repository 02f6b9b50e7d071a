"""Where in a brain a tumour may start: words, millimetres, and the places where training patients had theirs."""

from __future__ import annotations

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.lobes import lobe
from synthoma.core.types import Bools, Float32, Floats, Ints
from synthoma.painting.dials import SIDES
from synthoma.painting.scan import Scan
from synthoma.painting.tissues import TissueMap

RIM_MM = 6.0
"""No tumour starts nearer to the edge of the brain."""
GAP_MM = 12.0
"""Between a tumour that is there and one that is painted."""
_TEMPLATE = ((-68.0, 68.0), (-104.0, 72.0), (-48.0, 78.0))  # x, y, z of the template's brain in mm
_MIDDLE_Z = 20.0  # height of a single slice, of which nobody knows it
_GRID = (6, 6, 6)


def template_of(voxels: Ints, tissue: TissueMap, scan: Scan) -> Floats:
    """Rough template millimetres (n, 3) in x, y, z of voxels (n, 3) in z, y, x: the brain's box upon the template's.

    Of a stack that does not hold the whole brain, heights count from the vertex; of a single slice they are not known.
    """
    return template_in(voxels, tissue.brain, scan)


def template_in(voxels: Ints, brain: Bools, scan: Scan) -> Floats:
    """As ``template_of``, of a brain of which the tissues are not told apart."""
    (z0, z1), (y0, y1), (x0, x1) = _box(brain)
    where = voxels.astype(np.float64)
    share_x = (where[:, 2] - x0) / max(x1 - x0, 1)
    share_y = (where[:, 1] - y0) / max(y1 - y0, 1)
    x_span, y_span, z_span = _TEMPLATE
    # Arrays run to the patient's left and back, the template to the right and the front.
    x = x_span[1] - share_x * (x_span[1] - x_span[0])
    y = y_span[1] - share_y * (y_span[1] - y_span[0])
    if scan.flat:
        z = np.full(len(where), _MIDDLE_Z)
    else:
        z = z_span[1] - (z1 - where[:, 0]) * scan.spacing[0]
        if (z1 - z0) * scan.spacing[0] > 100:
            z = z_span[0] + (where[:, 0] - z0) / max(z1 - z0, 1) * (z_span[1] - z_span[0])
    return np.stack((x, y, z), axis=1)


def _box(region: Bools) -> list[tuple[int, int]]:
    box = []
    for axis in range(3):
        at = np.flatnonzero(region.any(tuple(other for other in range(3) if other != axis)))
        box.append((int(at[0]), int(at[-1])))
    return box


def middle_of(tissue: TissueMap) -> Floats:
    """Voxel (z, y, x) in the middle of the brain's box."""
    return middle_of_brain(tissue.brain)


def middle_of_brain(brain: Bools) -> Floats:
    """As ``middle_of``, of a brain of which the tissues are not told apart."""
    return np.array([(low + high) / 2 for low, high in _box(brain)])


def where_is(tumour: Bools, brain: Bools, scan: Scan) -> tuple[str, str]:
    """Side and rough lobe of the middle of a tumour, in the words of ``--place``.

    Args:
        tumour: (z, y, x), not empty.
        brain: with the tumour.
        scan: which; of a single slice the lobe is that of a middle height.
    """
    middle = np.round(np.argwhere(tumour).mean(axis=0, keepdims=True)).astype(np.int64)
    x, y, z = template_in(middle, brain, scan).T
    return ("left" if x[0] < 0 else "right"), str(lobe(x, y, z)[0])


def cell_of(template: Floats) -> Ints:
    """Cell of the place prior (n,), which does not tell left from right."""
    span = np.array(_TEMPLATE)
    share = (template - span[:, 0]) / (span[:, 1] - span[:, 0])
    share[:, 0] = np.abs(share[:, 0] - 0.5) * 2
    grid = np.clip((share * _GRID).astype(np.int64), 0, np.array(_GRID) - 1)
    return np.asarray(np.ravel_multi_index(tuple(grid.T), _GRID))


CELLS = int(np.prod(_GRID))


def start_of(
    rng: np.random.Generator,
    scan: Scan,
    tissue: TissueMap,
    place: tuple[str, ...] | tuple[float, float, float],
    far_from: Float32 | None,
    prior: Floats | None,
) -> tuple[Floats, bool]:
    """Voxel (z, y, x) in which a tumour starts, and whether exactly this one was asked for.

    Args:
        rng: draws among the places that may be.
        scan: which.
        tissue: its tissues.
        place: words or mm.
        far_from: distance in mm to the tumour that is there; None where there is none.
        prior: chance of each cell, see ``cell_of``; None for anywhere alike.

    Raises:
        InputError: no room there.
    """
    if place and not isinstance(place[0], str):
        return _exact(np.array([float(value) for value in place]), scan, tissue), True
    may = (tissue.white > 0.5) & (tissue.depth_mm > RIM_MM)
    area = tissue.brain.sum((1, 2))
    # In low slices what is taken for brain may be face, and at the vertex there is no room.
    may &= (area >= 0.5 * area.max())[:, None, None]
    if far_from is not None:
        may &= far_from > 2 * GAP_MM
    found = np.argwhere(may)
    template = template_of(found, tissue, scan) if len(found) else np.zeros((0, 3))
    weights = np.ones(len(found)) if prior is None else prior[cell_of(template)]
    weights = weights * _asked(template, tuple(str(word) for word in place))
    if not weights.sum() > 0:
        where = " ".join(str(word) for word in place) or "anywhere"
        came = f"none {where}" + ("" if far_from is None else ", away from the tumour that is there")
        raise InputError(
            "white matter in which a tumour can start", came, "choose another --place, or leave the scan out"
        )
    return found[rng.choice(len(found), p=weights / weights.sum())].astype(np.float64), False


def _asked(template: Floats, words: tuple[str, ...]) -> Floats:
    """1 where words hold, 0 elsewhere (n,)."""
    holds = np.ones(len(template))
    x, y, z = template.T
    for word in words:
        if word in SIDES:
            # The template's x rises to the patient's right. Some mm off the midline, or a tumour would lie on both.
            holds *= x < -6 if word == "left" else x > 6
        else:
            holds *= lobe(x, y, z) == word
    return holds


def _exact(mm: Floats, scan: Scan, tissue: TissueMap) -> Floats:
    """The voxel at x, y, z mm from the middle of the brain (left, back, up).

    Raises:
        InputError: outside the brain.
    """
    voxel = middle_of(tissue) + mm[::-1] / np.array(scan.spacing)
    at = np.round(voxel).astype(int)
    if scan.flat:
        at[0], voxel[0] = 0, 0.0
    inside = all(0 <= value < size for value, size in zip(at, scan.shape, strict=True))
    if not inside or not tissue.brain[tuple(at)]:
        came = f"{mm[0]:g},{mm[1]:g},{mm[2]:g} mm from its middle (left, back, up), outside"
        raise InputError("a place inside the brain", came, "choose a place nearer to its middle")
    return np.asarray(voxel, np.float64)
