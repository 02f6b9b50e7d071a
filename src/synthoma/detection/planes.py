"""What a model sees in a volume's other two planes, joined with what it sees in its own.

A network that sees one slice with two neighbours errs otherwise in each plane: what looks like tumour in one is told
apart in another. What the planes say is averaged ("view aggregation": Roy et al. 2019, NeuroImage 186:713; Henschel et
al. 2020, NeuroImage 219:117012).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthoma.cohorts.framing import resize
from synthoma.cohorts.squares import Framing, frame, from_squares, to_squares
from synthoma.core.types import Float32, Plane
from synthoma.detection.detector import Detector
from synthoma.detection.inside import learned_from_gliomas
from synthoma.detectors.segmenters.tissues import between
from synthoma.scans.case import Study
from synthoma.scans.orientation import PLANE_AXES, to_lps, to_plane

LONGEST = 1.5
"""A voxel's longest side over its shortest one, up to which all three planes show the same detail."""

COARSEST_MM = 2.0
"""Longest side of a voxel, in mm: coarser slices of another plane show less than the model's own."""

LEAST_MM = 80.0
"""Shortest side of a volume: of a slab, slices of the other planes are ribbons that show no head."""

EVERY_MM = 2.0
"""The other planes are looked at in slices about so far apart, and what lies between is made from both sides."""


OWN = 0.5
"""What the model's own plane counts: as much as the other two together, of which it has learned nothing."""


@dataclass(frozen=True)
class Votes:
    """What was seen, and in which planes.

    Attributes:
        maps: probabilities over the squares of the model's own plane, (n, T, S, S).
        planes: that were looked at, the model's own first.
    """

    maps: Float32
    planes: tuple[Plane, ...]


def joined(maps: Float32, study: Study, framing: Framing, detector: Detector) -> Votes:
    """What a model sees in its own plane, joined with what it sees in the others where ``other_planes`` has any.

    Args:
        maps: what it sees in its own plane, (n, T, S, S) in 0..1.
        study: the scan, with modalities named as the model knows them.
        framing: of it in the model's own plane.
        detector: the model.
    """
    others = other_planes(framing, detector)
    if others:
        maps = OWN * maps
        for plane in others:
            # Added up one by one: a plane's votes on the grid of a fine volume take as much memory as the scan.
            maps += (1 - OWN) / len(others) * vote(study, framing, plane, detector)
    return Votes(maps, (framing.plane, *others))


def other_planes(framing: Framing, detector: Detector) -> tuple[Plane, ...]:
    """The planes that are worth asking beside that of a framing; none where voxels are thick, or the volume is a slab.

    Models of other scans than simulated gliomas are asked in their own plane alone: they saw no other, and nobody
    measured what they make of one.
    """
    if framing.source is None or framing.lps is None or not framing.source.thick or not learned_from_gliomas(detector):
        return ()
    spacing = framing.lps.spacing
    # Axis ``axis`` of the framing's arrays is axis ``at`` of (z, y, x), and the spacing is (x, y, z).
    sides = [framing.shape[axis] * spacing[2 - at] for axis, at in enumerate(PLANE_AXES[framing.plane])]
    fine = max(spacing) <= min(COARSEST_MM, LONGEST * min(spacing))
    if not fine or min(sides) < LEAST_MM:
        return ()
    return tuple(plane for plane in PLANE_AXES if plane != framing.plane)


def vote(study: Study, framing: Framing, plane: Plane, detector: Detector) -> Float32:
    """What a model sees in another plane, over the squares of ``framing``, (n, T, S, S) in 0..1.

    Args:
        study: the scan.
        framing: of it in the model's own plane.
        plane: another one.
        detector: the model.
    """
    across = frame(study, detector.modalities, size=framing.fit.size, plane=plane, rule=framing.rule)
    depth, step = across.shape[0], across.step_mm
    every = max(1, round(EVERY_MM / step)) if step else 1
    chosen = np.unique([*range(0, depth, every), depth - 1])
    seen = detector.probabilities(to_squares(across, chosen.tolist()), step * every if step else None)
    found = from_squares(between(seen, chosen, depth), across)
    return _in_squares(found, framing)


def _in_squares(maps: Float32, framing: Framing) -> Float32:
    """Maps on the scan's own grid (T, z, y, x) over the squares of a framing, (n, T, S, S)."""
    size = framing.fit.size
    squares = np.zeros((framing.shape[0], len(maps), size, size), np.float32)
    for target, volume in enumerate(maps):
        lps = to_lps(Study({"map": volume}, framing.source))
        for z, layer in enumerate(to_plane(lps, framing.plane)[0]["map"]):
            # Most maps are empty: they stay 0 without being resized.
            if layer.any():
                squares[z, target] = resize(layer, framing.fit, 0.0)
    return squares
