"""No glioma outside the brain: what a model outlines there is left out, where a brain was found for sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from synthoma.cohorts.slicing import shown_modality
from synthoma.cohorts.squares import Framing, frame, to_squares
from synthoma.core.types import Bools, Float32
from synthoma.detection.detector import Detector
from synthoma.detectors.segmenters.tissues import TissueMap, shipped_tissues
from synthoma.scans.case import Study

COARSE_MM = 4.0
"""Distance of slices in which the brain is looked for."""

LOOKED_AT = 16
"""Slices in which it is looked for, about; it changes little from one to the next."""

MARGIN = 3
"""Pixels of the squares (1.5 to 2 mm each) around the brain in which tumour may be too: its edge is not exact."""

LEAST_INSIDE = 0.5
"""Share of a connected place that must lie inside the brain itself, not in its margin."""

CLOSED = 4
"""Half the width, in pixels, of the dents that are filled: a tumour at the surface may look like none of the brain."""


@dataclass(frozen=True)
class Confined:
    """What a model outlined, inside the brain alone.

    Attributes:
        maps: (n, T, S, S), 0 outside of the brain.
        left_out: pixels that were over their threshold outside of it.
        remark: what the reader should know; empty where there is nothing to say.
    """

    maps: Float32
    left_out: int
    remark: str


def learned_from_gliomas(detector: Detector) -> bool:
    """Whether a model knows nothing but simulated gliomas, which never lie outside the brain.

    What a training is told of first is not all of it: real scans of --with, or of the model that it began with, may
    show meningiomas, and leave their patients' names.
    """
    came = detector.bundle.meta.provenance
    return {came.cohort.origin, *(other.origin for other in came.with_)} == {
        "phantom"
    } and not came.trained_on.inherited


def brain_of_squares(framing: Framing, pixels: Float32) -> TissueMap:
    """Where the brain is in squares that the network of tissues takes: by one sequence, in slices 4 mm apart.

    Its border is wanted within some millimetres only, and looking for tumour must not take twice as long.
    """
    at = framing.modalities.index(shown_modality(tuple(framing.images)))
    shown = pixels[:, at : at + 1]
    maps = shipped_tissues().probabilities(shown, framing.step_mm, finest_mm=COARSE_MM, most=LOOKED_AT)
    return on_squares(maps, framing, shown)


def tissue_probabilities(study: Study, framing: Framing, pixels: Float32) -> tuple[Framing, Float32]:
    """Probabilities of tissues over squares, and how these squares were framed.

    Args:
        study: the scan.
        framing: of it for another network.
        pixels: those squares; taken where they are what this network would be shown.
    """
    network = shipped_tissues()
    if not network.takes(framing):
        framing = frame(study, tuple(study.images), size=network.size)
        pixels = to_squares(framing)
    return framing, network.probabilities(pixels, framing.step_mm)


def confined(maps: Float32, thresholds: tuple[float, ...], brain: TissueMap) -> Confined:
    """Maps over squares with nothing outside the brain.

    Args:
        maps: (n, T, S, S), probabilities of each target.
        thresholds: one for each target.
        brain: of the same squares.
    """
    outlined = maps[:, 0] >= thresholds[0]
    if not brain.sure:
        told = "no brain was found for sure, so that what lies outside it was not left out" if outlined.any() else ""
        return Confined(maps, 0, told)
    allowed = room(brain.mask)
    kept = np.where(allowed[:, None], maps, 0).astype(np.float32)
    # A place that lies mostly in the margin is a piece of the scalp: it goes as a whole.
    parts, count = ndimage.label(kept[:, 0] >= thresholds[0], np.ones((3, 3, 3)))
    inner = _pooled(_pooled(brain.mask, CLOSED), -CLOSED)
    sizes, within = np.bincount(parts.ravel(), minlength=count + 1), np.bincount(parts[inner], minlength=count + 1)
    dropped = within < LEAST_INSIDE * sizes
    dropped[0] = False
    kept[np.broadcast_to(dropped[parts][:, None], kept.shape)] = 0
    # Pixels at the edge of a finding inside are not worth a word; a place of its own outside is.
    left_out = outlined & (kept[:, 0] < thresholds[0])
    places, found = ndimage.label(outlined, np.ones((3, 3, 3)))
    alone = found - len(np.unique(places[outlined & ~left_out]))
    word = f"{alone} places" if alone > 1 else "1 place"
    told = f"{word} outside the brain looked like tumour and {'were' if alone > 1 else 'was'} left out"
    return Confined(kept, int(np.count_nonzero(left_out)), told if alone else "")


def room(brain: Bools) -> Bools:
    """Where tumour may be, of a brain (n, S, S): its dents filled, and a margin around it; squares, not discs."""
    found = _pooled(_pooled(brain, CLOSED + MARGIN), -CLOSED)
    # A slice may have lost its brain between others that have it.
    found[1:-1] |= found[:-2] & found[2:]
    return found


def _pooled(mask: Bools, reach: int) -> Bools:
    """A mask (n, S, S) grown by ``reach`` pixels in its slices; made smaller by it where it is negative."""
    sign, side = (1.0, reach) if reach > 0 else (-1.0, -reach)
    maps = sign * torch.from_numpy(mask.astype(np.float32))[:, None]
    # One axis after the other: a square of 15 pixels at once takes seven times as long.
    maps = F.max_pool2d(maps, (2 * side + 1, 1), stride=1, padding=(side, 0))
    maps = F.max_pool2d(maps, (1, 2 * side + 1), stride=1, padding=(0, side))
    found: Bools = (sign * maps)[:, 0].numpy() > 0.5
    return found


def on_squares(maps: Float32, framing: Framing, pixels: Float32) -> TissueMap:
    """A tissue map of the squares themselves, whose pixels have the size that their framing gives them."""
    shown = float((pixels.max(axis=1) > 0.05).mean())
    known = framing.side_mm is not None and framing.step_mm is not None and framing.source is not None
    spacing = (framing.side_mm, framing.side_mm, framing.step_mm) if known else None
    labels = maps[:, :-1].argmax(axis=1).astype(np.uint8)
    return TissueMap(labels, maps[:, -1], spacing, shown)  # type: ignore[arg-type]
