"""What painters learn from the training patients of a cohort, and from nobody else."""

from __future__ import annotations

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import names_of
from synthoma.core.errors import InputError
from synthoma.painting.lesions import Lesion, lesion_of
from synthoma.painting.painters import Material
from synthoma.painting.places import CELLS, cell_of, template_of
from synthoma.painting.stacks import Stack, stacks_of
from synthoma.painting.tissues import WHITE, tissues_of

_FLOOR = 0.15  # share of the place prior that is spread over all cells: where few were, others may come
_LEAST = 3  # tumours below which nothing is learned of sizes and places


def material_of(cohort: Cohort, *, lesions: bool, shows: str | None = None) -> tuple[Material, set[str]]:
    """Sizes, places and brightness of the training patients' tumours, and the names of these patients.

    Args:
        cohort: with masks; one without gives nothing.
        lesions: keep the tumours themselves too, for copy-paste.
        shows: the sequence that plain pictures show.
    """
    if not cohort.labels:
        return Material(), set()
    kept: list[Lesion] = []
    sizes: list[float] = []
    seen: dict[str, list[float]] = {name: [] for name in (*cohort.modalities, *([shows] if shows else []))}
    cells = np.zeros(CELLS)
    used: list[int] = []
    for stack in stacks_of(cohort, ("train",)):
        found = _learned(stack, shows, seen, cells)
        if found is not None:
            used += stack.rows
            sizes.append(found.ml)
            kept += [found] if lesions else []
    if len(sizes) < _LEAST:
        sizes, cells = [], np.zeros(CELLS)
    places = None
    if cells.sum() > 0:
        # The neighbours of a cell in which a tumour was may hold one as well: a place prior is smooth.
        from scipy import ndimage

        smooth = ndimage.gaussian_filter(cells.reshape(6, 6, 6), 0.8).ravel()
        places = (1 - _FLOOR) * smooth / smooth.sum() + _FLOOR / CELLS
    ratios = {name: float(np.median(values)) for name, values in seen.items() if len(values) >= _LEAST}
    names = names_of(cohort, np.array(used, np.int64)) if used else set()
    return Material(tuple(sizes), places, ratios or None, tuple(kept)), names


def _learned(stack: Stack, shows: str | None, seen: dict[str, list[float]], cells: np.ndarray) -> Lesion | None:
    scan = stack.scan().showing(shows)
    tumour = scan.tumour
    if not tumour.any():
        return None
    try:
        tissue = tissues_of(scan.images, scan.spacing, tumour)
    except InputError:  # a scan that tells nothing
        return None
    for name, image in scan.images.items():
        level = tissue.levels[name][WHITE]
        if level > 0:
            seen[name].append(float(np.median(image[tumour])) / level)
    middle = np.argwhere(tumour).mean(0, keepdims=True)
    cells[cell_of(template_of(np.round(middle).astype(np.int64), tissue, scan))] += 1
    return lesion_of(stack.patient, scan, tissue)
